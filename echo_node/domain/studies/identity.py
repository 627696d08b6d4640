"""Identity of patient and order, and the attributes in which two of them contradict each other.

Systems write the same patient in different ways. Only values that cannot be the same count as a
difference, and an absent value contradicts nothing. Identifiers are compared whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from itertools import product

from echo_node.domain.studies.person_name import names_agree

KEYWORDS = (
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex",
    "AccessionNumber", "IssuerOfAccessionNumberSequence", "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest", "RequestedProcedureID",
    "StudyInstanceUID",
)  # fmt: skip
"""Keywords of the attributes that are compared, in the order in which differences are stated."""

_SEXES = {"M": "M", "MALE": "M", "F": "F", "FEMALE": "F", "O": "O", "OTHER": "O"}
"""Defined values (PS3.3 C.7.1.1), and the same in words; others, such as U, state nothing."""


class OnConflict(StrEnum):
    """Effect of other content that a peer sends under a known SOP Instance UID (`on_conflict`)."""

    HOLD = "hold"
    """No draft is made or left standing until the operator decides."""
    REPLACE = "replace"
    """The newer object is the truth."""
    KEEP = "keep"
    """The first object stays, unless patient or order differ: then as HOLD."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier and its issuer. Fields not stated are empty.

    Attributes:
        value: the identifier, in its issuer's namespace.
        issuer: local name of the issuer.
        universal_issuer: Universal Entity ID of the issuer.
    """

    value: str = field(default="", repr=False)
    issuer: str = field(default="", repr=False)
    universal_issuer: str = field(default="", repr=False)

    def has_other_value(self, other: Identifier) -> bool:
        """Return whether both state a value, and not the same one."""
        return _differ(self.value, other.value)

    def has_other_issuer(self, other: Identifier) -> bool:
        """Return whether both state an issuer, and not the same one."""
        if self.universal_issuer and other.universal_issuer:
            return _differ(self.universal_issuer, other.universal_issuer)
        return _differ(self.issuer, other.issuer)

    def is_same(self, other: Identifier) -> bool:
        """Return whether both state the same value, and no other issuer."""
        return bool(self.value) and bool(other.value) and self.agrees_with(other)

    def is_written_like(self, other: Identifier) -> bool:
        """Return whether both values are the same without separators and leading zeros."""
        return _bare(self.value) == _bare(other.value)

    def agrees_with(self, other: Identifier) -> bool:
        """Return whether both can identify the same thing."""
        return not self.has_other_value(other) and not self.has_other_issuer(other)


@dataclass(frozen=True, slots=True)
class StatedPatient:
    """A patient as an object states it: patient data. Fields not stated are empty.

    Attributes:
        patient_id: Patient ID.
        other_ids: further identifiers of the patient.
        names: the patient's name, then other names and the birth name.
        birth_date: birth date as written.
        sex: sex as written.
    """

    patient_id: Identifier = Identifier()
    other_ids: frozenset[Identifier] = field(default=frozenset(), repr=False)
    names: tuple[str, ...] = field(default=(), repr=False)
    birth_date: str = field(default="", repr=False)
    sex: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class StatedOrder:
    """The orders that an object states: identifiers of requests. Fields not stated are empty.

    Attributes:
        accession_number: accession number of the object itself.
        request_accession_numbers: accession numbers of its requests.
        placer_numbers: order numbers of the placer.
        filler_numbers: order numbers of the filler.
        procedure_ids: Requested Procedure IDs.
    """

    accession_number: Identifier = Identifier()
    request_accession_numbers: frozenset[Identifier] = field(default=frozenset(), repr=False)
    placer_numbers: frozenset[str] = field(default=frozenset(), repr=False)
    filler_numbers: frozenset[str] = field(default=frozenset(), repr=False)
    procedure_ids: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def known_numbers(self) -> frozenset[Identifier]:
        """Every accession number that the object states."""
        return _stated({self.accession_number, *self.request_accession_numbers})

    @property
    def own_numbers(self) -> frozenset[Identifier]:
        """The accession number of the object itself; without it, those of its requests."""
        return _stated({self.accession_number}) or _stated(self.request_accession_numbers)

    @classmethod
    def union(cls, orders: Iterable[StatedOrder]) -> StatedOrder:
        """Return the orders of several objects as those of one."""
        orders = tuple(orders)
        return cls(
            Identifier(),
            frozenset().union(*(each.known_numbers for each in orders)),
            frozenset().union(*(each.placer_numbers for each in orders)),
            frozenset().union(*(each.filler_numbers for each in orders)),
            frozenset().union(*(each.procedure_ids for each in orders)),
        )


def defined_sex(written: str) -> str:
    """Return M, F or O for a value of PatientSex, also for one in words; empty for any other."""
    return _SEXES.get(written.strip().upper(), "")


def patient_difference(one: StatedPatient, other: StatedPatient) -> frozenset[str]:
    """Return the keywords of the attributes that cannot be of the same patient.

    The more agrees, the more the rest may be written differently: a name with a typing error under
    the same ID, an ID with other separators or leading zeros under the same name.
    """
    differing = set()
    if not _dates_agree(one.birth_date, other.birth_date):
        differing.add("PatientBirthDate")
    if _differ(defined_sex(one.sex), defined_sex(other.sex)):
        differing.add("PatientSex")
    is_same_birth = not differing and bool(_dates(one.birth_date)) and bool(_dates(other.birth_date))
    is_same_id = one.patient_id.is_same(other.patient_id)
    if not _names_agree(one.names, other.names, is_same_person=is_same_birth and is_same_id):
        differing.add("PatientName")
    if not _same_patient_by_other_ids(one, other):
        is_same_person = is_same_birth and one.names and other.names and "PatientName" not in differing
        is_written_alike = is_same_person and one.patient_id.is_written_like(other.patient_id)
        if one.patient_id.has_other_value(other.patient_id) and not is_written_alike:
            differing.add("PatientID")
        if one.patient_id.has_other_issuer(other.patient_id):
            differing.add("IssuerOfPatientID")
    return frozenset(differing)


def order_difference(one: StatedOrder, other: StatedOrder) -> frozenset[str]:
    """Return the keywords of the attributes that cannot be of the same order.

    Objects with several orders agree if they have one in common. A study may satisfy several
    requested procedures of one order. They are therefore compared only if not both objects state an
    accession number.
    """
    differing = set()
    compared = (
        (one.own_numbers, other.known_numbers),
        (one.known_numbers, other.own_numbers),
        (_stated(one.request_accession_numbers), _stated(other.request_accession_numbers)),
    )
    for mine, theirs in compared:
        pairs = list(product(mine, theirs))
        if pairs and not any(each.is_written_like(another) for each, another in pairs):
            differing.add("AccessionNumber")
        elif pairs and all(each.has_other_issuer(another) for each, another in pairs):
            differing.add("IssuerOfAccessionNumberSequence")
    if _are_disjoint(one.placer_numbers, other.placer_numbers):
        differing.add("PlacerOrderNumberImagingServiceRequest")
    if _are_disjoint(one.filler_numbers, other.filler_numbers):
        differing.add("FillerOrderNumberImagingServiceRequest")
    has_numbers = one.known_numbers and other.known_numbers
    if not has_numbers and _are_disjoint(one.procedure_ids, other.procedure_ids):
        differing.add("RequestedProcedureID")
    return frozenset(differing)


def in_order(keywords: Iterable[str]) -> tuple[str, ...]:
    """Return keywords of KEYWORDS in their order, each once."""
    found = frozenset(keywords)
    return tuple(each for each in KEYWORDS if each in found)


def _same_patient_by_other_ids(one: StatedPatient, other: StatedPatient) -> bool:
    """Return whether one of them lists the Patient ID of the other as another one of its own."""
    return any(
        named.patient_id.value and each.value and each.agrees_with(named.patient_id)
        for listing, named in ((one, other), (other, one))
        for each in listing.other_ids
    )


def _names_agree(one: tuple[str, ...], other: tuple[str, ...], *, is_same_person: bool) -> bool:
    """Return whether the first name of one is among the names of the other."""
    if not one or not other:
        return True
    pairs = (*((one[0], each) for each in other), *((other[0], each) for each in one))
    return any(names_agree(*pair, is_same_person=is_same_person) for pair in pairs)


def _dates_agree(one: str, other: str) -> bool:
    mine, theirs = _dates(one), _dates(other)
    return not mine or not theirs or any(_parts_agree(*pair) for pair in product(mine, theirs))


def _parts_agree(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    return all(not mine or not theirs or mine == theirs for mine, theirs in zip(one, other, strict=True))


def _dates(value: str) -> set[tuple[int, int, int]]:
    """Return the dates that a text can mean, as year, month and day; 0 if it does not state one.

    Beside the form of VR DA they are the ACR-NEMA form (1970.01.31), ISO 8601, a day before its
    month before a year, and a month before its day. An impossible date states nothing.
    """
    text = unicodedata.normalize("NFKC", value).strip(" \0")
    if match := re.fullmatch(r"(\d{4})(?:([-./]?)(\d\d)(?:\2(\d\d))?)?(?:[T ]?\d{2}.*)?", text):
        candidates = {(int(match[1]), int(match[3] or 0), int(match[4] or 0))}
    elif match := re.fullmatch(r"(\d{1,2})[-./](\d{1,2})[-./](\d{4})", text):
        first, second, year = int(match[1]), int(match[2]), int(match[3])
        candidates = {(year, second, first), (year, first, second)}
    else:
        return set()
    return {each for each in candidates if _is_possible(*each)}


def _is_possible(year: int, month: int, day: int) -> bool:
    try:
        date(year, month or 1, day or 1)
    except ValueError:
        return False
    return True


def _differ(one: str, other: str) -> bool:
    """Return whether both values are stated, and differ by more than case and width of letters."""
    mine, theirs = (unicodedata.normalize("NFKC", each).casefold().strip(" \0") for each in (one, other))
    return bool(mine) and bool(theirs) and mine != theirs


def _bare(value: str) -> str:
    """Return an identifier without case, separators and leading zeros."""
    folded = unicodedata.normalize("NFKC", value).casefold()
    return "".join(each for each in folded if each.isalnum()).lstrip("0")


def _are_disjoint(one: frozenset[str], other: frozenset[str]) -> bool:
    """Return whether both state something, and nothing in common."""
    mine, theirs = (frozenset(filter(None, each)) for each in (one, other))
    return bool(mine) and bool(theirs) and all(_differ(*pair) for pair in product(mine, theirs))


def _stated(identifiers: Iterable[Identifier]) -> frozenset[Identifier]:
    return frozenset(each for each in identifiers if each.value)
