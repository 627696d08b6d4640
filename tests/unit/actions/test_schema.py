"""Version and upgrade of the database schema; a database is created by an upgrade only."""

from pathlib import Path

from echo_node.actions.schema import schema_version, upgrade_schema
from echo_node.settings import NodeSettings, Settings


def test_an_absent_database_is_not_created_for_its_version(tmp_path: Path) -> None:
    settings = Settings(node=NodeSettings(data_dir=tmp_path / "data"))
    version = schema_version(settings)
    assert (version.dialect, version.current, version.is_usable) == ("sqlite", None, False)
    assert not (tmp_path / "data").exists()


def test_an_upgrade_brings_the_schema_to_this_program(tmp_path: Path) -> None:
    settings = Settings(node=NodeSettings(data_dir=tmp_path / "data"))
    done = upgrade_schema(settings)
    assert (done.before, done.current) == (None, done.needed)
    version = schema_version(settings)
    assert (version.current, version.needed, version.is_usable) == (done.needed, done.needed, True)
    assert upgrade_schema(settings).before == done.current
