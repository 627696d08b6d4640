"""Examination of everything that a node needs. Nothing is changed or created."""

from __future__ import annotations

from collections.abc import Iterator

from echo_node.actions.doctor.check import Check
from echo_node.actions.doctor.model import check_device, check_model
from echo_node.actions.doctor.peers import check_delivery
from echo_node.actions.doctor.storage import check_database, check_disks, check_owner, check_store
from echo_node.settings import Settings


def examine(settings: Settings) -> Iterator[Check]:
    """Yield a check of disk, object store, database, owner, model, device and each peer."""
    yield from check_disks(settings)
    yield from check_store(settings)
    yield check_database(settings)
    yield from check_owner(settings)
    yield check_model(settings.model)
    yield check_device(settings.model)
    yield from check_delivery(settings)
