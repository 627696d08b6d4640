"""A form that cannot be made: the others are sent, it is a dead letter, a retry makes it once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from support.house import House
from support.studies import EXPLICIT_LITTLE_ENDIAN, MODEL, put, received, selection

from echo_node.domain.drafts.comparison import Comparison, PriorStudy
from echo_node.domain.drafts.draft import Draft
from echo_node.domain.drafts.report import EncodedDocument, Generation, Report, Sentence
from echo_node.domain.identifiers import document_uid
from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.studies.attributes import NOT_READ, Attribute, StudyAttributes
from echo_node.domain.studies.intake import StoreOutcome
from echo_node.domain.studies.study import (
    GreyImage,
    ImageKind,
    SelectedImage,
    Selection,
    StoredInstance,
    UnreadImage,
)
from echo_node.domain.work.job import DeliveryJob, DeliveryState, JobState
from echo_node.domain.work.kinds import DELIVERY, JOB
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.withdrawal import WithdrawalReason
from echo_node.errors import PermanentError, TransientError
from echo_node.pipeline.deliver import DeliverStage
from echo_node.pipeline.draft import DraftStage
from echo_node.pipeline.make_form import FormStage
from echo_node.storage.database.engine import Database
from echo_node.storage.ledgers import pending_drafts
from echo_node.storage.ledgers.forms import Forms
from echo_node.storage.objects.local import LocalObjects
from echo_node.storage.objects.outbox import Outbox
from echo_node.storage.objects.spool import Spool
from echo_node.storage.operations.backup import back_up, restore

TEXT, PDF, PICTURE, ORU = "basic-text-sr", "encapsulated-pdf", "secondary-capture", "oru-r01"
DESTINATIONS = {"PACS": (TEXT, PDF), "RIS": (ORU,), "VIEWER": (PDF, PICTURE)}
KINDS = (TEXT, PDF, PICTURE, ORU)
ATTRIBUTES = StudyAttributes((Attribute("PatientID", "LO", ("4711",)),))


class Form:
    """Gives a draft a form that shows of what it was made; raises while it is told to."""

    def __init__(self, kind: str, error: Exception | None = None) -> None:
        self.kind, self.error = kind, error
        self.made: list[Draft] = []

    def encode(self, draft: Draft, predecessor: EncodedDocument | None = None) -> EncodedDocument:
        self.made.append(draft)
        if self.error is not None:
            raise self.error
        images = [each.instance.identity.sop_instance_uid for each in draft.selection.images]
        model = draft.report.model.digest
        uid = document_uid(draft.study_instance_uid, draft.revision, model, self.kind, images)
        said = [each.text for each in draft.report.findings]
        content = json.dumps([self.kind, said, draft.at.isoformat(), predecessor is not None]).encode()
        is_dicom = self.kind != ORU
        return EncodedDocument(
            self.kind,
            draft.study_instance_uid,
            uid,
            "1.2.840.10008.5.1.4.1.1.88.11" if is_dicom else "",
            EXPLICIT_LITTLE_ENDIAN if is_dicom else "",
            content,
        )


class Node(House):
    """A house whose images have files, with a drafting stage and a delivering one."""

    def __init__(self, database: Database, folder: Path) -> None:
        super().__init__(database, folder, DESTINATIONS)
        self.folder = folder
        self.spool = Spool(self.objects, 0)
        self.forms_by_kind = {kind: Form(kind) for kind in KINDS}
        self.drafts_made = 0
        self.sent: list[tuple[str, EncodedDocument]] = []
        self.described: list[SelectedImage] = []
        self.form = FormStage(self.forms, self.forms_by_kind.__getitem__, self.describe)

    def receive(self, sop: int = 1) -> None:
        instance = received(sop)
        assert self.studies.record(instance, put(self.spool, instance)) is StoreOutcome.STORED
        self.complete()

    def draft_now(self) -> None:
        stage = DraftStage(self.drafts, self, self, self, list(self.forms_by_kind.values()), self.clock)
        stage(self.claim())

    model = MODEL
    attributes = ATTRIBUTES

    def describe(self, image: SelectedImage) -> SelectedImage:
        self.described.append(image)
        return replace(image, attributes=ATTRIBUTES)

    def select(self, instances: Sequence[StoredInstance]) -> Selection:
        unread = tuple(UnreadImage(each.identity, "older") for each in instances[:-1])
        return Selection((SelectedImage(instances[-1], "PA", attributes=self.attributes),), unread)

    def read(self, image: SelectedImage) -> GreyImage:
        return GreyImage(1, 1, b"\0")

    def generate(self, image: GreyImage) -> Report:
        self.drafts_made += 1
        words = Sentence(f"Words {self.drafts_made} \U0001fac1", 0.25)
        return Report((words,), (), "en", MODEL, Generation("one_step", 8, 1, 0.1))

    def send(self, document: EncodedDocument, destination: str) -> tuple[DeliveryOutcome, int]:
        self.sent.append((destination, document))
        return DeliveryOutcome.SUCCESS, 0

    def deliver_all(self) -> None:
        """Deliver what is due, as the worker does."""
        stage = DeliverStage(self.deliveries, self, self.form)
        while (job := self.deliveries.claim("sender")) is not None:
            try:
                stage(job)
            except PermanentError as error:
                self.deliveries.dead_letter(job, str(error))

    def dead(self) -> dict[tuple[str, int], str]:
        """Return the reason of each dead letter, by destination and id."""
        rows = self.queries.list_work(DELIVERY, DeliveryState.DEAD)
        return {(row["destination"], row["delivery_id"]): row["reason"] for row in rows}

    def files(self) -> list[str]:
        return sorted(path.suffix for path in (self.folder / "outbox").rglob("*") if path.is_file())


@pytest.fixture
def node(database: Database, tmp_path: Path) -> Node:
    return Node(database, tmp_path / "node")


def failing(node: Node, *kinds: str) -> None:
    for kind in kinds:
        node.forms_by_kind[kind].error = PermanentError("no font has it")


def test_the_other_forms_are_made_and_delivered(node: Node) -> None:
    node.receive()
    failing(node, PDF)
    node.draft_now()
    assert node.state() is StudyState.DRAFTED
    node.deliver_all()
    assert sorted((to, document.kind) for to, document in node.sent) == [
        ("PACS", TEXT), ("RIS", ORU), ("VIEWER", PICTURE),
    ]  # fmt: skip
    assert sorted((to, reason) for (to, _), reason in node.dead().items()) == [
        ("PACS", f"{PDF} could not be made: no font has it"),
        ("VIEWER", f"{PDF} could not be made: no font has it"),
    ]
    assert node.state() is StudyState.UNDELIVERED
    assert node.reason() == f"{PDF} could not be made"
    shown = {each["kind"]: each["is_made"] for each in node.queries.show(1)["documents"]}
    assert shown == {TEXT: True, PICTURE: True, ORU: True, PDF: False}


def test_a_released_one_is_made_once_from_the_words_that_the_others_say(node: Node) -> None:
    node.receive()
    failing(node, PDF, PICTURE)
    node.draft_now()
    node.deliver_all()
    assert node.files() == [".dcm", ".hl7", ".json"]
    node.sent.clear()
    failing_draft = node.forms_by_kind[PDF].made[0]
    for form in node.forms_by_kind.values():
        form.error = None
    for _, delivery_id in node.dead():
        node.deliveries.release(delivery_id)
    node.deliver_all()
    assert node.drafts_made == 1, "the model was asked again"
    assert sorted((to, document.kind) for to, document in node.sent) == [
        ("PACS", PDF), ("VIEWER", PDF), ("VIEWER", PICTURE),
    ]  # fmt: skip
    pdfs = {document for _, document in node.sent if document.kind == PDF}
    assert len(pdfs) == 1, "two destinations got different objects"
    assert pdfs == {Form(PDF).encode(failing_draft)}
    assert len(node.forms_by_kind[PDF].made) == 2, "it was made anew for the second destination"
    assert node.state() is StudyState.DELIVERED
    assert node.files() == [".dcm", ".dcm", ".dcm", ".hl7"]


def test_one_that_fails_again_is_a_dead_letter_again(node: Node) -> None:
    node.receive()
    failing(node, PDF)
    node.draft_now()
    node.deliver_all()
    failing(node, PDF)
    node.forms_by_kind[PDF].error = PermanentError("still no font has it")
    ((_, first), _) = node.dead()
    node.deliveries.release(first)
    assert node.state() is StudyState.DRAFTED
    node.deliver_all()
    assert f"{PDF} could not be made: still no font has it" in node.dead().values()
    assert node.state() is StudyState.UNDELIVERED
    assert ".json" in node.files()


def test_a_withdrawal_names_what_was_made_and_stops_what_was_not(node: Node) -> None:
    node.receive()
    failing(node, PDF)
    node.draft_now()
    for _, delivery_id in node.dead():
        node.deliveries.release(delivery_id)  # a retry in vain: it was still never sent
    node.deliver_all()
    assert node.withdrawals.withdraw(1, WithdrawalReason.PATIENT_SAFETY, "a radiologist")
    job = node.withdrawals.claim("worker")
    assert job is not None
    named = {document.kind for each in node.withdrawals.withdrawn_drafts(job) for document in each.documents}
    assert named == {TEXT, PICTURE, ORU}
    assert node.dead() == {}
    node.forms_by_kind[PDF].error = None
    node.sent.clear()
    node.deliver_all()
    assert node.sent == []


def test_two_workers_that_make_it_at_once_leave_one_object(node: Node) -> None:
    node.receive()
    failing(node, PDF)
    node.draft_now()
    node.deliver_all()
    node.forms_by_kind[PDF].error = None
    for _, delivery_id in node.dead():
        node.deliveries.release(delivery_id)
    jobs = [node.claim_delivery(f"sender-{number}") for number in (1, 2)]
    made: list[EncodedDocument] = []
    for job in jobs:  # both look before either stores
        with node.forms.unmade(job) as form:
            assert form is not None
            made.append(Form(form.kind).encode(form.draft, form.predecessor))
    made[1] = replace(made[1], content=made[1].content + b" ")
    for job, document in zip(jobs, made, strict=True):
        node.forms.store(job, document)
    assert [node.deliveries.document(job) for job in jobs] == [made[0], made[0]]
    assert node.files() == [".dcm", ".dcm", ".dcm", ".hl7"]


def test_another_object_under_its_row_is_refused(node: Node) -> None:
    node.receive()
    failing(node, PDF)
    node.draft_now()
    ((_, first), _) = node.dead()
    node.deliveries.release(first)
    job = next(job for job in claimed(node) if job.lease.row_id == first)
    with node.forms.unmade(job) as form:
        assert form is not None
        wrong = replace(Form(PDF).encode(form.draft), sop_instance_uid="1.2.3.4")
    with pytest.raises(PermanentError, match="it stays unmade"):
        node.forms.store(job, wrong)
    with node.forms.unmade(job) as form:
        assert form is not None


def claimed(node: Node) -> list[DeliveryJob]:
    jobs = []
    while (job := node.deliveries.claim("sender")) is not None:
        jobs.append(job)
    return jobs


def test_a_draft_without_any_form_is_a_dead_job_with_every_reason(node: Node) -> None:
    node.receive()
    failing(node, *KINDS)
    with pytest.raises(PermanentError, match=f"{TEXT}: no font has it; {PDF}: .*{ORU}: no font has it"):
        node.draft_now()
    assert node.queries.overview().documents == 0
    assert node.files() == []


def test_a_transient_error_of_one_form_is_no_reason_to_do_without(node: Node) -> None:
    node.receive()
    node.forms_by_kind[PDF].error = TransientError("out of memory")
    with pytest.raises(TransientError):
        node.draft_now()
    assert (node.queries.overview().documents, node.files()) == (0, [])


def test_a_disk_that_is_full_leaves_nothing(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.receive()
    failing(node, PDF)

    def full(sop_instance_uid: str, content: bytes) -> Path:
        raise TransientError("the disk is full")

    monkeypatch.setattr(node.outbox, "keep", full)
    with pytest.raises(TransientError):
        node.draft_now()
    assert (node.queries.overview().documents, node.files()) == (0, [])


def test_the_next_revision_stands_in_for_what_was_made(node: Node) -> None:
    node.receive(1)
    failing(node, PDF)
    node.draft_now()
    node.deliver_all()
    node.forms_by_kind[PDF].error = None
    node.receive(2)
    node.draft_now()
    node.sent.clear()
    node.deliver_all()
    assert node.state() is StudyState.DELIVERED
    stands_in = {document.kind: json.loads(document.content)[3] for _, document in node.sent}
    assert stands_in == {TEXT: True, PICTURE: True, ORU: True, PDF: False}


def test_the_same_images_again_change_nothing(node: Node) -> None:
    node.receive(1)
    failing(node, PDF)
    node.draft_now()
    node.deliver_all()
    node.select = lambda instances: Selection((SelectedImage(instances[0], "PA"),), ())  # type: ignore[method-assign]
    node.receive(2)
    node.draft_now()
    assert (node.drafts_made, node.state()) == (1, StudyState.UNDELIVERED)
    assert [row["state"] for row in node.queries.list_work(JOB)] == [JobState.DONE] * 2


def test_what_an_earlier_version_kept_is_made_from_the_image_as_well(node: Node) -> None:
    node.attributes = NOT_READ
    node.receive()
    failing(node, PDF)
    node.draft_now()
    node.forms_by_kind[PDF].error = None
    for _, delivery_id in node.dead():
        node.deliveries.release(delivery_id)
    node.deliver_all()
    assert node.state() is StudyState.DELIVERED
    (image,) = node.described
    assert image.instance.path.is_file()
    assert node.forms_by_kind[PDF].made[-1].attributes == ATTRIBUTES


def test_a_form_is_made_after_the_image_is_removed(node: Node) -> None:
    node.receive()
    failing(node, PDF)
    node.draft_now()
    node.deliver_all()
    node.forms_by_kind[PDF].error = None
    with node.database.write() as session:
        session.execute(text("UPDATE instances SET removed_at = received_at"))
    for each in (node.folder / "spool").rglob("*.dcm"):
        each.unlink()
    for _, delivery_id in node.dead():
        node.deliveries.release(delivery_id)
    node.deliver_all()
    assert (node.state(), node.described) == (StudyState.DELIVERED, [])


def test_what_was_read_must_still_be_there_for_what_an_earlier_version_kept(node: Node) -> None:
    node.attributes = NOT_READ
    node.receive()
    failing(node, PDF)
    node.draft_now()
    node.deliver_all()
    node.forms_by_kind[PDF].error = None
    with node.database.write() as session:
        session.execute(text("UPDATE instances SET removed_at = received_at"))
    ((_, first), _) = node.dead()
    node.deliveries.release(first)
    node.deliver_all()
    assert f"{PDF} can no longer be made: the images that were read were removed" in node.dead().values()


def test_a_new_destination_that_wants_it_has_it_made(node: Node) -> None:
    node.receive()
    failing(node, PDF)
    node.draft_now()
    assert node.deliveries.create_missing({"NEW": (PDF,)}) == 1
    node.forms_by_kind[PDF].error = None
    node.deliver_all()
    assert ("NEW", PDF) in {(to, document.kind) for to, document in node.sent}


def test_the_program_before_sends_nothing_in_its_place(node: Node) -> None:
    node.receive()
    failing(node, PDF)
    node.draft_now()
    ((_, first), _) = node.dead()
    node.deliveries.release(first)
    job = next(job for job in claimed(node) if job.lease.row_id == first)
    with pytest.raises(PermanentError):  # a program before it reads `path` and knows no other
        node.deliveries.document(job)


def test_a_backup_holds_what_it_can_be_made_from(
    node: Node, new_database: Callable[[], Database], tmp_path: Path
) -> None:
    node.receive()
    failing(node, PDF)
    node.draft_now()
    node.deliver_all()
    manifest = back_up(node.database, node.objects, node.folder, tmp_path / "backup", lambda *_: None)
    assert manifest.missing == ()
    fresh = new_database()
    restored = Node(fresh, tmp_path / "restored")
    restore(tmp_path / "backup", fresh, LocalObjects(tmp_path / "restored"), lambda *_: None)
    for _, delivery_id in restored.dead():
        restored.deliveries.release(delivery_id)
    restored.deliver_all()
    assert {document.kind for _, document in restored.sent} == {PDF}
    assert restored.state() is StudyState.DELIVERED


_TEXT = st.text(st.characters(codec=None))


_LEAF = st.builds(
    Attribute, st.sampled_from(["PatientName", "StudyID"]), st.just("PN"), st.lists(_TEXT).map(tuple)
)
_ITEM = st.recursive(
    st.lists(_LEAF, max_size=3).map(tuple),
    lambda item: st.tuples(
        st.builds(
            Attribute, st.just("RequestAttributesSequence"), st.just("SQ"), st.just(()), st.tuples(item)
        )
    ),
    max_leaves=3,
)
_IMAGE_OF_FORMAT_1 = {"sop_instance_uid", "view", "is_view_stated", "looks_mirrored"}
_PRIOR = st.builds(PriorStudy, st.just("1.2.3"), st.just("20260102"), st.sampled_from([(), ("PA", "AP")]))


@given(
    st.lists(st.builds(Sentence, _TEXT, st.none() | st.floats(0, 1)), min_size=1, max_size=3),
    _TEXT,
    st.none()
    | st.builds(
        Comparison, _TEXT, st.just(10), st.none() | _PRIOR, st.just(1), st.tuples(_TEXT, _TEXT), _TEXT
    ),
    st.booleans(),
    st.builds(StudyAttributes, _ITEM, st.lists(_ITEM, max_size=2).map(tuple)),
)
def test_a_draft_is_kept_to_the_letter(
    sentences: list[Sentence],
    reason: str,
    comparison: Comparison | None,
    by_its_picture: bool,
    attributes: StudyAttributes,
) -> None:
    report = Report(tuple(sentences), (), "zh", MODEL, Generation("adaptive", 8, 2, 0.25))
    chosen = selection(received(1), received(2))
    unread = (UnreadImage(received(3).identity, reason),)
    images = tuple(
        replace(
            each,
            is_view_stated=not by_its_picture,
            looks_mirrored=by_its_picture,
            looks_doubtful=by_its_picture,
            is_body_part_stated=not by_its_picture,
            kind=ImageKind(companion="expiration" if by_its_picture else ""),
            is_orientation_stated=not by_its_picture,
            attributes=attributes,
        )
        for each in chosen.images
    )
    at = datetime(2026, 1, 2, tzinfo=UTC)
    draft = Draft(report, Selection(images, unread), "1.2.3.1", 2, at, comparison)
    instances = {each.instance.identity.sop_instance_uid: each.instance for each in chosen.images}
    kept = pending_drafts.encoded(draft)
    again = pending_drafts.decoded(kept, instances)
    assert again == draft
    assert [each.kind.companion for each in again.selection.images] == [
        each.kind.companion for each in images
    ]
    assert set(json.loads(kept)["images"][0]) == _IMAGE_OF_FORMAT_1, "an earlier version takes no other"
    without = {key: value for key, value in json.loads(kept).items() if key != "headers"}
    earlier = pending_drafts.decoded(json.dumps(without).encode(), instances)
    assert (earlier.report, earlier.attributes) == (report, NOT_READ)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"format": 1}', b'{"format": 2}'])
def test_what_is_no_kept_draft_is_refused(content: bytes) -> None:
    with pytest.raises(PermanentError):
        pending_drafts.decoded(content, {})


def test_forms_need_no_objects_of_their_own(node: Node) -> None:
    """Another machine's storage, opened on the same database and folder, makes it as well."""
    node.receive()
    failing(node, PDF)
    node.draft_now()
    objects = LocalObjects(node.folder)
    elsewhere = Forms(node.database, objects, Outbox(objects))
    ((_, first), _) = node.dead()
    node.deliveries.release(first)
    job = next(job for job in claimed(node) if job.lease.row_id == first)
    FormStage(elsewhere, lambda kind: Form(kind), node.describe)(job)
    assert node.deliveries.document(job).kind == PDF
