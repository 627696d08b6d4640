"""Matching of patients, order of studies, and identifiers that may be queried."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_node.domain.drafts.prior import (
    ArchivedStudy,
    dates_to_search,
    is_date,
    is_earlier,
    why_another_patient,
    why_not_asked,
)
from echo_node.domain.drafts.subject import Order, Subject

OURS = Subject(
    "Wang^XiaoDong=王^小东", "4711", "HOSPITAL", "19600229", "F", "", "20260601", "120000", "", (Order(),),
    zone=None,
)  # fmt: skip
THEIRS = ArchivedStudy(
    "1.2.3", "4711", "HOSPITAL", "WANG^XIAODONG=王^小东", "19600229", "F", "20260304", "101500"
)


@pytest.mark.parametrize(
    "same",
    [
        {},
        {"patient_name": "Wang^XiaoDong"},
        {"patient_name": "Wang^ XiaoDong ^^Dr.^"},
        {"patient_name": "Ｗａｎｇ^ＸｉａｏＤｏｎｇ"},
        {"patient_name": "Wang^XiaoDong=??^??"},
        {"patient_name": "=王^小东"},
        {"patient_name": "^=王^小东"},
        {"patient_name": ""},
        {"issuer_of_patient_id": ""},
        {"issuer_of_patient_id": "Hospital"},
        {"sex": ""},
    ],
)
def test_the_same_patient_is_known_again(same: dict[str, str]) -> None:
    assert why_another_patient(replace(THEIRS, **same), OURS) is None


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"patient_name": "Wang^XiaoMing"}, "name"),
        ({"patient_name": "=李^小东"}, "name"),
        ({"patient_name": "Wang"}, "name"),
        ({"patient_name": "?^?"}, "name"),
        ({"issuer_of_patient_id": "CLINIC"}, "issuer"),
        ({"birth_date": "19600228"}, "birth date"),
        ({"birth_date": ""}, "does not state"),
        ({"sex": "M"}, "sex"),
        ({"sex": "O"}, "sex"),
    ],
)
def test_a_difference_is_told_without_the_values(other: dict[str, str], reason: str) -> None:
    told = why_another_patient(replace(THEIRS, **other), OURS)
    assert told is not None
    assert reason in told
    assert not any(value and value in told for value in other.values())


@pytest.mark.parametrize("identifier", ["", "47*", "4?11", "4711\\4712", "47\x0011", "*"])
def test_an_identifier_that_is_a_pattern_is_never_sent(identifier: str) -> None:
    assert why_not_asked(replace(OURS, patient_id=identifier))


@given(st.text(min_size=1))
def test_what_is_sent_holds_no_pattern(identifier: str) -> None:
    obstacle = why_not_asked(replace(OURS, patient_id=identifier))
    controls = {chr(code) for code in (*range(32), *range(127, 160))}
    assert bool(obstacle) is not (controls | set("*?\\")).isdisjoint(identifier)


def test_without_birth_date_or_study_date_nobody_is_asked() -> None:
    assert why_not_asked(OURS) is None
    assert all(why_not_asked(replace(OURS, birth_date=value)) for value in ("", "19600230", "1960"))
    assert all(why_not_asked(replace(OURS, study_date=value)) for value in ("", "20260631", "2026"))


@pytest.mark.parametrize(
    ("moment", "earlier"),
    [
        (("20260531", ""), True),
        (("20160601", "235959"), True),
        (("20160531", "235959"), False),
        (("20260601", "115959.9"), True),
        (("20260601", "11:59"), True),
        (("20260601", "12"), False),
        (("20260601", "120000"), False),
        (("20260601", ""), False),
        (("20260601", "noon"), False),
        (("20260602", "000000"), False),
        (("20269999", "000000"), False),
        (("2026-3-4", ""), False),
        (("", ""), False),
    ],
)
def test_only_what_is_certainly_earlier_is_a_prior(moment: tuple[str, str], earlier: bool) -> None:
    study_date, study_time = moment
    assert is_earlier(replace(THEIRS, study_date=study_date, study_time=study_time), OURS, 10) is earlier


def test_on_a_day_without_our_time_nothing_is_earlier() -> None:
    same_day = replace(THEIRS, study_date="20260601", study_time="000000")
    assert not is_earlier(same_day, replace(OURS, study_time=""), 10)


@given(st.dates(date(1900, 1, 1)), st.integers(1, 100))
def test_the_days_to_search_are_days_and_nothing_outside_is_a_prior(day: date, years: int) -> None:
    ours = replace(OURS, study_date=f"{day:%Y%m%d}".zfill(8))
    first, last = dates_to_search(ours, years)
    assert is_date(first)
    assert (last, first < last) == (ours.study_date, True)
    before = date(int(first[:4]), int(first[4:6]), int(first[6:])) - timedelta(days=1)
    assert not is_earlier(replace(THEIRS, study_date=f"{before:%Y%m%d}".zfill(8)), ours, years)
    assert is_earlier(replace(THEIRS, study_date=first), ours, years)


def test_patient_data_is_not_in_a_representation() -> None:
    assert not any(secret in repr(THEIRS) for secret in ("4711", "WANG", "19600229", "20260304"))
