"""An evaluation from end to end on a model that has learnt nothing: rows, controls, the page."""

import json
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.datasets import build_manifest, manifest_rows, write_picture
from support.small_checkpoint import write_checkpoint

from echo_node.errors import ConfigError, PermanentError
from echo_node.inference.image import ImagePreparation
from echo_node.model import checkpoint
from training.evaluation.cases import MarkedSentence, PhantomCases, ReportCases
from training.evaluation.drafting import draft
from training.evaluation.evaluate import Evaluation, Plan, evaluate
from training.evaluation.open_cases import open_cases
from training.evaluation.page.write import escape_markdown, prepare_folder, write_report
from training.phantom.findings import CLASSES

ROWS = [
    "one_step", "adaptive", "adaptive_mark", "adaptive_repair", "multi_step", "one_step_shuffled_images",
    "always_normal",
]  # fmt: skip
EVIL = "Findings: <script>alert(1)</script> | _heart_ is normal. Impression: Normal."


def _jsonl(folder: Path, **more: str) -> Path:
    rng = np.random.default_rng(0)
    rows = []
    for index, report in enumerate((EVIL, "Findings: There is a left effusion. Impression: Effusion.")):
        Image.fromarray(rng.integers(0, 255, (80 + 8 * index, 64), dtype=np.uint8)).save(
            folder / f"{index}.png"
        )
        rows.append({"image": f"{index}.png", "report": report} | more)
    path = folder / "studies.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    student = checkpoint.load(str(write_checkpoint(tmp_path_factory.mktemp("small"), side=140)))
    return evaluate(student, PhantomCases(3, 6, 140), Plan(5, 0.9), lambda _: None, lambda _: None)


def test_rows_keep_the_names_that_others_build_on(phantoms: Evaluation) -> None:
    assert [row["decoder"] for row in phantoms.rows] == ROWS
    for row in phantoms.rows:
        assert {"coherent_sentences", "facts", "tokens_per_forward", "garbled", "f1_micro", "bleu_4"} <= set(
            row
        )
    json.dumps(phantoms.rows, allow_nan=False)


def test_always_normal_is_coherent_and_finds_nothing(phantoms: Evaluation) -> None:
    normal = phantoms.rows[-1]
    assert (normal["coherent_sentences"], normal["garbled"], normal["f1_micro"]) == (1, 0, 0)


def test_a_model_that_learnt_nothing_writes_garble(phantoms: Evaluation) -> None:
    assert phantoms.rows[0]["garbled"] == 1
    assert phantoms.of_references.garbled == 0


def test_the_references_of_phantoms_get_every_fact_right() -> None:
    cases = PhantomCases(4, 6, 140)
    assert cases.truth_of(cases.references) == {"coherent_sentences": 1, "facts": 1, "contradictions": 0}
    assert [cases.labels_of(text) for text in cases.references] == cases.labels
    assert all(tuple(labels) == CLASSES for labels in cases.labels)
    verdicts = {s.verdict for i, text in enumerate(cases.references) for s in cases.mark(i, text)}
    assert verdicts == {"right"}


def test_wrong_and_incoherent_sentences_of_a_phantom_are_told_apart() -> None:
    cases = PhantomCases(1, 6, 140)
    garbled = cases.references[0].replace("Impression:", "The the lung. Impression:")
    assert MarkedSentence("findings", "The the lung.", "incoherent") in cases.mark(0, garbled)
    assert "wrong" in {sentence.verdict for sentence in cases.mark(0, cases.always_normal()[0])}


def test_a_file_of_reports_is_evaluated_with_its_wordings_apart(tmp_path: Path) -> None:
    student = checkpoint.load(str(write_checkpoint(tmp_path / "small")))
    path = _jsonl(tmp_path, normalised="Findings: The heart is normal. Impression: Normal.")
    cases = open_cases(str(path), 1, ImagePreparation.load(student.folder))
    done = evaluate(student, cases, Plan(1, 0.9), lambda _: None, lambda _: None)
    row = done.rows[-1]
    assert row["coherent_sentences"] is row["facts"] is None
    assert row["rouge_l"] != row["rouge_l_normalised"]
    write_report(done, tmp_path, "2026-01-01")
    assert "Against the normalised references" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_test_split_of_a_data_set_is_evaluated(tmp_path: Path) -> None:
    rows = [*manifest_rows(tmp_path, 2), *manifest_rows(tmp_path / "held_out", 3, "test")]
    for place, row in enumerate(rows[2:]):
        row |= {"image": f"held_out/{row['image']}", "patient": f"other {place}"}
        write_picture(tmp_path / str(row["image"]), 100 + place)
    build_manifest(tmp_path, tmp_path / "built", rows)
    cases = open_cases(str(tmp_path / "built"), 1, ImagePreparation(resize="square", side=56))
    assert [picture.shape for picture in cases.images] == [(56, 56)] * 3
    assert all(reference.startswith("Findings: The") for reference in cases.references)
    build_manifest(tmp_path, tmp_path / "only_train", rows[:2])
    with pytest.raises(ConfigError, match="no row of split 'test'"):
        open_cases(str(tmp_path / "only_train"), 1, ImagePreparation(resize="square", side=56))


def test_pictures_of_many_sizes_are_drafted_in_their_order(tmp_path: Path) -> None:
    loaded = checkpoint.load(str(write_checkpoint(tmp_path)))
    preparation = ImagePreparation.load(loaded.folder)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (56, width), dtype=np.uint8) for width in (56, 84, 56, 112)]
    settings = Plan(0, 0.9)
    from echo_node.model.decoding.decoder import decode_settings

    one_step = decode_settings("one_step", settings.threshold, 16)
    together = draft(loaded, preparation, pictures, one_step).texts
    alone = tuple(draft(loaded, preparation, [picture], one_step).texts[0] for picture in pictures)
    assert together == alone


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ("{", ConfigError, "line 1 is not JSON"),
        ('{"image": "0.png"}', ConfigError, "line 1 needs 'image' and 'report', both as text"),
        (
            '{"image": "none.png", "report": "x"}',
            PermanentError,
            "line 1: the file cannot be read as an image",
        ),
        ("", ConfigError, "the file contains no studies"),
    ],
)
def test_a_bad_line_is_named(line: str, error: type[Exception], message: str, tmp_path: Path) -> None:
    path = tmp_path / "studies.jsonl"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(error, match=message):
        open_cases(str(path), 0, ImagePreparation(resize="square", side=56))


@pytest.mark.parametrize("data", ["phantom:0", "phantom:x", "folder", "none.jsonl"])
def test_data_of_another_form_is_refused(data: str) -> None:
    with pytest.raises(ConfigError, match="--data"):
        open_cases(data, 0, ImagePreparation(resize="square", side=56))


def test_labels_that_come_with_studies_are_taken_as_they_are() -> None:
    cases = ReportCases("x", [], ["No effusion."], labels=[{"Pleural Effusion": "positive"}])
    assert cases.labels == [{"Pleural Effusion": "positive"}]
    assert ReportCases("x", [], ["No effusion."]).labels[0]["Pleural Effusion"] == "negative"


class _Outside(HTMLParser):
    """Collects whatever a page would fetch, and its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "iframe"}:
            self.fetched.append(tag)
        self.fetched += [
            f"{tag} {name}"
            for name, value in attrs
            if name in {"src", "href"} and not str(value).startswith("data:")
        ]


def test_the_page_fetches_nothing_and_holds_every_plot(phantoms: Evaluation, tmp_path: Path) -> None:
    normal = phantoms.results[-1].measured.texts
    written = tuple(
        replace(result, measured=replace(result.measured, texts=normal)) for result in phantoms.results
    )
    write_report(replace(phantoms, results=written), tmp_path, "2026-01-01")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    parser = _Outside()
    parser.feed(html)
    assert parser.fetched == []
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    for name in ("frontier", "findings", "garble", "lengths"):
        assert (tmp_path / f"{name}.svg").read_text(encoding="utf-8").strip() in html
        assert f"({name}.svg)" in markdown
    assert "2026-01-01" in html
    assert phantoms.digest[:16] in markdown
    assert '<span class="tag">right</span>' in html
    assert '<span class="tag">wrong</span>' in html


def test_without_matplotlib_the_page_has_no_plots_and_tells_how_to_get_them(
    phantoms: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write_report(phantoms, tmp_path, "2026-01-01")
    for name in ("report.html", "report.md"):
        page = (tmp_path / name).read_text(encoding="utf-8")
        assert "Plots" not in page
        assert "plots are left out: pip install" in page
    assert not list(tmp_path.glob("*.svg"))


def test_texts_are_escaped(tmp_path: Path) -> None:
    student = checkpoint.load(str(write_checkpoint(tmp_path / "small")))
    cases = open_cases(str(_jsonl(tmp_path)), 1, ImagePreparation.load(student.folder))
    done = evaluate(student, cases, Plan(1, 0.9), lambda _: None, lambda _: None)
    write_report(done, tmp_path, "2026-01-01")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "\\<script\\>" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert escape_markdown("a|b\n_c_") == "a\\|b \\_c\\_"


def test_a_folder_that_cannot_be_made_is_refused_before_the_measuring(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="the folder cannot be created"):
        prepare_folder(tmp_path / "file")
