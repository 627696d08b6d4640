"""Order and tiers of the tests, their log configuration, and peers that close lost connections."""

import logging
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from pynetdicom.transport import AssociationSocket
from support import made_once, tiers

_made_once = pytest.StashKey[Path]()

_as_it_is = AssociationSocket._shutdown_socket


def _and_close(self: AssociationSocket) -> None:
    connection = self.socket
    _as_it_is(self)
    if connection is not None:
        connection.close()


@pytest.fixture(scope="session", autouse=True)
def _closing_sockets() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AssociationSocket, "_shutdown_socket", _and_close)
        yield


@pytest.fixture(autouse=True)
def _log_configuration() -> Iterator[None]:
    """Restore the configuration of logging: commands that run in this process change it."""
    before, handlers = structlog.get_config(), list(logging.getLogger().handlers)
    yield
    logging.captureWarnings(capture=False)
    logging.getLogger().handlers[:] = handlers
    structlog.configure(**before)


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts a background job so. Processes that tests start would inherit it and
        # ignore Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):  # the process that the others are started by
        config.stash[_made_once] = made_once.open_folder()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _made_once in config.stash:
        shutil.rmtree(config.stash[_made_once], ignore_errors=True)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    config.stash[tiers.COLLECTED] = tiers.files_of(items)
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker("slow")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    yield


@pytest.fixture
def bare_pynetdicom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave pynetdicom as it is, to see what the node's own sockets do."""
    monkeypatch.setattr(AssociationSocket, "_shutdown_socket", _as_it_is)
