"""Ownership of the store: adoption from another node, and removal of orphans."""

import os
import time
from pathlib import Path

import pytest
from support.stored_node import StoredNode, stored_node
from support.studies import document, put, received

from echo_node.actions import object_store
from echo_node.errors import ConfigError, PermanentError
from echo_node.settings import DatabaseSettings
from echo_node.wiring.storage import open_storage


def keep_an_image(node: StoredNode) -> Path:
    file = put(node.storage.spool, received())
    node.storage.studies.record(received(), file)
    node.storage.ownership.claim()
    return Path(node.storage.objects.location(str(file.path)))


def test_another_database_adopts_the_store_and_keeps_its_images(tmp_path: Path) -> None:
    with stored_node(tmp_path) as node:
        image = keep_an_image(node)
        first = node.storage.ownership.examine()
        assert object_store.may_serve(first)
        url = f"sqlite:///{tmp_path / 'second.sqlite3'}"
        settings = node.settings.model_copy(update={"database": DatabaseSettings(url=url)})
        with open_storage(settings) as second:
            second.upgrade()
            found = second.ownership.examine()
            assert not object_store.may_serve(found)
            assert object_store.count_unnamed(second) == 1
            with pytest.raises(ConfigError):
                object_store.remove_orphans(second)
            with pytest.raises(PermanentError, match="not to another"):
                object_store.adopt(second, "another")
            adopted = object_store.adopt(second, found.holder)
            assert adopted != found.holder
            assert object_store.may_serve(second.ownership.examine())
        assert not object_store.may_serve(node.storage.ownership.examine())
        assert image.is_file()


def test_only_old_files_without_a_row_are_orphans(tmp_path: Path) -> None:
    with stored_node(tmp_path) as node:
        image = keep_an_image(node)
        lost = Path(node.storage.objects.location(str(node.storage.outbox.put(document(9, 1)))))
        assert object_store.list_orphans(node.storage) == []
        long_ago = time.time() - 7200
        for path in (image, lost):
            os.utime(path, (long_ago, long_ago))
        assert object_store.list_orphans(node.storage) == [str(lost)]
        assert object_store.remove_orphans(node.storage) == 1
        assert (image.is_file(), lost.is_file()) == (True, False)
