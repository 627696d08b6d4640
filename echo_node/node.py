"""The node: starts, supervises and stops its roles. `roles/` composes each of them."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Callable

import structlog

from echo_node import logs
from echo_node.errors import ConfigError, EchoNodeError
from echo_node.processes import (
    EXIT_CONFIGURATION,
    Child,
    Supervisor,
    python_module,
    read_configuration,
    stop_on_signals,
    stop_with_parent,
)
from echo_node.roles.deliver import deliver
from echo_node.roles.infer import infer
from echo_node.roles.open_storage import claim_storage
from echo_node.roles.receive import receive
from echo_node.roles.web import web
from echo_node.roles.workers import GRACE_S
from echo_node.settings import Role, Settings

log = structlog.get_logger()

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
    supervisor = Supervisor(children, settings.model_dump_json().encode(), grace_s=GRACE_S + 5)
    return supervisor.run(stop)


def run_role(settings: Settings, stop: threading.Event) -> None:
    """Run the one role that `settings.node.role` names until *stop* is set.

    Raises:
        ConfigError: it cannot run as configured.
        TransientError: the database cannot be reached any more.
    """
    roles: dict[Role, Callable[[Settings, threading.Event], None]] = {
        Role.RECEIVE: receive,
        Role.INFER: infer,
        Role.DELIVER: deliver,
        Role.WEB: web,
    }
    log.info("role_starting")
    if settings.node.role is not Role.WEB:
        claim_storage(settings, stop)
    if not stop.is_set():
        roles[settings.node.role](settings, stop)
    log.info("role_stopped")


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
    """Upgrade the database and claim the store before any child starts; wait for both."""
    _refuse_taken_port(settings)
    claim_storage(settings, stop)


def _exit_code(action: Callable[[], None]) -> int:
    """Run *action*; turn any error into one clear line and an exit code."""
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
    """Run a role as a child, which its parent configures over standard input and outlives."""
    configuration = read_configuration(sys.stdin.fileno())
    if not configuration:
        return 1
    settings = Settings.model_validate_json(configuration)
    settings = settings.model_copy(update={"node": settings.node.model_copy(update={"role": role})})
    logs.configure(settings.log.level, settings.log.format, role=role.value)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches everyone; the parent stops us in order
    stop = threading.Event()
    stop_on_signals(stop, (signal.SIGTERM,))
    stop_with_parent(sys.stdin.fileno(), stop, GRACE_S)
    if role is Role.ALL:
        return run_all(settings, stop)
    return _exit_code(lambda: run_role(settings, stop))


if __name__ == "__main__":
    sys.exit(_child(Role(sys.argv[1])))
