"""Backup of a node, and its restore into another one."""

from pathlib import Path

import pytest
from support.stored_node import stored_node
from support.studies import put, received

from echo_node.actions.backup import back_up, restore
from echo_node.errors import ConfigError
from echo_node.settings import NodeSettings, Settings


def _progress(_done: int, _total: int) -> None:
    return


def test_a_backup_is_restored_as_a_new_node(tmp_path: Path) -> None:
    with stored_node(tmp_path / "first") as node:
        node.storage.studies.record(received(), put(node.storage.spool, received()))
        id_ = node.storage.ownership.claim().node
        made = back_up(node.storage, node.settings, tmp_path / "safe", _progress)
    assert (made.files, made.missing) == (1, ())
    done = restore(tmp_path / "safe", Settings(node=NodeSettings(data_dir=tmp_path / "second")), _progress)
    assert (done.backed_up_node, done.manifest.files, done.spared) == (id_, 1, 0)
    assert done.node != id_


def test_a_store_is_taken_over_from_the_node_that_is_named_only(tmp_path: Path) -> None:
    with stored_node(tmp_path / "first") as node:
        node.storage.studies.record(received(), put(node.storage.spool, received()))
        id_ = node.storage.ownership.claim().node
        back_up(node.storage, node.settings, tmp_path / "safe", _progress)
        later = received(1, 2)
        node.storage.studies.record(later, put(node.storage.spool, later))
    (tmp_path / "first" / "echo-node.sqlite3").rename(tmp_path / "lost.sqlite3")
    settings = Settings(node=NodeSettings(data_dir=tmp_path / "first"))
    with pytest.raises(ConfigError, match=f"--take-over {id_}"):
        restore(tmp_path / "safe", settings, _progress)
    done = restore(tmp_path / "safe", settings, _progress, take_over=id_)
    assert (done.backed_up_node, done.spared) == (id_, 1)
