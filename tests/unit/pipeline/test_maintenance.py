import threading

from echo_node.errors import TransientError
from echo_node.pipeline.maintenance import Maintenance, Sweep


def test_a_sweep_runs_at_once_and_again_even_if_it_or_another_fails() -> None:
    again, broken = threading.Event(), threading.Event()
    calls: list[str] = []

    def fails() -> None:
        calls.append("fails")
        if calls.count("fails") == 1:
            raise TransientError("away")
        if calls.count("fails") == 2:
            raise ZeroDivisionError
        broken.set()

    def works() -> None:
        calls.append("works")
        if calls.count("works") == 2:
            again.set()

    maintenance = Maintenance((Sweep("fails", fails, 0.05), Sweep("works", works, 0.05)))
    maintenance.start()
    try:
        assert again.wait(10)
        assert broken.wait(10)
    finally:
        maintenance.stop()
    count = len(calls)
    maintenance.stop()
    assert len(calls) == count


def test_stopping_waits_for_the_sweep_in_hand() -> None:
    begun, done = threading.Event(), []

    def slow() -> None:
        begun.set()
        threading.Event().wait(0.1)
        done.append(True)

    maintenance = Maintenance((Sweep("slow", slow, 60),))
    maintenance.start()
    assert begun.wait(10)
    maintenance.stop()
    assert done
