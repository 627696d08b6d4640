"""Report normalisation by rules: the author's sentences ordered by region, every region explicit.

Every sentence stays as its author wrote it. A region that no sentence of the findings names gets
the sentences of the impression about it, or else a fixed normal sentence, unless the report
contradicts it.
"""

from __future__ import annotations

from echo_node.report_text.labeller import is_abnormal, positives, sentences
from echo_node.report_text.phrases import SUPPORT_DEVICES
from training.datasets.normalisation.faithful import difference
from training.datasets.normalisation.regions import REGIONS, Region


def by_rules(findings: str, impression: str) -> str:
    """Return the findings with every region explicit, in the order of REGIONS.

    Sentences about no region come last. A text that is already normalised does not change. Findings
    that cannot be normalised without a change of meaning are returned unchanged.
    """
    written = sentences(findings)
    by_region: dict[str, list[str]] = {region.name: [] for region in REGIONS}
    others: list[str] = []
    for sentence in written:
        region = region_of(sentence)
        (others if region is None else by_region[region.name]).append(sentence)
    concluded = [sentence for sentence in sentences(impression) if _is_a_finding(sentence)]
    stated = positives(f"{findings} {impression}")
    for region in silent_regions(findings):
        about = [sentence for sentence in concluded if region_of(sentence) is region]
        if about:
            by_region[region.name] += about
        elif not region.classes & stated and not any(region.words.search(each) for each in concluded):
            by_region[region.name].append(region.normal)
    ordered = [sentence for region in REGIONS for sentence in by_region[region.name]]
    text = " ".join(_closed(sentence) for sentence in (*ordered, *others))
    return findings if difference(findings, impression, text) else text


def silent_regions(text: str) -> list[Region]:
    """Return the regions that no sentence of a text names."""
    return [region for region in REGIONS if not region.words.search(text)]


def region_of(sentence: str) -> Region | None:
    """Return the region that a sentence names first; None if it names none."""
    named = [(match.start(), region) for region in REGIONS if (match := region.words.search(sentence))]
    return min(named, key=lambda pair: pair[0])[1] if named else None


def _is_a_finding(sentence: str) -> bool:
    return is_abnormal(sentence) or SUPPORT_DEVICES in positives(sentence)


def _closed(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
