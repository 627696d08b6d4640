"""A new kind of work is one row of the table of kinds, besides its own table and queue."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import pytest
from sqlalchemy import String, Table
from sqlalchemy.orm import Mapped, Session, mapped_column
from starlette.testclient import TestClient
from support.studies import SetClock

from echo_node.cli.node import status
from echo_node.cli.studies import queue
from echo_node.domain.work.job import Lease
from echo_node.domain.work.kinds import KINDS, Name, Step, WorkKind
from echo_node.domain.work.pausable import Pausable
from echo_node.domain.work.retry import RetryPolicy
from echo_node.settings import NodeSettings, Settings
from echo_node.storage.database.claims import lease_of
from echo_node.storage.database.tables import Base, Claimable
from echo_node.storage.open import Storage
from echo_node.storage.queues.work_queue import QueueContext, SqlWorkQueue
from echo_node.web.server import application
from echo_node.wiring.storage import open_storage


class FaxState(StrEnum):
    """State of a fax."""

    WAITING = "waiting"
    DIALLING = "dialling"
    SENT = "sent"
    DEAD = "dead"


FAXING = Step(FaxState.WAITING, FaxState.DIALLING, "faxes", "dialling")
FAX = WorkKind(
    Name("fax", "faxes"),
    "faxes",
    FaxState,
    frozenset({FaxState.SENT}),
    FaxState.DEAD,
    (FAXING,),
    Pausable.DELIVERY,
)


class Fax(Claimable, Base):
    """Fax to a referring physician."""

    __tablename__ = "faxes"

    state: Mapped[str] = mapped_column(String(32))


FAXES = Base.metadata.tables["faxes"]
Base.metadata.remove(FAXES)  # the schema of the node has no such table


@dataclass(frozen=True)
class FaxJob:
    """A claimed fax."""

    lease: Lease


class FaxQueue(SqlWorkQueue[Fax, FaxJob]):
    """Faxes."""

    table, kind, step = Fax, FAX, FAXING

    def _claimed(self, session: Session, row: Fax, now: datetime) -> FaxJob:
        return FaxJob(lease_of(row))


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    monkeypatch.setitem(KINDS, "fax", FAX)
    with open_storage(Settings(node=NodeSettings(data_dir=tmp_path))) as opened:
        opened.upgrade()
        assert isinstance(FAXES, Table)
        FAXES.create(opened.database.engine)
        yield opened


@pytest.fixture
def faxes(storage: Storage) -> FaxQueue:
    clock = SetClock()
    with storage.database.write() as session:
        for state in (FaxState.WAITING, FaxState.SENT):
            now = clock.now()
            session.add(Fax(state=state, available_at=now, created_at=now, changed_at=now))
    return FaxQueue(QueueContext(storage.database, clock, RetryPolicy(1, 1, 1), 10.0, random.Random(0)))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An empty configuration."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "node.toml").touch()
    return folder


def test_it_is_listed_counted_paused_and_released(
    storage: Storage, faxes: FaxQueue, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage.pauses.begin(Pausable.DELIVERY, "upgrade")
    assert faxes.claim("sender") is None
    storage.pauses.end(Pausable.DELIVERY)
    job = faxes.claim("sender")
    assert job is not None
    assert storage.queries.running(Pausable.DELIVERY) == 1
    faxes.dead_letter(job, "engaged")
    capsys.readouterr()
    queue.list_(config=config, data_dir=tmp_path, json=True)
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["id"], row["kind"], row["state"], row["reason"]) == ("fax-1", "fax", "dead", "engaged")
    queue.list_(config=config, data_dir=tmp_path, everything=True, json=True)
    assert len(json.loads(capsys.readouterr().out)) == 2
    status.status(config=config, data_dir=tmp_path, json=True)
    counts = json.loads(capsys.readouterr().out)["faxes"]
    assert counts == {"waiting": 0, "dialling": 0, "sent": 1, "dead": 1}
    status.status(config=config, data_dir=tmp_path)
    assert "1 sent, 1 dead" in capsys.readouterr().out
    metrics = TestClient(application(storage.queries)).get("/metrics").text
    assert 'echo_node_faxes{state="dead"} 1.0' in metrics
    faxes.release(1)
    assert faxes.claim("sender") is not None
