from __future__ import annotations

import pytest
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from echo_node.dicom.contexts import contexts

NATIVE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"}


def test_names_and_uids_are_those_of_the_standard() -> None:
    for storage_class in contexts().storage:
        assert UID(storage_class.uid).name == storage_class.name
    assert UID(contexts().verification.uid).name.startswith("Verification")
    assert [UID(each.uid).name for each in contexts().sent] == [each.name for each in contexts().sent]


def test_every_class_is_offered_in_every_syntax() -> None:
    offered = {str(cx.abstract_syntax): set(cx.transfer_syntax) for cx in contexts().supported()}
    syntaxes = {each.uid for each in contexts().transfer_syntaxes}
    assert len(syntaxes) == len(contexts().transfer_syntaxes) == 12
    for storage_class in contexts().storage:
        assert offered[storage_class.uid] == syntaxes
    assert offered[contexts().verification.uid] == NATIVE


@pytest.mark.parametrize("uid", [each.uid for each in contexts().transfer_syntaxes])
def test_every_syntax_that_is_received_can_be_decoded(uid: str) -> None:
    assert get_decoder(UID(uid)).is_available


def test_uncompressed_syntaxes_are_preferred() -> None:
    assert {each.uid for each in contexts().transfer_syntaxes[:3]} == NATIVE


def test_only_radiographs_for_presentation_are_drafted_from() -> None:
    drafted = {each.uid for each in contexts().storage if each.drafted}
    assert drafted == {"1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1"}
    assert all(each.unread_reason for each in contexts().storage if not each.drafted)
    assert contexts().storage_class("1.2.840.10008.5.1.4.1.1.2") is None
