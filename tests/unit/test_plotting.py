"""Plots: the same data give the same bytes in every format, without a date or a download."""

import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from echo_node import plotting


def _figure() -> Figure:
    figure, (left, right) = plotting.new_figure(4, 2, columns=2)
    left.plot([0, 1], [1, 0], label="a line")
    right.scatter([0.5], [0.5])
    plotting.legend_right_of(left)
    return figure


@pytest.mark.parametrize("suffix", plotting.SUFFIXES)
def test_the_same_data_give_the_same_file(suffix: str, tmp_path: Path) -> None:
    one, other = (tmp_path / f"{name}{suffix}" for name in ("one", "other"))
    plotting.save(_figure(), one)
    plotting.save(_figure(), other)
    assert one.read_bytes() == other.read_bytes()
    assert b"CreationDate" not in one.read_bytes()
    assert b"dc:date" not in one.read_bytes()


def test_an_svg_for_a_page_is_one_element_with_a_title_and_text() -> None:
    svg = plotting.as_svg(_figure(), "A & B")
    assert svg == plotting.as_svg(_figure(), "A & B")
    assert svg.startswith('<svg role="img" ')
    assert svg.endswith("</svg>")
    assert "<title>A &amp; B</title>" in svg
    assert ">a line</text>" in svg


def test_a_missing_matplotlib_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plotting.is_installed()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert not plotting.is_installed()
