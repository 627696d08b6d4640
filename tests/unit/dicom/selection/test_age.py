from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from echo_node.dicom.selection.age import age_in_years


def header(**attributes: str) -> Dataset:
    data_set = Dataset()
    for keyword, value in attributes.items():
        setattr(data_set, keyword, value)
    return data_set


@pytest.mark.parametrize(
    ("stated", "years"), [("045Y", 45.0), ("006M", 0.5), ("052W", 0.997), ("003D", 0.008), ("7Y", 7.0)]
)
def test_the_stated_age_comes_first(stated: str, years: float) -> None:
    told = header(PatientAge=stated, PatientBirthDate="20000101", StudyDate="20260101")
    assert age_in_years(told) == pytest.approx(years, abs=1e-3)


@pytest.mark.parametrize(
    ("born", "taken", "years"),
    [("20080301", "20260228", 17.0), ("20080301", "20260301", 18.0), ("20080229", "20260228", 17.0)],
)
def test_full_years_are_counted_by_birthdays(born: str, taken: str, years: float) -> None:
    assert age_in_years(header(PatientBirthDate=born, AcquisitionDate=taken)) == years


def test_the_day_of_acquisition_counts_before_that_of_the_study() -> None:
    told = header(PatientBirthDate="20000101", AcquisitionDate="20200101", StudyDate="20100101")
    assert age_in_years(told) == 20.0


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"PatientAge": "old"},
        {"PatientBirthDate": "19600102"},
        {"PatientBirthDate": "1960", "StudyDate": "20260101"},
        {"PatientBirthDate": "19609999", "StudyDate": "20260101"},
        {"PatientBirthDate": "20270101", "StudyDate": "20260101"},
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value")
def test_what_the_header_does_not_tell_is_not_guessed(attributes: dict[str, str]) -> None:
    assert age_in_years(header(**attributes)) is None


@given(st.dates(date(1900, 1, 1), date(2030, 1, 1)), st.integers(0, 45_000))
def test_a_worked_out_age_is_that_of_the_days_lived(born: date, days: int) -> None:
    taken = born + timedelta(days=days)
    age = age_in_years(header(PatientBirthDate=f"{born:%Y%m%d}", StudyDate=f"{taken:%Y%m%d}"))
    assert age is not None
    assert age - 0.01 <= days / 365.25 < age + 1.01
