"""The benchmark of the queue measures a real database and leaves it empty."""

from pathlib import Path

import pytest
from support.house import House

from echo_node.bench.queue import bench_queue
from echo_node.errors import PermanentError
from echo_node.storage.database.engine import Database


def test_every_load_gets_a_row(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bench.sqlite3'}"
    rows = bench_queue(url, [5, 20], 30, lambda what: None)
    assert [(row["database"], row["queued"], row["archived"]) for row in rows] == [
        ("sqlite", 5, 30),
        ("sqlite", 20, 30),
    ]
    for row in rows:
        assert row["claims_per_second"] > 0
        assert 0 < row["p50_ms"] <= row["p99_ms"]
    assert bench_queue(url, [1], 0, lambda what: None)  # it was left empty


def test_a_database_in_use_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'node.sqlite3'}"
    bench_queue(url, [1], 0, lambda what: None)
    house = House(Database(url), tmp_path)
    house.arrive()
    with pytest.raises(PermanentError, match="contains studies"):
        bench_queue(url, [1], 0, lambda what: None)
    assert house.queries.overview().studies == {"receiving": 1}
    house.complete()
    with pytest.raises(PermanentError, match="contains studies"):
        bench_queue(url, [1], 0, lambda what: None)
    assert house.queries.overview().work["jobs"] == {"ready": 1}
