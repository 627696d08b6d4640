"""Commands of each group in a fresh interpreter: they answer like those that start warm."""

from pathlib import Path

import pytest
from support.console import echo_node, fresh_echo_node


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["config", "check", "--config", "config"], id="node"),
        pytest.param(["queue", "list", "--config", "config", "--data-dir", "data"], id="studies"),
        pytest.param(["phantom", "sheet", "out.png", "--count", "1", "--size", "128", "--json"], id="models"),
        pytest.param(["retract", "--help"], id="help"),
        pytest.param(["serve", "--prot", "1"], id="wrong usage"),
    ],
)
def test_a_fresh_interpreter_answers_as_a_warm_one(
    arguments: list[str], tmp_path: Path, empty_config: Path
) -> None:
    flags = ("--config", empty_config, "--data-dir", "data")
    assert fresh_echo_node("db", "upgrade", *flags, cwd=tmp_path).returncode == 0
    fresh, warm = (run(*arguments, cwd=tmp_path) for run in (fresh_echo_node, echo_node))
    assert (warm.returncode, warm.stdout, warm.stderr) == (fresh.returncode, fresh.stdout, fresh.stderr)


def test_a_command_started_warm_has_the_variables_it_is_given(tmp_path: Path, empty_config: Path) -> None:
    for run in (fresh_echo_node, echo_node):
        done = run("config", "check", "--config", empty_config, cwd=tmp_path, env={"ECHO_NODE_POTR": "1"})
        assert (done.returncode, "did you mean ECHO_NODE_PORT?" in done.stderr) == (2, True)
