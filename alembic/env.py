"""Run the migrations on the connection of storage/database/migrate.py, in its transaction."""

from alembic import context

from echo_node.storage.database.tables import Base

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("use `echo-node db upgrade`: it knows the database and its settings")

context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
