"""`echo-node report` on images whose headers state no view or a wrong one: the view check."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from support.console import echo_node

from training.phantom.dicom_study import BITS_STORED, write_study
from training.view_check.not_chest import hand

READ = ("--set", "selection.view_check=read")
_VIEW = ("ViewPosition", "PatientOrientation", "SeriesDescription", "ProtocolName")


def phantom(folder: Path, view: str, *, says: str | None = "PA", shows: np.ndarray | None = None) -> Path:
    """Write a phantom whose header states another view or none, with the pixels of *shows*."""
    (path,) = write_study(folder, seed=3, views=[view], size=512)  # type: ignore[list-item]
    image = dcmread(path)
    for keyword in _VIEW:
        delattr(image, keyword)
    if says:
        image.ViewPosition, image.PatientOrientation = says, ["L", "F"]
    if shows is not None:
        stored = shows.astype(np.uint16) << (BITS_STORED - 8)
        image.PixelData, (image.Rows, image.Columns) = stored.tobytes(), stored.shape
    target = folder / f"{view}-says-{says}-{'other' if shows is not None else 'itself'}.dcm"
    image.save_as(target)
    path.unlink()
    return target


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    other = hand(np.random.default_rng(8), 512)
    return {
        "stated": phantom(tmp_path, "PA"),
        "silent": phantom(tmp_path, "PA", says=None),
        "silent lateral": phantom(tmp_path, "LATERAL", says=None),
        "silent hand": phantom(tmp_path, "PA", says=None, shows=other),
        "lateral that says PA": phantom(tmp_path, "LATERAL"),
        "hand that says PA": phantom(tmp_path, "PA", shows=other),
    }


def reported(images: dict[str, Path], *arguments: str, cwd: Path) -> dict[str, dict[str, object]]:
    done = echo_node("report", *images.values(), "--json", *arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return dict(zip(images, json.loads(done.stdout), strict=True))


def test_only_a_clearly_frontal_picture_speaks_for_a_header_that_is_silent(
    tmp_path: Path, images: dict[str, Path]
) -> None:
    results = reported(images, *READ, cwd=tmp_path)
    assert {name for name, result in results.items() if result["findings"]} == {"stated", "silent"}
    assert (results["stated"]["view"], results["stated"]["remarks"]) == ("PA", [])
    assert (results["silent"]["view"], results["silent"]["remarks"]) == (
        "frontal",
        ["The view was recognised from the image, not stated by its header."],
    )
    for name, reason in {
        "silent lateral": "frontal view, and the view check takes the image for a lateral one",
        "silent hand": "frontal view, and the view check takes the image for no chest",
        "lateral that says PA": "the view check takes the image for a lateral one",
        "hand that says PA": "the view check takes the image for no chest",
    }.items():
        assert reason in str(results[name]["skipped"]), name


def test_by_default_it_refuses_only_and_off_it_says_nothing(tmp_path: Path, images: dict[str, Path]) -> None:
    del images["stated"]
    results = reported(images, "--model", "not-there", cwd=tmp_path)
    assert all(result["skipped"] for result in results.values())
    assert results["silent"]["skipped"] == "the header does not state whether it is a frontal view"
    off = ("--set", "selection.view_check=off", "--model", "not-there")
    done = echo_node("report", images["hand that says PA"], *off, cwd=tmp_path)
    assert "no model 'not-there'" in done.stderr, "nothing but the model stood in the way"


def test_the_words_for_people_and_the_document_say_it_too(tmp_path: Path) -> None:
    image = phantom(tmp_path, "AP", says=None)
    done = echo_node("report", image, "--sr", "draft.dcm", *READ, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = "The view was recognised from the image"
    assert said in done.stdout
    written = (tmp_path / "draft.dcm").read_bytes()
    assert said.encode() in written
    assert b"The header does not state the orientation of the image" in written
