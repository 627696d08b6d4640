"""Studies, jobs and deliveries on the console, and retries of dead letters."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.console import echo_node
from support.house import House
from support.studies import CR, MODEL, document, received, selection

from echo_node.domain.drafts.draft import Draft, Unmade
from echo_node.domain.drafts.report import Generation, Report, Sentence
from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.work.commitment import CommitmentReport, CommitmentRequest, ReferencedInstance
from echo_node.domain.work.drafting import NewDraft
from echo_node.domain.work.job import JobState
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.retry import RetryPolicy
from echo_node.storage.database import migrate
from echo_node.storage.database.engine import Database
from echo_node.storage.queues.commitment_questions import Peers
from echo_node.storage.queues.commitment_requests import AnswerQueue, CommitmentRequestQueue


class Console:
    """A data folder with a house in it, and the commands on it."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.folder = folder
        self.flags = ("--config", config, "--data-dir", folder / "data")
        database = Database(f"sqlite:///{folder / 'data' / 'echo-node.sqlite3'}")
        migrate.upgrade(database)
        self.house = House(database, folder / "data", destinations=("pacs",))

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return echo_node(*arguments, *self.flags, cwd=self.folder)

    def json(self, *arguments: str) -> Any:
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def console(tmp_path: Path, empty_config: Path) -> Console:
    return Console(tmp_path, empty_config)


def test_a_dead_job_is_listed_shown_and_released(console: Console) -> None:
    console.house.arrive()
    console.house.complete()
    console.house.jobs.dead_letter(console.house.claim(), "the pixels cannot be decoded")
    assert console.json("status")["studies"]["failed"] == 1
    (row,) = console.json("queue", "list")
    assert (row["id"], row["state"], row["reason"]) == ("job-1", "dead", "the pixels cannot be decoded")
    assert console.json("queue", "show", "job-1")["state"] == "failed"
    assert "the pixels cannot be decoded" in console("queue", "show", "1").stdout
    assert console.json("queue", "retry", "1") == {"released": ["job-1"]}
    assert console.house.state() is StudyState.QUEUED
    assert [row["state"] for row in console.json("queue", "list")] == [JobState.READY]


def test_a_form_that_could_not_be_made_is_named_and_released(console: Console) -> None:
    house = console.house
    house.drafts._destinations = {"pacs": ("basic-text-sr", "encapsulated-pdf")}
    house.arrive()
    house.complete()
    words = Report((Sentence("Clear."),), (), "en", MODEL, Generation("one_step", 8, 1, 0.1))
    draft = Draft(words, selection(received()), "1.2.3.1", 1, house.clock.now())
    unmade = Unmade(draft, {"encapsulated-pdf": "no font has it"})
    house.drafts.finish(house.claim(), NewDraft([document(1, 1)], draft.selection, MODEL, unmade))
    house.deliveries.finish(house.claim_delivery(), DeliveryOutcome.SUCCESS, 0)
    (recent,) = console.json("status")["recent"]
    assert (recent["state"], recent["reason"]) == ("undelivered", "encapsulated-pdf could not be made")
    (row,) = console.json("queue", "list", "--dead")
    assert row["reason"] == "encapsulated-pdf could not be made: no font has it"
    shown = console("queue", "show", "1").stdout
    assert "encapsulated-pdf could not be made; stored for a retry:" in " ".join(shown.split())
    assert console.json("queue", "retry", "1") == {"released": [row["id"]]}
    assert house.state() is StudyState.DRAFTED


def test_a_dead_delivery_is_released_by_its_own_id(console: Console) -> None:
    console.house.drafted()
    console.house.deliveries.dead_letter(console.house.claim_delivery(), "refused: 0xA900")
    status = console.json("status")
    assert (status["studies"]["undelivered"], status["deliveries"]["dead"]) == (1, 1)
    (row,) = console.json("queue", "list", "--dead")
    assert (row["id"], row["destination"], row["study_id"]) == ("delivery-1", "pacs", 1)
    assert console.json("queue", "retry", "delivery-1") == {"released": ["delivery-1"]}
    assert console.house.state() is StudyState.DRAFTED


def test_a_modality_that_could_not_be_answered_is_listed_shown_and_released(console: Console) -> None:
    console.house.arrive()
    context = replace(console.house.context, policy=RetryPolicy(1, 1.0, 1.0))
    about = frozenset({ReferencedInstance(CR, uid) for uid in (received().identity.sop_instance_uid, "1.9")})
    requests = CommitmentRequestQueue(context, Peers({"pacs": "PACS"}, 10.0, lambda: "2.25.1"))
    answers = AnswerQueue(context, {})
    assert requests.accept(CommitmentRequest("MODALITY", "ECHO_NODE", "1.7.1", about))
    (row,) = [row for row in console.json("queue", "list") if row["kind"] == "commitment-request"]
    assert (row["id"], row["state"], row["destination"]) == ("commitment-request-1", "pending", "the archive")
    job = requests.claim("asker")
    assert job is not None
    requests.report(CommitmentReport(job.transaction_uid, frozenset(job.instances), {}), "PACS")
    answer = answers.claim("answerer")
    assert answer is not None
    answers.dead_letter(answer, "MODALITY@10.0.0.9:104 cannot be reached")
    assert console.json("status")["commitment_requests"]["dead"] == 1
    assert "commitment requests" in console("status").stdout
    (row,) = console.json("queue", "list", "--dead")
    assert (row["id"], row["destination"]) == ("commitment-request-1", "MODALITY")
    assert console.json("status")["promises"] == console.json("status")["commitment_requests"]
    shown = console("queue", "show", "commitment-request-1").stdout
    assert console("queue", "show", "promise-1").stdout == shown  # the name in earlier versions
    assert "1.9  failed 0x0112" in shown
    assert f"{received().identity.sop_instance_uid}  committed" in shown
    assert console.json("queue", "show", "commitment-request-1")["archive"] == "pacs"
    assert "commitment-request-1" in console("queue", "show", "1").stdout
    assert console.json("queue", "retry", "1") == {"released": ["commitment-request-1"]}
    assert console("queue", "retry", "promise-1").returncode == 1


def test_what_was_not_given_up_cannot_be_retried(console: Console) -> None:
    console.house.drafted()
    done = console("queue", "retry", "1")
    assert (done.returncode, "has no dead letters" in done.stderr) == (1, True)
    assert console("queue", "retry", "job-1").returncode == 1
    assert console("queue", "retry", "job-99").returncode == 1
    assert console.house.state() is StudyState.DRAFTED


def test_finished_work_is_listed_only_on_request(console: Console) -> None:
    console.house.drafted()
    assert [row["id"] for row in console.json("queue", "list")] == ["delivery-1"]
    assert [row["id"] for row in console.json("queue", "list", "--all")] == ["job-1", "delivery-1"]


def test_a_drafts_file_is_shown_where_it_lies(console: Console) -> None:
    console.house.drafted()
    (draft,) = console.json("queue", "show", "1")["documents"]
    assert Path(draft["path"]).read_bytes() == b"draft"
    shown = console("queue", "show", "1").stdout
    assert draft["path"] in shown


def test_the_table_says_what_the_json_says(console: Console) -> None:
    console.house.drafted()
    shown = console("status").stdout
    assert "1 drafted" in shown
    assert "1 pending" in shown
    assert "MODALITY" in shown


def test_what_was_set_aside_is_counted_and_shown_where_it_lies(console: Console) -> None:
    assert console.json("status")["conflicts"] == 0
    assert "set aside" not in console("status").stdout
    console.house.drafted()
    console.house.arrive(received(content=b"other"))
    assert console.json("status")["conflicts"] == 1
    shown = " ".join(console("status").stdout.split())
    assert "1 set aside" in shown
    assert "echo-node queue show 1" in shown
    (conflict,) = console.json("queue", "show", "1")["conflicts"]
    assert Path(conflict["path"]).is_relative_to(console.folder / "data")
    assert conflict["path"] in console("queue", "show", "1").stdout


def test_a_pause_is_begun_shown_and_ended(console: Console) -> None:
    assert console("queue", "resume", "drafting").stdout == "drafting was not paused.\n"
    assert console("queue", "pause", "drafting", "--reason", "upgrade", "--wait").returncode == 0
    assert console.json("status")["paused"] == {"drafting": "upgrade"}
    assert "drafting since" in console("status").stdout
    console.house.arrive()
    console.house.complete()
    assert console.house.jobs.claim("worker") is None
    assert console("queue", "resume", "drafting").stdout == "Resumed: drafting.\n"
    assert console.house.jobs.claim("worker") is not None
    assert console("queue", "pause", "receiving").returncode == 2


def test_a_study_is_hurried(console: Console) -> None:
    for number in (1, 2):
        console.house.arrive(received(number, number))
        console.house.complete()
    assert console("queue", "urgent", "2").stdout == "Study 2 is drafted next.\n"
    assert console.house.claim().study_id == 2
    assert console("queue", "urgent", "7").returncode == 1


def test_the_node_is_backed_up_and_restored(console: Console, tmp_path: Path) -> None:
    console.house.drafted()
    done = console("backup", "safe")
    assert (done.returncode, "1 files were missing" in done.stderr) == (1, True)  # this house keeps no images
    flags = ("--config", tmp_path / "config", "--data-dir", "again")
    restored = echo_node("restore", "safe", *flags, cwd=tmp_path)
    assert restored.returncode == 0, restored.stderr
    status = echo_node("status", "--json", *flags, cwd=tmp_path)
    assert json.loads(status.stdout)["studies"]["drafted"] == 1
    again = console("restore", "safe")
    assert (again.returncode, "has studies already" in again.stderr) == (1, True)
