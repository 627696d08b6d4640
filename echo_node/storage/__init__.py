"""The only package with SQLAlchemy: tables, files and the queries that keep the invariants."""
