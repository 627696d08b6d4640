"""Ownership of a store, and a data folder that is moved or copied with its database."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.studies import SetClock, document, put, received

from echo_node.settings import DatabaseSettings, IntakeSettings, NodeSettings, Settings
from echo_node.storage.objects.ownership import UNREADABLE, Owner, StoreOwnership, _is_same, decoded
from echo_node.storage.open import Storage
from echo_node.wiring.storage import open_storage


@given(
    st.builds(
        Owner,
        st.text(min_size=1),
        st.text(),
        st.text(),
        st.none() | st.text(),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_what_the_store_says_is_read_as_it_was_written(owner: Owner) -> None:
    assert decoded(owner.encoded()) == owner


@given(
    st.binary()
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_what_makes_no_sense_belongs_to_somebody_unknown(content: bytes) -> None:
    assert decoded(content).node == UNREADABLE


def test_the_claim_of_a_later_program_is_not_understood() -> None:
    content = json.loads(Owner("a", "b", "c").encoded())
    assert decoded(json.dumps(content | {"format": 2}).encode()).node == UNREADABLE


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("inside", "inside", True),
        ("inside", "sqlite:7", False),
        ("sqlite:7", "sqlite:8", False),
        ("postgresql:-:5", "postgresql:123:5", True),
        ("postgresql:123:5", "postgresql:124:5", False),
        ("postgresql:-:5", "postgresql:-:6", False),
    ],
)
def test_places_are_compared_as_far_as_they_are_known(one: str, other: str, same: bool) -> None:
    assert _is_same(one, other) is _is_same(other, one) is same


def opened(folder: Path, database: Path | None = None) -> Storage:
    settings = Settings(
        node=NodeSettings(data_dir=folder),
        intake=IntakeSettings(minimum_free_bytes=0),
        database=DatabaseSettings(url=f"sqlite:///{database}" if database else ""),
    )
    storage = open_storage(settings, SetClock())
    storage.upgrade()
    return storage


def test_a_data_folder_goes_with_its_database_wherever_it_is_moved_or_copied(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as node:
        node.studies.record(received(), put(node.spool, received()))
        owner = node.ownership.claim()
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    (tmp_path / "data").rename(tmp_path / "moved")
    for name in ("copy", "moved"):
        with opened(tmp_path / name) as node:
            assert node.ownership.claim() == owner


def test_a_data_folder_beside_another_database_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as node:
        node.ownership.claim()
    with opened(tmp_path / "data", tmp_path / "other.sqlite3") as node:
        assert node.ownership.examine().standing is StoreOwnership.FOREIGN
    shutil.copy(tmp_path / "data" / "echo-node.sqlite3", tmp_path / "taken-out.sqlite3")
    with opened(tmp_path / "data", tmp_path / "taken-out.sqlite3") as node:
        assert node.ownership.examine().standing is StoreOwnership.COPY


def test_a_claim_that_was_lost_is_made_again_under_the_same_id(tmp_path: Path) -> None:
    """The process was killed between row and object, or someone removed the object."""
    with opened(tmp_path) as node:
        owner = node.ownership.claim()
        (tmp_path / "owner.json").unlink()
        assert node.ownership.claim().node == owner.node
        path = node.outbox.put(document(1, 1))
        (tmp_path / "owner.json").unlink()
        assert (
            node.ownership.examine().standing is StoreOwnership.UNCLAIMED
        )  # what lies there, it does not name
        node.outbox.discard(path)
        assert node.ownership.claim().node == owner.node
