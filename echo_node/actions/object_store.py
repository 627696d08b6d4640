"""Ownership of the object store: show it, adopt the store, and remove orphans."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from echo_node.storage.objects.ownership import Examination
    from echo_node.storage.open import Storage


def may_serve(found: Examination) -> bool:
    """Return whether `serve` would start: the store belongs to this database, or to none."""
    from echo_node.storage.objects.ownership import StoreOwnership

    return found.standing in (StoreOwnership.OURS, StoreOwnership.FREE)


def adopt(storage: Storage, holder: str) -> str:
    """Take the store over from the node that owns it. Return this database's new node id.

    Args:
        storage: the node's storage.
        holder: node that the operator believes to be the owner, as `Examination.holder` names it.

    Raises:
        ConfigError: another database takes the store over at the same time.
        PermanentError: the store belongs to another node than *holder*.
        TransientError: the database or the store is unreachable.
    """
    return storage.ownership.adopt(holder).node


def count_unnamed(storage: Storage) -> int:
    """Return the number of images and drafts in the store that this database does not name."""
    return sum(1 for _ in storage.orphans.find(0.0))


def list_orphans(storage: Storage) -> list[str]:
    """Return the locations of images and drafts older than an hour that no row names."""
    return [storage.objects.location(name) for name in storage.orphans.find()]


def remove_orphans(storage: Storage) -> int:
    """Remove what `list_orphans` lists. Return the number of files.

    Raises:
        ConfigError: the store belongs to another database.
        TransientError: the database or the store is unreachable.
    """
    storage.ownership.claim()
    return storage.orphans.remove()
