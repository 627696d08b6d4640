"""Names that can be the same agree, however they are written, and other names do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_node.domain.studies.person_name import names_agree

SAME = [
    ("Müller^Hans", "MUELLER^HANS"),
    ("Müller^Hans", "Muller^Hans"),
    ("Müller^Hans", "Hans Mueller"),
    ("Müller^Hans", "MÜLLER, HANS"),
    ("Müller^Hans", "M?ller^Hans"),
    ("Groß^Zoë", "GROSS^ZOE"),
    ("Sørensen^Åse", "Soerensen^Aase"),
    ("Sørensen^Åse", "Sorensen^Ase"),
    ("Đorđević^Łukasz", "Djordjevic^Lukasz"),
    ("Işık^İnci", "ISIK^INCI"),
    ("Nguyễn^Văn Đức", "NGUYEN^VAN DUC"),
    ("O'Brien^Seán", "OBRIEN^SEAN"),
    ("O\N{RIGHT SINGLE QUOTATION MARK}Brien^Seán", "O Brien^Sean"),
    ("Van der Meer^Jan", "VANDERMEER^JAN"),
    ("Van der Meer^Jan", "Meer^Jan van der"),
    ("Dubois-Lefèvre^Anne-Marie", "DUBOIS LEFEVRE^ANNEMARIE"),
    ("Smith^John^Adam", "Smith^John"),
    ("Smith^John^Adam", "SMITH^JOHN^A"),
    ("Smith^John", "Smith^J"),
    ("Smith^John^^Dr^PhD", "Smith^John^^^"),
    ("Smith^John^^^Jr", "Smith^John"),
    ("Smith^John^^^Jr", "Smith^John^^^II"),
    ("Smith^John", "Smith"),
    ("Smith^John", "^^^^"),
    ("Lindemann-Hoffmeister^Josephine", "LINDEMANN-HOFFME"),
    ("Papadopoulos^Konstantinos", "PAPADOPOULOS^KON"),
    ("Suzuki^Kouji=鈴木^浩二=すずき^こうじ", "Suzuki^Kōji"),
    ("Suzuki^Kouji=鈴木^浩二=すずき^こうじ", "鈴木^浩二"),
    ("Suzuki^Kouji=鈴木^浩二=すずき^こうじ", "ｽｽﾞｷ^ｺｳｼﾞ"),
    ("Suzuki^Kouji=鈴木^浩二", "Suzuki^Kouji"),
    ("鈴木^浩二", "Suzuki^Kouji"),
    ("斎藤^恵", "齋藤^惠"),
    ("陈^丽华", "陳^麗華"),
    ("陈^丽华", "陈丽华"),
    ("Chen^LiHua", "CHEN^LI HUA"),
    ("Lü^Wei", "LV^WEI"),
    ("Park^Jisoo=朴^智秀=박^지수", "박지수"),
    ("Соловьёв^Пётр^Ильич", "СОЛОВЬЕВ^ПЕТР^И"),
    ("Νικολάου^Ελένη", "ΝΙΚΟΛΑΟΥ^ΕΛΕΝΗ"),
    ("إبراهيم^أحمد", "ابراهيم^احمد"),
]

OTHER = [
    ("Smith^John", "Smith^Jane"),
    ("Smith^John", "Jones^John"),
    ("Smith^John^Adam", "Smith^John^Brian"),
    ("Smith^John^^^Jr", "Smith^John^^^Sr"),
    ("Smith^K", "Smith^John"),
    ("J^S", "Smith^John"),
    ("Müller^Hans", "Möller^Hans"),
    ("Schmidt^Eva", "Schmitt^Eva"),
    ("Li^Wei", "Lin^Wei"),
    ("王^伟", "王^威"),
    ("王^小", "王^小明"),
    ("Suzuki^Kouji=鈴木^浩二", "Suzuki^Kouji=鈴木^孝治"),
    ("김^민수", "김^민호"),
    ("Иванов^Пётр", "Иванов^Павел"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_name_agree(one: str, other: str) -> None:
    assert names_agree(one, other)
    assert names_agree(other, one)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_other_names_do_not(one: str, other: str) -> None:
    assert not names_agree(one, other)
    assert not names_agree(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Robertson^Marc", "ROBERSTON^MARK"),
        ("Stephens^Anna", "STEVENS^ANNA"),
        ("Maier^Franz", "MEYER^FRANZ"),
        ("Al Khatib^Mohamed", "AL-KHATEEB^MUHAMMAD"),
        ("Zhao^Min=赵^敏", "ZHAO^MIN=赵^民"),
    ],
)
def test_names_of_one_person_may_be_mistyped(one: str, other: str) -> None:
    for pair in ((one, other), (other, one)):
        assert names_agree(*pair, is_same_person=True)
        assert not names_agree(*pair)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Smith^John", "Jones^John"),
        ("Schuster^Anna", "Schuster^Anja"),
        ("Keller^Lena", "Keller^Lina"),
        ("Keller^Girl 1", "Keller^Girl 2"),
        ("Keller^Boy A", "Keller^Boy B"),
        ("赵^敏", "赵^民"),
    ],
)
def test_other_names_are_no_typing_errors(one: str, other: str) -> None:
    assert not names_agree(one, other, is_same_person=True)
    assert not names_agree(other, one, is_same_person=True)


_LETTERS = "abehimnorstuyzäöüßåøæéèñçłđğışńžő" + "иетлрёй" + "山田太郎一" + "やまだガ"
_WORD = st.text(_LETTERS, min_size=1, max_size=8)
_WORDS = st.lists(_WORD, max_size=2).map(" ".join)
_GROUP = st.lists(_WORDS, max_size=5).map("^".join)
_NAME = st.lists(_GROUP, max_size=3).map("=".join)
_ANYTHING = st.text(max_size=30)


@given(_NAME | _ANYTHING, _NAME | _ANYTHING)
def test_agreement_is_mutual(one: str, other: str) -> None:
    assert names_agree(one, other) == names_agree(other, one)
    of_one_person = names_agree(one, other, is_same_person=True)
    assert of_one_person == names_agree(other, one, is_same_person=True)
    assert of_one_person or not names_agree(one, other)


@given(_NAME | _ANYTHING)
def test_a_name_agrees_with_itself_and_with_none(name: str) -> None:
    assert names_agree(name, name)
    assert names_agree(name, "")
    assert names_agree(name, "^^=^")


_SYLLABLE = st.builds(
    "{}{}{}".format,
    st.sampled_from("bfghklmnprtv"),
    st.sampled_from("aeiouäöüåøæéèő"),
    st.sampled_from("nrtñßłž"),
)
_LATIN_WORD = st.lists(_SYLLABLE, min_size=1, max_size=3).map("".join)
_TRANSCRIBED = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "å": "aa", "ø": "oe", "æ": "ae", "đ": "dj"}
    | {"é": "e", "è": "e", "ñ": "n", "ç": "c", "ł": "l", "ž": "z", "ő": "oe"}
)
_PLAIN = str.maketrans("äöüßåøæđéèñçłžő", "aousaoadeenclzo")


@given(
    st.lists(_LATIN_WORD, min_size=2, max_size=4),
    st.sampled_from([_TRANSCRIBED, _PLAIN, {}]),
    st.booleans(),
    st.sampled_from([" ", "-", "^", "  ", ", "]),
)
def test_case_accents_and_separators_do_not_matter(
    words: list[str], letters: dict[int, str | int], is_upper: bool, separator: str
) -> None:
    written = separator.join(words).translate(letters)
    name = f"{words[0]}^{' '.join(words[1:])}"
    assert names_agree(name, written.upper() if is_upper else written)


@given(st.lists(_LATIN_WORD, min_size=2, max_size=4), st.data())
def test_what_is_absent_does_not_matter(words: list[str], data: st.DataObject) -> None:
    left_out = data.draw(st.integers(1, len(words) - 1))
    name = f"{words[0]}^{' '.join(words[1:])}"
    assert names_agree(name, f"{words[0]}^{' '.join(words[1:][: left_out - 1])}")
    assert names_agree(name, f"{name}^^Dr.^MD")


@given(
    st.text("bcdfghklmnprtvwxz", min_size=3, max_size=7), st.text("bcdfghklmnprtvwxz", min_size=3, max_size=7)
)
def test_another_given_name_is_another_patient(one: str, other: str) -> None:
    starts_alike = one.startswith(other) or other.startswith(one)
    assert starts_alike or not names_agree(f"Quax^{one}", f"Quax^{other}")
