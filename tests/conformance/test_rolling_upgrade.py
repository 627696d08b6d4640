"""A node is upgraded machine by machine: the program before works with the schema of this one."""

import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Inspector, String, inspect, text
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
        assert _holds(new[key]["type"], column["type"])


def _holds(after: object, before: object) -> bool:
    """Return whether a column takes every value that it took before: a text may be longer."""
    if isinstance(after, String) and isinstance(before, String):
        return (after.length or math.inf) >= (before.length or math.inf)
    return str(after) == str(before)


def test_longer_uids_fit_from_0010_on_and_no_row_is_touched(new_database: Callable[[], Database]) -> None:
    database = new_database()
    long = "1.2.3." + "7" * 122
    house_row = (
        "INSERT INTO studies (study_instance_uid, state, revision, calling_ae_title, due_at, force_at,"
        " received_at, changed_at, urgent) VALUES (:uid, 'receiving', 1, 'XR', :now, :now, :now, :now, false)"
    )
    now = {"now": datetime(2026, 1, 1)}  # noqa: DTZ001 - as SQLite stores it
    _migrate(database, command.downgrade, "0009")
    with database.write() as session:
        session.execute(text(house_row), {"uid": "1.2.3"} | now)
    _migrate(database, command.upgrade, "0010")
    with database.write() as session:
        session.execute(text(house_row), {"uid": long} | now)
    with database.read() as session:
        uids = session.scalars(text("SELECT study_instance_uid FROM studies ORDER BY id")).all()
        if database.dialect == "sqlite":
            assert session.scalar(text("PRAGMA integrity_check")) == "ok"
            assert session.scalar(text("PRAGMA writable_schema")) == 0
    assert uids == ["1.2.3", long]
    columns = _columns(inspect(database.engine)).items()
    widths = [
        getattr(column["type"], "length", None) for (_, name), column in columns if name.endswith("_uid")
    ]
    assert widths == [128] * 14


def _migrate(database: Database, run: Callable[[Config, str], None], version: str) -> None:
    with database.engine.execution_options(echo_node_writes=True).begin() as connection:
        run(migrate._config(connection), version)


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
