"""The composition root: Settings become objects here and nowhere else; roles start and stop here.

Heavy libraries are imported by the role that needs them, so that a receiver never loads torch.
"""

from __future__ import annotations

import random
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from echo_node import logs
from echo_node.errors import ConfigError, EchoNodeError, TransientError
from echo_node.processes import (
    EXIT_CONFIGURATION,
    Child,
    Identity,
    Supervisor,
    python_module,
    read_configuration,
    stop_on_signals,
    stop_with_parent,
)
from echo_node.settings import DeliverySettings, DocumentKind, ModelSettings, Role, Settings

if TYPE_CHECKING:
    from echo_node.domain.ports import ConflictFinder
    from echo_node.inference.generator import EchoGenerator
    from echo_node.pipeline.priors import PriorSearch

log = structlog.get_logger()

_COMPLETION_EVERY_S = 0.1
_LONGEST_RESCUE_PAUSE_S = 5.0
_CREATE_MISSING_EVERY_S = 30.0
_LEFTOVERS_EVERY_S = 3600.0
_RETENTION_EVERY_S = 60.0
_STORAGE_PAUSE_S = 2.0
_OWNERSHIP_EVERY_S = 60.0
"""How long a role goes on at most after another database has taken the images and drafts over."""

_ANSWERERS = 4
"""How many modalities may be told at once; one that does not answer holds up one worker."""

_GRACE_S = 40.0
"""How long a worker may take to finish what it has in hand; then it gives it back."""

_STOP_ORDER = (Role.RECEIVE, Role.INFER, Role.DELIVER, Role.WEB)


def run(settings: Settings) -> None:
    """Run the configured role until SIGTERM or SIGINT.

    Raises:
        SystemExit: it could not run; 2 if it was for the configuration.
    """
    logs.configure(settings.log.level, settings.log.format, role=settings.node.role.value)
    stop = threading.Event()
    stop_on_signals(stop, (signal.SIGTERM, signal.SIGINT))
    if settings.node.role is Role.ALL or _has_several_receivers(settings):
        exit_code = run_all(settings, stop)
    else:
        exit_code = _exit_code(lambda: run_role(settings, stop))
    if exit_code:
        sys.exit(exit_code)


def run_all(settings: Settings, stop: threading.Event) -> int:
    """Supervise the child processes of the configured role, or of all, until *stop* is set.

    Returns:
        The exit code.
    """
    prepared = _exit_code(lambda: _prepare(settings, stop))
    if prepared or stop.is_set():
        return prepared
    roles = _STOP_ORDER if settings.node.role is Role.ALL else (settings.node.role,)
    children = [
        Child(role.value, python_module("echo_node.node", role.value), essential=role is Role.RECEIVE)
        for role in roles
        for _ in range(settings.intake.processes if role is Role.RECEIVE else 1)
    ]
    supervisor = Supervisor(children, settings.model_dump_json().encode(), grace_s=_GRACE_S + 5)
    return supervisor.run(stop)


def run_role(settings: Settings, stop: threading.Event) -> None:
    """Run the one role that `settings.node.role` names until *stop* is set.

    Raises:
        ConfigError: it cannot run as configured.
        TransientError: the database cannot be reached any more.
    """
    roles: dict[Role, Callable[[Settings, threading.Event], None]] = {
        Role.RECEIVE: _receive,
        Role.INFER: _infer,
        Role.DELIVER: _deliver,
        Role.WEB: _web,
    }
    log.info("role_starting")
    if settings.node.role is not Role.WEB:
        _claim(settings, stop)
    if not stop.is_set():
        roles[settings.node.role](settings, stop)
    log.info("role_stopped")


def _receive(settings: Settings, stop: threading.Event) -> None:
    from echo_node.dicom.libraries import configure_libraries
    from echo_node.dicom.scp import StorageProvider
    from echo_node.pipeline.complete import CompletionSweep
    from echo_node.pipeline.maintenance import Sweep
    from echo_node.pipeline.receive import Intake

    configure_libraries()
    with _owned(settings, stop) as storage:
        intake = Intake(storage.spool, storage.studies)
        provider = StorageProvider(
            settings.node,
            settings.intake,
            settings.peers,
            intake,
            storage.take_report if settings.committing or settings.archive else None,
            storage.promises if settings.archive else None,
        )
        completion = (Sweep("completion", CompletionSweep(storage.studies), _COMPLETION_EVERY_S),)
        # In a thread of their own: where objects are many, or far away, these take their time.
        keeping = (
            Sweep("leftovers", storage.clear_leftovers, _LEFTOVERS_EVERY_S),
            Sweep("retention", storage.retention, _RETENTION_EVERY_S),
        )
        port = provider.start()
        try:
            with _maintenance(completion), _maintenance(keeping):
                log.info("role_ready", port=port)
                stop.wait()
        finally:
            provider.stop()


def _infer(settings: Settings, stop: threading.Event) -> None:
    from echo_node.dicom.libraries import configure_libraries
    from echo_node.outgoing import encoders
    from echo_node.pipeline.complete import CompletionSweep
    from echo_node.pipeline.draft import DraftStage
    from echo_node.pipeline.maintenance import Sweep
    from echo_node.pipeline.worker import Worker
    from echo_node.reading import chest_images
    from echo_node.storage.bell import JOBS
    from echo_node.storage.facade import SystemClock, retry_policy

    configure_libraries()
    queue_settings, clock = settings.queue, SystemClock()
    forms = encoders(settings)
    images = chest_images(settings.selection)
    generator = _load_generator(settings.model)
    with _owned(settings, stop) as storage, _identity(settings) as identity:
        stage = DraftStage(
            storage.drafts,
            images.selector,
            images.reader(generator.greyscale),
            generator,
            forms,
            clock,
            _watch(settings.delivery),
            _prior_search(settings, clock),
        )
        worker = Worker(
            "draft",
            storage.jobs,
            stage,
            retry_policy(queue_settings),
            holder=identity.holder,
            heartbeat_s=queue_settings.heartbeat_s,
            poll_s=queue_settings.poll_s,
            clock=clock,
            randomness=random.Random(),  # noqa: S311 - jitter
            wait=storage.ear(JOBS).wait,
        )
        if identity.is_only:
            storage.jobs.take_over_from(identity.family, identity.siblings)
        sweeps = (
            Sweep("completion", CompletionSweep(storage.studies), _COMPLETION_EVERY_S),
            Sweep("rescue", storage.jobs.rescue, _rescue_pause_s(queue_settings.lease_s)),
            Sweep("half-written drafts", storage.clear_half_written, _LEFTOVERS_EVERY_S),
        )
        with _maintenance(sweeps):
            model = generator.model
            log.info("role_ready", model=model.name, version=model.version)
            _work([worker], stop)


def _deliver(settings: Settings, stop: threading.Event) -> None:
    from echo_node.dicom.libraries import configure_libraries
    from echo_node.outgoing import encoder, senders
    from echo_node.pipeline.deliver import DeliverStage
    from echo_node.pipeline.form import FormStage
    from echo_node.pipeline.maintenance import Sweep
    from echo_node.storage.bell import DELIVERIES

    configure_libraries()
    delivery = settings.delivery
    to = senders(settings)
    with _owned(settings, stop) as storage, _identity(settings) as identity:
        make_form = FormStage(storage.forms, lambda kind: encoder(DocumentKind(kind), settings))
        # A worker for each destination: one that is dead or slow does not hold up the others.
        workers = [
            _sender(
                "delivery",
                queue,
                DeliverStage(queue, to[name], make_form),
                settings,
                identity,
                storage.ear(DELIVERIES),
            )
            for name, queue in ((name, storage.deliveries_to(name)) for name in delivery.destinations)
        ]
        workers += _askers(settings, storage, identity) + _answerers(settings, storage, identity)
        workers.append(_withdrawer(settings, storage, identity))
        queues_in_hand = {
            "deliveries": storage.deliveries,
            "commitments": storage.commitments,
            "promises": storage.promises,
            "answers": storage.answers,
            "withdrawals": storage.withdrawals,
        }
        if identity.is_only:
            for queue in queues_in_hand.values():
                queue.take_over_from(identity.family)
        pause_s = _rescue_pause_s(delivery.lease_s)
        sweeps = (
            *(Sweep(f"rescue of {name}", each.rescue, pause_s) for name, each in queues_in_hand.items()),
            Sweep(
                "missing deliveries",
                lambda: storage.deliveries.create_missing(settings.documents_by_destination),
                _CREATE_MISSING_EVERY_S,
            ),
        )
        with _maintenance(sweeps):
            log.info("role_ready", count=len(workers))
            _work(workers, stop)


def _askers(settings: Settings, storage: Any, identity: Identity) -> list[Any]:
    """Return the workers that ask for storage commitment: destinations, and the archive for modalities."""
    from echo_node.dicom.commitment import CommitmentUser
    from echo_node.pipeline.commit import CommitStage
    from echo_node.storage.bell import COMMITMENTS, PROMISES

    user = CommitmentUser(settings.node.ae_title, settings.peers, settings.delivery.timeout_s)

    def asker(kind: str, queue: Any, ae_titles: Mapping[str, str], topic: str) -> Any:
        stage = CommitStage(queue, user, ae_titles)
        return _sender(kind, queue, stage, settings, identity, storage.ear(topic))

    askers = [
        asker("commitment", storage.commitments_of(name), settings.committing, COMMITMENTS)
        for name in settings.committing
    ]
    return askers + [asker("promise", storage.promises, settings.archive, PROMISES) for _ in settings.archive]


def _answerers(settings: Settings, storage: Any, identity: Identity) -> list[Any]:
    """Return the workers that tell modalities what the archive has committed to."""
    from echo_node.dicom.promise import Answerer
    from echo_node.pipeline.answer import AnswerStage
    from echo_node.storage.bell import ANSWERS

    stage = AnswerStage(storage.answers, Answerer(settings.peers, settings.delivery.timeout_s))
    return [
        _sender("answer", storage.answers, stage, settings, identity, storage.ear(ANSWERS))
        for _ in range(_ANSWERERS if settings.archive else 0)
    ]


def _withdrawer(settings: Settings, storage: Any, identity: Identity) -> Any:
    """Return the worker that makes the notes of withdrawals; senders deliver them."""
    from echo_node.outgoing import note_encoders
    from echo_node.pipeline.withdraw import WithdrawStage
    from echo_node.storage.bell import WITHDRAWALS

    stage = WithdrawStage(storage.withdrawals, *note_encoders())
    return _sender("withdrawal", storage.withdrawals, stage, settings, identity, storage.ear(WITHDRAWALS))


def _watch(delivery: DeliverySettings) -> ConflictFinder | None:
    """Return what sees that a draft must be withdrawn, if that is wanted."""
    from echo_node.dicom.identity import IdentityWatch

    if delivery.withdraw_on == "never":
        return None
    return IdentityWatch(orders=delivery.withdraw_on == "patient-or-order")


def _sender(
    kind: str, queue: Any, stage: Callable[[Any], None], settings: Settings, own: Identity, ear: Any
) -> Any:
    """Return a worker of the way out, by the settings of delivery."""
    from echo_node.pipeline.worker import Worker
    from echo_node.storage.facade import SystemClock, retry_policy

    delivery = settings.delivery
    return Worker(
        kind,
        queue,
        stage,
        retry_policy(delivery),
        holder=own.holder,
        heartbeat_s=delivery.lease_s / 4,
        poll_s=settings.queue.poll_s,
        clock=SystemClock(),
        randomness=random.Random(),  # noqa: S311 - jitter
        wait=ear.wait,
    )


def _web(settings: Settings, stop: threading.Event) -> None:
    from echo_node.web.server import serve

    with _open(settings) as storage:
        serve(
            settings.web,
            storage.queries,
            stop,
            on_ready=lambda port: log.info("role_ready", port=port),
        )


def _prior_search(settings: Settings, clock: Any) -> PriorSearch | None:
    from echo_node.dicom.priors import prior_finder
    from echo_node.dicom.subject import read_subject
    from echo_node.pipeline.priors import PriorSearch

    finder = prior_finder(settings.priors, settings.peers, settings.node.ae_title)
    return PriorSearch(finder, read_subject, clock, settings.priors.time_limit_s) if finder else None


def _load_generator(model: ModelSettings) -> EchoGenerator:
    log.info("model_loading", model=model.name)
    try:
        from echo_node.inference.generator import load_generator

        return load_generator(model)
    except EchoNodeError as error:
        raise ConfigError(f"the model '{model.name}' cannot be loaded: {error}") from error


@contextmanager
def _open(settings: Settings) -> Iterator[Any]:
    """Open storage with the schema that this program needs."""
    from echo_node.storage import open_storage

    try:
        storage = open_storage(settings)
    except OSError as error:
        also = " and storage.url" if settings.storage.folder else ""
        raise ConfigError(
            f"the data folder cannot be used ({error.strerror}): set node.data_dir{also} to one that can"
        ) from error
    with storage:
        storage.upgrade()
        yield storage


@contextmanager
def _owned(settings: Settings, stop: threading.Event) -> Iterator[Any]:
    """Open storage whose images and drafts are this database's; set *stop* if they become another one's.

    Raises:
        ConfigError: they are another database's, or have become so.
    """
    from echo_node.pipeline.maintenance import Sweep

    lost: list[ConfigError] = []
    with _open(settings) as storage:

        def look() -> None:
            try:
                storage.ownership.claim()
            except ConfigError as error:
                log.critical("store_lost", reason=str(error))
                lost.append(error)
                stop.set()

        with _maintenance((Sweep("ownership", look, _OWNERSHIP_EVERY_S),)):
            yield storage
    if lost:
        raise lost[0]


def _claim(settings: Settings, stop: threading.Event) -> None:
    """Make sure that images and drafts are this database's; wait for it and for them if they are away.

    Raises:
        ConfigError: they are another database's.
    """
    while not stop.is_set():
        try:
            with _open(settings) as storage:
                storage.ownership.claim()
        except TransientError as error:
            log.warning("storage_unavailable", reason=str(error), delay_s=_STORAGE_PAUSE_S)
            stop.wait(_STORAGE_PAUSE_S)
        else:
            return


def _has_several_receivers(settings: Settings) -> bool:
    return settings.node.role is Role.RECEIVE and settings.intake.processes > 1


def _refuse_taken_port(settings: Settings) -> None:
    """Refuse a port that another program has: processes that share it would not notice.

    Raises:
        ConfigError: the port is taken.
    """
    if settings.intake.processes == 1:
        return
    address = (settings.node.bind_address, settings.node.port)
    try:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        socket.create_server(address, family=family).close()
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {address[0]} port {address[1]}: {error.strerror or error}; "
            "set node.bind_address and node.port to what is free"
        ) from error


def _prepare(settings: Settings, stop: threading.Event) -> None:
    """Upgrade the database and claim the store before any child starts; wait for them if need be."""
    _refuse_taken_port(settings)

    _claim(settings, stop)


@contextmanager
def _identity(settings: Settings) -> Iterator[Identity]:
    identity = Identity(settings.node.data_dir / "run", settings.node.role.value)
    try:
        yield identity
    finally:
        identity.close()


@contextmanager
def _maintenance(sweeps: tuple[Any, ...]) -> Iterator[None]:
    from echo_node.pipeline.maintenance import Maintenance

    maintenance = Maintenance(sweeps)
    maintenance.start()
    try:
        yield
    finally:
        maintenance.stop()


def _rescue_pause_s(lease_s: float) -> float:
    return min(_LONGEST_RESCUE_PAUSE_S, lease_s / 4)


def _work(workers: Sequence[Any], stop: threading.Event) -> None:
    """Run each worker in a thread until *stop* is set; those that do not finish in time give back."""
    threads = [
        threading.Thread(target=worker.run, args=(stop,), name=f"worker-{number}", daemon=True)
        for number, worker in enumerate(workers)
    ]
    for thread in threads:
        thread.start()
    stop.wait()
    for worker, thread in zip(workers, threads, strict=True):
        thread.join(_GRACE_S)
        if thread.is_alive():
            worker.abandon()


def _exit_code(action: Callable[[], None]) -> int:
    """Run *action* and turn what goes wrong into one clear line and an exit code."""
    try:
        action()
    except ConfigError as error:
        log.critical("cannot_run", reason=str(error))
        return EXIT_CONFIGURATION
    except EchoNodeError as error:
        log.critical("cannot_run", reason=str(error), error=type(error).__name__)
        return 1
    except Exception:
        log.exception("role_failed")
        return 1
    return 0


def _child(role: Role) -> int:
    """Run a role as a child: configured over standard input by its parent, and never longer than it."""
    configuration = read_configuration(sys.stdin.fileno())
    if not configuration:
        return 1
    settings = Settings.model_validate_json(configuration)
    settings = settings.model_copy(update={"node": settings.node.model_copy(update={"role": role})})
    logs.configure(settings.log.level, settings.log.format, role=role.value)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches everyone; the parent stops us in order
    stop = threading.Event()
    stop_on_signals(stop, (signal.SIGTERM,))
    stop_with_parent(sys.stdin.fileno(), stop, _GRACE_S)
    if role is Role.ALL:
        return run_all(settings, stop)
    return _exit_code(lambda: run_role(settings, stop))


if __name__ == "__main__":
    sys.exit(_child(Role(sys.argv[1])))
