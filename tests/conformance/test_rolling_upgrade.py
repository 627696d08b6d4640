"""A node is upgraded machine by machine: the program before works with the schema of this one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Inspector, inspect, text
from support.house import House

from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.work.lifecycle import StudyState
from echo_node.storage.database import migrate
from echo_node.storage.database.engine import Database


def _versions() -> list[str]:
    scripts = ScriptDirectory.from_config(migrate._config(None)).walk_revisions()
    return sorted(script.revision for script in scripts)


def _columns(inspector: Inspector) -> dict[tuple[str, str], dict[str, object]]:
    return {
        (table, str(column["name"])): dict(column)
        for table in inspector.get_table_names()
        for column in inspector.get_columns(table)
    }


@pytest.mark.parametrize(("before", "after"), list(zip(_versions(), _versions()[1:], strict=False)))
def test_a_version_adds_what_the_one_before_can_do_without(before: str, after: str, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    migrate.upgrade(database, before)
    old = _columns(inspect(database.engine))
    migrate.upgrade(database, after)
    new = _columns(inspect(database.engine))
    assert old.keys() <= new.keys(), "a column that the program before uses is gone"
    tables = {table for table, _ in old}
    for (table, name), column in new.items():
        if table in tables and (table, name) not in old:
            assert column["nullable"] or column["default"] is not None, f"{table}.{name} has no default"
    for key, column in old.items():
        assert str(new[key]["type"]) == str(column["type"])


def test_the_program_of_the_version_before_is_let_in(new_database: Callable[[], Database]) -> None:
    with new_database().read() as session:
        assert session.scalar(text("SELECT oldest FROM schema_support")) <= _versions()[-2]


def test_work_of_the_version_before_goes_on_under_this_one(
    new_database: Callable[[], Database], tmp_path: Path
) -> None:
    """The first version's program writes rows into today's schema while today's program works."""
    database = new_database()
    house = House(database, tmp_path)
    house.arrive()
    with database.write() as session:
        session.execute(
            text(
                "INSERT INTO jobs"
                " (study_id, revision, state, attempt, tries, available_at, created_at, changed_at)"
                " VALUES (1, 1, 'ready', 0, 0, :now, :now, :now)"
            ),
            {"now": house.clock.now().replace(tzinfo=None)},
        )
        session.execute(text("UPDATE studies SET state = 'queued'"))
    house.draft(house.claim())
    house.deliveries.finish(house.claim_delivery(), DeliveryOutcome.SUCCESS, 0)
    assert house.state() is StudyState.DELIVERED


def test_this_program_works_beside_a_newer_one(new_database: Callable[[], Database], tmp_path: Path) -> None:
    database = new_database()
    with database.write() as session:
        session.execute(text("ALTER TABLE studies ADD COLUMN of_the_future VARCHAR(8) DEFAULT 'x'"))
        session.execute(text("CREATE TABLE of_the_future (id INTEGER PRIMARY KEY)"))
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        session.execute(text("UPDATE schema_support SET oldest = :now"), {"now": migrate.latest()})
    assert migrate.upgrade(database) == "9999"
    house = House(database, tmp_path)
    house.drafted()
    house.deliveries.finish(house.claim_delivery(), DeliveryOutcome.SUCCESS, 0)
    assert house.state() is StudyState.DELIVERED
