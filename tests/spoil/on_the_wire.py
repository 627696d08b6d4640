"""Malformed headers sent to a running node, whose drafts go to DCMTK's storescp."""

import random
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration.orthanc import free_port
from sqlalchemy import select
from support.serving import ServedNode, eventually

from echo_node.dicom.scu.destinations import Destinations
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.work.lifecycle import StudyState
from echo_node.errors import PermanentError
from echo_node.settings import Peer
from echo_node.storage.database.tables import Study
from spoil.in_process import errors_of
from spoil.outcomes import DRAFTED, EXCEPTION, HELD, REFUSED, SKIPPED, Outcomes
from spoil.spoilings import EXPLICIT_LITTLE_ENDIAN, Spoilt, spoil

_CR = "1.2.840.10008.5.1.4.1.1.1"
_UNSETTLED = {StudyState.RECEIVING, StudyState.QUEUED, StudyState.DRAFTING, StudyState.DRAFTED}
_DRAFTED = {StudyState.DRAFTED, StudyState.DELIVERED}
_EXCEPTION = re.compile(r"\b[A-Z]\w+(Error|Exception)\b")


def run(folder: Path, first: int, count: int, randomness: random.Random) -> Outcomes:
    """Send headers with these numbers, each as a study; check what the receiver stored."""
    outcomes, received = Outcomes(), folder / "received"
    received.mkdir()
    with _receiver(received) as pacs, ServedNode(
        folder, "--pacs", f"PACS@127.0.0.1:{pacs}", "--study-idle", "1",
        "--set", "selection.view_check=off", "--set", "log.format=json",
    ) as node:  # fmt: skip
        node.start("receive", "infer", "deliver")
        sender = Destinations(
            "SPOIL", {"node": Peer(ae_title="ECHO_NODE", host="127.0.0.1", port=node.port)}, 30.0
        )
        taken = [each for each in _spoilt(first, count, randomness) if _is_taken(sender, each, outcomes)]
        eventually(lambda: _is_settled(node), "every study is settled", timeout_s=60 + 5 * count)
        _count(node, taken, outcomes)
        outcomes.faults += [
            f"the node logged {event['event']}: {event['error']}"
            for event in node.events()
            if event.get("level") == "error" and "error" in event
        ]
        if node.stop() != 0:
            outcomes.faults.append("the node did not stop in order")
    for path in sorted(received.iterdir()):
        outcomes.checked += 1
        outcomes.faults += [f"{path.name}: {each}" for each in errors_of(path)]
    return outcomes


def _spoilt(first: int, count: int, randomness: random.Random) -> Iterator[Spoilt]:
    return (spoil(number, randomness) for number in range(first, first + count))


def _is_taken(sender: Destinations, spoilt: Spoilt, outcomes: Outcomes) -> bool:
    """Send an image; return whether the node took it. A refusal is counted."""
    image = EncodedDocument(
        "image", spoilt.study, f"{spoilt.study}.2", _CR, EXPLICIT_LITTLE_ENDIAN, spoilt.part10
    )
    try:
        sender.send(image, "node")
    except PermanentError as error:
        reason = str(error).partition(" refused ")[2]
        outcomes.add(spoilt.how, needless=spoilt.is_needless, outcome=REFUSED, reason=reason)
        return False
    return True


def _is_settled(node: ServedNode) -> bool:
    counts = node.studies()
    return not any(counts.get(state, 0) for state in _UNSETTLED)


def _count(node: ServedNode, taken: list[Spoilt], outcomes: Outcomes) -> None:
    """Count the states of the studies."""
    with node.storage() as storage, storage.database.read() as session:
        rows = session.execute(select(Study.study_instance_uid, Study.state, Study.reason)).all()
    found = {uid: (state, reason or "") for uid, state, reason in rows}
    for spoilt in taken:
        state, reason = found.get(spoilt.study, ("", "under another Study Instance UID"))
        if state in _DRAFTED:
            outcome = DRAFTED
        elif _EXCEPTION.search(reason):
            outcome = EXCEPTION
        elif state == StudyState.SKIPPED:
            outcome = SKIPPED
        else:
            outcome = HELD if "a draft cannot state it" in reason else REFUSED
        outcomes.add(spoilt.how, needless=spoilt.is_needless, outcome=outcome, reason=reason)


@contextmanager
def _receiver(folder: Path) -> Iterator[int]:
    """Run storescp; yield its port."""
    port = free_port()
    command = ["/usr/bin/storescp", "-aet", "PACS", "-od", str(folder), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(30)
