"""Equal lines of a log are written once a minute, with their number."""

from echo_node.dicom.scp.log_limit import PERIOD_S, LogLimit


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_line_is_written_and_the_others_are_counted() -> None:
    clock, lines = _Clock(), list[int]()
    limit = LogLimit(clock)
    for _ in range(4):
        limit.write(("rejected", "10.0.0.1", "why"), lines.append)
    assert lines == [1]
    clock.now = PERIOD_S - 1
    limit.flush_due()
    assert lines == [1]
    clock.now = PERIOD_S
    limit.flush_due()
    assert lines == [1, 3]
    limit.write(("rejected", "10.0.0.1", "why"), lines.append)
    assert lines == [1, 3, 1]


def test_other_lines_are_written_too() -> None:
    lines = list[int]()
    limit = LogLimit(_Clock())
    for subject in (("a", "1"), ("a", "2"), ("b", "1"), ("a", "1", "x"), ("a", "1", "y")):
        limit.write(subject, lines.append)
    assert lines == [1] * 5


def test_an_address_with_too_many_different_lines_shares_one() -> None:
    lines = list[int]()
    limit = LogLimit(_Clock())
    for number in range(1000):
        limit.write(("rejected", "10.0.0.1", f"title {number}"), lines.append)
    assert lines == [1] * 21
    limit.write(("rejected", "10.0.0.2", "title"), lines.append)
    assert len(lines) == 22
    limit.flush()
    assert lines[22:] == [979]


def test_too_many_addresses_share_one_line() -> None:
    lines = list[int]()
    limit = LogLimit(_Clock())
    for number in range(5000):
        limit.write(("rejected", f"10.0.{number}", "why"), lines.append)
    assert len(lines) == 2001
    limit.flush()
    assert lines[-1] == 2999


def test_nothing_is_kept_after_its_minute() -> None:
    clock, lines = _Clock(), list[int]()
    limit = LogLimit(clock)
    for number in range(100):
        limit.write(("rejected", f"10.0.{number}", "why"), lines.append)
    clock.now = 2 * PERIOD_S
    limit.flush_due()
    assert lines == [1] * 100
    assert not limit._open
    assert not limit._of_address
