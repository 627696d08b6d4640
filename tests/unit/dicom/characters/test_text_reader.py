"""Texts as they are stated, as they can only be, and texts that cannot be read."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from echo_node.dicom.characters.terms import SINGLE_BYTE, character_set
from echo_node.dicom.characters.text_reader import Certainty, TextReader
from echo_node.settings import CHARACTER_SETS, CODE_EXTENSIONS

AS_STATED, REPAIRED, UNREADABLE = Certainty.AS_STATED, Certainty.REPAIRED, Certainty.UNREADABLE


def reader(terms: str, of_sender: str = "") -> TextReader:
    sender = character_set([of_sender]) if of_sender else None
    return TextReader(character_set(terms.split("\\")), sender)


def name(terms: str, value: bytes, of_sender: str = "") -> tuple[str, Certainty]:
    read = reader(terms, of_sender).name(value)
    return read.text, read.certainty


_NAMES = {
    "ISO_IR 100": "Buc^Jérôme^^Dr.^Größe",
    "ISO_IR 101": "Dvořák^Łukasz",
    "ISO_IR 109": "Ċensu^Ħamrun",
    "ISO_IR 110": "Bērziņš^Jānis",
    "ISO_IR 126": "Διονυσιος^Νίκος",
    "ISO_IR 127": "قباني^لنزار",
    "ISO_IR 138": "שרון^דבורה",
    "ISO_IR 144": "Люксембург^Роза",
    "ISO_IR 148": "Çavuşoğlu^Gülşen",
    "ISO_IR 166": "นามสกุล^ชื่อ",
    "ISO_IR 203": "Šimon^Œuvre",
}


@pytest.mark.parametrize("term", _NAMES)
def test_single_byte_sets(term: str) -> None:
    number = int(term.removeprefix("ISO_IR "))
    encoded = _NAMES[term].encode(SINGLE_BYTE[number])
    assert name(term, encoded) == (_NAMES[term], AS_STATED)
    assert name(f"ISO 2022 IR {number}", encoded) == (_NAMES[term], AS_STATED)
    assert name("", encoded, term)[0] in {_NAMES[term], ""}


def test_each_single_byte_set_has_a_name() -> None:
    assert {int(term.removeprefix("ISO_IR ")) for term in _NAMES} == set(SINGLE_BYTE)


_HONG = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
_YAMADA = (
    b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
)


@pytest.mark.parametrize(
    ("terms", "encoded", "text"),
    [
        # PS3.5 H.3.1, H.3.2, I.2, J.1, J.3, K.1
        ("\\ISO 2022 IR 87", _YAMADA[0], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", _YAMADA[1], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        ("\\ISO 2022 IR 149", _HONG, "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小東".encode(), "Wang^XiaoDong=王^小東"),
        ("GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
        ("\\ISO 2022 IR 58", b"Zhang=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=", "Zhang=张^小东="),
        ("ISO 2022 IR 100\\ISO 2022 IR 149", b"\xe7^\x1b$)C\xa4\xba^\xe7", "ç^ㅊ^ç"),
        ("ISO 2022 IR 6\\ISO 2022 IR 100\\ISO 2022 IR 144", b"\x1b-AB\xfcc^\x1b-L\xbb\xee\xda", "Büc^Люк"),
        ("\\ISO 2022 IR 87\\ISO 2022 IR 159", b"=\x1b$(D\x30\x21\x1b(B^\x1b$B@b\x1b(B ", "=丂^説"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift_jis"), "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("GBK", "朱^镕基".encode("gbk"), "朱^镕基"),
        # characters that contain the bytes of the delimiters
        ("GB18030", "洪^乗乚\U00020000".encode("gb18030"), "洪^乗乚\U00020000"),
        ("ISO_IR 192", "Đỗ^Văn Ấu".encode(), "Đỗ^Văn Ấu"),
    ],
)  # fmt: skip
def test_multi_byte_sets_and_code_extensions(terms: str, encoded: bytes, text: str) -> None:
    assert name(terms, encoded) == (text, AS_STATED)


_MUELLER, _UMLAUTS = "Müller^Jörg".encode(), "Müller^Jörg".encode("latin-1")


@pytest.mark.parametrize(
    ("terms", "encoded", "text"),
    [
        # UTF-8 under another set or none; twice; with a byte order mark
        *((each, _MUELLER, "Müller^Jörg") for each in ("", "ISO_IR 100", "ISO_IR 144", "GB18030", "?")),
        ("UTF-8", _MUELLER, "Müller^Jörg"),
        ("ISO_IR 100", "张^三".encode(), "张^三"),
        ("GB18030", "张^三".encode(), "张^三"),
        ("ISO_IR 13", "山田^太郎".encode(), "山田^太郎"),
        ("", "Петров^Пётр".encode(), "Петров^Пётр"),
        ("ISO_IR 192", "Müller^Jörg".encode().decode("latin-1").encode(), "Müller^Jörg"),
        ("ISO_IR 192", "\ufeffMüller".encode(), "Müller"),
        # accented letters that all Latin sets have in one place
        *((terms, _UMLAUTS, "Müller^Jörg") for terms in ("", "ISO_IR 192", "GB18030", "ISO 2022 IR 6\\IS")),
        ("", "MÜLLER^JÖRG".encode("latin-1"), "MÜLLER^JÖRG"),
        # misspelt, and combined although they may not be
        ("ISO IR 192", _MUELLER, "Müller^Jörg"),
        ("GB18030\\ISO IR 192", "张^三".encode("gb18030"), "张^三"),
        ("GB18030\\ISO IR 192", "张^三".encode(), "张^三"),
        ("ISO_IR 100\\ISO_IR 144", "Роза".encode("iso8859_5"), "Роза"),
        ("latin1", _UMLAUTS, "Müller^Jörg"),
        ("windows-1251", "Петров".encode("cp1251"), "Петров"),
        # Shift-JIS under its half
        ("ISO_IR 13", "山田^ソ".encode("shift_jis"), "山田^ソ"),
        # missing escape sequences
        ("\\ISO 2022 IR 87", b"=\x1b$B;3ED^\x1b$BB@O:=\x1b$B$d$^$@^\x1b$B$?$m$&", "=山田^太郎=やまだ^たろう"),
        ("\\ISO 2022 IR 87", b"A=\x1b$B;3ED^B@O:", "A=山田^太郎"),
        ("\\ISO 2022 IR 149", _HONG.replace(b"^\x1b$)C", b"^"), "Hong^Gildong=洪^吉洞=홍^길동"),
        ("\\ISO 2022 IR 149", b"=\xfb\xf3^\xd1\xce\xd4\xd7", "=洪^吉洞"),
        # escape sequences of sets that are not stated
        ("", _YAMADA[0], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO_IR 100", _HONG, "Hong^Gildong=洪^吉洞=홍^길동"),
    ],
)  # fmt: skip
def test_a_name_is_read_as_what_it_can_only_be(terms: str, encoded: bytes, text: str) -> None:
    assert name(terms, encoded) == (text, REPAIRED)


def test_only_characters_that_matter_are_remarked() -> None:
    assert name("UTF-8", b"Doe^Jane") == ("Doe^Jane", AS_STATED)


@pytest.mark.parametrize("terms", ["", "ISO_IR 100", "ISO_IR 192", "IS"])
@pytest.mark.parametrize(
    "encoded",
    [
        "张^三".encode("gbk"),
        "谢^伟".encode("gbk"),  # the bytes are valid UTF-8: лΰ
        "山田^太郎".encode("shift_jis"),
        "홍^길동".encode("euc_kr"),
        "张^三".encode("big5", "ignore") + b"\xb1i",
        "Петров^Пётр".encode("cp1251"),
        "Петров^Пётр".encode("koi8_r"),
        b"Ren\x82",  # é of an old code page
        "M\ufffdller".encode(),
        b"\x1b$@;3ED\x1b(B",
    ],
)
def test_what_is_not_certain_is_not_guessed(terms: str, encoded: bytes) -> None:
    assert name(terms, b"Zhang^San=" + encoded) == ("Zhang^San", UNREADABLE)


@pytest.mark.parametrize(
    ("terms", "encoded"),
    [
        ("ISO_IR 144", "Петров^Иван".encode("cp1251")),
        ("ISO_IR 144", "张^三".encode("gbk")),
        ("ISO_IR 138", "张^三".encode("gbk")),
        ("ISO_IR 166", "张^三".encode("gbk")),
        ("", b"Doe^Jane\0\0RUBBISH"),
        ("GB18030", "\ue000".encode("gb18030")),  # a private character
        ("ISO_IR 192", "Müller".encode()[:2]),
    ],
)
def test_other_names_that_cannot_be_what_they_state(terms: str, encoded: bytes) -> None:
    assert name(terms, encoded) == ("", UNREADABLE)


def test_the_set_of_the_sender_replaces_one_that_is_wrong() -> None:
    assert name("ISO_IR 100", "张^三".encode("gbk"), "GB18030") == ("张^三", REPAIRED)
    assert name("ISO_IR 100", _UMLAUTS, "GB18030") == ("Müller^Jörg", AS_STATED)


@pytest.mark.parametrize("stray", [b"\x07", b"\x1b", b"\x7f"])
def test_a_stray_control_character_is_no_part_of_a_name(stray: bytes) -> None:
    assert name("", b"Doe^J" + stray + b"ane") == ("Doe^Jane", REPAIRED)
    assert name("GB18030", "张^三".encode("gbk") + stray) == ("张^三", REPAIRED)


def test_spaces_in_names() -> None:
    assert name("", b"Doe \t^Jane\r\n \0") == ("Doe  ^Jane ", AS_STATED)


def text(terms: str, value: bytes, *, has_lines: bool = False) -> tuple[str, Certainty]:
    read = reader(terms).text(value, has_lines=has_lines)
    return read.text, read.certainty


def test_of_other_texts_only_the_words_are_dropped_that_cannot_be_read() -> None:
    assert text("", b"CHEST \xd0\xd8\xb2\xbf PA\\x") == ("CHEST  PA\\x", UNREADABLE)
    assert text("ISO_IR 192", "胸部正位片".encode()[:-1]) == ("胸部正位", UNREADABLE)
    assert text("ISO_IR 100", b"37\xb0 R\xf6ntgen 2\xbd") == ("37° Röntgen 2½", AS_STATED)
    assert text("ISO_IR 100", "¿Qué? «Été»".encode("latin-1")) == ("¿Qué? «Été»", AS_STATED)


def test_control_characters_of_other_texts_are_dropped() -> None:
    assert text("", b"a\x01b\tc\r\nd") == ("ab c d", AS_STATED)
    assert text("", b"a\x01b\nc", has_lines=True) == ("ab\r\nc", AS_STATED)


_TERMS = st.one_of(
    st.sampled_from([*CHARACTER_SETS, *CODE_EXTENSIONS, "", "IS", "UTF-8"]),
    st.lists(st.sampled_from([*CODE_EXTENSIONS, "", "GB18030"]), min_size=2, max_size=4).map("\\".join),
)
_ESCAPES = st.sampled_from(
    [b"\x1b$B", b"\x1b(B", b"\x1b(J", b"\x1b)I", b"\x1b$)C", b"\x1b-A", b"\x1b", b"^", b"="]
)
_BYTES = st.one_of(
    st.binary(max_size=40),
    st.lists(st.one_of(_ESCAPES, st.binary(max_size=6)), max_size=8).map(b"".join),
    st.tuples(st.text(max_size=12), st.sampled_from(["utf_8", "gb18030", "cp932", "cp949", "latin_1"])).map(
        lambda each: each[0].encode(each[1], "ignore")
    ),
)


@given(_TERMS, _BYTES, _TERMS)
@example("ISO_IR 192", "\u2028".encode(), "")
@example("ISO 2022 IR 87", b"\x1b$B\x5e\x5e\x5e", "")
def test_no_bytes_are_an_exception_or_a_control_character(terms: str, value: bytes, of_sender: str) -> None:
    sender = character_set(of_sender.split("\\"))
    read = TextReader(character_set(terms.split("\\")), sender)
    for found in (read.name(value), read.text(value), TextReader(sender, None, has_utf_8=True).name(value)):
        unwritten = {each for each in found.text if unicodedata.category(each) in {"Cc", "Cs", "Co", "Cn"}}
        assert not unwritten
        assert "\ufffd" not in found.text
    lines = read.text(value, has_lines=True).text
    assert not {each for each in lines if unicodedata.category(each) == "Cc"} - set("\r\n\t")


@given(st.sampled_from(sorted(_NAMES)), st.text(st.characters(categories=["L"]), min_size=2, max_size=8))
def test_what_a_set_can_encode_is_read_or_dropped_but_never_replaced(term: str, word: str) -> None:
    encoded = word.encode(SINGLE_BYTE[int(term.removeprefix("ISO_IR "))], "ignore")
    stated = encoded.decode(SINGLE_BYTE[int(term.removeprefix("ISO_IR "))])
    found, certainty = name(term, encoded)
    assert found in {stated, ""} or certainty is REPAIRED
