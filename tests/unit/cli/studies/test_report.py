"""`echo-node report`: each file gets its own answer, and only a frontal chest needs the model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from support.console import ENVIRONMENT, echo_node

from training.phantom.dicom_study import write_study

KEYS = {"findings", "impression", "skipped", "error", "tokens_per_forward", "file", "sr", "model", "verified"}


def sample(name: str) -> Path:
    found = get_testdata_file(name, download=False)
    assert isinstance(found, str), "pip install pydicom-data"
    return Path(found)


@pytest.fixture
def bad_files(tmp_path: Path) -> dict[str, Path]:
    whole = write_study(tmp_path, seed=1, size=128)[0].read_bytes()
    contents = {
        "truncated.dcm": whole[: len(whole) // 2],
        "text.dcm": b"no DICOM at all\n",
        "empty.dcm": b"",
        "broken.png": b"\x89PNG\r\n\x1a\n" + bytes(50),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in (*contents, "absent.dcm")} | {"folder": tmp_path}


def test_a_leg_is_skipped_with_the_reason_and_that_is_no_failure(tmp_path: Path) -> None:
    done = echo_node("report", sample("RG3_UNCR.dcm"), "--json", "--model", "not-there", cwd=tmp_path)
    result = json.loads(done.stdout)
    assert done.returncode == 0
    assert result["skipped"] == "wrong body part: the header says EXTREMITY, not chest"
    assert (result["findings"], result["error"]) == (None, None)


def test_each_bad_file_gets_its_line_and_the_next_goes_on(tmp_path: Path, bad_files: dict[str, Path]) -> None:
    files = [*bad_files.values(), sample("RG3_UNCR.dcm")]
    done = echo_node("report", *files, "--json", cwd=tmp_path)
    results = json.loads(done.stdout)
    assert done.returncode == 1
    assert [bool(result["error"]) for result in results] == [True] * len(bad_files) + [False]
    assert results[-1]["skipped"]
    lines = done.stderr.splitlines()
    assert len(lines) == len(bad_files)
    for line, file in zip(lines, bad_files.values(), strict=True):
        assert line.startswith(f"echo-node: {file}: ")
    assert "Traceback" not in done.stderr


def test_no_refusal_of_a_dicom_file_loads_what_the_model_needs(
    tmp_path: Path, bad_files: dict[str, Path]
) -> None:
    del bad_files["broken.png"]
    files = [str(file) for file in (*bad_files.values(), sample("RG3_UNCR.dcm"))]
    program = (
        "import sys\nfrom echo_node.cli import main\n"
        f"sys.argv = ['echo-node', 'report', '--model', 'not-there', *{files!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 1\n"
        "assert not {'torch', 'transformers', 'highdicom', 'sqlalchemy'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "empty.dcm: the file is empty" in done.stderr


def test_every_outcome_has_the_same_keys(tmp_path: Path, bad_files: dict[str, Path]) -> None:
    files = [bad_files["empty.dcm"], sample("RG3_UNCR.dcm")]
    results = json.loads(echo_node("report", *files, "--json", cwd=tmp_path).stdout)
    assert {frozenset(result) for result in results} == {frozenset(results[0])}
    assert set(results[0]) > KEYS


def test_a_model_that_cannot_be_loaded_ends_the_run_with_one_line(tmp_path: Path) -> None:
    (image,) = write_study(tmp_path, seed=1, views=["PA"], size=128)
    done = echo_node("report", image, "--model", "not-there", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("echo-node: no model 'not-there'")
    assert len(done.stderr.splitlines()) == 1


def test_the_image_is_never_overwritten_by_its_report(tmp_path: Path) -> None:
    (image,) = write_study(tmp_path, seed=1, views=["PA"], size=128)
    before = image.read_bytes()
    assert echo_node("report", image, "--sr", image, cwd=tmp_path).returncode == 2
    assert image.read_bytes() == before


def test_an_sr_of_a_picture_is_refused(tmp_path: Path) -> None:
    Image.new("L", (64, 64)).save(tmp_path / "picture.png")
    done = echo_node("report", "picture.png", "--sr", "out.dcm", "--model", "not-there", cwd=tmp_path)
    assert done.returncode == 1
    assert "--sr needs a DICOM file" in done.stderr


class TestWithTheShippedModel:
    def test_text_and_sr_of_a_dicom_file(self, tmp_path: Path) -> None:
        (image,) = write_study(tmp_path, seed=1, views=["PA"], size=512)
        done = echo_node("report", image, "--sr", "draft.dcm", "--json", cwd=tmp_path)
        result = json.loads(done.stdout)
        assert done.returncode == 0
        assert result["findings"]
        assert result["impression"]
        assert (result["skipped"], result["view"], result["verified"]) == (None, "PA", False)
        assert result["tokens_per_forward"] > 1
        assert (tmp_path / "draft.dcm").read_bytes()[128:132] == b"DICM"

    def test_another_form_of_a_dicom_file(self, tmp_path: Path) -> None:
        (image,) = write_study(tmp_path, seed=1, views=["PA"], size=512)
        done = echo_node("report", image, "--sr", "draft.hl7", "--kind", "oru-r01", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "draft.hl7").read_bytes().startswith(b"MSH|^~\\&|ECHO_NODE|")

    def test_a_picture_and_the_words_for_people(self, tmp_path: Path) -> None:
        from training.phantom.dataset import PhantomDataset

        Image.fromarray(PhantomDataset(1, 1)[0].image).save(tmp_path / "chest.png")
        done = echo_node("report", "chest.png", cwd=tmp_path)
        assert done.returncode == 0
        assert "Findings" in done.stdout
        assert "Unverified machine draft" in done.stdout
        assert "not for clinical use" in done.stdout
