"""From token probabilities to a sentence's confidence."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.small_checkpoint import TEXTS
from transformers import AutoTokenizer

from echo_node.errors import CheckpointError
from echo_node.inference.confidence import FILE_NAME, Calibration, likelihoods
from echo_node.model.checkpoint import find_checkpoint
from echo_node.report_text.draft_sections import split_sections
from training.start.tokenizer import train_tokenizer

_CHINESE = "\u6240\u89c1\uff1a\u53cc\u80ba\u6e05\u6670\u3002\u5fc3\u810f\u6b63\u5e38\u3002"


@pytest.mark.parametrize("chinese", [False, True])
def test_each_sentence_gets_the_product_of_its_own_tokens(chinese: bool) -> None:
    text = (
        "\u6240\u89c1\uff1a\u53cc\u80ba\u6e05\u6670\u3002\u5fc3\u810f\u6b63\u5e38\u3002"
        if chinese
        else TEXTS[1]
    )
    tokenizer = (
        train_tokenizer(TEXTS, 320)
        if chinese
        else AutoTokenizer.from_pretrained(find_checkpoint("echo-demo"))
    )
    tokens = [tokenizer.pad_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
    sections = split_sections(text)
    spans = [*sections.findings, *sections.impression]
    for which, span in enumerate(spans):
        inside, at = [], 0
        for token in tokens:
            piece = tokenizer.convert_ids_to_tokens(token)
            width = 0 if token == tokenizer.pad_token_id else len(piece)
            first, last = (len(text[:offset].encode()) for offset in (span.start, span.end))
            inside.append(at < last and at + width > first and width > 0)
            at += width
        assert at == len(text.encode())
        found = likelihoods(spans, text, tokens, [0.5 if i else 1.0 for i in inside], tokenizer)
        assert found[which] == pytest.approx(0.5 ** sum(inside), rel=1e-6)
        apart = [f for i, f in enumerate(found) if i not in (which - 1, which, which + 1)]
        assert all(f == pytest.approx(1.0) for f in apart)


_CALIBRATION = Calibration((0.1, 0.5, 0.9), (0.2, 0.6, 1.0), "phantom:8, seed 1")


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_likelier_sentence_is_never_less_sure(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0.2 <= _CALIBRATION(low) <= _CALIBRATION(high) <= 1.0


def test_knots_are_met_and_lines_are_between() -> None:
    assert [_CALIBRATION(x) for x in (0.0, 0.1, 0.3, 0.5, 0.9, 1.0)] == pytest.approx(
        [0.2, 0.2, 0.4, 0.6, 1.0, 1.0]
    )


def test_a_stored_calibration_is_read_back_and_a_broken_one_named(tmp_path: Path) -> None:
    assert Calibration.load(tmp_path) is None
    _CALIBRATION.save(tmp_path)
    assert Calibration.load(tmp_path) == _CALIBRATION
    stored = json.loads((tmp_path / FILE_NAME).read_text())
    for broken in (
        "[]",
        "{",
        json.dumps(stored | {"shares": [1.0]}),
        json.dumps(stored | {"likelihoods": []}),
    ):
        (tmp_path / FILE_NAME).write_text(broken)
        with pytest.raises(CheckpointError, match="not a calibration"):
            Calibration.load(tmp_path)
