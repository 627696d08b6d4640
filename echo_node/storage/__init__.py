"""Durable storage, and the only package that imports SQLAlchemy: files in spool and outbox, rows in SQL."""

from echo_node.storage.open import Storage

__all__ = ["Storage"]
