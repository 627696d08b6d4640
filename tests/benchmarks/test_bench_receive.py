"""The benchmark of receiving measures real receivers and says what it found."""

from pathlib import Path

import pytest

from echo_node.bench import receive
from echo_node.bench.receive import CEILING, Load, bench_receive
from echo_node.bench.receivers import DCMTK_NAME, Receiver, receivers, running
from echo_node.bench.sending import send_side_by_side
from echo_node.errors import PermanentError


@pytest.mark.external
@pytest.mark.long
def test_every_receiver_that_is_installed_gets_a_row(tmp_path: Path) -> None:
    rows = bench_receive([Load(0.1, 2, 4)], 1, tmp_path, lambda what: None)
    names = [row["receiver"] for row in rows]
    assert names == [each.name for each in receivers()] + [CEILING]
    assert {"echo-node", DCMTK_NAME, "Orthanc"} <= set(names)
    for row in rows:
        assert row["images_per_second"] > 0
        assert row["ratio_vs_storescp"] > 0
        if row["receiver"] != CEILING:
            assert 0 < row["p50_ms"] <= row["p99_ms"]
            assert row["peak_memory_mb"] >= 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_receiver_that_cannot_take_the_load_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Receiver("broken", is_durable=False, command=lambda folder, port: ["/bin/sh", "-c", "exit 1"])
    monkeypatch.setattr(receive, "receivers", lambda: [broken, receivers()[0]])
    first, second, disk = bench_receive([Load(0.1, 1, 1)], 2, tmp_path, lambda what: None)
    assert first["failed"].startswith("the receiver did not start")
    assert first.keys() == second.keys()
    assert first["images_per_second"] is None
    assert second["receiver"] == "echo-node"
    assert second["failed"] is disk["failed"] is None
    assert second["images_per_second"] > 0


def test_a_receiver_that_does_not_start_is_named(tmp_path: Path) -> None:
    broken = Receiver(
        "broken", is_durable=False, command=lambda folder, port: ["/bin/sh", "-c", "echo no; exit 1"]
    )
    with pytest.raises(PermanentError, match="did not start: no"), running(broken, tmp_path / "place"):
        pass


def test_a_receiver_that_refuses_is_named(tmp_path: Path) -> None:
    with (
        running(receivers()[0], tmp_path / "place") as (port, _),
        pytest.raises(PermanentError, match="the association was rejected"),
    ):
        send_side_by_side(port, "SOMEONE_ELSE", 1000, 1, 1)
