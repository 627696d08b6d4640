"""STOW-RS to a real DICOMweb service, Orthanc's."""

from io import BytesIO
from pathlib import Path

import pytest
from integration.orthanc import DICOMWEB, PROGRAM, Orthanc
from pydicom import dcmread

from echo_node.dicom.scu.destinations import Destinations
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.ports import DeliveryOutcome
from echo_node.errors import PermanentError
from echo_node.settings import Peer
from training.phantom.dicom_study import write_study

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(PROGRAM is None or not DICOMWEB.exists(), reason="no Orthanc: make tools"),
]


def _document(folder: Path) -> EncodedDocument:
    (path,) = write_study(folder, seed=4, views=["PA"], size=256)
    header = dcmread(path, stop_before_pixels=True)
    return EncodedDocument(
        "image",
        str(header.StudyInstanceUID),
        str(header.SOPInstanceUID),
        str(header.SOPClassUID),
        str(header.file_meta.TransferSyntaxUID),
        path.read_bytes(),
    )


def test_orthanc_stores_what_comes_over_http(tmp_path: Path) -> None:
    document = _document(tmp_path)
    with Orthanc(dicomweb=True) as pacs:
        peers = {"pacs": Peer(ae_title="ORTHANC", stow_url=pacs.dicomweb_url)}
        sender = Destinations("ECHO_NODE", peers, 30)
        assert sender.send(document, "pacs") == (DeliveryOutcome.SUCCESS, 0)
        assert pacs.instances(document.study_instance_uid) == [document.sop_instance_uid]
        sender.send(document, "pacs")  # a resend is the same object
        (found,) = pacs.find(StudyInstanceUID=document.study_instance_uid)
        stored = dcmread(BytesIO(pacs.file(str(found["ID"]))))
        assert stored.PixelData == dcmread(BytesIO(document.content)).PixelData
        nowhere = pacs.dicomweb_url.replace("dicom-web", "nothing")
        elsewhere = {"pacs": Peer(ae_title="ORTHANC", stow_url=nowhere)}
        with pytest.raises(PermanentError, match="HTTP 404"):
            Destinations("ECHO_NODE", elsewhere, 30).send(document, "pacs")
