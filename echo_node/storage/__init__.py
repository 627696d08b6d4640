"""Durable storage: the only place with SQLAlchemy. Files in the spool and the outbox, rows in SQL."""

from echo_node.storage.open import Storage, open_storage

__all__ = ["Storage", "open_storage"]
