import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.datasets import build_manifest, manifest_rows, picture, write_csv, write_picture

from echo_node.errors import ConfigError, PermanentError
from training.datasets import shards
from training.datasets.build import KEY_FILE, REJECTED_FILE, BuildOptions, build
from training.datasets.check import check
from training.datasets.example import Found
from training.datasets.images import decode_png
from training.datasets.readers import built, manifest
from training.datasets.shards import Dataset, Facts


def rejected(folder: Path) -> dict[str, str]:
    lines = (folder / REJECTED_FILE).read_text(encoding="utf-8").splitlines()
    return {row["row"]: row["reason"] for row in map(json.loads, lines)}


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    facts = build_manifest(tmp_path, tmp_path / "out", manifest_rows(tmp_path, 5))
    dataset = Dataset(tmp_path / "out")
    assert facts.rows == len(dataset) == 5
    assert [row.view for row in dataset.rows] == ["PA"] * 5
    assert (
        dataset.rows[1].report == "Findings: There is a small left pleural effusion. Impression: See above."
    )
    assert dataset.rows[1].labels == ("Pleural Effusion",)
    for number in range(5):
        assert decode_png(dataset.image(number)).pixels == picture(number).tobytes()


def test_no_name_of_a_patient_is_kept(tmp_path: Path) -> None:
    build_manifest(tmp_path, tmp_path / "out", manifest_rows(tmp_path, 3))
    for path in (tmp_path / "out").iterdir():
        assert b"patient 1" not in path.read_bytes()


def test_bad_rows_are_listed_and_stop_nothing(tmp_path: Path) -> None:
    rows = manifest_rows(tmp_path, 8)
    rows[0]["image"] = "absent.png"
    rows[1]["image"] = ""
    (tmp_path / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    rows[3]["findings"] = rows[3]["impression"] = ""
    rows[4]["view"] = "LL"
    rows[5]["split"] = "holdout"
    rows[6]["patient"], rows[6]["split"] = rows[7]["patient"], "test"
    facts = build_manifest(tmp_path, tmp_path / "out", rows)
    assert facts.rows == 1
    reasons = rejected(tmp_path / "out")
    assert reasons == {
        "row 1": "the image file is missing",
        "row 2": "the row names no image",
        "row 3": "the file cannot be read as an image (UnidentifiedImageError)",
        "row 4": "the report has neither findings nor an impression",
        "row 5": "not a frontal view",
        "row 6": "the split is not one of train, validation, test",
        "row 8": "the patient is already in another split",
    }
    assert sum(facts.rejected.values()) == 7


def test_repetitions_are_set_aside(tmp_path: Path) -> None:
    rows = manifest_rows(tmp_path, 2)
    picture(0).resize((160, 128)).save(tmp_path / "again.jpg", quality=80)
    same = {**rows[0], "image": "again.jpg", "patient": "another"}
    rows += [same, {**same, "findings": "Other words."}, {**same, "split": "test", "patient": "third"}]
    build_manifest(tmp_path, tmp_path / "out", rows)
    assert rejected(tmp_path / "out") == {
        "row 3": "near-duplicate of an image with the same report",
        "row 5": "near-duplicate of an image in another split",
    }


def test_images_that_are_known_to_be_distinct_stay_however_alike(tmp_path: Path) -> None:
    rows = [*manifest_rows(tmp_path, 1), *manifest_rows(tmp_path, 1, split="test")]
    rows[1]["patient"] = "another"
    table = write_csv(tmp_path / "rows.csv", rows)
    assert (
        build(manifest.read(table), tmp_path / "out", BuildOptions("d", "manifest", distinct=True)).rows == 2
    )


def test_an_interrupted_run_goes_on_to_the_same_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD_ROWS", 2)
    table = write_csv(tmp_path / "rows.csv", manifest_rows(tmp_path, 7))
    whole = build(manifest.read(table), tmp_path / "whole", BuildOptions("d", "manifest"))

    def dies_after_five() -> Iterator[Found]:
        for number, row in enumerate(manifest.read(table)):
            if number == 5:
                raise KeyboardInterrupt
            yield row

    with pytest.raises(KeyboardInterrupt):
        build(dies_after_five(), tmp_path / "broken", BuildOptions("d", "manifest"))
    with pytest.raises(ConfigError, match="interrupted; run it again"):
        Dataset(tmp_path / "broken")
    resumed = build(manifest.read(table), tmp_path / "broken", BuildOptions("d", "manifest"))
    assert resumed == whole


def test_a_second_run_adds_what_is_new(tmp_path: Path) -> None:
    rows = manifest_rows(tmp_path, 6)
    build_manifest(tmp_path, tmp_path / "out", rows[:4])
    before = (tmp_path / "out" / "data-00000.parquet").read_bytes()
    facts = build_manifest(tmp_path, tmp_path / "out", rows)
    assert [shard.rows for shard in facts.shards] == [4, 2]
    assert (tmp_path / "out" / "data-00000.parquet").read_bytes() == before
    assert build_manifest(tmp_path, tmp_path / "out", rows) == facts


def test_a_damaged_shard_that_was_removed_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD_ROWS", 2)
    rows = manifest_rows(tmp_path, 6)
    build_manifest(tmp_path, tmp_path / "out", rows)
    shard = tmp_path / "out" / "data-00001.parquet"
    shard.write_bytes(b"PAR1")
    with pytest.raises(PermanentError, match=r"data-00001\.parquet is truncated or damaged: remove it"):
        build_manifest(tmp_path, tmp_path / "out", rows)
    shard.unlink()
    facts = build_manifest(tmp_path, tmp_path / "out", rows)
    assert [shard.file for shard in facts.shards] == [f"data-0000{n}.parquet" for n in (0, 2, 3)]
    assert len({row.example_id for row in Dataset(tmp_path / "out").rows}) == 6
    assert check(tmp_path / "out") == []


def test_patients_are_split_by_their_pseudonym(tmp_path: Path) -> None:
    rows = [{**row, "split": ""} for row in manifest_rows(tmp_path, 40)]
    for row in rows[20:]:
        row["patient"] = rows[0]["patient"]
    build_manifest(tmp_path, tmp_path / "out", rows)
    kept = Dataset(tmp_path / "out").rows
    assert len({row.split for row in kept if row.patient_id == kept[0].patient_id}) == 1
    assert len({row.split for row in kept}) > 1


def test_long_images_are_made_smaller_on_request(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", 1, (400, 200))
    table = write_csv(tmp_path / "rows.csv", [{"image": "a.png", "findings": "Clear."}])
    build(manifest.read(table), tmp_path / "out", BuildOptions("d", "manifest", longest_side=100))
    image = decode_png(Dataset(tmp_path / "out").image(0))
    assert (image.width, image.height) == (100, 50)


def test_a_data_set_can_be_merged_into_another(tmp_path: Path) -> None:
    build_manifest(tmp_path, tmp_path / "out", manifest_rows(tmp_path, 3))
    merged = build(built.read(tmp_path / "out"), tmp_path / "merged", BuildOptions("m", "export"))
    assert merged.rows == 3
    first, again = Dataset(tmp_path / "out").rows, Dataset(tmp_path / "merged").rows
    assert [row.report for row in first] == [row.report for row in again]
    assert Dataset(tmp_path / "out").image(2) == Dataset(tmp_path / "merged").image(2)


FULL_DISK = """
import resource, sys
from pathlib import Path
from training.datasets.build import BuildOptions, build
from training.datasets.readers import manifest
from echo_node.errors import PermanentError
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    build(manifest.read(Path(sys.argv[1])), Path(sys.argv[2]), BuildOptions("d", "manifest"))
except PermanentError as error:
    sys.exit(str(error))
"""


def test_a_full_disk_stops_with_a_clear_message_and_leaves_no_half_file(tmp_path: Path) -> None:
    table = write_csv(tmp_path / "rows.csv", manifest_rows(tmp_path, 4))
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(table), str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "cannot be written: File too large; 0 rows are safe" in done.stderr
    assert [path.name for path in out.iterdir()] == [KEY_FILE]


class TestCheck:
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(shards, "SHARD_ROWS", 2)
        build_manifest(tmp_path, tmp_path / "out", manifest_rows(tmp_path, 6))
        return tmp_path / "out"

    def test_a_whole_one_has_no_problems(self, folder: Path) -> None:
        assert check(folder) == []

    def test_a_truncated_shard_is_named(self, folder: Path) -> None:
        shard = folder / "data-00001.parquet"
        shard.write_bytes(shard.read_bytes()[:-100])
        (problem,) = check(folder)
        assert problem.startswith("data-00001.parquet: the shard")
        with pytest.raises(PermanentError, match=r"data-00001\.parquet is truncated or damaged"):
            Dataset(folder).image(2)
        assert decode_png(Dataset(folder).image(5)).width == 80

    def test_a_missing_a_changed_and_an_unlisted_shard_are_named(self, folder: Path) -> None:
        (folder / "data-00000.parquet").unlink()
        (folder / "data-00001.parquet").write_bytes((folder / "data-00002.parquet").read_bytes())
        (folder / "data-00007.parquet").write_bytes(b"")
        assert check(folder) == [
            "data-00000.parquet is missing",
            "data-00001.parquet has changed since it was written: its digest differs",
            "data-00007.parquet is not listed: a later run was interrupted; run it again",
        ]


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "damaged"), ("{}", "damaged"), ('{"schema_version": 9}', "damaged")],
)
def test_a_damaged_dataset_json_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "dataset.json").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        Dataset(tmp_path)


def test_another_schema_version_is_named(tmp_path: Path) -> None:
    build_manifest(tmp_path, tmp_path / "out", manifest_rows(tmp_path, 1))
    path = tmp_path / "out" / "dataset.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(ConfigError, match="schema version 2, but this program reads 1"):
        Dataset(tmp_path / "out")


def test_facts_count_their_rows() -> None:
    shard = shards.Shard("a", 3, "")
    assert Facts("n", "s", (shard, replace(shard, rows=4))).rows == 7
