import pytest

from echo_node.dicom.characters.terms import character_set
from echo_node.settings import CHARACTER_SETS, CODE_EXTENSIONS


@pytest.mark.parametrize("term", [*CHARACTER_SETS, *CODE_EXTENSIONS])
def test_every_term_that_may_be_configured_is_understood(term: str) -> None:
    meant = character_set([term])
    assert meant.is_defined
    assert meant.is_default == (term in {"ISO_IR 6", "ISO 2022 IR 6"})


@pytest.mark.parametrize(
    ("spelling", "term"),
    [
        *(
            (each, "ISO_IR 192")
            for each in ("ISO IR 192", "ISO_IR192", "iso_ir 192", "UTF-8", "utf8", "UTF 8")
        ),
        *(
            (each, "ISO_IR 100")
            for each in ("ISO-IR 100", "ISO_IR_100", "latin1", "ISO-8859-1", "ISO 8859-1")
        ),
        *((each, "GB18030") for each in ("GB 18030", "gb-18030", "gb2312")),
        ("ISO 2022 IR100", "ISO 2022 IR 100"),
        ("ISO 2020 IR 144", "ISO 2022 IR 144"),
        ("ISO_IR 87", "ISO 2022 IR 87"),
        ("ISO8859-5", "ISO_IR 144"),
    ],
)
def test_other_spellings_mean_a_term(spelling: str, term: str) -> None:
    found, meant = character_set([spelling]), character_set([term])
    assert (found.codec, found.registered) == (meant.codec, meant.registered)
    assert not found.is_defined


@pytest.mark.parametrize("term", ["IS", "ISO_IR", "ISO_IR 999", "hex", "ANSI", "?", "a\0b", "é", "utf_16"])
def test_what_means_no_character_set_is_none(term: str) -> None:
    assert character_set([term]).is_default
    assert not character_set([term]).is_defined


@pytest.mark.parametrize(
    ("terms", "registered", "is_defined"),
    [
        (["", "ISO 2022 IR 87"], (6, 87), True),
        (["ISO 2022 IR 13", "ISO 2022 IR 87", "ISO 2022 IR 159"], (13, 87, 159), True),
        (["ISO 2022 IR 6", "ISO 2022 IR 149", ""], (6, 149), True),
        (["ISO_IR 100", "ISO_IR 144"], (100, 144), False),
        (["ISO 2022 IR 6", "IS"], (6,), False),
    ],
)
def test_several_values_are_sets_with_code_extensions(
    terms: list[str], registered: tuple[int, ...], is_defined: bool
) -> None:
    meant = character_set(terms)
    assert (meant.registered, meant.is_defined) == (registered, is_defined)


def test_sets_without_code_extensions_are_not_combined() -> None:
    meant = character_set(["GB18030", "ISO IR 192"])
    assert (meant.codec, meant.others, meant.is_defined) == ("gb18030", ("utf_8",), False)


def test_empty_values_are_the_default_repertoire() -> None:
    for terms in ([], [""], ["", ""], [" \0"]):
        assert character_set(terms).is_default
        assert character_set(terms).is_defined
