"""Comparison with earlier images: a draft may state that they exist, never what they show.

The model reads one image. That an archive has an earlier one is a fact, and the draft states it. A
sentence such as "unchanged since the last study" is not a fact, and the draft marks it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from echo_node.domain.drafts.fixed_texts import ENGLISH, Words


@dataclass(frozen=True, slots=True)
class PriorStudy:
    """An earlier chest radiograph of the same patient.

    Attributes:
        study_instance_uid: its Study Instance UID, valid.
        study_date: its date, YYYYMMDD, valid.
        views: its frontal views, PA before AP, if the archive states them.
    """

    study_instance_uid: str
    study_date: str = field(repr=False)
    views: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of the search for a prior. No image of the prior was read.

    Attributes:
        archive: name of the archive, for a reader.
        within_years: length of the period searched, in years.
        prior: the newest earlier chest radiograph; None if none was found.
        undescribed: number of earlier radiographs of an unknown body part, newer than the prior.
        left_out: one reason for each earlier study under the same patient ID that may belong to
            another patient.
        obstacle: reason for which the search failed, for a reader; empty if it succeeded.
    """

    archive: str
    within_years: int
    prior: PriorStudy | None = None
    undescribed: int = 0
    left_out: tuple[str, ...] = ()
    obstacle: str = ""

    @property
    def outcome(self) -> str:
        """Outcome in one phrase, for the log."""
        if self.obstacle:
            return "not looked up"
        return "found" if self.prior else "none"

    def paragraphs(self, words: Words = ENGLISH) -> tuple[str, ...]:
        """Return the paragraphs of the draft about earlier studies."""
        return (self._of_the_prior(words), *self._of_others(words))

    def _of_the_prior(self, words: Words) -> str:
        if self.obstacle:
            return words.prior_unknown.format(archive=self.archive, obstacle=self.obstacle)
        if self.prior is None:
            none = words.prior_none_one if self.within_years == 1 else words.prior_none
            return none.format(archive=self.archive, years=self.within_years)
        day, views = self.prior.study_date, ", ".join(self.prior.views)
        return words.prior_found.format(
            archive=self.archive,
            date=f"{day[:4]}-{day[4:6]}-{day[6:]}",
            views=words.prior_views.format(views=views) if views else "",
            uid=self.prior.study_instance_uid,
        )

    def _of_others(self, words: Words) -> Iterator[str]:
        if self.undescribed:
            has = words.priors_undescribed_one if self.undescribed == 1 else words.priors_undescribed
            yield has.format(archive=self.archive, count=self.undescribed)
        for reason, count in Counter(self.left_out).items():
            left_out = words.priors_left_out_one if count == 1 else words.priors_left_out
            yield left_out.format(count=count, reason=reason)


_STUDIES = (
    "study|studies|exam(?:ination)?s?|radiographs?|films?|images?|imaging|x-?rays?|cxr|ct|scans?|reports?"
)
_ENGLISH = (
    "compared", "comparison", "unchanged", "unaltered", "stable", "stability", "interval", "previously",
    "again", "new", "newly", "no longer", "as before", "remains?", "persist(?:s|ed|ent|ing|ence)?",
    "re-?demonstrat(?:ed|ion)", "improv(?:ed|ing|ement)", "worsen(?:ed|ing)", "progress(?:ed|ing|ion|ive)",
    "resolv(?:ed|ing)", "resolution of", "since the (?:prior|previous|last|earlier)",
    r"no (?:\w+ )?change",
    r"(?:has|have) (?:\w+ )?(?:increased|decreased|developed|cleared|enlarged|grown|appeared)",
    rf"(?:prior|previous|earlier|last|older) (?:\w+ ){{0,3}}?(?:{_STUDIES})",
)  # fmt: skip
_OTHERS_WITH_SPACES = (
    # German
    "unverändert(?:e[rsnm]?)?", "im Vergleich", "verglichen", r"Vor(?:aufnahme|untersuchung|befund|bild)\w*",
    "neu aufgetreten(?:e[rsnm]?)?", "rückläufig(?:e[rsnm]?)?", "progredient(?:e[rsnm]?)?", "seit der letzten",
    # French
    r"inchangée?s?", "par rapport (?:à|au|aux)", r"comparée?s?", "comparaison",
    r"(?:examen|cliché|radiographie)s? (?:antérieur|précédent)e?s?", "aggravation", "amélioration",
    # Spanish
    "sin cambios", "estables?", "en comparación", r"comparad[oa]s?", "con respecto (?:a|al)",
    r"(?:estudio|radiografía|examen)s? (?:previ[oa]|anterior)(?:e?s)?", "empeoramiento", "mejoría",
    # Arabic
    "مقارنة", "بالمقارنة", "دون تغيير", "بدون تغيير", "بدون تغير", "لم يتغير", "مستقرة?",
)  # fmt: skip
_WITHOUT_SPACES = (
    # Chinese
    "较前", "较(?:上次|既往|之前)", "与(?:前|旧|既往|之前|上次|上一)", "同前", "前片", "旧片", "相比",
    "对比(?!剂|度)", "(?:未见|无)(?:明显|显著)?(?:变化|改变)", "新(?:发|出现|增)", "好转", "进展", "稳定",
    # Japanese
    "前回", "以前(?:と|の|より|に)", "比較(?!的)", "比べ", "不変", "著変", "変化(?:は|を)?(?:な[しい]|認め)",
    "新たに", "新出", "増悪", "改善",
)  # fmt: skip
_COMPARING = re.compile(
    rf"\b(?:{'|'.join((*_ENGLISH, *_OTHERS_WITH_SPACES))})\b|{'|'.join(_WITHOUT_SPACES)}", re.IGNORECASE
)


def speaks_of_comparison(sentence: str) -> bool:
    """Return whether the words of a sentence speak of a change or of an earlier study.

    It knows English, Chinese, Japanese, German, French, Spanish and Arabic. An ambiguous word
    counts:
    one mark too many costs a reader only a second look.
    """
    return _COMPARING.search(sentence) is not None
