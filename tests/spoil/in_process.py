"""Malformed headers in one process: selection, pixels and encoding are real, the text is stored."""

import random
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from integration import validators
from support import drafts
from support.mllp import unescaped

from echo_node.dicom.image.pixels import DisplayedPixels
from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.library_settings import configure_libraries
from echo_node.dicom.selection.selector import ChestImageSelector
from echo_node.domain.drafts.draft import Draft
from echo_node.errors import EchoNodeError, MustBeHeld, NotEligible
from echo_node.hl7.message import parsed
from echo_node.settings import DocumentKind, Settings
from echo_node.wiring.destinations import encoder
from spoil.outcomes import DRAFTED, EXCEPTION, HELD, REFUSED, SKIPPED, Outcomes
from spoil.spoilings import Spoilt, spoil

_EVERY_FORM_OF = 12
"""One of this many distinct drafts is encoded and checked in every form, the others in two."""
_UID, _SUMMARY = "UID", "Dicom dataset contains invalid data values"
_MOST_USED = (DocumentKind.BASIC_TEXT_SR, DocumentKind.ORU_R01)


class InProcess:
    """Tries malformed headers; remembers which drafts were checked, since many are equal.

    Args:
        folder: folder for temporary files.
    """

    def __init__(self, folder: Path) -> None:
        configure_libraries()
        self._folder = folder
        self._selector = ChestImageSelector()
        self._reader = DisplayedPixels()
        self._checked: set[int] = set()
        self._encoders = {kind: encoder(kind, Settings()) for kind in DocumentKind}

    def run(self, first: int, count: int, randomness: random.Random) -> Outcomes:
        """Try headers with these numbers; return the outcomes."""
        outcomes = Outcomes()
        for number in range(first, first + count):
            self.try_one(spoil(number, randomness), outcomes)
        return outcomes

    def try_one(self, spoilt: Spoilt, outcomes: Outcomes) -> None:
        """Try one header, and count the outcome."""
        outcome, reason = self._outcome(lambda: self._draft(spoilt, outcomes))
        outcomes.add(spoilt.how, needless=spoilt.is_needless, outcome=outcome, reason=reason)

    def _outcome(self, draft: Callable[[], None]) -> tuple[str, str]:
        try:
            draft()
        except MustBeHeld as error:
            return HELD, str(error)
        except NotEligible as error:
            return SKIPPED, str(error)
        except EchoNodeError as error:
            return REFUSED, str(error)
        except Exception:  # noqa: BLE001 - any other exception is what this suite looks for
            return EXCEPTION, " | ".join(traceback.format_exc().splitlines()[-5:])
        return DRAFTED, ""

    def _draft(self, spoilt: Spoilt, outcomes: Outcomes) -> None:
        path = spoilt.write(self._folder / "spoilt.dcm")
        selection = self._selector.select([instance_from_file(path)])
        self._reader.read(selection.primary)
        uid = selection.primary.instance.identity.study_instance_uid
        draft = Draft(drafts.report(), selection, uid, 1, drafts.AT)
        known = hash((draft.attributes, selection.primary.view, selection.primary.is_orientation_stated))
        if known in self._checked:
            return
        self._checked.add(known)
        whole = replace(draft, study_instance_uid=uid)
        kinds = DocumentKind if len(self._checked) % _EVERY_FORM_OF == 0 else _MOST_USED
        for kind in kinds:
            self._check(kind, whole, spoilt, outcomes)

    def _check(self, kind: DocumentKind, draft: Draft, spoilt: Spoilt, outcomes: Outcomes) -> None:
        """Encode a form of a draft, and note what a validator finds wrong."""
        document = self._encoders[kind].encode(draft)
        outcomes.checked += 1
        if kind is DocumentKind.ORU_R01:
            faults = list(faults_of_message(document.content, draft))
        else:
            path = self._folder / "document.dcm"
            path.write_bytes(document.content)
            faults = errors_of(path)
        outcomes.faults += [f"{spoilt.how} {kind}: {fault}" for fault in faults]


def errors_of(path: Path) -> list[str]:
    """Return the errors of dciodvfy, except for UIDs that the node takes as they are."""
    found = [each for each in validators.dciodvfy_errors(path) if _UID not in each]
    return found if any(_SUMMARY not in each for each in found) else []


def faults_of_message(content: bytes, draft: Draft) -> list[str]:
    """Return the faults of a message: its segments, or the numbers of its orders."""
    subject, faults = draft.subject, []
    segments = parsed(content)
    if any(ord(each) < 32 and each != "\r" for each in content.decode()):
        faults.append("a control character")
    names = [name for name, _ in segments]
    if set(names) != {"MSH", "SFT", "PID", "OBR", "OBX"} or names[0] != "MSH":
        faults.append("another segment")
    requests = [fields for name, fields in segments if name == "OBR"]
    for fields, order in zip(requests, subject.orders, strict=True):
        wanted = {
            2: order.placer_number,
            3: order.filler_number or order.accession_number,
            18: order.accession_number,
        }
        faults += [f"OBR-{each}" for each in wanted if unescaped(fields.get(each, "")) != wanted[each]]
    return faults
