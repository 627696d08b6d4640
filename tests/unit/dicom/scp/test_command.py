"""Command sets and file meta information, compared with those of pynetdicom and pydicom."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from pynetdicom.dimse_messages import C_STORE_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.pdu import P_DATA_TF

from echo_node.dicom.scp.command import Command, read_command, store_response
from echo_node.dicom.scp.file_meta import file_meta
from echo_node.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

CR = "1.2.840.10008.5.1.4.1.1.1"
SYNTAX = "1.2.840.10008.1.2.4.70"


def encoded_request(instance: str = "1.2.3.4", priority: int | None = 2, *, with_data: bool = True) -> bytes:
    request = C_STORE()
    request.MessageID = 7
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = UID(CR), UID(instance)
    if priority is not None:
        request.Priority = priority
    if with_data:
        request.DataSet = io.BytesIO(b"data")
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    content = encode(message.command_set, is_implicit_vr=True, is_little_endian=True)
    assert content is not None
    return content


@pytest.mark.parametrize("instance", ["1.2.3.4", "1.2.3.45"])  # of odd and of even length
@pytest.mark.parametrize(("priority", "urgent"), [(0, False), (1, True), (2, False)])
def test_a_request_is_read_as_pynetdicom_writes_it(instance: str, priority: int, urgent: bool) -> None:
    command = read_command(encoded_request(instance, priority))
    assert (command.field, command.message_id, command.has_data_set) == (0x0001, 7, True)
    assert (command.sop_class_uid, command.sop_instance_uid) == (CR, instance)
    assert command.is_urgent is urgent
    assert not read_command(encoded_request(with_data=False)).has_data_set


def test_what_is_no_command_set_is_a_value_error() -> None:
    whole = encoded_request()
    for cut in range(1, len(whole)):
        try:
            command = read_command(whole[:cut])
        except ValueError:
            continue
        assert len(command.elements) < len(read_command(whole).elements)
    with pytest.raises(ValueError, match="other elements"):
        read_command(struct.pack("<HHL", 0x0008, 0x0016, 0))
    for lacking in (Command({}), Command({0x0100: b"\1", 0x0110: b"", 0x0800: b"\0\0\0\0"})):
        for use in ("field", "message_id", "has_data_set"):
            with pytest.raises(ValueError, match="no usable element"):
                getattr(lacking, use)
    assert (Command({}).sop_instance_uid, Command({}).is_urgent) == ("", False)
    assert not Command({0x0700: b""}).is_urgent


@pytest.mark.parametrize("longest", [0, 16_384, 64, 7])
@pytest.mark.parametrize(
    ("status", "comment"), [(0x0000, ""), (0xA700, "the disk is full"), (0xC000, "x" * 90)]
)
def test_a_response_is_read_by_pynetdicom(status: int, comment: str, longest: int) -> None:
    request = read_command(encoded_request("1.2.3.45"))
    pdus = store_response(request, status, comment, 5, longest)
    message, position, is_whole = DIMSEMessage(), 0, False
    while position < len(pdus):
        (length,) = struct.unpack_from(">L", pdus, position + 2)
        assert not longest or length <= longest
        pdu = P_DATA_TF()
        pdu.decode(pdus[position : position + 6 + length])
        position += 6 + length
        assert not is_whole
        is_whole = message.decode_msg(pdu.to_primitive())
    assert is_whole
    assert message.context_id == 5
    response = message.message_to_primitive()
    assert type(response) is C_STORE
    assert (response.MessageIDBeingRespondedTo, response.Status) == (7, status)
    assert (response.AffectedSOPClassUID, response.AffectedSOPInstanceUID) == (CR, "1.2.3.45")
    assert (response.ErrorComment or "") == comment[:64]
    assert message.command_set.CommandGroupLength == sum(
        len(encode(_alone(element), is_implicit_vr=True, is_little_endian=True) or b"")
        for element in message.command_set
        if element.keyword != "CommandGroupLength"
    )


def _alone(element: DataElement) -> Dataset:
    only = Dataset()
    only.add(element)
    return only


@given(
    st.lists(st.integers(0, 9999), min_size=2, max_size=8),
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"), max_size=16),
)
def test_file_meta_information_is_what_pydicom_writes(parts: list[int], source: str) -> None:
    instance = ".".join(map(str, parts))
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(CR), UID(instance)
    meta.TransferSyntaxUID = UID(SYNTAX)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    if source:
        meta.SourceApplicationEntityTitle = source
    expected = DicomBytesIO()
    expected.write(bytes(128) + b"DICM")
    write_file_meta_info(expected, meta)
    assert file_meta(CR, instance, SYNTAX, source) == expected.getvalue()
