"""Faults of the way out: who drafts dies, who sends dies, the PACS answers as it likes."""

import random
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import func, select
from support.serving import ServedNode, eventually

from echo_node.domain.work.job import DeliveryState, JobState
from echo_node.domain.work.kinds import DELIVERY
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.withdrawal import WithdrawalReason
from echo_node.storage.database.tables import Delivery, Document, Job, Study
from faults.drafting import complete_now, draft_everything, receive, worker
from faults.world import ScriptedPacs, Tally, audit, audit_notes, audit_pacs, check, storage_of

_SOON = (
    "delivery.first_delay_s=0.05",
    "delivery.longest_delay_s=0.2",
    "delivery.lease_s=2",
    "queue.poll_s=0.05",
)
_ROUND = 12


def sender(folder: Path, pacs: ScriptedPacs, *more: str, url: str = "") -> ServedNode:
    """Return a node that only delivers."""
    flags = [flag for setting in (*_SOON, *more) for flag in ("--set", setting)]
    database = ("--database-url", url) if url else ()
    return ServedNode(folder, "--role", "deliver", "--pacs", f"PACS@127.0.0.1:{pacs.port}", *database, *flags)


def killed_while_drafting(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """kill -9 of the drafting worker at a random moment; another continues: one draft a study."""
    tally, data_dir = Tally(), folder / "data"
    acknowledged: dict[str, str] = {}
    for trial in range(trials):
        with storage_of(data_dir) as storage:
            storage.upgrade()
            studies = [f"1.2.{randomness.randrange(10**9)}.{trial}.{n}" for n in range(6)]
            acknowledged |= receive(storage, studies)
            complete_now(storage)
        command = [sys.executable, "-m", "faults.drafting", str(data_dir)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(randomness.uniform(0, 0.5))
            process.kill()
        with storage_of(data_dir) as storage:
            storage.jobs.reclaim_from("faults/", "nobody")
            going_on = worker(storage, f"faults/on{trial}")
            while going_on.run_once():
                pass
        tally.trials += 1
    with storage_of(data_dir) as storage, storage.database.read() as session:
        states = set(session.scalars(select(Job.state).distinct()))
        documents = session.scalar(select(func.count()).select_from(Document))
        studies_drafted = session.scalar(select(func.count(func.distinct(Document.study_id))))
    check(states == {JobState.DONE}, f"jobs ended as {states}")
    check(documents == studies_drafted == trials * 6, f"{documents} drafts of {studies_drafted} studies")
    audit(data_dir, acknowledged)
    tally.acknowledged = len(acknowledged)
    return tally


def killed_while_delivering(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """kill -9 of the sender at random moments: each draft arrives, always as the same object."""
    tally = Tally()
    with ScriptedPacs(lambda number: 0x0000).open() as pacs:
        for _ in range(trials):
            with storage_of(folder / "data") as storage:
                storage.upgrade()
                draft_everything(storage, _ROUND, randomness)
            _send_until_killed(folder, pacs, randomness)
            tally.trials += 1
        with sender(folder, pacs) as node:
            node.start("deliver")
            _wait_until(node, DeliveryState.DELIVERED)
            check(node.stop() == 0, "the sender did not stop in order")
        audit(node.data_dir, {})
        tally.delivered = audit_pacs(pacs, node.data_dir)
        sent = sum(map(len, pacs.stored.values()))
        tally.notes.append(f"{sent - tally.delivered} sent twice, as the same object")
    return tally


def killed_while_withdrawing(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """kill -9 of the sender before and during withdrawals: one note for each delivered draft."""
    tally = Tally()
    with ScriptedPacs(lambda number: 0x0000).open() as pacs:
        for _ in range(trials):
            with storage_of(folder / "data") as storage:
                storage.upgrade()
                studies = draft_everything(storage, _ROUND, randomness)
            _send_until_killed(folder, pacs, randomness, longest_s=1.5)
            with storage_of(folder / "data") as storage, storage.database.read() as session:
                ids = session.scalars(select(Study.id).where(Study.study_instance_uid.in_(studies))).all()
                for study_id in ids:
                    storage.withdrawals.withdraw(study_id, WithdrawalReason.QUALITY, "faults")
            _send_until_killed(folder, pacs, randomness)
            tally.trials += 1
        with sender(folder, pacs) as node:
            node.start("deliver")
            everything = {StudyState.WITHDRAWN.value: trials * _ROUND}
            eventually(lambda: node.studies() == everything, f"all are withdrawn: {node.log}", 180)
            check(node.stop() == 0, "the sender did not stop in order")
    audit(node.data_dir, {})
    rejected = audit_notes(pacs, node.data_dir)
    tally.delivered = len(pacs.stored)
    tally.notes.append(
        f"{rejected} drafts rejected, {trials * _ROUND - rejected} stopped before they were sent"
    )
    return tally


def the_pacs_answers(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """Out of resources, failures and aborts are retried; a warning counts as stored."""
    tally = Tally()
    moods = (0xA700, 0x0110, None, 0x0213)
    seed = randomness.randrange(10**9)

    def script(number: int) -> int | None:
        choice = random.Random(seed + number)
        return choice.choice(moods) if choice.random() < 0.5 else choice.choice((0x0000, 0xB000))

    with ScriptedPacs(script).open() as pacs:
        for _ in range(trials):
            with storage_of(folder / "data") as storage:
                storage.upgrade()
                draft_everything(storage, _ROUND, randomness)
            with sender(folder, pacs, "delivery.attempts=1000") as node:
                node.start("deliver")
                _wait_until(node, DeliveryState.DELIVERED, DeliveryState.DELIVERED_WITH_WARNING)
                check(node.stop() == 0, "the sender did not stop in order")
            tally.trials += 1
        tally.delivered = audit_pacs(pacs, node.data_dir)
        check(all(len(times) == 1 for times in pacs.stored.values()), "what was stored was sent again")
    return tally


def the_pacs_refuses(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """0xC000 and 0xA900 are dead letters at once; released, they are sent again."""
    tally = Tally()
    with ScriptedPacs(lambda number: randomness.choice((0xC000, 0xA900))).open() as pacs:
        with storage_of(folder / "data") as storage:
            storage.upgrade()
            draft_everything(storage, _ROUND, randomness)
        with sender(folder, pacs) as node:
            node.start("deliver")
            _wait_until(node, DeliveryState.DEAD)
            check(pacs.requests == _ROUND, f"{pacs.requests} requests for {_ROUND} refused objects")
            pacs.script = lambda number: 0x0000
            with node.storage() as storage:
                for row in storage.queries.list_work(DELIVERY, DeliveryState.DEAD):
                    storage.release(DELIVERY, row["delivery_id"])
            _wait_until(node, DeliveryState.DELIVERED)
            check(node.stop() == 0, "the sender did not stop in order")
        tally.trials, tally.delivered = 1, audit_pacs(pacs, node.data_dir)
    return tally


def the_pacs_is_away(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """Nothing listens, then something does: deliveries wait, and none is given up."""
    tally = Tally()
    pacs = ScriptedPacs()
    port = pacs.port
    pacs.close()
    with storage_of(folder / "data") as storage:
        storage.upgrade()
        draft_everything(storage, _ROUND, randomness)
    with sender(folder, pacs, "delivery.attempts=1000") as node:
        node.start("deliver")
        eventually(lambda: _tries(node) >= 5, "it has been tried", 60)
        back = ScriptedPacs(port=port)
        with back.open():
            _wait_until(node, DeliveryState.DELIVERED)
            check(node.stop() == 0, "the sender did not stop in order")
            tally.trials, tally.delivered = 1, audit_pacs(back, node.data_dir)
    return tally


def _send_until_killed(
    folder: Path, pacs: ScriptedPacs, randomness: random.Random, longest_s: float = 0.4
) -> None:
    """Let a sender send for a moment, and kill it."""
    with sender(folder, pacs) as node:
        node.start("deliver")
        time.sleep(randomness.uniform(0, longest_s))
        node.kill()


def _tries(node: ServedNode) -> int:
    with node.storage() as storage, storage.database.read() as session:
        return session.scalar(select(func.sum(Delivery.tries))) or 0


def _wait_until(node: ServedNode, *states: DeliveryState) -> None:
    """Wait until every draft has a delivery that is in one of these states."""

    def settled() -> bool:
        with node.storage() as storage, storage.database.read() as session:
            settled = select(func.count()).select_from(Delivery).where(Delivery.state.in_(states))
            drafts = select(func.count()).select_from(Document)
            return session.scalar(settled) == session.scalar(drafts)

    eventually(settled, f"every delivery is {' or '.join(states)}: {node.log}", 180, every_s=0.1)
