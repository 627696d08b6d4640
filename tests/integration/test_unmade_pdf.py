"""A PDF that cannot be drawn, with real storage and encoders: the report is sent without it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from pydicom import dcmread
from support import drafts
from support.studies import SentInstance, SetClock, store

from echo_node.dicom.documents import encapsulated_pdf as pdf_module
from echo_node.dicom.documents.sr_reader import read_sections
from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.selection.headers import StudyHeaders
from echo_node.dicom.selection.selector import ChestImageSelector
from echo_node.domain.drafts.report import EncodedDocument, Report
from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.studies.study import GreyImage, SelectedImage
from echo_node.domain.work.kinds import DELIVERY
from echo_node.errors import PermanentError
from echo_node.pipeline.deliver import DeliverStage
from echo_node.pipeline.draft import DraftStage
from echo_node.pipeline.make_form import FormStage
from echo_node.pipeline.receive import Intake
from echo_node.settings import DeliverySettings, DocumentKind, IntakeSettings, NodeSettings, Peer, Settings
from echo_node.storage.open import Storage
from echo_node.storage.operations.backup import data_set_of
from echo_node.wiring.destinations import encoder, encoders
from echo_node.wiring.storage import open_storage

PACS = Peer(ae_title="PACS", host="127.0.0.1", kinds=("basic-text-sr", "encapsulated-pdf"))


class Model:
    """Sees nothing and writes a Chinese report."""

    model = drafts.MODEL

    def read(self, image: SelectedImage) -> GreyImage:
        return GreyImage(1, 1, b"\0")

    def generate(self, image: GreyImage) -> Report:
        return drafts.report("zh")


class Pacs:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.got: list[EncodedDocument] = []

    def send(self, document: EncodedDocument, destination: str) -> tuple[DeliveryOutcome, int]:
        self.got.append(document)
        return DeliveryOutcome.SUCCESS, 0


def deliver(storage: Storage, pacs: Pacs, settings: Settings) -> None:
    stage = DeliverStage(
        storage.deliveries,
        pacs,
        FormStage(storage.forms, lambda kind: encoder(DocumentKind(kind), settings), StudyHeaders().describe),
    )
    while (job := storage.deliveries.claim("sender")) is not None:
        try:
            stage(job)
        except PermanentError as error:
            storage.deliveries.dead_letter(job, str(error))


def test_the_report_goes_out_and_the_pdf_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        node=NodeSettings(data_dir=tmp_path / "data"),
        intake=IntakeSettings(minimum_free_bytes=0),
        delivery=DeliverySettings(destinations=("pacs",)),
        peers={"pacs": PACS},
    )
    stored = instance_from_file(drafts.image(tmp_path / "image.dcm", "zh"))
    clock, pacs = SetClock(), Pacs()
    with open_storage(settings, clock) as storage:
        storage.upgrade()
        sent = SentInstance(stored.identity, "MODALITY", data_set=data_set_of(stored.path.read_bytes()))
        store(Intake(storage.spool, storage.studies), sent)
        clock.move(10_000)
        storage.studies.complete_due()
        job = storage.jobs.claim("worker")
        assert job is not None

        def broken(*_: object) -> bytes:
            raise ValueError("a font without glyphs")

        with monkeypatch.context() as patched:
            patched.setattr(pdf_module, "_pdf", broken)
            model = Model()
            DraftStage(storage.drafts, ChestImageSelector(), model, model, encoders(settings), clock)(job)
            deliver(storage, pacs, settings)
        (report,) = pacs.got
        assert report.kind == DocumentKind.BASIC_TEXT_SR
        (dead,) = [row for row in storage.queries.list_work(DELIVERY) if row["state"] == "dead"]
        assert dead["reason"] == (
            "encapsulated-pdf could not be made: the PDF of the draft cannot be drawn (ValueError)"
        )
        storage.release(DELIVERY, dead["delivery_id"])
        deliver(storage, pacs, settings)
        assert [each.kind for each in pacs.got] == ["basic-text-sr", "encapsulated-pdf"]
        assert storage.queries.overview().studies == {"delivered": 1}
    pdf, sr = (dcmread(io.BytesIO(each.content)) for each in reversed(pacs.got))
    assert pdf.SOPInstanceUID == pacs.got[1].sop_instance_uid
    assert (pdf.ContentDate, pdf.ContentTime) == (sr.ContentDate, sr.ContentTime)
    said = [text for section in read_sections(report.content) for text in section.texts]
    assert "【低置信度】 右上肺可疑结节影。" in said
    assert pdf.SourceInstanceSequence[0].ReferencedSOPInstanceUID == stored.identity.sop_instance_uid
