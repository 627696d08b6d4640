"""The setting character_set: defined terms of Specific Character Set, for a peer or for all."""

import re

import pytest
from pydantic import ValidationError

from echo_node.settings import IntakeSettings, Peer, Settings


@pytest.mark.parametrize(
    ("value", "terms"),
    [
        ("ISO_IR 100", ("ISO_IR 100",)),
        (["GB18030"], ("GB18030",)),
        ("\\ISO 2022 IR 87", ("ISO 2022 IR 6", "ISO 2022 IR 87")),
        ("", ()),
    ],
)
def test_a_character_set_is_one_or_more_defined_terms(value: str | list[str], terms: tuple[str, ...]) -> None:
    peer = Peer.model_validate({"ae_title": "A", "character_set": value})
    settings = Settings(peers={"a": peer}, intake=IntakeSettings(character_set=("ISO_IR 192",)))
    assert settings.character_set_of("A") == (terms or ("ISO_IR 192",))
    assert settings.character_set_of("B") == ("ISO_IR 192",)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("ISO IR 192", "did you mean 'ISO_IR 192'?"),
        ("latin1", "such as 'ISO_IR 100'"),
        (["ISO_IR 100", "GB18030"], "allows no other character set"),
        (5, "tuple"),
    ],
)
def test_other_character_sets_are_errors(value: str | int | list[str], reason: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(reason)):
        Peer.model_validate({"ae_title": "A", "character_set": value})
