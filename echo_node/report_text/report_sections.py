"""Sections of a hospital's report, by its English or Chinese headings.

`draft_sections` reads the two headings that a model writes. Reports by radiologists have more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FINDINGS = (
    "findings",
    "finding",
    "description",
    "检查所见",
    "影像所见",
    "影像学所见",
    "影像学表现",
    "影像表现",
    "放射学表现",
    "所见",
)
_IMPRESSION = (
    "impression", "impressions", "conclusion", "conclusions", "opinion", "final impression",
    "诊断意见", "影像诊断", "影像学诊断", "诊断结论", "检查结论", "诊断印象", "印象", "结论", "意见",
)  # fmt: skip
_OTHER = (
    "indication", "indications", "history", "clinical history", "clinical information", "clinical indication",
    "reason for exam", "reason for examination",
    "comparison", "comparisons", "technique", "examination", "exam",
    "procedure", "views", "final report", "wet read", "recommendation", "recommendations", "notification",
    "addendum", "signed", "electronically signed by", "dictated by",
    "临床诊断", "临床资料", "病史", "检查方法", "检查技术", "检查项目", "检查部位",
    "报告医师", "审核医师", "建议",
)  # fmt: skip
_ROLES = {
    name: role
    for role, names in (("findings", _FINDINGS), ("impression", _IMPRESSION), ("", _OTHER))
    for name in names
}
_NAMES = "|".join(sorted(map(re.escape, _ROLES), key=len, reverse=True))
_HEADING = re.compile(
    rf"(?:^[ \t]*|(?<=[\s。.]))(?P<name>(?i:{_NAMES}))[ \t]*[:\uff1a]|^[ \t]*(?P<alone>(?i:{_NAMES}))[ \t]*$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class ReportSections:
    """Findings and impression of a report; a missing section is empty."""

    findings: str
    impression: str


def parse_report(text: str) -> ReportSections:
    """Return findings and impression of a report; both are empty if it has neither heading.

    A heading is a known name before a colon, or alone on a line. A name in lower case is part of a
    sentence and does not count.
    """
    headings = [match for match in _HEADING.finditer(text) if not _name(match)[0].islower()]
    found: dict[str, list[str]] = {"findings": [], "impression": [], "": []}
    ends = [*(match.start() for match in headings), len(text)]
    for match, end in zip(headings, ends[1:], strict=True):
        found[_ROLES[_name(match).casefold()]].append(" ".join(text[match.end() : end].split()))
    findings, impression = (
        " ".join(part for part in found[role] if part) for role in ("findings", "impression")
    )
    return ReportSections(findings, impression)


def section_of(heading: str) -> str:
    """Return `findings` or `impression` for a heading of that section; empty for other headings."""
    return _ROLES.get(heading.strip().casefold(), "")


def _name(match: re.Match[str]) -> str:
    return match["name"] or match["alone"]
