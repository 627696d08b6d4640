"""Durable storage: files and rows. The only package that imports SQLAlchemy."""

from echo_node.storage.open import Storage

__all__ = ["Storage"]
