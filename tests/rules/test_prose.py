"""The check of prose reads prose only, finds the line of a word, and fails for failures only."""

from pathlib import Path

import pytest
from rules import prose


def hits(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    return [str(hit).removeprefix(f"{path}:") for hit in prose.check(path)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"""What it is."""\n', ["1: What → a noun, or an imperative"]),
        ('"""State of it.\n\nIt starts\nonce  more.\n"""\n', ["4: once more → again"]),
        ("def f():\n    '''Say whether it is so.'''\n", ["2: Say whether → Return whether"]),
        ("class A:\n    x: int\n    '''How long.'''\n", ["3: How → a noun, or an imperative"]),
        ("# It is drafted\n# anew.\n", ["2: anew → again; from scratch"]),
        ("x = 1  # likewise\n", []),  # one word is a name as often as a text
        ("x = 1  # so likewise\n", ["1: likewise → also"]),
        ("raise E(f'{name} is spoilt')\n", ["1: spoilt → malformed; corrupt"]),
        ("raise E(\n    'the file is '\n    'spoilt'\n)\n", ["3: spoilt → malformed; corrupt"]),
        ("log.info('spoilt')\nanew = whoever\n", []),
        ("# `anew` is a name\n", []),
        ("# whoever-else and anewly\n", []),
        ("x = f'{anew} is new'\n", []),
        ("# it stands here\n# it stands for it\n", ["1: ⚠ stands → is; is in"]),
        ("if x is None:  # it is None\n    pass\n", []),
        ("# " + "a" * 99 + "\n", ["1: 101 columns → at most 100"]),
        ("x = '" + "a " * 60 + "'\n", []),
        ("def f():\n    '''Do it.\n\n    Args:\n        n: how often.\n    '''\n",
         ["5: ⚠ how → a noun phrase with its unit"]),
    ],
)  # fmt: skip
def test_python(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert hits(tmp_path / "a.py", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Title\n\nIt is kept for\never.\n", ["3: for ever → forever; indefinitely"]),
        ("```sh\n# once more\n```\n\n    once more\n\n- once\n  more\n", ["7: once more → again"]),
        ("See [anew](https://anew.example/" + "a" * 90 + ").\n", ["1: anew → again; from scratch"]),
        ("| " + "a " * 60 + "|\n| by whoever |\n", ["2: whoever → anyone who; the operator"]),
        ("a " * 51 + "\n", ["1: 102 columns → at most 100"]),
        ("<!-- anew and anew -->\n", []),
        (">>>>>>> main\n", ["1: mark of a merge conflict → one of the two texts"]),
    ],
)
def test_pages(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert hits(tmp_path / "a.md", text) == expected


def test_comments_of_settings_and_makefiles(tmp_path: Path) -> None:
    settings = "# It goes\n# once\n# more.\nname = 'once more # anew'  # by whoever\n"
    assert hits(tmp_path / "a.toml", settings) == [
        "2: once more → again",
        "4: whoever → anyone who; the operator",
    ]
    makefile = "all: ## Make it anew\n\techo whoever\n"
    assert hits(tmp_path / "Makefile", makefile) == ["1: anew → again; from scratch"]


def test_only_failures_set_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "a.md"
    page.write_text("It stands here.\n", encoding="utf-8")
    assert prose.main([str(page)]) == 0
    assert "⚠ stands" in capsys.readouterr().out
    assert prose.main(["--failing", str(page)]) == 0
    assert capsys.readouterr().out == "0 to correct, 1 to look at (⚠)\n"
    page.write_text("It is spoilt.\n", encoding="utf-8")
    assert prose.main([str(page)]) == 1


def test_strings_of_report_texts_are_data() -> None:
    words = prose.word_list()
    path = prose.ROOT / "echo_node" / "domain" / "drafts" / "fixed_texts.py"
    assert path.relative_to(prose.ROOT).as_posix() in words.data
    literals = [each for each in prose.passages(path, path.read_text(encoding="utf-8")) if each.literal]
    assert literals
