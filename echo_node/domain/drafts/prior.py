"""Priors: earlier studies of the same patient in an archive, told from those of other patients.

An identifier alone is not enough: archives merge hospitals, and clerks mistype. A study counts if
identifier and birth date are equal, and nothing else that both sides state contradicts it.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime

from echo_node.domain.drafts.subject import Subject
from echo_node.domain.studies.person_name import comparable_group

_STAND_FOR_OTHERS = frozenset("*?\\")  # wildcards (PS3.4 C.2.2.2.4), and the separator of values


@dataclass(frozen=True, slots=True)
class ArchivedStudy:
    """A study as an archive describes it: patient data. Fields not stated are empty."""

    study_instance_uid: str
    patient_id: str = field(repr=False)
    issuer_of_patient_id: str = field(repr=False)
    patient_name: str = field(repr=False)
    birth_date: str = field(repr=False)
    sex: str = field(repr=False)
    study_date: str = field(repr=False)
    study_time: str = field(repr=False)

    @property
    def moment(self) -> str:
        """Key that sorts by time. A study without a time counts as the first of its day."""
        return self.study_date + _clock_time(self.study_time)


def why_not_asked(subject: Subject) -> str | None:
    """Return the reason why no archive can be queried for this patient, or None if one can."""
    identifier = subject.patient_id
    if not identifier:
        return "the image states no patient ID"
    if _STAND_FOR_OTHERS & set(identifier) or any(unicodedata.category(each) == "Cc" for each in identifier):
        return "the patient ID holds characters that stand for others in a query"
    if not is_date(subject.birth_date):
        return "the image states no birth date, by which another patient's studies could be told apart"
    if not is_date(subject.study_date):
        return "the image does not state when the study was made"
    return None


def dates_to_search(subject: Subject, within_years: int) -> tuple[str, str]:
    """Return the first and the last day of the period to search."""
    day = subject.study_date
    first = f"{max(1, int(day[:4]) - within_years):04}{day[4:]}"
    return (first if is_date(first) else f"{first[:6]}28"), day


def is_earlier(found: ArchivedStudy, subject: Subject, within_years: int) -> bool:
    """Return whether a study is earlier than ours. On the same day, both times must show it."""
    if not is_date(found.study_date):
        return False
    first, last = dates_to_search(subject, within_years)
    if found.study_date == last:
        ours, theirs = _clock_time(subject.study_time), _clock_time(found.study_time)
        return bool(theirs) and theirs < ours
    return first <= found.study_date < last


def why_another_patient(found: ArchivedStudy, subject: Subject) -> str | None:
    """Return the reason why a study may belong to another patient; None if there is none."""
    if _differ(found.issuer_of_patient_id, subject.issuer_of_patient_id):
        return "the issuer of the patient ID differs"
    if not found.birth_date:
        return "the archive does not state the patient's birth date"
    if found.birth_date != subject.birth_date:
        return "the patient's birth date differs"
    if _differ(found.sex, subject.sex):
        return "the patient's sex differs"
    if _names_differ(found.patient_name, subject.patient_name):
        return "the patient's name differs"
    return None


def is_date(value: str) -> bool:
    """Return whether *value* is a valid date in DICOM's form (PS3.5 6.2, DA)."""
    try:
        return len(value) == 8 and value.isascii() and bool(datetime.strptime(value, "%Y%m%d"))  # noqa: DTZ007
    except ValueError:
        return False


def _differ(one: str, other: str) -> bool:
    return bool(one) and bool(other) and one.casefold() != other.casefold()


def _names_differ(one: str, other: str) -> bool:
    """Compare family, given and middle name in the first component group that both sides have.

    Prefixes and suffixes are unreliable, and archives often lose a group of ideographs.
    """
    for mine, theirs in zip(one.split("="), other.split("="), strict=False):
        names = [comparable_group("^".join(group.split("^")[:3])) for group in (mine, theirs)]
        if all(names):
            return names[0] != names[1]
    return False


def _clock_time(value: str) -> str:
    digits = value.partition(".")[0].replace(":", "")
    return digits[:6].ljust(6, "0") if digits.isdecimal() and len(digits) >= 2 else ""
