import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.console import echo_node
from support.datasets import build_manifest, manifest_rows

from echo_node.errors import ConfigError, PermanentError, TransientError
from echo_node.report_text.labeller import positives
from training.datasets.normalisation.endpoint import KEY_VARIABLE, Endpoint
from training.datasets.normalisation.faithful import difference
from training.datasets.normalisation.normalise import FALLBACKS_FILE, normalise
from training.datasets.normalisation.regions import REGIONS, Region
from training.datasets.normalisation.rules import by_rules, region_of, silent_regions
from training.datasets.shards import Dataset

GOOD = (
    "The lungs are clear. A small left pleural effusion is present. The heart is normal. "
    "No fracture is seen. There are no support devices."
)
FINDINGS, IMPRESSION = "There is a small left pleural effusion.", "Small left effusion."


class TestRules:
    @pytest.mark.parametrize(
        ("findings", "impression", "expected"),
        [
            (
                "Heart size is normal. There is a small left effusion",
                "",
                (
                    "The lungs are clear. There is a small left effusion. Heart size is normal. "
                    "The bones are intact. There are no support devices."
                ),
            ),
            (
                "No focal consolidation, pleural effusion or pneumothorax.",
                "Mild cardiomegaly. No acute process.",
                (
                    "No focal consolidation, pleural effusion or pneumothorax. Mild cardiomegaly. "
                    "The bones are intact. There are no support devices."
                ),
            ),
            (
                "A right PICC ends well. Two views were taken.",
                "",
                (
                    "The lungs are clear. There is no pleural effusion or pneumothorax. "
                    "The heart and mediastinum are normal. The bones are intact. A right PICC ends well. "
                    "Two views were taken."
                ),
            ),
        ],
    )
    def test_every_region_is_explicit_in_order(self, findings: str, impression: str, expected: str) -> None:
        text = by_rules(findings, impression)
        assert text == expected
        assert by_rules(text, impression) == text
        assert silent_regions(text) == []

    @pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
    def test_a_normal_sentence_names_its_region_and_no_finding(self, region: Region) -> None:
        assert region_of(region.normal) is region
        assert positives(region.normal) == frozenset()
        assert difference("", "", region.normal) == ""

    def test_a_region_is_not_called_normal_against_the_impression(self) -> None:
        text = by_rules("Two views.", "Possible right rib fracture and pneumothorax.")
        assert "intact" not in text
        assert "no pleural effusion" not in text
        assert "Possible right rib fracture" in text

    def test_sentences_stay_as_they_were_written(self) -> None:
        findings = "Heart normal in size; lungs hyperinflated. Scoliosis."
        assert all(
            sentence in by_rules(findings, "")
            for sentence in ("Heart normal in size; lungs hyperinflated.", "Scoliosis.")
        )


@pytest.mark.parametrize(
    ("rewritten", "expected"),
    [
        (GOOD, ""),
        ("The lungs are clear.", "lost: Pleural Effusion"),
        (f"{GOOD} There is a right pneumothorax.", "invented: Pneumothorax"),
        ("There is a small right pleural effusion.", "another certainty or side: Pleural Effusion"),
        ("There are bilateral pleural effusions.", "another certainty or side: Pleural Effusion"),
        ("There may be a small left pleural effusion.", "another certainty or side: Pleural Effusion"),
    ],
)
def test_a_difference_in_meaning_is_named(rewritten: str, expected: str) -> None:
    assert difference(FINDINGS, IMPRESSION, rewritten) == expected


def test_an_abnormality_without_a_class_counts_too() -> None:
    assert (
        difference("There is scoliosis.", "", "The bones are intact.") == "lost: an abnormality of no class"
    )
    assert difference("Clear.", "", "There is emphysema.") == "invented: an abnormality of no class"
    assert difference("Two views.", "Cardiomegaly.", "The heart shows cardiomegaly.") == ""


def chat(text: str) -> tuple[int, str]:
    return 200, json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]})


class Server(ThreadingHTTPServer):
    """Answers chat requests by a function of the report and of how many requests came before."""

    daemon_threads = True

    def __init__(self, answer: Callable[[str, int], tuple[int, str]]) -> None:
        self.answer = answer
        self.requests: list[dict[str, object]] = []
        self.keys: list[str | None] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.keys.append(self.headers.get("Authorization"))
        self.server.requests.append(body)
        status, content = self.server.answer(body["messages"][1]["content"], len(self.server.requests))
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "7")
        self.send_header("Content-Length", str(len(content.encode())))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_arguments: object) -> None:
        """Keep quiet."""


@contextmanager
def serving(answer: Callable[[str, int], tuple[int, str]]) -> Iterator[Server]:
    server = Server(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class TestEndpoint:
    def test_an_answer_is_asked_for_once_even_by_a_later_run(self, tmp_path: Path) -> None:
        with serving(lambda _report, _count: chat(f" {GOOD}\n")) as server:
            first = Endpoint(server.url, "m", tmp_path / "answers", api_key="secret")
            assert first.rewrite(FINDINGS, IMPRESSION) == first.rewrite(FINDINGS, IMPRESSION) == GOOD
            with (tmp_path / "answers").open("a", encoding="utf-8") as file:
                file.write('{"request": "cut o')
            later = Endpoint(server.url, "m", tmp_path / "answers")
            assert later.rewrite(FINDINGS, IMPRESSION) == GOOD
            assert len(server.requests) == 1
            assert server.keys == ["Bearer secret"]
            assert server.requests[0]["temperature"] == 0
            assert later.rewrite("Other.", "") == GOOD
        assert len(Endpoint(server.url, "m", tmp_path / "answers")._known) == 2

    def test_a_busy_server_is_asked_again_after_the_time_that_it_names(self, tmp_path: Path) -> None:
        pauses: list[float] = []
        answers = {1: (429, ""), 2: (500, "")}
        with serving(lambda _report, count: answers.get(count, chat(GOOD))) as server:
            endpoint = Endpoint(server.url, "m", tmp_path / "answers", sleep=pauses.append)
            assert endpoint.rewrite(FINDINGS, IMPRESSION) == GOOD
        assert pauses == [7.0, 2.0]

    def test_any_status_of_success_carries_an_answer(self, tmp_path: Path) -> None:
        with serving(lambda _report, _count: (201, chat(GOOD)[1])) as server:
            endpoint = Endpoint(server.url, "m", tmp_path / "answers")
            assert endpoint.rewrite(FINDINGS, IMPRESSION) == GOOD

    def test_a_server_that_stays_broken_ends_the_run(self, tmp_path: Path) -> None:
        pauses: list[float] = []
        with serving(lambda _report, _count: (503, "")) as server:
            endpoint = Endpoint(server.url, "m", tmp_path / "answers", attempts=3, sleep=pauses.append)
            with pytest.raises(TransientError, match=r"3 attempts \(HTTP 503\)"):
                endpoint.rewrite(FINDINGS, IMPRESSION)
        assert pauses == [1.0, 2.0]
        with pytest.raises(TransientError, match="ConnectionRefusedError"):
            endpoint.rewrite(FINDINGS, IMPRESSION)

    def test_a_refusal_is_a_matter_of_configuration(self, tmp_path: Path) -> None:
        with (
            serving(lambda _report, _count: (401, "")) as server,
            pytest.raises(ConfigError, match=rf"HTTP 401.*{KEY_VARIABLE}"),
        ):
            Endpoint(server.url, "m", tmp_path / "answers").rewrite(FINDINGS, IMPRESSION)
        with pytest.raises(ConfigError, match="must start with http"):
            Endpoint("file:///etc/passwd", "m", tmp_path / "answers")

    @pytest.mark.parametrize("content", ["<html>", "[]", '{"choices": []}', chat("  ")[1]])
    def test_an_answer_that_is_none_is_told(self, content: str, tmp_path: Path) -> None:
        with (
            serving(lambda _report, _count: (200, content)) as server,
            pytest.raises(PermanentError, match="answer of the endpoint is"),
        ):
            Endpoint(server.url, "m", tmp_path / "answers").rewrite(FINDINGS, IMPRESSION)


class TestNormalise:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        rows = manifest_rows(tmp_path, 6)
        for row in rows:
            row["findings"], row["impression"] = FINDINGS, IMPRESSION
        rows[1]["findings"] = "There is a right pneumothorax."
        rows[2]["findings"] = "The heart is enlarged."
        rows[3]["findings"], rows[3]["impression"] = "左侧胸腔积液。", "积液。"
        rows[4]["findings"] = ""
        build_manifest(tmp_path, tmp_path / "in", rows)
        return tmp_path / "in"

    def test_rules_need_no_network_and_give_the_same_twice(self, folder: Path, tmp_path: Path) -> None:
        facts = normalise(folder, tmp_path / "out")
        rows = Dataset(tmp_path / "out").rows
        assert [row.wording for row in rows] == ["rules", "rules", "rules", "author", "author", "rules"]
        assert all(not silent_regions(row.findings) for row in rows if row.wording == "rules")
        assert Dataset(tmp_path / "out").image(2) == Dataset(folder).image(2)
        assert facts.rejected == {
            "as written: the rules know English alone": 1,
            "as written: the report has no findings": 1,
        }
        assert normalise(folder, tmp_path / "out") == facts
        normalise(folder, tmp_path / "again")
        assert Dataset(tmp_path / "again").rows == rows

    def test_only_a_faithful_wording_is_taken(self, folder: Path, tmp_path: Path) -> None:
        def answer(report: str, _count: int) -> tuple[int, str]:
            if "pneumothorax" in report:
                return chat("All is normal.")
            return (200, "<html>") if "enlarged" in report else chat(GOOD)

        with serving(answer) as server:
            facts = normalise(folder, tmp_path / "out", Endpoint(server.url, "m", tmp_path / "answers"))
        rows = Dataset(tmp_path / "out").rows
        assert [row.wording for row in rows] == ["endpoint", "rules", "rules", "author", "author", "endpoint"]
        assert "A small left pleural effusion is present." in rows[0].findings
        assert "There is a right pneumothorax." in rows[1].findings
        assert "by rules: the model's wording lost" in facts.rejected
        assert "by rules: the answer of the endpoint is not a chat completion" in facts.rejected

    def test_a_run_that_the_endpoint_ended_goes_on(self, folder: Path, tmp_path: Path) -> None:
        with serving(lambda report, _count: (500, "") if "enlarged" in report else chat(GOOD)) as server:
            broken = Endpoint(server.url, "m", tmp_path / "answers", attempts=1)
            with pytest.raises(TransientError):
                normalise(folder, tmp_path / "out", broken, concurrency=1)
        with pytest.raises(ConfigError, match="interrupted"):
            Dataset(tmp_path / "out")
        with serving(lambda _report, _count: chat("The heart is enlarged.")) as server:
            normalise(folder, tmp_path / "out", Endpoint(server.url, "m", tmp_path / "answers"))
            assert 1 <= len(server.requests) <= 2
        assert len(Dataset(tmp_path / "out")) == 6
        assert len((tmp_path / "out" / FALLBACKS_FILE).read_text(encoding="utf-8").splitlines()) == 3

    def test_the_source_is_never_written_over(self, folder: Path) -> None:
        with pytest.raises(ConfigError, match="separate folder"):
            normalise(folder, folder)


def test_the_commands_build_normalise_and_write_cards(tmp_path: Path) -> None:
    rows = manifest_rows(tmp_path, 3)
    header = ",".join(rows[0])
    lines = "".join(",".join(map(str, row.values())) + "\n" for row in rows)
    (tmp_path / "rows.csv").write_text(f"{header}\n{lines}", encoding="utf-8")
    built = echo_node("dataset", "build", "rows.csv", "in", cwd=tmp_path)
    assert (built.returncode, built.stdout) == (0, "in: 3 rows in 1 shards\n"), built.stderr
    with serving(lambda _report, _count: chat("The lungs are clear.")) as server:
        flags = ("--mode", "endpoint", "--endpoint", server.url, "--model", "m")
        done = echo_node(
            "dataset", "normalise", "in", "out", *flags, "--json", cwd=tmp_path, env={KEY_VARIABLE: "k"}
        )
        assert done.returncode == 0, done.stderr
        assert set(server.keys) == {"Bearer k"}
    assert json.loads(done.stdout)["rejected"] == {"by rules: the model's wording lost": 2}
    (tmp_path / "out" / "README.md").unlink()
    assert echo_node("dataset", "card", "out", cwd=tmp_path).returncode == 0
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "| rules | 2 | 0 | 0 | 2 |" in card
    assert "Findings were normalised by a model at an endpoint" in card
    assert (tmp_path / "out" / "pictures.png").read_bytes().startswith(b"\x89PNG")
    assert echo_node("dataset", "normalise", "in", "x", "--mode", "endpoint", cwd=tmp_path).returncode == 2
    assert echo_node("dataset", "check", "absent", cwd=tmp_path).returncode == 2
