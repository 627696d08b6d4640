"""Withdrawals on the console: what was withdrawn where, and what is still in progress."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.console import echo_node
from support.house import House

from echo_node.domain.ports import DeliveryOutcome
from echo_node.storage.database import migrate
from echo_node.storage.database.engine import Database


class Console:
    """A data folder with a house of two destinations in it, and the commands on it."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.folder = folder
        self.flags = ("--config", config, "--data-dir", folder / "data")
        database = Database(f"sqlite:///{folder / 'data' / 'echo-node.sqlite3'}")
        migrate.upgrade(database)
        self.house = House(database, folder / "data", destinations=("pacs", "viewer"))
        self.house.clock.moment = datetime.now(UTC) + timedelta(days=1)  # what the commands make is due

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return echo_node(*arguments, *self.flags, cwd=self.folder)

    def deliver(self, count: int = 99) -> None:
        while count and (job := self.house.deliveries.claim("sender")) is not None:
            self.house.deliveries.finish(job, DeliveryOutcome.SUCCESS, 0)
            count -= 1


@pytest.fixture
def console(tmp_path: Path, empty_config: Path) -> Console:
    return Console(tmp_path, empty_config)


def test_a_withdrawal_is_begun_watched_shown_and_ended_by_another_draft(console: Console) -> None:
    console.house.drafted()
    console.deliver(1)
    done = console("retract", "delivery-1", "--reason", "worklist", "--by", "alice")
    shown = " ".join(done.stdout.split())
    assert done.returncode == 0, done.stderr
    assert "by alice: Incorrect Modality Worklist Entry (113038, DCM)" in shown
    assert "pacs basic-text-sr 1 has it pending" in shown
    assert "viewer basic-text-sr 1 never got it none needed" in shown
    assert "Still under way" in shown
    assert "echo-node redraft 1" in shown
    console.house.notes()
    console.deliver()
    again = json.loads(console("retract", "1", "--wait", "--json").stdout)
    assert (again["state"], again["withdrawn_now"], again["reason"]) == ("withdrawn", False, "worklist")
    assert [row["note"] for row in again["destinations"]] == ["delivered", None]
    story = " ".join(console("queue", "show", "1").stdout.split())
    assert "withdrawn up to revision 1 (worklist)" in story
    assert "by alice" in story
    assert "note of the withdrawal up to revision 1, rejection-note" in story
    assert json.loads(console("status", "--json").stdout)["withdrawals"]["prepared"] == 1
    assert console("redraft", "1").stdout == "Study 1 will be drafted again, as revision 2.\n"
    assert console("redraft", "1").returncode == 1


def test_a_note_that_is_refused_ends_the_waiting_with_a_line(console: Console) -> None:
    console.house.drafted()
    console.deliver()
    assert console("retract", "1").returncode == 0
    console.house.notes()
    console.house.deliveries.dead_letter(console.house.claim_delivery(), "0xA900")
    console.deliver()
    done = console("retract", "1", "--wait")
    assert done.returncode == 1
    assert "A destination refused it" in done.stdout
    assert "study 1 is not withdrawn everywhere" in done.stderr
    assert "echo-node queue list --dead" in console("status").stdout


def test_wrong_words_withdraw_nothing(console: Console) -> None:
    console.house.drafted()
    assert console("retract", "1", "--reason", "other").returncode == 2
    assert console("retract", "9").returncode == 1
    assert json.loads(console("status", "--json").stdout)["studies"]["drafted"] == 1
