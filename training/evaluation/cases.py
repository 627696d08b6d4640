"""Evaluation cases: images and reference reports, and the judgement of drafts against them.

For phantoms, the whole truth is known. For reports of real studies, a labeller reads the findings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np

from echo_node.report_text.draft_sections import split_sections
from echo_node.report_text.garble import faults_of_sentence
from echo_node.report_text.words import words
from training.evaluation.drafting import PreparedImage
from training.evaluation.metrics.findings import Labels
from training.evaluation.vocabulary import vocabulary
from training.examples.examples import PhantomExamples
from training.phantom.dataset import PhantomDataset
from training.phantom.findings import Findings, Kind, labels
from training.phantom.language.grammar import write_report
from training.phantom.language.parser import is_true_finding, is_true_impression, parse_report, score

Verdict: TypeAlias = Literal["right", "wrong", "incoherent", "garbled", "unknown"]

_NORMAL_REPORT = (
    "Findings: The lungs are clear. There is no pleural effusion or pneumothorax. The heart is normal in "
    "size. No acute osseous abnormality is seen. Impression: No acute cardiopulmonary abnormality."
)


@dataclass(frozen=True, slots=True)
class MarkedSentence:
    """A sentence of a draft, with its verdict.

    Attributes:
        section: `findings`, `impression`, or `outside` (neither).
        text: the sentence.
        verdict: `wrong` means coherent but untrue; `unknown` means that the truth is not available.
    """

    section: str
    text: str
    verdict: Verdict


class Cases(Protocol):
    """Held-out studies.

    Attributes:
        name: name of the set, for the report.
        images: images in the input size of the model.
        references: reference reports as written.
        normalised: reference reports in the wording of training; None if there is only one wording.
        labels: labels of each reference.
        vocabulary: every word that a draft may use, in lower case.
        with_truth: whether coherence and facts can be measured.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see the attributes above
    @property
    def images(self) -> Sequence[PreparedImage]: ...  # noqa: D102
    @property
    def references(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def normalised(self) -> Sequence[str] | None: ...  # noqa: D102
    @property
    def labels(self) -> Sequence[Labels]: ...  # noqa: D102
    @property
    def vocabulary(self) -> frozenset[str]: ...  # noqa: D102
    @property
    def with_truth(self) -> bool: ...  # noqa: D102

    def labels_of(self, draft: str) -> Labels:
        """Return the labels of a draft."""
        ...

    def truth_of(self, drafts: Sequence[str]) -> dict[str, float | None]:
        """Return `coherent_sentences`, `facts` and `contradictions` per draft; None if unknown."""
        ...

    def mark(self, index: int, draft: str) -> list[MarkedSentence]:
        """Return the sentences of a draft of case *index*, with their verdicts."""
        ...

    def always_normal(self) -> list[str]:
        """Return a normal report for each case: the control that never looks at the image."""
        ...


class PhantomCases:
    """Phantom cases: every fact is known."""

    normalised = None
    with_truth = True

    def __init__(self, count: int, seed: int, side: int) -> None:
        """Render *count* phantoms of *side* pixels."""
        self.name = f"phantom:{count}"
        examples = PhantomExamples(PhantomDataset(count, seed, side))
        self.truths: Sequence[Findings] = examples.truths
        self.images: Sequence[PreparedImage] = list(examples.images(range(count)))
        self.references: Sequence[str] = [examples.report(index, 0) for index in range(count)]
        self.labels: Sequence[Labels] = [_stated(labels(truth)) for truth in self.truths]
        self.vocabulary = vocabulary()

    def labels_of(self, draft: str) -> Labels:
        """Return the labels that the coherent sentences of a draft's findings state."""
        return _stated(parse_report(draft).labels())

    def truth_of(self, drafts: Sequence[str]) -> dict[str, float | None]:
        """Return the shares of coherent sentences and right facts, and contradictions per draft."""
        scores = [score(draft, truth) for draft, truth in zip(drafts, self.truths, strict=True)]
        return {
            "coherent_sentences": sum(s.coherent for s in scores) / max(1, sum(s.sentences for s in scores)),
            "facts": sum(s.facts_right for s in scores) / sum(s.facts for s in scores),
            "contradictions": sum(s.contradictions for s in scores) / len(scores),
        }

    def mark(self, index: int, draft: str) -> list[MarkedSentence]:
        """Return the sentences of a draft, each marked right, wrong or incoherent."""
        truth, report = self.truths[index], parse_report(draft)
        marked = [MarkedSentence("outside", sentence.text, "incoherent") for sentence in report.outside]
        for section, sentences, is_true in (
            ("findings", report.findings, is_true_finding),
            ("impression", report.impression, is_true_impression),
        ):
            for sentence in sentences:
                right: Verdict = "right" if is_true(sentence.text, truth, report.language) else "wrong"
                verdict: Verdict = right if sentence.coherent else "incoherent"
                marked.append(MarkedSentence(section, sentence.text, verdict))
        return marked

    def always_normal(self) -> list[str]:
        """Return a normal report for each case, each with its own random wording."""
        normal = Findings.normal()
        return [write_report(normal, np.random.default_rng(i)).text for i in range(len(self.truths))]


def _stated(shown: Mapping[Kind, bool]) -> Labels:
    return {kind: "positive" if there else "negative" for kind, there in shown.items()}


class ReportCases:
    """Cases with free-text reports, whose labels the labeller reads."""

    with_truth = False

    def __init__(
        self,
        name: str,
        images: Sequence[PreparedImage],
        references: Sequence[str],
        normalised: Sequence[str] | None = None,
        labels: Sequence[Labels] | None = None,
    ) -> None:
        """Collect the studies.

        Args:
            name: name of the set, for the report.
            images: images in the input size of the model.
            references: reference reports as written.
            normalised: reference reports in the wording of training, if there are any.
            labels: labels of the references; if None, the labeller reads them from the texts.
        """
        from echo_node.report_text.labeller import label

        self.name, self.images = name, images
        self.references, self.normalised = references, normalised
        self._label = label
        self.labels: Sequence[Labels] = labels or [label(reference) for reference in references]
        self.vocabulary = frozenset(
            word for text in (*references, *(normalised or ()), _NORMAL_REPORT) for word in words(text)
        )

    def labels_of(self, draft: str) -> Labels:
        """Return the labels that the labeller reads in a draft."""
        return self._label(draft)

    def truth_of(self, drafts: Sequence[str]) -> dict[str, float | None]:
        """Return None for each metric, because measuring coherence and facts needs a grammar."""
        return dict.fromkeys(("coherent_sentences", "facts", "contradictions"))

    def mark(self, index: int, draft: str) -> list[MarkedSentence]:
        """Return the sentences of a draft, each marked garbled or unknown."""
        sections = split_sections(draft)
        return [
            MarkedSentence(
                section,
                span.text,
                "garbled" if any(faults_of_sentence(span.text, self.vocabulary).values()) else "unknown",
            )
            for section, spans in (("findings", sections.findings), ("impression", sections.impression))
            for span in spans
        ]

    def always_normal(self) -> list[str]:
        """Return the same normal report for every case."""
        return [_NORMAL_REPORT] * len(self.references)
