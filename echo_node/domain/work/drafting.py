"""Drafting of one study revision: the state at its beginning, and its outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from echo_node.domain.drafts.draft import Unmade
from echo_node.domain.drafts.report import EncodedDocument, ModelIdentity
from echo_node.domain.studies.study import Selection, StoredInstance
from echo_node.domain.work.withdrawal import IdentityConflict, StandingDrafts


@dataclass(frozen=True, slots=True)
class OtherContent:
    """Other content under the SOP Instance UID of a stored instance, set aside and not resolved.

    Attributes:
        instance: the object that was set aside, with its own study and sender.
        kept: SOP Instance UID of the instance of the study that it contends with.
    """

    instance: StoredInstance
    kept: str


@dataclass(frozen=True, slots=True)
class StudySnapshot:
    """State of a study and its drafts when a drafting job begins.

    Attributes:
        instances: instances of the study, in order of arrival.
        standing: drafts that have not been withdrawn.
        drafted_selection: digest of the images that the latest standing draft was made from; None
            without such a draft.
        predecessors: last readable document of an earlier revision, by kind.
        set_aside: objects that contend with an instance of the study, in order of arrival.
    """

    instances: tuple[StoredInstance, ...]
    standing: StandingDrafts
    drafted_selection: str | None
    predecessors: Mapping[str, EncodedDocument] = field(repr=False)
    set_aside: tuple[OtherContent, ...] = ()


@dataclass(frozen=True, slots=True)
class NewDraft:
    """Outcome: a draft in its forms.

    Attributes:
        documents: the forms that could be made.
        selection: the images that it was made from.
        model: the model that wrote it.
        unmade: the forms that could not be made; None if every form was made.
    """

    documents: Sequence[EncodedDocument]
    selection: Selection
    model: ModelIdentity
    unmade: Unmade | None = None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Outcome: the earlier draft was made from the same images and remains valid."""


DraftOutcome: TypeAlias = NewDraft | Unchanged | IdentityConflict
"""Outcome of a drafting job; a conflict ends it without a draft, and withdraws earlier ones."""
