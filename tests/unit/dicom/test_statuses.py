from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_node.dicom.statuses import Status, Verdict, classify, describe


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0x0000, Verdict.STORED),
        (0xB000, Verdict.STORED_WITH_WARNING),
        (0xB006, Verdict.STORED_WITH_WARNING),
        (0xB007, Verdict.STORED_WITH_WARNING),
        (0x0111, Verdict.STORED_WITH_WARNING),
        (0xA700, Verdict.TRY_AGAIN),
        (0xA7FF, Verdict.TRY_AGAIN),
        (0x0110, Verdict.TRY_AGAIN),
        (0x0213, Verdict.TRY_AGAIN),
        (0xA900, Verdict.REFUSED),
        (0xC000, Verdict.REFUSED),
        (0xC211, Verdict.REFUSED),
        (0x0122, Verdict.REFUSED),
        (0x0124, Verdict.REFUSED),
        (0x0117, Verdict.REFUSED),
        (0xFFFF, Verdict.TRY_AGAIN),
    ],
)
def test_what_a_status_means(status: int, verdict: Verdict) -> None:
    assert classify(status) is verdict


@given(st.integers(0, 0xFFFF))
def test_only_success_and_warnings_count_as_stored(status: int) -> None:
    stored = classify(status) in {Verdict.STORED, Verdict.STORED_WITH_WARNING}
    assert stored == (status in {0, 1, 0x0107, 0x0111, 0x0116} or status >> 12 == 0xB), f"0x{status:04X}"
    assert f"0x{status:04X}" in describe(status)


def test_statuses_are_named_for_people() -> None:
    assert describe(Status.OUT_OF_RESOURCES) == "0xA700 (out of resources)"
    assert describe(Status.SOP_CLASS_NOT_SUPPORTED) == "0x0122 (sop class not supported)"
    assert describe(0xC123) == "0xC123 (cannot understand)"
    assert describe(0x7777) == "0x7777 (unnamed)"
