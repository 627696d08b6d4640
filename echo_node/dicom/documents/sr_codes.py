"""Coded concepts of a draft as code items of a Structured Report (PS3.3 8.8)."""

from __future__ import annotations

from highdicom.sr import CodedConcept

from echo_node import codes
from echo_node.domain.drafts.subject import Code


def concept(group: str, name: str) -> CodedConcept:
    """Return the concept *name* of *group* in sr_codes.toml.

    Raises:
        ConfigError: the file lacks it.
    """
    return _item(codes.code(group, name))


def language(tag: str) -> CodedConcept:
    """Return the code item of a language by its RFC 5646 tag."""
    return _item(codes.language_code(tag))


def _item(code: Code) -> CodedConcept:
    return CodedConcept(code.value, code.scheme, code.meaning)
