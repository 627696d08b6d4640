"""The shipped files name every setting with its default, and change nothing."""

import itertools
import re
import tomllib

from echo_node.config import load
from echo_node.config.environment import SHORT_FORMS
from echo_node.config.keys import known_keys
from echo_node.resources import packaged_folder
from echo_node.settings import Peer, Settings

FOLDER = packaged_folder("dicom_config")
COMMENTED = re.compile(r"^# ?(?=[a-z_]+ = |\[)", re.MULTILINE)


def uncommented(name: str) -> dict[str, dict[str, object]]:
    return tomllib.loads(COMMENTED.sub("", (FOLDER / name).read_text(encoding="utf-8")))


def test_every_setting_stands_in_node_toml_with_its_default() -> None:
    defaults = Settings().model_dump(mode="json", exclude={"peers"})
    assert uncommented("node.toml") == defaults


def test_every_setting_of_a_peer_stands_in_peers_toml() -> None:
    text = (FOLDER / "peers.toml").read_text(encoding="utf-8")
    assert [name for name in Peer.model_fields if not re.search(rf"^# {name} = ", text, re.MULTILINE)] == []


def test_the_files_as_they_are_change_nothing() -> None:
    loaded = load(FOLDER)
    assert (loaded.settings, loaded.sources) == (Settings(), {})


def test_every_setting_is_described_in_words_before_it() -> None:
    lines = (FOLDER / "node.toml").read_text(encoding="utf-8").splitlines()
    setting, words = re.compile("# [a-z_]+ = "), re.compile("# .{10,}[.)]$")
    bare = [
        line for before, line in itertools.pairwise(lines) if setting.match(line) and not words.match(before)
    ]
    assert bare == []


def test_every_setting_describes_itself() -> None:
    assert [key for key, field in known_keys(("peer",)) if not field.description] == []


def test_the_short_forms_are_named_beside_their_settings() -> None:
    text = (FOLDER / "node.toml").read_text(encoding="utf-8")
    assert [name for name in SHORT_FORMS if f"ECHO_NODE_{name}" not in text] == []
