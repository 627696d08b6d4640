"""Identities differ in what cannot be of one patient or order, and in nothing that is absent."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from echo_node.domain.studies.identity import (
    KEYWORDS,
    Identifier,
    StatedOrder,
    StatedPatient,
    in_order,
    order_difference,
    patient_difference,
)
from echo_node.domain.studies.person_name import names_agree

PATIENT = StatedPatient(Identifier("P-17", "WARD"), frozenset(), ("Größ^Jörn",), "19610407", "M")
ORDER = StatedOrder(Identifier("A1", "RIS"), frozenset(), frozenset({"PL1"}), frozenset(), frozenset({"RP1"}))


@pytest.mark.parametrize(
    ("other", "keywords"),
    [
        (replace(PATIENT, patient_id=Identifier("P-18", "WARD")), ("PatientID",)),
        (replace(PATIENT, patient_id=Identifier("00P 17", "WARD")), ()),
        (replace(PATIENT, patient_id=Identifier("00P17"), names=()), ("PatientID",)),
        (replace(PATIENT, patient_id=Identifier("00P17"), birth_date=""), ("PatientID",)),
        (replace(PATIENT, patient_id=Identifier("P-170")), ("PatientID",)),
        (replace(PATIENT, patient_id=Identifier("P-17", "CLINIC")), ("IssuerOfPatientID",)),
        (replace(PATIENT, patient_id=Identifier("P-18", "CLINIC")), ("PatientID", "IssuerOfPatientID")),
        (replace(PATIENT, names=("Groß^Jörg",)), ("PatientName",)),
        (replace(PATIENT, names=("Bergmann^Jörn",)), ("PatientName",)),
        (replace(PATIENT, birth_date="19610408"), ("PatientBirthDate",)),
        (replace(PATIENT, birth_date="1962"), ("PatientBirthDate",)),
        (replace(PATIENT, sex="F"), ("PatientSex",)),
        (replace(PATIENT, sex="O"), ("PatientSex",)),
        (replace(PATIENT, sex="f", birth_date="1960.04.07"), ("PatientBirthDate", "PatientSex")),
        (replace(PATIENT, patient_id=Identifier("p-17 ")), ()),
        (replace(PATIENT, patient_id=Identifier("", "")), ()),
        (replace(PATIENT, names=("GROESS^J",)), ()),
        (replace(PATIENT, names=()), ()),
        (replace(PATIENT, birth_date="1961.04.07"), ()),
        (replace(PATIENT, birth_date="1961-04-07"), ()),
        (replace(PATIENT, birth_date="07.04.1961"), ()),
        (replace(PATIENT, birth_date="19610400"), ()),
        (replace(PATIENT, birth_date="1961"), ()),
        (replace(PATIENT, birth_date="19611399"), ()),
        (replace(PATIENT, birth_date="00000000"), ()),
        (replace(PATIENT, birth_date="unknown"), ()),
        (replace(PATIENT, sex="m"), ()),
        (replace(PATIENT, sex="Male"), ()),
        (replace(PATIENT, sex="U"), ()),
        (replace(PATIENT, sex=""), ()),
    ],
)
def test_patients(other: StatedPatient, keywords: tuple[str, ...]) -> None:
    assert in_order(patient_difference(PATIENT, other)) == keywords
    assert in_order(patient_difference(other, PATIENT)) == keywords


def test_a_name_may_be_mistyped_only_if_everything_else_agrees() -> None:
    known = replace(PATIENT, names=("Lindemann^Jörn",))
    mistyped = replace(PATIENT, names=("Lidnemann^Jörn",))
    assert not patient_difference(known, mistyped)
    for missing in ({"birth_date": ""}, {"patient_id": Identifier()}):
        less = replace(mistyped, **missing)
        assert patient_difference(known, less) == {"PatientName"}


def test_requests_are_compared_with_requests() -> None:
    one, other = (
        replace(ORDER, request_accession_numbers=frozenset({Identifier(number)})) for number in ("A1", "A2")
    )
    assert order_difference(one, other) == {"AccessionNumber"}


def test_further_identifiers_and_names_explain_another_one() -> None:
    merged = replace(
        PATIENT,
        patient_id=Identifier("Z9"),
        other_ids=frozenset({Identifier("X"), Identifier("P-17", "WARD")}),
        names=("Huber^Jörn", "Größ^Jörn"),
    )
    assert not patient_difference(PATIENT, merged)
    foreign = replace(merged, other_ids=frozenset({Identifier("P-17", "CLINIC"), Identifier("")}))
    assert patient_difference(PATIENT, foreign) == {"PatientID"}


def test_a_universal_issuer_counts_more_than_its_local_name() -> None:
    here = replace(PATIENT, patient_id=Identifier("P-17", "WARD", "1.2.3"))
    assert not patient_difference(here, replace(PATIENT, patient_id=Identifier("P-17", "W", "1.2.3")))
    elsewhere = replace(PATIENT, patient_id=Identifier("P-17", "WARD", "1.2.4"))
    assert patient_difference(here, elsewhere) == {"IssuerOfPatientID"}


@pytest.mark.parametrize(
    ("other", "keywords"),
    [
        (replace(ORDER, accession_number=Identifier("A2", "RIS")), ("AccessionNumber",)),
        (replace(ORDER, accession_number=Identifier("A1", "LAB")), ("IssuerOfAccessionNumberSequence",)),
        (replace(ORDER, procedure_ids=frozenset({"RP2"})), ()),
        (
            replace(ORDER, accession_number=Identifier(), procedure_ids=frozenset({"RP2"})),
            ("RequestedProcedureID",),
        ),
        (replace(ORDER, accession_number=Identifier("0A-1")), ()),
        (
            replace(ORDER, accession_number=Identifier(), placer_numbers=frozenset({"PL2"})),
            ("PlacerOrderNumberImagingServiceRequest",),
        ),
        (replace(ORDER, placer_numbers=frozenset({"PL2"})), ("PlacerOrderNumberImagingServiceRequest",)),
        (replace(ORDER, placer_numbers=frozenset()), ()),
        (replace(ORDER, accession_number=Identifier("a1")), ()),
        (replace(ORDER, accession_number=Identifier()), ()),
        (replace(ORDER, procedure_ids=frozenset({"RP2", "RP1"})), ()),
        (replace(ORDER, request_accession_numbers=frozenset({Identifier("A2")})), ()),
        (
            replace(
                ORDER,
                accession_number=Identifier(),
                request_accession_numbers=frozenset({Identifier("A1"), Identifier("A2")}),
            ),
            (),
        ),
        (
            replace(
                ORDER,
                accession_number=Identifier("A2"),
                request_accession_numbers=frozenset({Identifier("A1")}),
            ),
            ("AccessionNumber",),
        ),
    ],
)
def test_orders(other: StatedOrder, keywords: tuple[str, ...]) -> None:
    assert in_order(order_difference(ORDER, other)) == keywords
    assert in_order(order_difference(other, ORDER)) == keywords


def test_several_objects_have_all_of_their_orders() -> None:
    second = StatedOrder(Identifier("B2"))
    both = StatedOrder.union([ORDER, second])
    assert not order_difference(both, second)
    assert not order_difference(both, ORDER)
    assert order_difference(both, StatedOrder(Identifier("C3"))) == {"AccessionNumber"}


_TEXT = st.sampled_from(["", "1", "01", "A", "a", "B b"])
_IDENTIFIERS = st.builds(Identifier, _TEXT, _TEXT, _TEXT)
_DATES = st.sampled_from(["", "19610407", "1961.04.07", "07.04.1961", "04/07/1961", "1961", "19620101", "x"])
_PATIENTS = st.builds(
    StatedPatient,
    _IDENTIFIERS,
    st.frozensets(_IDENTIFIERS, max_size=2),
    st.lists(st.sampled_from(["Größ^Jörn", "GROESS^JOERN", "Huber^Eva", "胡^伟"]), max_size=2).map(tuple),
    _DATES,
    st.sampled_from(["", "M", "f", "O", "U", "männlich"]),
)
_TEXTS = st.frozensets(_TEXT, max_size=2)
_ORDERS = st.builds(
    StatedOrder, _IDENTIFIERS, st.frozensets(_IDENTIFIERS, max_size=2), _TEXTS, _TEXTS, _TEXTS
)


@given(_PATIENTS, _PATIENTS)
def test_patients_differ_mutually(one: StatedPatient, other: StatedPatient) -> None:
    differing = patient_difference(one, other)
    assert differing == patient_difference(other, one)
    assert differing <= set(KEYWORDS)


@given(_ORDERS, _ORDERS)
def test_orders_differ_mutually(one: StatedOrder, other: StatedOrder) -> None:
    differing = order_difference(one, other)
    assert differing == order_difference(other, one)
    assert differing <= set(KEYWORDS)


@given(_PATIENTS, _ORDERS)
def test_nothing_differs_from_itself_or_from_nothing(patient: StatedPatient, order: StatedOrder) -> None:
    assert not patient_difference(patient, patient)
    assert not patient_difference(patient, StatedPatient())
    assert not order_difference(order, StatedOrder())
    assert not order_difference(order, order)


@given(_PATIENTS, _PATIENTS, st.sampled_from([each.name for each in fields(StatedPatient)]))
@example(PATIENT, replace(PATIENT, patient_id=Identifier("00P17")), "names")
def test_what_one_leaves_out_differs_in_nothing_more(
    one: StatedPatient, other: StatedPatient, left_out: str
) -> None:
    """Except that it excuses no other spelling of the ID or of the name any longer."""
    if left_out == "other_ids":
        return
    less = replace(other, **{left_out: getattr(StatedPatient(), left_out)})
    more = patient_difference(one, less) - patient_difference(one, other)
    excused = set()
    if left_out in {"names", "birth_date"} and one.patient_id.is_written_like(other.patient_id):
        excused.add("PatientID")
    if left_out in {"patient_id", "birth_date"} and any(
        names_agree(*pair, is_same_person=True) for pair in product(one.names, other.names)
    ):
        excused.add("PatientName")
    assert more <= excused
