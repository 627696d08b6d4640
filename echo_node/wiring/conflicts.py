"""Peers' `on_conflict` as a function, for storage and for the identity check."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from echo_node.domain.studies.identity import OnConflict
from echo_node.settings import Peer


def on_conflict_of(peers: Iterable[Peer]) -> Callable[[str], OnConflict]:
    """Return the function from a calling AE title to its peer's `on_conflict`."""
    of_title = {peer.ae_title: OnConflict(peer.on_conflict) for peer in peers}
    return lambda calling: of_title.get(calling, OnConflict.HOLD)
