"""Two identities differ in what cannot be of one patient or order, and in nothing that is absent."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_node.domain.studies.identity import (
    KEYWORDS,
    Identifier,
    OrderIdentity,
    PatientIdentity,
    in_order,
    order_difference,
    patient_difference,
)

PATIENT = PatientIdentity(Identifier("P-17", "WARD"), frozenset(), ("Größ^Jörn",), "19610407", "M")
ORDER = OrderIdentity(
    Identifier("A1", "RIS"), frozenset(), frozenset({"PL1"}), frozenset(), frozenset({"RP1"})
)


@pytest.mark.parametrize(
    ("changes", "keywords"),
    [
        ({"patient_id": Identifier("P-18", "WARD")}, ("PatientID",)),
        ({"patient_id": Identifier("0P-17", "WARD")}, ("PatientID",)),
        ({"patient_id": Identifier("P-17", "CLINIC")}, ("IssuerOfPatientID",)),
        ({"patient_id": Identifier("P-18", "CLINIC")}, ("PatientID", "IssuerOfPatientID")),
        ({"names": ("Groß^Jörg",)}, ("PatientName",)),
        ({"birth_date": "19610408"}, ("PatientBirthDate",)),
        ({"birth_date": "1962"}, ("PatientBirthDate",)),
        ({"sex": "F"}, ("PatientSex",)),
        ({"sex": "O"}, ("PatientSex",)),
        ({"sex": "f", "birth_date": "1960.04.07"}, ("PatientBirthDate", "PatientSex")),
        ({"patient_id": Identifier("p-17 ")}, ()),
        ({"patient_id": Identifier("", "")}, ()),
        ({"names": ("GROESS^J",)}, ()),
        ({"names": ()}, ()),
        ({"birth_date": "1961.04.07"}, ()),
        ({"birth_date": "1961-04-07"}, ()),
        ({"birth_date": "07.04.1961"}, ()),
        ({"birth_date": "19610400"}, ()),
        ({"birth_date": "1961"}, ()),
        ({"birth_date": "19611399"}, ()),
        ({"birth_date": "00000000"}, ()),
        ({"birth_date": "unknown"}, ()),
        ({"sex": "m"}, ()),
        ({"sex": "Male"}, ()),
        ({"sex": "U"}, ()),
        ({"sex": ""}, ()),
    ],
)
def test_patients(changes: dict[str, object], keywords: tuple[str, ...]) -> None:
    other = replace(PATIENT, **changes)  # type: ignore[arg-type]
    assert in_order(patient_difference(PATIENT, other)) == keywords
    assert in_order(patient_difference(other, PATIENT)) == keywords


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
    ("changes", "keywords"),
    [
        ({"accession_number": Identifier("A2", "RIS")}, ("AccessionNumber",)),
        ({"accession_number": Identifier("A1", "LAB")}, ("IssuerOfAccessionNumberSequence",)),
        ({"procedure_ids": frozenset({"RP2"})}, ("RequestedProcedureID",)),
        (
            {"accession_number": Identifier(), "placer_numbers": frozenset({"PL2"})},
            ("PlacerOrderNumberImagingServiceRequest",),
        ),
        ({"placer_numbers": frozenset({"PL2"})}, ()),
        ({"accession_number": Identifier("a1")}, ()),
        ({"accession_number": Identifier()}, ()),
        ({"procedure_ids": frozenset({"RP2", "RP1"})}, ()),
        ({"request_accession_numbers": frozenset({Identifier("A2")})}, ()),
        (
            {
                "accession_number": Identifier(),
                "request_accession_numbers": frozenset({Identifier("A1"), Identifier("A2")}),
            },
            (),
        ),
        (
            {
                "accession_number": Identifier("A2"),
                "request_accession_numbers": frozenset({Identifier("A1")}),
            },
            ("AccessionNumber",),
        ),
    ],
)
def test_orders(changes: dict[str, object], keywords: tuple[str, ...]) -> None:
    other = replace(ORDER, **changes)  # type: ignore[arg-type]
    assert in_order(order_difference(ORDER, other)) == keywords
    assert in_order(order_difference(other, ORDER)) == keywords


def test_several_objects_have_all_of_their_orders() -> None:
    second = OrderIdentity(Identifier("B2"))
    both = OrderIdentity.union([ORDER, second])
    assert not order_difference(both, second)
    assert not order_difference(both, ORDER)
    assert order_difference(both, OrderIdentity(Identifier("C3"))) == {"AccessionNumber"}


_TEXT = st.sampled_from(["", "1", "01", "A", "a", "B b"])
_IDENTIFIERS = st.builds(Identifier, _TEXT, _TEXT, _TEXT)
_DATES = st.sampled_from(["", "19610407", "1961.04.07", "07.04.1961", "04/07/1961", "1961", "19620101", "x"])
_PATIENTS = st.builds(
    PatientIdentity,
    _IDENTIFIERS,
    st.frozensets(_IDENTIFIERS, max_size=2),
    st.lists(st.sampled_from(["Größ^Jörn", "GROESS^JOERN", "Huber^Eva", "胡^伟"]), max_size=2).map(tuple),
    _DATES,
    st.sampled_from(["", "M", "f", "O", "U", "männlich"]),
)
_TEXTS = st.frozensets(_TEXT, max_size=2)
_ORDERS = st.builds(
    OrderIdentity, _IDENTIFIERS, st.frozensets(_IDENTIFIERS, max_size=2), _TEXTS, _TEXTS, _TEXTS
)


@given(_PATIENTS, _PATIENTS)
def test_patients_differ_mutually(one: PatientIdentity, other: PatientIdentity) -> None:
    differing = patient_difference(one, other)
    assert differing == patient_difference(other, one)
    assert differing <= set(KEYWORDS)


@given(_ORDERS, _ORDERS)
def test_orders_differ_mutually(one: OrderIdentity, other: OrderIdentity) -> None:
    differing = order_difference(one, other)
    assert differing == order_difference(other, one)
    assert differing <= set(KEYWORDS)


@given(_PATIENTS, _ORDERS)
def test_nothing_differs_from_itself_or_from_nothing(patient: PatientIdentity, order: OrderIdentity) -> None:
    assert not patient_difference(patient, patient)
    assert not patient_difference(patient, PatientIdentity())
    assert not order_difference(order, OrderIdentity())
    assert not order_difference(order, order)


@given(_PATIENTS, _PATIENTS, st.sampled_from([each.name for each in fields(PatientIdentity)]))
def test_what_one_leaves_out_differs_in_nothing_more(
    one: PatientIdentity, other: PatientIdentity, left_out: str
) -> None:
    if left_out == "other_ids":
        return
    less = replace(other, **{left_out: getattr(PatientIdentity(), left_out)})
    assert patient_difference(one, less) <= patient_difference(one, other)
