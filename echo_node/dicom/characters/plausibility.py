"""Texts that nobody writes: signs that bytes were decoded in another character set than theirs.

`is_readable`, `is_plain` and `is_in_one_script` hold for every text that people write. `is_latin`
and `proves_utf_8` hold only for texts that no other character set gives by chance.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

_WORD = re.compile(r"[A-Za-z\u0080-\U0010ffff]+")
_INSIDE_LATIN = re.compile(r"[a-z][^\x00-\u02ff]+[a-z]|[A-Za-z][\uff61-\uff9f][A-Za-z]")
"""East Asian characters that nobody writes between Latin letters."""
_UNWRITTEN = frozenset({"Cc", "Cs", "Co", "Cn"})
_SPACE = frozenset("\t\n\f\r")
_SYMBOLS = frozenset("¢£¤¥¦§¨©¬®¯±²³´µ¶¸¹¼½¾×÷")  # noqa: RUF001
"""Symbols of Latin-1 that do not touch accented letters."""
_EAST_ASIAN = frozenset({
    "CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "HALFWIDTH", "FULLWIDTH", "IDEOGRAPHIC",
    "BOPOMOFO",
})  # fmt: skip
_REPLACEMENT = "\ufffd".encode().decode("latin-1")
_SYMBOL = "SYMBOL"
_BY_FREQUENCY = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"
_CLEARLY = 5
_SAME_SHAPE = frozenset("aceijopsxyABCEHIJKMOPSTXY")
"""Latin letters that look like Cyrillic ones."""
_FINAL = frozenset("ךםןףץς")
"""Letters that only end a word."""
_MINIMUM_LETTERS = 4
_FIRST_OF_THREE_BYTES = 0x800


def is_readable(text: str) -> bool:
    """Return whether every character is assigned, public and no control character."""
    return all(
        unicodedata.category(each) not in _UNWRITTEN and each != "\ufffd"
        for each in text
        if each not in _SPACE
    )


def is_plain(text: str) -> bool:
    """Return whether no word mixes alphabets, or looks like bytes that were decoded one by one."""
    return _REPLACEMENT not in text and not any(_is_garbled(word) for word in _words(text))


def is_name(text: str) -> bool:
    """Return whether a plain text can be a name: without symbols, and in one alphabet."""
    alphabets = {_script(each) for word in _words(text) for each in word} - _EAST_ASIAN - {"LATIN", _SYMBOL}
    return is_plain(text) and len(alphabets) <= 1 and _SYMBOLS.isdisjoint(text.replace("´", ""))  # noqa: RUF001


def is_in_one_script(text: str) -> bool:
    """Return whether each word is in one script, in an order of cases that its writers use."""
    return all(_is_in_one_script(word) for word in _words(text))


def is_worded(text: str) -> bool:
    """Return whether the words are in one script each, and contain letters only."""
    scripts = [set(map(_script, word)) for word in _words(text)]
    return is_in_one_script(text) and not any(
        _SYMBOL in found or {"LATIN", "CYRILLIC"} <= found for found in scripts
    )


def is_latin(text: str) -> bool:
    """Return whether all letters that are not ASCII are Latin ones, in words with ASCII letters."""
    return is_worded(text) and all(
        set(map(_script, word)) == {"LATIN"} and any(map(str.isascii, word)) for word in _words(text)
    )


def is_likelier_russian(text: str, other: str) -> bool:
    """Return whether *text* has clearly more frequent letters of Russian than *other*."""
    return _mean_rank(text) + _CLEARLY < _mean_rank(other)


def proves_utf_8(text: str) -> bool:
    """Return whether a text that was decoded as UTF-8 can be in no other character set.

    Three bytes that are one character in UTF-8 are proof. Two are not: 谢伟 in GBK is лΰ in UTF-8.
    There a Latin word must contain ASCII letters too, and other words need several letters.
    """
    if not (is_readable(text) and is_plain(text) and is_in_one_script(text)):
        return False
    words = _words(text)
    if any(ord(each) >= _FIRST_OF_THREE_BYTES for word in words for each in word):
        return True
    scripts = [set(map(_script, word)) for word in words]
    has_ascii = [any(map(str.isascii, word)) for word in words]
    if any(found == {"LATIN"} and ascii_too for found, ascii_too in zip(scripts, has_ascii, strict=True)):
        return True
    return len({each for found in scripts for each in found}) == 1 and (
        sum(map(len, words)) >= _MINIMUM_LETTERS and "LATIN" not in scripts[0]
    )


def _words(text: str) -> list[str]:
    """Return the words of a text that contain other than ASCII letters."""
    return [] if text.isascii() else [each for each in _WORD.findall(text) if not each.isascii()]


def _is_garbled(word: str) -> bool:
    if len(set(map(_script, word)) - _EAST_ASIAN - {"LATIN", _SYMBOL}) > 1:
        return True
    others = [each for each in word if not each.isascii()]
    if len(others) == len(word) > 1 and all(ord(each) <= 0xFF for each in word):
        return True
    return any(
        (left in _SYMBOLS and _is_accented(right)) or (right in _SYMBOLS and _is_accented(left))
        for left, right in pairwise(word)
    )


def _mean_rank(text: str) -> float:
    """Return the mean rank of the letters in the order of their frequency in Russian."""
    ranks = [_BY_FREQUENCY.find(each) % len(_BY_FREQUENCY) for each in text.lower() if not each.isascii()]
    return sum(ranks) / max(1, len(ranks))


def _is_accented(character: str) -> bool:
    return not character.isascii() and ord(character) <= 0xFF and character.isalpha()


def _is_in_one_script(word: str) -> bool:
    scripts = set(map(_script, word)) - {_SYMBOL}
    if scripts == {"LATIN", "CYRILLIC"} and all(each in _SAME_SHAPE for each in word if each.isascii()):
        scripts = {"CYRILLIC"}  # typed on two keyboards
    if scripts <= _EAST_ASIAN:
        return True
    if scripts <= _EAST_ASIAN | {"LATIN"}:
        return _INSIDE_LATIN.search(word) is None
    if len(scripts) != 1 or unicodedata.category(word[0]).startswith("M"):
        return False
    if any(each in _FINAL for each in word[:-1]):
        return False
    return not any(
        left.islower() and right.isupper() and not (left.isascii() and right.isascii())
        for left, right in pairwise(word)
    )


def _script(character: str) -> str:
    """Return the script of a letter or mark; another word for other characters."""
    if character.isascii() and character.isalpha():
        return "LATIN"
    if unicodedata.category(character)[0] not in "LM" or character in "ªºµƒ":
        return _SYMBOL
    return unicodedata.name(character, "UNNAMED").partition(" ")[0]
