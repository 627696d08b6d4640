"""Checks of disk, database and owner of the store. Nothing is created for their sake."""

from pathlib import Path

from support.stored_node import StoredNode, stored_node
from support.studies import put, received

from echo_node.actions.doctor.check import Check, Grade
from echo_node.actions.doctor.storage import check_database, check_disks, check_owner
from echo_node.settings import DatabaseSettings, IntakeSettings, NodeSettings, Settings


def on_another_database(settings: Settings, folder: Path) -> Settings:
    url = f"sqlite:///{folder / 'second.sqlite3'}"
    return settings.model_copy(update={"database": DatabaseSettings(url=url)})


def keep_an_image(node: StoredNode) -> str:
    """Let the node keep an image and claim its store; return its id."""
    file = put(node.storage.spool, received())
    node.storage.studies.record(received(), file)
    return node.storage.ownership.claim().node


def owner(settings: Settings) -> Check:
    (check,) = check_owner(settings)
    return check


def test_nothing_is_created(tmp_path: Path) -> None:
    settings = Settings(
        node=NodeSettings(data_dir=tmp_path / "data"), intake=IntakeSettings(minimum_free_bytes=0)
    )
    assert check_database(settings).grade is Grade.NOTE
    assert list(check_owner(settings)) == []
    (disk,) = check_disks(settings)
    assert (disk.name, disk.grade) == ("disk", Grade.OK)
    assert not (tmp_path / "data").exists()


def test_too_little_free_space_fails_with_a_remedy(tmp_path: Path) -> None:
    (disk,) = check_disks(
        Settings(node=NodeSettings(data_dir=tmp_path), intake=IntakeSettings(minimum_free_bytes=2**62))
    )
    assert disk.grade is Grade.FAILED
    assert "intake.minimum_free_bytes" in disk.message
    assert "node.data_dir" in disk.remedy


def test_the_owner_of_the_store_is_this_database_or_another(tmp_path: Path) -> None:
    with stored_node(tmp_path) as node:
        node.storage.orphans.clear_half_written()
        (tmp_path / "spool").mkdir(exist_ok=True)
        assert owner(node.settings).grade is Grade.NOTE
        id_ = keep_an_image(node)
        assert check_database(node.settings).grade is Grade.OK
        check = owner(node.settings)
        assert (check.grade, id_ in check.message) == (Grade.OK, True)
        second = on_another_database(node.settings, tmp_path)
        check = owner(second)
        assert (check.grade, "its database is not here" in check.message) == (Grade.FAILED, True)
        assert not (tmp_path / "second.sqlite3").exists()


def test_a_second_database_on_the_store_fails(tmp_path: Path) -> None:
    with stored_node(tmp_path) as node:
        id_ = keep_an_image(node)
        second = on_another_database(node.settings, tmp_path)
        from echo_node.wiring.storage import open_storage

        with open_storage(second) as storage:
            storage.upgrade()
        check = owner(second)
        assert (check.grade, id_ in check.message) == (Grade.FAILED, True)
