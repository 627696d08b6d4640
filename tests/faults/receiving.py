"""Faults of reception: the receiver dies, the sender dies, the disk fills, too many at once."""

import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from integration.orthanc import free_port
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian
from pynetdicom.ae import ApplicationEntity
from support.serving import ServedNode, eventually

from faults.world import Modalities, Tally, audit, check, chest, study_uids

_LONG_S = "86400"


def receiver(folder: Path, *settings: str, idle_s: str = _LONG_S, port: int = 0) -> ServedNode:
    """Return a node that only receives."""
    flags = [flag for setting in settings for flag in ("--set", setting)]
    return ServedNode(folder, "--role", "receive", "--study-idle", idle_s, *flags, port=port)


def killed_while_receiving(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """kill -9 of the receiver at random moments while three senders send, on one data folder."""
    return _killed(folder, randomness, trials, _LONG_S)


def killed_while_completing(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """The same while studies become complete, a tenth of a second after their last image."""
    return _killed(folder, randomness, trials, "0.1")


def _killed(folder: Path, randomness: random.Random, trials: int, idle_s: str) -> Tally:
    tally, acknowledged = Tally(), dict[str, str]()
    salt = randomness.randrange(10**9)
    for trial in range(trials):
        with receiver(folder, idle_s=idle_s) as node:
            node.start("receive")
            senders = Modalities(node.port, study_uids(f"1.2.3.{salt}.{trial}", images=5))
            senders.wait_for(1)
            time.sleep(randomness.uniform(0, 0.6))
            node.kill()
            acknowledged |= senders.stop()
        audit(node.data_dir, acknowledged)
        tally.trials += 1
    tally.acknowledged = len(acknowledged)
    return tally


def sender_dies_in_mid_file(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """The connection ends after a random number of bytes: nothing stays; the next is received."""
    tally = Tally()
    with receiver(folder) as node:
        node.start("receive")
        acknowledged: dict[str, str] = {}
        for trial in range(trials):
            with _cut_after(node.port, randomness.randrange(400, 200_000)) as port, suppress(Exception):
                _store_one(port, f"1.2.9.{trial}", size=500)
            senders = Modalities(node.port, study_uids(f"1.2.8.{trial}"), number=1)
            senders.wait_for(1)
            acknowledged |= senders.stop()
            tally.trials += 1
        check(node.stop() == 0, "the receiver did not stop in order")
    audit(node.data_dir, acknowledged)
    tally.acknowledged = len(acknowledged)
    return tally


def the_disk_fills(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """A file system of 24 MB: the node refuses with 0xA700, and keeps what it acknowledged."""
    tally = Tally()
    for trial in range(trials):
        with _small_disk(folder / f"disk{trial}", 24) as place:
            if place is None:
                tally.notes.append("needs the right to mount a file system")
                return tally
            with receiver(place, "intake.minimum_free_bytes=0") as node:
                node.start("receive")
                senders = Modalities(node.port, lambda number, sent: f"1.2.7.{number}", size=700)

                def is_full(senders: Modalities = senders) -> bool:
                    return senders.refused[0xA700] >= 5

                eventually(is_full, "the disk is full", 60)
                acknowledged = senders.stop()
                check(set(senders.refused) <= {0xA700, 0x0110}, f"refused with {dict(senders.refused)}")
                node.kill()
            audit(node.data_dir, acknowledged)
            tally.trials, tally.acknowledged = tally.trials + 1, tally.acknowledged + len(acknowledged)
    return tally


def a_burst(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """Ten thousand images of a thousand studies over eight associations, without pauses."""
    wanted = 10_000 if trials > 1 else 500
    with receiver(folder, "intake.processes=2", idle_s="5", port=free_port()) as node:
        node.start("receive")
        senders = Modalities(node.port, lambda number, sent: f"1.2.6.{number}.{sent // 10}", number=8)
        senders.wait_for(wanted, 1200)
        acknowledged = senders.stop()
        check(not senders.refused, f"refused: {dict(senders.refused)}")
        check(node.stop() == 0, "the receiver did not stop in order")
    audit(node.data_dir, acknowledged)
    return Tally(1, len(acknowledged))


def idle_connections(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """Two hundred connections that say nothing, or half a request, keep nobody out."""
    with receiver(folder) as node:
        node.start("receive")
        idle = []
        for number in range(200):
            connection = socket.create_connection(("127.0.0.1", node.port), 10)
            connection.sendall(bytes([1, 0, 0, 0, 2, 0])[: number % 7])
            idle.append(connection)
        senders = Modalities(node.port, lambda number, sent: f"1.2.5.{number}")
        senders.wait_for(50)
        acknowledged = senders.stop()
        for connection in idle:
            connection.close()
        check(node.stop() == 0, "the receiver did not stop in order")
    audit(node.data_dir, acknowledged)
    return Tally(1, len(acknowledged))


def one_of_several_receivers_dies(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """kill -9 of one of three processes that share a port: the others continue, one replaces it."""
    port, tally, acknowledged = free_port(), Tally(), dict[str, str]()
    for trial in range(trials):
        with receiver(folder, "intake.processes=3", port=port) as node:
            node.start("receive")
            _wait_for_receivers(node, 3)
            senders = Modalities(port, study_uids(f"1.2.4.{trial}"), number=4)
            senders.wait_for(10)
            assert node._process is not None
            children = (
                Path(f"/proc/{node._process.pid}/task/{node._process.pid}/children").read_text().split()
            )
            subprocess.run(["/bin/kill", f"-{signal.SIGKILL}", randomness.choice(children)], check=False)
            senders.wait_for(len(senders.acknowledged) + 10)
            _wait_for_receivers(node, 4)
            time.sleep(randomness.uniform(0, 0.5))
            acknowledged |= senders.stop()
            tally.trials += 1
            check(node.stop() == 0, "the receivers did not stop in order")
    audit(node.data_dir, acknowledged)
    tally.acknowledged = len(acknowledged)
    return tally


def _wait_for_receivers(node: ServedNode, count: int) -> None:
    """Wait until so many receiving processes have been ready, those that were killed among them."""

    def are_ready() -> bool:
        ready = [event for event in node.events() if event["event"] == "role_ready"]
        return len(ready) >= count

    eventually(are_ready, f"{count} receivers have been ready: {node.log}", 60)


def _store_one(port: int, study: str, size: int) -> None:
    entity = ApplicationEntity("DYING")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 5
    entity.add_requested_context(ComputedRadiographyImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title="ECHO_NODE")
    if association.is_established:
        association.send_c_store(chest(study, size))
        association.abort()


@contextmanager
def _cut_after(port: int, count: int) -> Iterator[int]:
    """Yield a port that passes on so many bytes to another one, and then resets the connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def back(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)

    def pump() -> None:
        with suppress(OSError), listener, listener.accept()[0] as client:
            node = socket.create_connection(("127.0.0.1", port))
            threading.Thread(target=back, args=(node, client), daemon=True).start()
            left = count
            while left > 0 and (data := client.recv(min(left, 65536))):
                node.sendall(data)
                left -= len(data)
            for end in (node, client):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                end.shutdown(socket.SHUT_RD)  # as long as a thread reads from it, it is not closed
                end.close()

    thread = threading.Thread(target=pump, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()
        thread.join(10)


@contextmanager
def _small_disk(place: Path, megabytes: int) -> Iterator[Path | None]:
    """Yield a folder with so much room; None where it cannot be mounted."""
    place.mkdir(parents=True)
    mount = ["/bin/mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "faults", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["/bin/umount", "-l", str(place)], check=False)
