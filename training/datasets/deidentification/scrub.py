"""De-identification of report texts: names, dates and numbers become placeholders such as [DATE].

The first pass replaces what the header of the image contains (patient, staff, numbers, places). The
second pass replaces what looks like a name, a date or a number. In case of doubt, the rules remove
too much. No rule finds every name: see docs/how-to/build-data-sets.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from echo_node.dicom.deidentify import PatientIdentity

_SURE_LENGTH = 4
"""Names of at least this length match in any case of letters, shorter ones only as Li or LI."""

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_NAME_WORD = r"[A-Z][A-Za-z'\u2019-]+"
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("[EMAIL]", re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")),
    ("[URL]", re.compile(r"\bhttps?://\S+", re.IGNORECASE)),
    ("[ID]", re.compile(r"\b\d+(?:\.\d+){4,}\b")),
    (
        "[DATE]",
        re.compile(
            r"\b(?:19|20)\d\d[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01])\b"
            r"|\b(?:0?[1-9]|[12]\d|3[01])[-/.](?:0?[1-9]|[12]\d|3[01])[-/.](?:\d{4}|\d\d)\b"
            r"|\b(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\b"
            rf"|\b{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+(?:19|20)\d\d)?\b"
            rf"|\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:,?\s+(?:19|20)\d\d)?"
            rf"|\b{_MONTH},?\s+(?:19|20)\d\d\b"
            r"|(?:19|20)?\d\d\s*\u5e74\s*\d{1,2}\s*\u6708(?:\s*\d{1,2}\s*[\u65e5\u53f7])?"
            r"|\b\d{1,2}/\d{1,2}\b(?!\s*(?:cm|mm))|\b(?:19|20)\d\d\b(?!\s*(?:cm|mm|ml|x|\u00d7))",
            re.IGNORECASE,
        ),
    ),
    (
        "[TIME]",
        re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?(?:\s*[ap]\.?m\b\.?)?|\b\d{1,2}\s*[ap]\.?m\b\.?", re.IGNORECASE),
    ),
    ("[PHONE]", re.compile(r"(?<![\w.])\+?\(?\d{2,4}\)?[ -]\d{3,4}[ -]?\d{3,5}\b|\bx\d{4,5}\b")),
    (
        "[AGE]",
        re.compile(r"\b(?:9\d|1[0-4]\d)(?=[ -]*(?:years?|y/?o|yrs?)\b)|\b(?:9\d|1[0-4]\d)(?=\s*\u5c81)"),
    ),
    (
        "[ID]",
        re.compile(
            r"(?i:(?<=mrn)|(?<=accession)|(?<=acc)|(?<=id))(?:\s*(?:no|number|#))?\.?\s*[:#]?\s*(?=\w*\d)[\w-]{3,}"
            r"|\b(?=[A-Z-]*\d)[A-Z]{1,4}-?\d{5,}\b|\b\d{6,}\b"
        ),
    ),
    (
        "[NAME]",
        re.compile(
            rf"\b(?:Drs?|Prof|Mr|Mrs|Ms|Miss|Doctor|Professor|Nurse)\b\.?\s+(?:[A-Z]\.\s*)*{_NAME_WORD}"
            rf"(?:\s+(?:[A-Z]\.\s*)?{_NAME_WORD})?"
            rf"|(?<=by )(?:[A-Z]\.\s*)*{_NAME_WORD},?\s+(?:[A-Z]\.\s*)?{_NAME_WORD}"
            rf"|\b{_NAME_WORD},?\s+(?:[A-Z]\.\s*)?{_NAME_WORD},?\s+(?:M\.?D|D\.?O|R\.?N|P\.?A|N\.?P|MBBS|FRCR)\b\.?"
            r"|(?:(?<=\u533b\u5e08)|(?<=\u533b\u751f)|(?<=\u59d3\u540d)|(?<=\u60a3\u8005))\s*[:\uff1a]\s*[\u4e00-\u9fff\u00b7]{2,5}"
        ),
    ),
)


def scrub(text: str, identity: PatientIdentity) -> str:
    """Return *text* without people, dates and places, as far as header and patterns find them."""
    for placeholder, found in (
        ("[ID]", _exact(value for value in identity.identifiers if len(value) > 2)),
        ("[PLACE]", _exact(value for value in identity.places if len(value) > 2)),
        ("[NAME]", _names(identity.names)),
    ):
        if found is not None:
            text = found.sub(placeholder, text)
    for placeholder, pattern in _PATTERNS:
        text = pattern.sub(placeholder, text)
    return text


def _exact(values: Iterable[str]) -> re.Pattern[str] | None:
    """Return a pattern for whole values in any letter case, the longest first; None if empty."""
    ordered = sorted(values, key=lambda value: (-len(value), value))
    return _any_of([re.escape(value) for value in ordered], re.IGNORECASE)


def _names(words: Iterable[str]) -> re.Pattern[str] | None:
    parts = []
    for word in sorted(set(words), key=lambda word: (-len(word), word)):
        if not word.isascii():
            parts.append(rf"(?i:{re.escape(word)})" if len(word) > 1 else "")
        elif len(word) >= _SURE_LENGTH:
            parts.append(rf"(?i:{re.escape(word)})")
        elif len(word) > 1:
            parts.append(f"{re.escape(word.capitalize())}|{re.escape(word.upper())}")
    return _any_of([part for part in parts if part])


def _any_of(parts: list[str], flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str] | None:
    """Return a pattern for any of *parts* between word boundaries; None if there are no parts.

    Only ASCII letters and digits form words here, because Chinese has no spaces between words.
    """
    if not parts:
        return None
    return re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(parts)})(?![A-Za-z0-9])", flags)
