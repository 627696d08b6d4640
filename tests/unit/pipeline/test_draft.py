import random
from collections.abc import Callable, Sequence
from pathlib import Path

import fsspec
import pytest
from support.house import House
from support.studies import MODEL, document, received, selection

from echo_node.domain.drafts.comparison import Comparison
from echo_node.domain.drafts.draft import Draft, SectionName, compose
from echo_node.domain.drafts.fixed_texts import ENGLISH
from echo_node.domain.drafts.report import EncodedDocument, Generation, Report, Sentence
from echo_node.domain.drafts.subject import Order, Subject
from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.studies.attributes import Attribute, StudyAttributes
from echo_node.domain.studies.study import (
    GreyImage,
    HeaderRemark,
    SelectedImage,
    Selection,
    StoredInstance,
)
from echo_node.domain.work.drafting import StudySnapshot
from echo_node.domain.work.kinds import DELIVERY
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.withdrawal import IdentityConflict, StandingDrafts, WithdrawalReason
from echo_node.errors import LeaseLost, MustBeHeld, NotEligible, TransientError, Unavailable
from echo_node.pipeline.deliver import DeliverStage
from echo_node.pipeline.draft import DraftStage
from echo_node.pipeline.priors import PriorSearch
from echo_node.pipeline.worker import Worker
from echo_node.storage.database import migrate
from echo_node.storage.database.engine import Database
from echo_node.storage.ledgers.drafts import Drafts
from echo_node.storage.objects.outbox import Outbox
from echo_node.storage.objects.remote import RemoteObjects
from echo_node.storage.objects.store import ObjectStore
from echo_node.storage.queues.deliveries import DeliveryQueue

SUBJECT = Subject("", "4711", "", "19600229", "", "", "20260601", "", "", (Order(),), zone=None)
ATTRIBUTES = StudyAttributes(
    (
        Attribute("PatientID", "LO", ("4711",)),
        Attribute("PatientBirthDate", "DA", ("19600229",)),
        Attribute("StudyDate", "DA", ("20260601",)),
    )
)


class FirstImage:
    """Selects the first instance, as a study without lateral images would be."""

    def select(self, instances: Sequence[StoredInstance]) -> Selection:
        if not instances:
            raise NotEligible("nothing")
        return Selection((SelectedImage(instances[0], "PA", attributes=ATTRIBUTES),), ())


class Black:
    def read(self, image: SelectedImage) -> GreyImage:
        return GreyImage(1, 1, b"\0")


class Writer:
    """A generator that writes the same words each time, and lets a test happen meanwhile."""

    model = MODEL

    def __init__(self) -> None:
        self.drafts = 0

    def generate(self, image: GreyImage) -> Report:
        self.drafts += 1
        return Report((Sentence("No effusion."),), (), "en", MODEL, Generation("one_step", 8, 1, 0.1))


class Bytes:
    """An encoder of words alone, that notes which document each stands in for."""

    def __init__(self, kind: str = "basic-text-sr") -> None:
        self.kind = kind
        self.predecessors: list[EncodedDocument | None] = []

    def encode(
        self,
        draft: Draft,
        predecessor: EncodedDocument | None = None,
    ) -> EncodedDocument:
        self.predecessors.append(predecessor)
        number = int(draft.study_instance_uid.rpartition(".")[2])
        return document(number, draft.revision, draft.report.findings[0].text.encode(), self.kind)


@pytest.fixture
def house(tmp_path: Path) -> House:
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    migrate.upgrade(database)
    return House(database, tmp_path)


class LastImage(FirstImage):
    def select(self, instances: Sequence[StoredInstance]) -> Selection:
        return super().select(instances[-1:])


def _stage(house: House, writer: Writer) -> DraftStage:
    return DraftStage(house.drafts, FirstImage(), Black(), writer, [Bytes()], house.clock)


def test_a_claimed_study_becomes_a_stored_document(house: House) -> None:
    house.arrive()
    house.complete()
    _stage(house, Writer())(house.claim())
    assert house.state() is StudyState.DRAFTED
    assert house.deliveries.document(house.claim_delivery()).content == b"No effusion."


def test_what_the_display_had_to_leave_out_is_remarked(house: House) -> None:
    class Fallen(Black):
        def read(self, image: SelectedImage) -> GreyImage:
            return GreyImage(1, 1, b"\0", (HeaderRemark.RANGE_DISPLAYED,))

    class Keeping(Bytes):
        def encode(self, draft: Draft, predecessor: EncodedDocument | None = None) -> EncodedDocument:
            drafts.append(draft)
            return super().encode(draft, predecessor)

    drafts: list[Draft] = []
    house.arrive()
    house.complete()
    DraftStage(house.drafts, FirstImage(), Fallen(), Writer(), [Keeping()], house.clock)(house.claim())
    (draft,) = drafts
    assert draft.selection.primary.header_remarks == (HeaderRemark.RANGE_DISPLAYED,)
    (section,) = [each for each in compose(draft).sections if each.name is SectionName.PROCEDURE]
    assert ENGLISH.range_displayed in section.paragraphs


def test_what_came_of_looking_for_priors_is_in_the_draft(house: House) -> None:
    class Keeping(Bytes):
        def encode(self, draft: Draft, predecessor: EncodedDocument | None = None) -> EncodedDocument:
            drafts.append(draft)
            return super().encode(draft, predecessor)

    class NoPriors:
        archive, within_years = "ARCHIVE", 10

        def find(self, subject: Subject, study_instance_uid: str) -> Comparison:
            assert (subject, study_instance_uid) == (SUBJECT, "1.2.3.1")
            return Comparison(self.archive, self.within_years)

    drafts: list[Draft] = []
    house.arrive()
    house.complete()
    priors = PriorSearch(NoPriors(), house.clock, 60)
    DraftStage(house.drafts, FirstImage(), Black(), Writer(), [Keeping()], house.clock, priors=priors)(
        house.claim()
    )
    assert [each.comparison for each in drafts] == [Comparison("ARCHIVE", 10)]
    assert house.state() is StudyState.DRAFTED


def test_the_same_images_are_not_given_to_the_model_again(house: House) -> None:
    writer = Writer()
    house.arrive(received(1))
    house.complete()
    _stage(house, writer)(house.claim())
    house.arrive(received(2))  # FirstImage still selects the first
    house.complete()
    _stage(house, writer)(house.claim())
    assert writer.drafts == 1
    assert (house.state(), house.revision()) == (StudyState.DRAFTED, 2)


def test_a_new_revision_is_told_which_draft_it_stands_in_for(house: House) -> None:
    encoder = Bytes()
    stage = DraftStage(house.drafts, LastImage(), Black(), Writer(), [encoder], house.clock)
    for number in (1, 2, 3):
        house.arrive(received(number))
        house.complete()
        stage(house.claim())
    text = b"No effusion."
    assert encoder.predecessors == [None, document(1, 1, text), document(1, 2, text)]


def test_each_destination_gets_the_forms_that_it_asked_for(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    migrate.upgrade(database)
    kinds = {"PACS": ("basic-text-sr", "encapsulated-pdf"), "RIS": ("oru-r01",)}
    house = House(database, tmp_path, kinds)
    house.arrive()
    house.complete()
    encoders = [Bytes(kind) for kind in ("basic-text-sr", "encapsulated-pdf", "oru-r01")]
    DraftStage(house.drafts, FirstImage(), Black(), Writer(), encoders, house.clock)(house.claim())
    jobs = [house.claim_delivery() for _ in range(3)]
    got = [(job.destination, house.deliveries.document(job).kind) for job in jobs]
    assert sorted(got) == [("PACS", "basic-text-sr"), ("PACS", "encapsulated-pdf"), ("RIS", "oru-r01")]
    assert house.deliveries.claim("sender") is None


def test_an_image_that_arrives_while_drafting_outdates_the_draft(house: House) -> None:
    class Interrupted(Writer):
        def generate(self, image: GreyImage) -> Report:
            house.arrive(received(2))
            return super().generate(image)

    house.arrive(received(1))
    house.complete()
    with pytest.raises(LeaseLost):
        _stage(house, Interrupted())(house.claim())
    assert house.state() is StudyState.RECEIVING
    assert house.queries.overview().documents == 0


def test_a_draft_of_a_second_revision_takes_two_transactions(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = DraftStage(
        house.drafts, LastImage(), Black(), Writer(), [Bytes()], house.clock, NoConflict(), None
    )
    begun: list[str] = []
    for number in (1, 2):
        house.arrive(received(number))
        house.complete()
        job = house.claim()
        begun.clear()
        for name in ("read", "write"):
            counted = getattr(house.database, name)

            def begin(name: str = name, counted: Callable[[], object] = counted) -> object:
                begun.append(name)
                return counted()

            monkeypatch.setattr(house.database, name, begin)
        stage(job)
        monkeypatch.undo()
    assert begun == ["read", "write"]
    assert (house.state(), house.revision()) == (StudyState.DRAFTED, 2)


class NoConflict:
    def find(self, study: StudySnapshot) -> None:
        assert len(study.standing.documents) == len(study.instances) - 1


def test_no_transaction_is_open_while_the_model_works(house: House) -> None:
    class Watching(Writer):
        def generate(self, image: GreyImage) -> Report:
            assert house.database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
            return super().generate(image)

    house.arrive()
    house.complete()
    _stage(house, Watching())(house.claim())


class Pacs:
    """A peer that answers as told."""

    def __init__(self, answer: tuple[DeliveryOutcome, int] | Exception) -> None:
        self.answer = answer
        self.got: list[tuple[EncodedDocument, str]] = []

    def send(self, document: EncodedDocument, destination: str) -> tuple[DeliveryOutcome, int]:
        self.got.append((document, destination))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_delivery_counts_when_the_status_says_so(house: House) -> None:
    house.drafted()
    pacs = Pacs((DeliveryOutcome.WARNING, 0xB007))
    DeliverStage(house.deliveries, pacs)(house.claim_delivery())
    assert pacs.got == [(document(1, 1), "PACS")]
    assert house.state() is StudyState.DELIVERED


def test_a_refused_delivery_does_not(house: House) -> None:
    house.drafted()
    with pytest.raises(TransientError):
        DeliverStage(house.deliveries, Pacs(TransientError("0xA700")))(house.claim_delivery())
    assert house.state() is StudyState.DRAFTED


def _work_once(house: House, objects: ObjectStore, pacs: Pacs) -> None:
    """Let a worker make one delivery, of a document that is read from *objects*."""
    queue = DeliveryQueue(house.context, Outbox(objects))
    stage = DeliverStage(queue, pacs)
    worker = Worker(
        "delivery", queue, stage, house.policy, holder="sender", heartbeat_s=60, poll_s=1,
        clock=house.clock, randomness=random.Random(1),
    )  # fmt: skip
    assert worker.run_once()


def test_a_document_that_is_lost_or_damaged_becomes_a_dead_letter_and_is_not_sent(
    house: House, tmp_path: Path
) -> None:
    house.drafted()
    (file,) = (tmp_path / "outbox").glob("*.dcm")
    file.write_bytes(b"other words")
    pacs = Pacs((DeliveryOutcome.SUCCESS, 0))
    _work_once(house, house.objects, pacs)
    assert (pacs.got, house.state()) == ([], StudyState.UNDELIVERED)
    file.unlink()
    house.deliveries.release(1)
    _work_once(house, house.objects, pacs)
    assert (pacs.got, house.state()) == ([], StudyState.UNDELIVERED)
    assert "lost" in house.queries.list_work(DELIVERY)[0]["reason"]


def test_while_the_object_store_is_away_nothing_is_tried_and_nothing_given_up(
    house: House, tmp_path: Path
) -> None:
    house.drafted()
    away = RemoteObjects(fsspec.filesystem("memory"), f"/nothing{tmp_path}", tmp_path / "remote", 0)
    pacs = Pacs((DeliveryOutcome.SUCCESS, 0))
    for _ in range(10):
        with pytest.raises(Unavailable, match="the object store has no outbox"):
            _work_once(house, away, pacs)
    (delivery,) = house.queries.list_work(DELIVERY)
    assert (delivery["state"], delivery["tries"]) == ("pending", 0)
    _work_once(house, house.objects, pacs)
    assert (len(pacs.got), house.state()) == (1, StudyState.DELIVERED)


def test_images_of_a_store_that_is_away_are_waited_for(house: House, tmp_path: Path) -> None:
    house.arrive()
    house.complete()
    away = RemoteObjects(fsspec.filesystem("memory"), f"/nothing{tmp_path}", tmp_path / "remote", 0)
    drafts = Drafts(
        house.database, away, house.outbox, house.clock, house.jobs.claims, house.resolutions, destinations={}
    )
    with pytest.raises(Unavailable, match="the object store has no spool"):
        DraftStage(drafts, FirstImage(), Black(), Writer(), [Bytes()], house.clock)(house.claim())
    assert house.state() is StudyState.DRAFTING


def test_a_crash_after_the_peers_answer_sends_the_very_same_object_again(house: House) -> None:
    house.drafted()
    pacs = Pacs((DeliveryOutcome.SUCCESS, 0))
    lost = house.claim_delivery()
    pacs.send(house.deliveries.document(lost), lost.destination)  # … and the process is killed here
    house.clock.move(1000)
    house.deliveries.rescue()
    DeliverStage(house.deliveries, pacs)(house.claim_delivery())
    assert pacs.got[0] == pacs.got[1]


def test_selection_helpers_agree_with_the_stage(house: House) -> None:
    house.arrive(received(1))
    house.complete()
    job = house.claim()
    _stage(house, Writer())(job)
    with house.drafts.open(job) as study:
        assert study.drafted_selection == selection(received(1)).digest


class Watch:
    """Sees a conflict in every late image, and notes what it was shown."""

    def __init__(self) -> None:
        self.seen: list[StandingDrafts] = []

    def find(self, study: StudySnapshot) -> IdentityConflict | None:
        if not study.standing.late:
            return None
        self.seen.append(study.standing)
        return IdentityConflict(WithdrawalReason.WORKLIST, "the patient ID differs")


def test_a_late_image_that_contradicts_the_draft_withdraws_it_instead_of_drafting(house: House) -> None:
    watch, writer = Watch(), Writer()
    stage = DraftStage(house.drafts, LastImage(), Black(), writer, [Bytes()], house.clock, watch)
    for number in (1, 2):
        house.arrive(received(number))
        house.complete()
        stage(house.claim())
    assert (house.state(), writer.drafts) == (StudyState.WITHDRAWN, 1), "it was not sent yet"
    expected = StandingDrafts(
        (document(1, 1, b"No effusion."),), late=frozenset({"1.2.3.99.2"}), read=frozenset({"1.2.3.99.1"})
    )
    assert watch.seen == [expected]
    house.withdrawals.redraft(1)
    stage(house.claim())
    assert (house.state(), writer.drafts) == (StudyState.DRAFTED, 2), (
        "nothing stands that it could contradict"
    )


class Contradiction:
    """Finds what it was told."""

    def __init__(self, conflict: IdentityConflict) -> None:
        self.conflict = conflict

    def find(self, study: StudySnapshot) -> IdentityConflict | None:
        return self.conflict


def test_the_first_revision_is_checked_before_anything_is_read(house: House) -> None:
    writer = Writer()
    found = IdentityConflict(WithdrawalReason.PATIENT_SAFETY, "the patient ID differs", ("PatientID",))
    stage = DraftStage(
        house.drafts, LastImage(), Black(), writer, [Bytes()], house.clock, Contradiction(found)
    )
    house.arrive()
    house.complete()
    stage(house.claim())
    assert (house.state(), house.reason(), writer.drafts) == (
        StudyState.HELD, "the patient ID differs", 0,
    )  # fmt: skip


def test_a_value_that_cannot_be_written_holds_the_study(house: House) -> None:
    class Unwritable(Bytes):
        def encode(self, draft: Draft, predecessor: EncodedDocument | None = None) -> EncodedDocument:
            raise MustBeHeld("the patient ID cannot be written", ("PatientID",))

    stage = DraftStage(house.drafts, LastImage(), Black(), Writer(), [Bytes(), Unwritable()], house.clock)
    house.arrive()
    house.complete()
    stage(house.claim())
    assert (house.state(), house.reason()) == (StudyState.HELD, "the patient ID cannot be written")
    assert house.queries.overview().documents == 0
