"""Comparison of person names (PS3.5 6.2.1), which systems write in different ways.

The same name comes in capitals, without accents or with their transcription, with hyphens or
blanks, with given name and family name exchanged, without a middle name, with initials, or cut off
by an old modality. Such names agree. Words in different scripts cannot be compared.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, product
from typing import TypeAlias

_COMPONENT_GROUPS = 3
_FAMILY, _GIVEN, _MIDDLE = range(3)

_ALPHABETS = ("LATIN", "CYRILLIC", "GREEK")
"""Scripts whose words are abbreviated by their first letters."""
_WITH_MARKS = (*_ALPHABETS, "ARABIC", "HEBREW")
"""Scripts whose marks may be left out without making another name."""
_SYLLABLES = {"HIRAGANA": "KANA", "KATAKANA": "KANA", "KATAKANA-HIRAGANA": "KANA", "IDEOGRAPHIC": "CJK"}

_ONE_LETTER = str.maketrans(
    {
        "æ": "a", "ø": "o", "œ": "o", "ß": "s", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i",
        "ŋ": "ng", "ħ": "h", "ŧ": "t", "ə": "e", "ĸ": "k",
        "ى": "ي", "ی": "ي", "ک": "ك", "ة": "\u0647", "ـ": None,
    }
)  # fmt: skip
"""Letters that do not decompose into a letter and a mark."""

_TRANSCRIPTIONS = (
    (re.compile(r"([aou])e+"), r"\1"),  # ä, ö, ü, æ, ø, œ
    (re.compile(r"oh(?![aeiouy])|o[ou]+"), "o"),  # ō
    (re.compile(r"uu+"), "u"),  # ū
    (re.compile(r"aa+"), "a"),  # å
    (re.compile(r"s[sz]+"), "s"),  # ß
    (re.compile(r"dj"), "d"),  # đ
    (re.compile(r"ij"), "y"),  # ÿ
    (re.compile(r"^([ln])(?:v|yu)$"), r"\1u"),  # lü, nü
)
"""Letters that stand for one letter with a mark, and that letter."""

_IDEOGRAPHS = (
    "高髙 崎﨑嵜碕 斉齊齋斎齐 辺邊邉边 沢澤泽 浜濱濵滨 広廣广 桜櫻樱 国國 実實实 恵惠 徳德 "
    "瀬瀨濑 黒黑 真眞 富冨 竜龍龙 滝瀧 条條条 槙槇 弥彌 蔵藏 寿壽 栄榮荣 島嶋嶌岛 曽曾 渕淵渊 "
    "荘莊庄 群羣 学學 来來 児兒儿 豊豐 県縣 関關关 円圓圆 静靜 张張 刘劉 陈陳 杨楊 赵趙 黄黃 "
    "吴吳 孙孫 马馬 许許 邓鄧 冯馮 萧蕭 郑鄭 叶葉 苏蘇 吕呂 卢盧 蒋蔣 贾賈 韦韋 谭譚 邹鄒 "
    "陆陸 龚龔 赖賴 兰蘭 顾顧 万萬 钱錢 汤湯 贺賀 庞龐 颜顏 严嚴厳 温溫 鲁魯 聂聶 伟偉 丽麗 "
    "华華 东東 军軍 杰傑 强強 红紅 凤鳳 云雲 鹏鵬 飞飛 庆慶 贵貴 宝寶 铁鐵鉄 双雙 梁樑 晓曉暁 "
    "阳陽 芸藝艺 亜亞亚 沖冲 団團团 塩鹽盐 "
)
"""Ideographs and their variants: old, new and simplified forms of one character of names."""

_VARIANTS = {ord(each): group[0] for group in _IDEOGRAPHS.split() for each in group[1:]}
_SMALL_KANA = str.maketrans("ぁぃぅぇぉっゃゅょゎ", "あいうえおつやゆよわ", "ー")

_GENERATIONS = {"sr": 1, "senior": 1, "jr": 2, "junior": 2, "ii": 2, "iii": 3, "iv": 4}
_UNKNOWN = "?"
"""Character that systems write for a letter that they cannot represent."""

_LEAST_CUT_NAME, _LEAST_CUT_COMPONENT = 10, 8
"""Fewest letters of a name, and of a component, that an old modality may have cut off."""
_LEAST_MISTYPED, _LEAST_MISTYPED_TWICE = 6, 8
"""Fewest letters of a word with one typing error, and with two."""
_LEAST_CONSONANTS = 3
"""Fewest consonants by which a word is recognised in spite of other vowels."""
_SOUNDS = ((re.compile(r"[ae][iy]"), "ai"), (re.compile(r"ph"), "f"), (re.compile(r"ck?(?![ehiy])"), "k"))
_MOST_WORDS = 12


def comparable_group(group: str) -> str:
    """Return the words of a component group without case, separators and letter widths.

    Equal groups are the same name beyond doubt; names_agree finds names that can be the same.
    """
    folded = unicodedata.normalize("NFKC", group).casefold()
    return " ".join(re.split(r"[\^\s]+", folded)).strip()


Words: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Name:
    """The words of one script in one component group, without variations of spelling."""

    family: Words
    given: Words
    generations: frozenset[int]
    is_alphabetic: bool

    @classmethod
    def of(cls, components: Sequence[Words], script: str) -> _Name:
        """Return the name that these components form. Prefix and suffix are no names."""
        by_number = dict(enumerate(components))
        generations = {
            number for word in chain(*components) if (number := _GENERATIONS.get(word)) is not None
        }
        return cls(
            by_number.get(_FAMILY, ()),
            by_number.get(_GIVEN, ()) + by_number.get(_MIDDLE, ()),
            frozenset(generations),
            script in _ALPHABETS,
        )

    @property
    def words(self) -> Words:
        return self.family + self.given


def names_agree(one: str, other: str, *, is_same_person: bool = False) -> bool:
    """Return whether two values of VR PN can be the same name.

    An empty name, an absent component or component group, and words in another script agree with
    everything.

    Args:
        one: a name.
        other: another name.
        is_same_person: whether everything else says that it is one person. Then typing errors,
            other romanisations, and other ideographs of the same sound make no other name.
    """
    mine, theirs = _by_script(one), _by_script(other)
    scripts = mine.keys() & theirs.keys()
    agreeing = (
        any(_agree(*pair, with_errors=is_same_person) for pair in product(mine[script], theirs[script]))
        for script in scripts
    )
    return not scripts or (any(agreeing) if is_same_person else all(agreeing))


def _agree(one: _Name, other: _Name, *, with_errors: bool) -> bool:
    if one.generations and other.generations and not one.generations & other.generations:
        return False
    rules = _Matching(one.is_alphabetic, _LEAST_CUT_NAME, has_errors=with_errors)
    if rules.either_way(one.words, other.words):
        return True
    in_family = replace(rules, least_cut=_LEAST_CUT_COMPONENT, has_initials=False)
    in_given = replace(rules, least_cut=_LEAST_CUT_COMPONENT, needs_a_word=False)
    return in_family.either_way(one.family, other.family) and in_given.either_way(one.given, other.given)


@dataclass(frozen=True, slots=True)
class _Matching:
    """Rules by which words of one name are found in another.

    Attributes:
        is_alphabetic: whether a word may be an initial, or cut off.
        least_cut: fewest letters of the words together if the last one may be cut off.
        has_initials: whether one letter stands for a word.
        needs_a_word: whether more than initials must be found.
        has_errors: whether a word may be mistyped, or written as it sounds.
    """

    is_alphabetic: bool
    least_cut: int
    has_initials: bool = True
    needs_a_word: bool = True
    has_errors: bool = False

    def either_way(self, one: Words, other: Words) -> bool:
        """Return whether all words of one are found in the other; true if one has no words."""
        return not one or not other or self._found(one, other) or self._found(other, one)

    def _found(self, words: Words, among: Words) -> bool:
        """Return whether each of *words* is another one *among* those, in whatever order."""
        if max(len(words), len(among)) > _MOST_WORDS:
            return "".join(sorted(words)) == "".join(sorted(among))
        may_be_cut = self.is_alphabetic and sum(map(len, words)) >= self.least_cut
        runs = [
            ("".join(among[first:last]), sum(1 << each for each in range(first, last)), last - first)
            for first in range(len(among))
            for last in range(first + 1, len(among) + 1)
        ]

        @cache
        def rest_found(index: int, used: int, is_word_found: bool) -> bool:
            if index == len(words):
                return is_word_found or not self.needs_a_word
            for run, places, length in runs:
                if used & places:
                    continue
                for end in range(index + 1, len(words) + 1 if length == 1 else index + 2):
                    word = "".join(words[index:end])
                    is_cut = may_be_cut and end == len(words) and run.startswith(word)
                    is_single = length == 1 and end == index + 1
                    is_word = _is_same_word(word, run) or (
                        self.has_errors and self.is_alphabetic and is_single and _is_similar(word, run)
                    )
                    if (is_word or is_cut) and rest_found(end, used | places, True):
                        return True
                if (
                    length == 1
                    and self._is_initial(words[index], run)
                    and rest_found(index + 1, used | places, is_word_found)
                ):
                    return True
            return False

        return rest_found(0, 0, False)

    def _is_initial(self, one: str, other: str) -> bool:
        if not self.is_alphabetic or not self.has_initials or min(len(one), len(other)) > 1:
            return False
        return one[0] == other[0]


def _is_same_word(one: str, other: str) -> bool:
    if one == other:
        return True
    return any(
        _UNKNOWN in pattern and re.fullmatch(re.escape(pattern).replace(re.escape(_UNKNOWN), ".{0,2}"), word)
        for pattern, word in ((one, other), (other, one))
    )


def _is_similar(one: str, other: str) -> bool:
    """Return whether two words sound alike, or differ by a typing error."""
    first, second = (_as_it_sounds(each) for each in (one, other))
    shorter = min(len(first), len(second))
    if first == second or not (first + second).isalpha():
        return first == second
    consonants = _consonants(first)
    if len(consonants) >= _LEAST_CONSONANTS and consonants == _consonants(second):
        return first[0] == second[0]
    possible = (shorter >= _LEAST_MISTYPED) + (shorter >= _LEAST_MISTYPED_TWICE)
    return _typing_errors(first, second) <= possible


def _as_it_sounds(word: str) -> str:
    for letters, sound in _SOUNDS:
        word = letters.sub(sound, word)
    return word


def _consonants(word: str) -> str:
    return re.sub(r"[aeiouy]|(.)(?=\1)", "", word)


def _typing_errors(one: str, other: str) -> int:
    """Return the number of letters that are missing, additional, wrong, or exchanged in pairs."""
    before_last: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        current = [row]
        for column, another in enumerate(other, 1):
            errors = min(last[column] + 1, current[-1] + 1, last[column - 1] + (letter != another))
            if row > 1 and column > 1 and one[row - 2] == another and letter == other[column - 2]:
                errors = min(errors, before_last[column - 2] + 1)
            current.append(errors)
        before_last, last = last, current
    return last[-1]


def _by_script(value: str) -> dict[str, list[_Name]]:
    """Return the words of a name by script: one entry for each component group that has some."""
    names: dict[str, list[_Name]] = {}
    for group in _plain(value).split("=")[:_COMPONENT_GROUPS]:
        components = [list(_words(component)) for component in group.split("^")]
        for script in dict.fromkeys(script for component in components for script, _ in component):
            of_script = [tuple(word for each, word in words if each == script) for words in components]
            names.setdefault(script, []).append(_Name.of(of_script, script))
    return names


def _plain(value: str) -> str:
    """Return a name in letters of one width and case."""
    return unicodedata.normalize("NFKC", value).casefold().replace("\ufffd", _UNKNOWN)


def _words(component: str) -> Iterator[tuple[str, str]]:
    """Yield the words of a component, each with its script, without variations of spelling."""
    letters = "".join(each if _is_letter(each) else " " for each in component)
    for word in letters.split():
        script = _script(word)
        if (folded := _folded(word, script)).strip(_UNKNOWN):
            yield script, folded


def _is_letter(character: str) -> bool:
    if unicodedata.name(character, "").startswith("MODIFIER"):  # apostrophes of transcriptions
        return False
    return character == _UNKNOWN or character.isalnum() or unicodedata.category(character).startswith("M")


def _script(word: str) -> str:
    """Return the script of a word. Ideographs with syllables count as ideographs."""
    first_words = [
        re.split(r"[ -](?!HIRAGANA)", unicodedata.name(each, ""))[0] for each in word if each.isalpha()
    ]
    scripts = [_SYLLABLES.get(each, each) for each in first_words]
    return "CJK" if "CJK" in scripts else scripts[0] if scripts else "LATIN"


def _folded(word: str, script: str) -> str:
    """Return a word without the variations with which its script is written."""
    if script in _WITH_MARKS:
        decomposed = unicodedata.normalize("NFD", word)
        word = "".join(each for each in decomposed if not unicodedata.combining(each))
    if script == "CJK":
        return word.translate(_VARIANTS)
    if script == "KANA":
        hiragana = (chr(ord(each) - 0x60) if "ァ" <= each <= "ヶ" else each for each in word)
        return "".join(hiragana).translate(_SMALL_KANA)
    word = word.translate(_ONE_LETTER)
    if script == "LATIN":
        for transcription, letter in _TRANSCRIPTIONS:
            word = transcription.sub(letter, word)
    return word
