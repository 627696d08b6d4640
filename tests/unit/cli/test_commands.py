"""Commands: names that others build on, exit codes, one line for an error, and late imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.console import ENVIRONMENT, echo_node


class TestLightness:
    @pytest.mark.parametrize(
        "arguments", [["--help"], ["retract", "--help"], ["serve", "--help"], ["config", "show"], ["version"]]
    )
    def test_commands_that_need_no_library_import_none(self, arguments: list[str], tmp_path: Path) -> None:
        heavy = ("torch", "transformers", "pydicom", "pynetdicom", "sqlalchemy", "numpy")
        program = (
            "import sys\nfrom echo_node.cli import main\n"
            f"sys.argv = ['echo-node', *{arguments!r}]\n"
            "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
            f"found = [name for name in {heavy!r} if name in sys.modules]\n"
            "assert not found, found\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr


class TestErrors:
    def test_a_wrong_setting_is_one_line_and_exit_code_2(self, tmp_path: Path) -> None:
        done = echo_node("config", "check", cwd=tmp_path, env={"ECHO_NODE_POTR": "1"})
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            "echo-node: unknown environment variable ECHO_NODE_POTR: did you mean ECHO_NODE_PORT?"
        ]

    def test_another_error_is_one_line_and_exit_code_1(self, tmp_path: Path, empty_config: Path) -> None:
        flags = ("--config", str(empty_config), "--data-dir", str(tmp_path / "data"))
        assert echo_node("db", "upgrade", *flags, cwd=tmp_path).returncode == 0
        done = echo_node("queue", "show", "7", *flags, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (1, "echo-node: there is no study 7\n")

    def test_debug_prints_the_traceback(self, tmp_path: Path) -> None:
        done = echo_node("--debug", "config", "check", cwd=tmp_path, env={"ECHO_NODE_POTR": "1"})
        assert done.returncode == 2
        assert "Traceback" in done.stderr

    @pytest.mark.parametrize(
        "arguments",
        [["serve", "--prot", "1"], ["report"], ["queue", "retry", "all"], ["report", "a", "b", "--sr", "c"]],
    )
    def test_wrong_usage_is_exit_code_2(self, arguments: list[str], tmp_path: Path) -> None:
        assert echo_node(*arguments, cwd=tmp_path).returncode == 2

    def test_serve_refuses_a_wrong_setting_before_it_starts(self, tmp_path: Path) -> None:
        done = echo_node("serve", "--port", "70000", cwd=tmp_path)
        assert done.returncode == 2
        assert "'node.port' cannot be '70000' (--port)" in done.stderr
        assert list(tmp_path.iterdir()) == []


class TestStableNames:
    @pytest.mark.parametrize(
        ("command", "names"),
        [
            (
                ["serve"],
                [
                    "--data-dir", "--ae-title", "--port", "--database-url",
                    "--pacs", "--study-idle", "--model", "--role",
                ],
            ),
            (["status"], ["--json"]),
            (["queue", "list"], ["--json"]),
            (["queue", "show"], ["--json"]),
            (["queue", "retry"], ["--json"]),
            (["retract"], ["--reason", "--by", "--wait", "--json"]),
            (["redraft"], ["--json"]),
            (["db", "upgrade"], ["--database-url"]),
            (["db", "current"], ["--json"]),
            (["config", "show"], ["--json"]),
            (["doctor"], ["--json"]),
            (["report"], ["--json", "--sr", "--model"]),
            (["send"], ["--to", "--json"]),
            (["train"], ["--recipe", "--out", "--set"]),
            (["evaluate"], ["--data", "--seed", "--json"]),
            (["demo"], ["--once"]),
        ],
    )  # fmt: skip
    def test_are_there(self, command: list[str], names: list[str], tmp_path: Path) -> None:
        done = echo_node(*command, "--help", cwd=tmp_path, env={"COLUMNS": "200"})
        assert done.returncode == 0
        assert [name for name in names if name not in done.stdout] == []


class TestConfig:
    def test_show_tells_value_and_source(self, tmp_path: Path) -> None:
        (tmp_path / "node.toml").write_text("[web]\nport = 9\n", encoding="utf-8")
        environment = {"ECHO_NODE_DATABASE_URL": "postgresql://echo:hunter2@db/echo"}
        done = echo_node(
            "config", "show", "--json", "--config", str(tmp_path), "--set", "node.port=7",
            cwd=tmp_path, env=environment,
        )  # fmt: skip
        shown = json.loads(done.stdout)
        assert shown["files"] == [str(tmp_path / "node.toml")]
        assert shown["settings"]["node.port"] == {"value": 7, "source": "--set node.port"}
        assert shown["settings"]["web.port"] == {"value": 9, "source": f"{tmp_path}/node.toml:2"}
        assert shown["settings"]["database.url"] == {
            "value": "postgresql://echo:***@db/echo",
            "source": "ECHO_NODE_DATABASE_URL",
        }
        assert shown["settings"]["queue.attempts"] == {"value": 5, "source": "default"}
        assert "hunter2" not in done.stdout

    def test_init_writes_files_that_change_nothing_and_overwrites_none(self, tmp_path: Path) -> None:
        assert echo_node("config", "init", "here", cwd=tmp_path).returncode == 0
        assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["node.toml", "peers.toml"]
        checked = echo_node("config", "check", "--config", "here", cwd=tmp_path)
        assert checked.returncode == 0
        assert "0 settings" in checked.stdout
        again = echo_node("config", "init", "here", cwd=tmp_path)
        assert again.returncode == 2
        assert "exists already" in again.stderr


class TestDatabase:
    def test_upgrade_then_current(self, tmp_path: Path, empty_config: Path) -> None:
        flags = ("--config", str(empty_config), "--data-dir", "data", "--json")
        made = json.loads(echo_node("db", "upgrade", *flags, cwd=tmp_path).stdout)
        assert made["before"] is None
        now = json.loads(echo_node("db", "current", *flags, cwd=tmp_path).stdout)
        assert now["current"] == now["latest"] == made["current"]

    def test_current_makes_nothing(self, tmp_path: Path, empty_config: Path) -> None:
        flags = ("--config", str(empty_config), "--data-dir", "nowhere", "--json")
        assert json.loads(echo_node("db", "current", *flags, cwd=tmp_path).stdout)["current"] is None
        assert not (tmp_path / "nowhere").exists()

    def test_status_of_a_folder_where_no_node_ran_says_so_and_makes_nothing(self, tmp_path: Path) -> None:
        done = echo_node("status", "--data-dir", "nowhere", cwd=tmp_path)
        assert done.returncode == 2
        assert "there is no database" in done.stderr
        assert not (tmp_path / "nowhere").exists()

    def test_status_counts_every_state(self, tmp_path: Path, empty_config: Path) -> None:
        flags = ("--config", str(empty_config), "--data-dir", "data")
        echo_node("db", "upgrade", *flags, cwd=tmp_path)
        status = json.loads(echo_node("status", "--json", *flags, cwd=tmp_path).stdout)
        assert status["studies"]["delivered"] == 0
        assert status["deliveries"]["dead"] == 0
        assert status["recent"] == []
        assert json.loads(echo_node("queue", "list", "--json", *flags, cwd=tmp_path).stdout) == []
