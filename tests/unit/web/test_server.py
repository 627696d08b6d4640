import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.house import House
from support.studies import received

from echo_node.domain.work.withdrawal import WithdrawalReason
from echo_node.errors import ConfigError
from echo_node.settings import WebSettings
from echo_node.storage.database import migrate
from echo_node.storage.database.engine import Database
from echo_node.web.server import serve


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    yield database
    database.close()


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    migrate.upgrade(database)
    return House(database, tmp_path)


@pytest.fixture
def url(house: House) -> Iterator[str]:
    stop, ready, ports = threading.Event(), threading.Event(), []

    def on_ready(port: int) -> None:
        ports.append(port)
        ready.set()

    thread = threading.Thread(target=serve, args=(WebSettings(port=0), house.queries, stop, on_ready))
    thread.start()
    assert ready.wait(10)
    yield f"http://127.0.0.1:{ports[0]}"
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_health_is_the_databases(url: str, database: Database, house: House) -> None:
    assert _get(f"{url}/health") == (200, "ok\n")
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE studies RENAME TO gone")
        connection.commit()
    status, text = _get(f"{url}/health")
    assert status == 503
    assert "database" in text
    assert _get(f"{url}/metrics")[0] == 503
    assert _get(url)[0] == 503


def test_metrics_count_by_state(url: str, house: House) -> None:
    house.drafted()
    house.arrive(received(2, study=2))
    house.arrive(received(2, study=2, content=b"other"))
    status, text = _get(f"{url}/metrics")
    assert status == 200
    assert 'echo_node_studies{state="drafted"} 1.0' in text
    assert 'echo_node_deliveries{state="pending"} 1.0' in text
    assert "echo_node_instances 2.0" in text
    assert "echo_node_conflicts 1.0" in text
    assert "echo_node_held 0.0" in text
    assert "1.2.3" not in text


def test_the_page_names_studies_by_surrogate_id_and_escapes_reasons(url: str, house: House) -> None:
    empty = _get(url)[1]
    assert "None yet." in empty
    assert "set aside" not in empty
    house.arrive(received())
    house.complete()
    house.jobs.skip(house.claim(), "no <chest>")
    status, text = _get(url)
    assert status == 200
    assert "<td>1</td><td>1</td><td>skipped</td>" in text
    assert "no &lt;chest&gt;" in text
    house.arrive(received(content=b"other"))
    assert "<strong>1 set aside</strong>" in _get(url)[1]
    assert "1.2.3" not in text


def test_a_port_that_is_taken_is_a_configuration_error(url: str, house: House) -> None:
    port = int(url.rpartition(":")[2])
    with pytest.raises(ConfigError, match=str(port)):
        serve(WebSettings(port=port), house.queries, threading.Event())


def test_the_page_says_who_withdrew_what_and_why(url: str, house: House) -> None:
    assert "Withdrawn" not in _get(url)[1]
    house.drafted()
    house.withdrawals.withdraw(1, WithdrawalReason.WORKLIST, "al<i>ce")
    text = _get(url)[1]
    assert "<h2>Withdrawn</h2>" in text
    assert "<td>worklist</td>" in text
    assert "<td>al&lt;i&gt;ce</td>" in text
    assert 'echo_node_withdrawals{state="prepared"} 1.0' in _get(f"{url}/metrics")[1]
