"""Patient and orders that the header of an image, or of a draft, states."""

from __future__ import annotations

import re
from itertools import chain

from pydicom.dataset import Dataset

from echo_node.dicom.header_values import items, text, values
from echo_node.dicom.lookups import REQUEST_SEQUENCES
from echo_node.domain.studies.identity import Identifier, StatedOrder, StatedPatient

_ISSUER, _QUALIFIERS = "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence"


def stated_patient(header: Dataset) -> StatedPatient:
    """Return the patient that a header names."""
    other_ids = {
        _identifier(item, "PatientID", _ISSUER, _QUALIFIERS)
        for item in items(header, "OtherPatientIDsSequence")
    }
    other_ids |= {Identifier(value) for value in values(header, "OtherPatientIDs")}
    name = text(header, "PatientName")
    other_names = [*values(header, "OtherPatientNames"), text(header, "PatientBirthName")]
    return StatedPatient(
        _identifier(header, "PatientID", _ISSUER, _QUALIFIERS),
        frozenset(other_ids),
        (name, *filter(None, other_names)) if name else (),
        " ".join(dict.fromkeys(values(header, "PatientBirthDate"))),
        text(header, "PatientSex"),
    )


def stated_order(header: Dataset) -> StatedOrder:
    """Return the orders that a header names."""
    requests = list(chain.from_iterable(items(header, each) for each in REQUEST_SEQUENCES))

    def stated(keyword: str) -> frozenset[str]:
        return frozenset(filter(None, (text(each, keyword) for each in (header, *requests))))

    return StatedOrder(
        _accession_number(header),
        frozenset(map(_accession_number, requests)),
        stated("PlacerOrderNumberImagingServiceRequest"),
        stated("FillerOrderNumberImagingServiceRequest"),
        stated("RequestedProcedureID"),
    )


def _accession_number(item: Dataset) -> Identifier:
    return _identifier(item, "AccessionNumber", "", "IssuerOfAccessionNumberSequence")


def _identifier(item: Dataset, value: str, issuer: str, qualifiers: str) -> Identifier:
    """Return an identifier with its issuer, whose qualifiers are items of PS3.3 table 10-17.

    An issuer in the form of HL7 (name, universal ID and type, with & or ^) states both.
    """
    qualified = items(item, qualifiers)
    name, universal_id = [*re.split(r"[&^]", text(item, issuer) if issuer else ""), ""][:2]
    local = [name, *(text(each, "LocalNamespaceEntityID") for each in qualified)]
    universal = [*(text(each, "UniversalEntityID") for each in qualified), universal_id]
    return Identifier(text(item, value), *(next(filter(None, each), "") for each in (local, universal)))
