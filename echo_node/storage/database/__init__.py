"""Database access: engine, tables, migrations, claims, notifications."""
