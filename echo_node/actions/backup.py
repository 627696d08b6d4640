"""Backup of a node into a folder, and its restore into an empty node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from echo_node.actions.object_store import count_unnamed
from echo_node.settings import Settings

if TYPE_CHECKING:
    from echo_node.storage.open import Storage
    from echo_node.storage.operations.backup import Manifest


@dataclass(frozen=True, slots=True)
class RestoredNode:
    """Node that a backup was restored into.

    Attributes:
        manifest: contents of the backup.
        node: id of the restored node.
        backed_up_node: id of the node that the backup was made of; None if the backup does not
            state it.
        spared: number of images and drafts in an adopted store that the backup does not contain.
    """

    manifest: Manifest
    node: str
    backed_up_node: str | None
    spared: int


def back_up(
    storage: Storage, settings: Settings, target: Path, progress: Callable[[int, int], None]
) -> Manifest:
    """Copy database, images and drafts of a node, which may be running, into a folder.

    Args:
        storage: the node's storage.
        settings: settings of the node.
        target: new or empty folder, or an earlier backup of the same node.
        progress: called with the number of files copied and the total.

    Raises:
        ConfigError: the store belongs to another database.
        PermanentError: the folder contains other files, or the backup of another node.
        TransientError: the disk, the object store or the database failed; there is no backup.
    """
    from echo_node.storage.operations import backup

    return backup.back_up(storage.database, storage.objects, settings.node.data_dir, target, progress)


def restore(
    source: Path, settings: Settings, progress: Callable[[int, int], None], take_over: str | None = None
) -> RestoredNode:
    """Restore a backup into an empty node, which gets an id of its own.

    Args:
        source: folder of the backup.
        settings: settings of the empty node.
        progress: called with the number of files copied and the total.
        take_over: node whose store is adopted, because that node is gone for good.

    Raises:
        ConfigError: the store belongs to another database.
        PermanentError: the backup is incomplete or damaged, or the node is not empty.
        TransientError: the disk, the object store or the database failed.
    """
    from echo_node.storage.operations import backup
    from echo_node.wiring.storage import open_storage

    with open_storage(settings) as storage:
        manifest = backup.restore(source, storage.database, storage.objects, progress, take_over)
        node = storage.ownership.claim().node
        spared = count_unnamed(storage) if take_over else 0
    return RestoredNode(manifest, node, backup.backed_up_node(source), spared)
