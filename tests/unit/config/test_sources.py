"""Effective settings: precedence, the source of each value, and errors about wrong ones."""

from pathlib import Path

import pytest

from echo_node.config import Override, load
from echo_node.errors import ConfigError


def write(folder: Path, node: str = "", peers: str | None = None) -> Path:
    (folder / "node.toml").write_text(node, encoding="utf-8")
    if peers is not None:
        (folder / "peers.toml").write_text(peers, encoding="utf-8")
    return folder


def refusal(config: Path | None = None, environ: dict[str, str] | None = None, *overrides: Override) -> str:
    with pytest.raises(ConfigError) as caught:
        load(config, environ, overrides)
    return str(caught.value)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the checkout or the machine reaches these tests."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr("echo_node.config.files.SYSTEM_FOLDER", tmp_path / "etc")


def test_no_file_at_all_gives_the_defaults() -> None:
    loaded = load()
    assert (loaded.files, loaded.settings.node.port, loaded.sources) == ((), 11112, {})
    assert {item.source for item in loaded.effective()} == {"default"}


def test_each_layer_replaces_the_one_before(tmp_path: Path) -> None:
    write(tmp_path, "[node]\nport = 1\nae_title = 'FILE'\n[web]\nport = 2\n")
    environ = {"ECHO_NODE_NODE__PORT": "3", "ECHO_NODE_WEB__PORT": "4"}
    loaded = load(tmp_path, environ, [Override(("node", "port"), "5", "--port")])
    assert (loaded.settings.node.port, loaded.settings.web.port) == (5, 4)
    assert loaded.settings.node.ae_title == "FILE"
    assert loaded.sources["node.port"] == "--port"
    assert loaded.sources["web.port"] == "ECHO_NODE_WEB__PORT"
    assert loaded.sources["node.ae_title"] == f"{tmp_path}/node.toml:3"


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("ECHO_NODE_PORT", "104", "node.port", 104),
        ("ECHO_NODE_AE_TITLE", "XRAY", "node.ae_title", "XRAY"),
        ("ECHO_NODE_DATA_DIR", "/srv/echo", "node.data_dir", "/srv/echo"),
        ("ECHO_NODE_ROLE", "receive", "node.role", "receive"),
        ("ECHO_NODE_DATABASE_URL", "sqlite:////srv/x", "database.url", "sqlite:////srv/x"),
        ("ECHO_NODE_STUDY_IDLE", "2.5", "intake.study_idle_s", 2.5),
        ("ECHO_NODE_MODEL", "other", "model.name", "other"),
        ("ECHO_NODE_INTAKE__REQUIRE_CALLED_AE_TITLE", "false", "intake.require_called_ae_title", False),
        (
            "ECHO_NODE_INTAKE__ALLOWED_CALLING_AE_TITLES",
            "A, B",
            "intake.allowed_calling_ae_titles",
            ["A", "B"],
        ),
    ],
)
def test_variables(variable: str, text: str, key: str, value: object) -> None:
    shown = {".".join(item.key): item for item in load(environ={variable: text}).effective()}
    assert (shown[key].value, shown[key].source) == (value, variable)


def test_what_kubernetes_says_of_a_service_of_this_name_is_not_ours() -> None:
    environ = {
        "ECHO_NODE_PORT": "tcp://10.0.0.7:11112",
        "ECHO_NODE_PORT_11112_TCP_ADDR": "10.0.0.7",
        "ECHO_NODE_SERVICE_HOST": "10.0.0.7",
        "ECHO_NODE_SERVICE_PORT_DICOM": "11112",
    }
    assert load(environ=environ).settings.node.port == 11112


def test_pacs_is_a_peer_and_the_destination() -> None:
    settings = load(overrides=[Override(("pacs",), "PACS@[fe80::1]:104", "--pacs")]).settings
    assert settings.delivery.destinations == ("pacs",)
    assert settings.peers["pacs"].model_dump() == {
        "ae_title": "PACS",
        "host": "fe80::1",
        "port": 104,
        "study_idle_s": None,
        "uid_check": "lenient",
        "on_conflict": "hold",
        "body_part": "",
        "character_set": (),
        "urgent": False,
        "stow_url": "",
        "stow_token": "",
        "storage_commitment": False,
        "kinds": (),
        "mllp_url": "",
    }


def test_several_pacs_of_one_layer_are_all_destinations_and_replace_the_layer_below(tmp_path: Path) -> None:
    write(
        tmp_path,
        "[delivery]\ndestinations = ['archive']",
        "[archive]\nae_title = 'OTHER'\nhost = 'a'\n[pacs]\nae_title = 'OLD'\nhost = 'o'\nstudy_idle_s = 3\n",
    )
    given = [Override(("pacs",), text, "--pacs") for text in ("A@a:1", "B@b:2")]
    loaded = load(tmp_path, {"ECHO_NODE_PACS": "C@c:3"}, given)
    assert loaded.settings.delivery.destinations == ("pacs", "pacs-2")
    assert [loaded.settings.peers[name].ae_title for name in ("pacs", "pacs-2")] == ["A", "B"]
    assert loaded.settings.peers["pacs"].study_idle_s is None
    assert "peers.pacs.study_idle_s" not in loaded.sources


@pytest.mark.parametrize("text", ["A", "A@h", "A@h:x", "@h:1", "A@:1", "A@h:0", "A@h:70000", "A@::1:104"])
def test_a_pacs_of_another_form_is_refused(text: str) -> None:
    assert "AE@host:port" in refusal(None, None, Override(("pacs",), text, "--pacs"))


def test_a_peers_variable_finds_the_peer_whatever_its_case(tmp_path: Path) -> None:
    write(tmp_path, "", "[Main_PACS]\nae_title = 'PACS'\n")
    loaded = load(tmp_path, {"ECHO_NODE_PEERS__MAIN_PACS__HOST": "10.0.0.5"})
    assert loaded.settings.peers["Main_PACS"].host == "10.0.0.5"
    assert list(loaded.settings.peers) == ["Main_PACS"]


@pytest.mark.parametrize(
    ("node", "where", "meant"),
    [
        ("[node]\n\nprot = 1", "node.toml:3", "'node.port'"),
        ("[node]\nstudy_idle_s = 1", "node.toml:2", "'intake.study_idle_s'"),
        ("port = 1", "node.toml:1", "'node.port'"),
        ("node.prot = 1", "node.toml:1", "'node.port'"),
        ("[nod]\nport = 1", "node.toml:1", "[node]"),
        ("[nod]", "node.toml:1", "[node]"),
        ("[node.port]\nx = 1", "node.toml:2", "'node.port'"),
        ("[peers.pacs]\nae_titel = 'A'", "node.toml:2", "'peers.pacs.ae_title'"),
        ("[zzz]\nqqq = 1", "node.toml:1", "the sections are node, intake"),
    ],
)
def test_an_unknown_key_names_its_line_and_the_nearest_known_one(
    tmp_path: Path, node: str, where: str, meant: str
) -> None:
    message = refusal(write(tmp_path, node))
    assert where in message
    assert meant in message


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("ECHO_NODE_POTR", "ECHO_NODE_PORT"),
        ("ECHO_NODE_NODE_PORT", "ECHO_NODE_NODE__PORT"),
        ("ECHO_NODE_NODE__PROT", "'node.port'"),
        ("ECHO_NODE_QUEUE__ATTEMPT", "'queue.attempts'"),
        ("ECHO_NODE_PEERS__PACS__PROT", "'peers.pacs.port'"),
    ],
)
def test_an_unknown_variable_names_the_nearest_known_one(variable: str, meant: str) -> None:
    message = refusal(None, {variable: "1"})
    assert variable in message
    assert meant in message


@pytest.mark.parametrize(
    ("node", "parts"),
    [
        ("[node]\nport = 70000", ("'node.port'", "70000", "node.toml:2", "65535")),
        ("[node]\nport = true", ("'node.port'", "node.toml:2", "true-or-false")),
        ("[node]\nport = {}", ("'node.port'", "node.toml:2", "integer")),
        ("[node]\nae_title = 'SEVENTEEN_LETTERS'", ("'node.ae_title'", "1 to 16")),
        ("[node]\nrole = 'both'", ("'node.role'", "'all'", "'receive'")),
        ("[intake]\nstudy_idle_s = inf", ("'intake.study_idle_s'", "finite")),
        ("[intake]\nstudy_idle_s = 0", ("'intake.study_idle_s'", "greater than 0")),
        ("[delivery]\ndestinations = ['x']", ("delivery.destinations", "'x'", "not among the peers")),
        ("[intake]\ncommitment_archive = 'x'", ("intake.commitment_archive", "'x'", "not among the peers")),
        (
            "[intake]\ncommitment_archive = 'p'\n[peers.p]\nae_title = 'P'",
            ("'p'", "storage commitment", "needs a host"),
        ),
        ("[priors]\npeer = 'x'", ("priors.peer", "'x'", "not among the peers")),
        ("[priors]\npeer = 'p'\n[peers.p]\nae_title = 'P'", ("'p'", "priors", "needs a host")),
        ("[priors]\npeer = 'p'\nqido_url = 'http://x'", ("priors.peer", "priors.qido_url", "set one")),
        ("[priors]\nqido_url = 'x'", ("'priors.qido_url'", "https://")),
        ("[priors]\ntime_limit_s = 61", ("'priors.time_limit_s'", "60")),
        ("[peers.p]\nhost = 'h'", ("'p'", "'ae_title'")),
        ("[peers.p]", ("'p'", "'ae_title'")),
        ("[node\nport = 1", ("node.toml", "TOML", "line 1")),
    ],
)
def test_an_impossible_value_names_key_source_and_what_is_allowed(
    tmp_path: Path, node: str, parts: tuple[str, ...]
) -> None:
    message = refusal(write(tmp_path, node))
    assert [part for part in parts if part not in message] == []


def test_every_wrong_value_is_named_at_once(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "[node]\nport = -1\n[queue]\nattempts = 0\n"))
    assert "node.port" in message
    assert "queue.attempts" in message


def test_a_setting_outside_any_peer_is_refused(tmp_path: Path) -> None:
    assert "peers.toml:1" in refusal(write(tmp_path, "", "ae_title = 'X'"))


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_bytes(b"[node]\nae_title = '\xff'")
    assert "UTF-8" in refusal(tmp_path)


def test_a_password_is_masked_wherever_it_is_shown() -> None:
    url = "postgresql://echo:hunter2@db/echo"
    shown = {".".join(i.key): i.value for i in load(environ={"ECHO_NODE_DATABASE_URL": url}).effective()}
    assert shown["database.url"] == "postgresql://echo:***@db/echo"


@pytest.mark.parametrize(
    ("node", "parts"),
    [
        ("[storage]\nurl = 'bucket'", ("'storage.url'", "s3://bucket/prefix")),
        ("[storage]\nurl = 's3://'", ("'storage.url'", "s3://bucket/prefix")),
        ("[storage]\nurl = 'file://mnt'", ("'storage.url'", "file:///mnt/echo")),
        ("[storage]\nendpoint_url = 'localhost:9000'", ("'storage.endpoint_url'", "https://")),
        ("[storage]\nendpoint_url = 'http://localhost:9000'", ("storage.url",)),
        (
            "[storage]\nurl = 's3://b'\n[retention]\nmaximum_disk_share = 0.9",
            ("retention.maximum_disk_share", "retention.keep_days"),
        ),
    ],
)
def test_where_objects_cannot_be_kept(tmp_path: Path, node: str, parts: tuple[str, ...]) -> None:
    message = refusal(write(tmp_path, node))
    assert [part for part in parts if part not in message] == []


def test_a_key_in_the_url_of_the_object_store_is_refused_and_not_repeated(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "[storage]\nurl = 's3://key:hunter2@bucket/echo'"))
    assert "environment" in message
    assert "hunter2" not in message


class TestWhichFilesAreRead:
    def test_a_given_folder(self, tmp_path: Path) -> None:
        assert load(write(tmp_path, "", "")).files == (tmp_path / "node.toml", tmp_path / "peers.toml")

    def test_a_given_file_alone(self, tmp_path: Path) -> None:
        write(tmp_path, "", "[pacs]\nae_title = 'X'")
        loaded = load(tmp_path / "node.toml")
        assert loaded.files == (tmp_path / "node.toml",)
        assert loaded.settings.peers == {}

    def test_the_variable(self, tmp_path: Path) -> None:
        write(tmp_path, "[node]\nport = 7")
        assert load(environ={"ECHO_NODE_CONFIG": str(tmp_path)}).settings.node.port == 7

    def test_the_machines_before_the_working_folders(self, tmp_path: Path) -> None:
        local = tmp_path / "cwd" / "dicom_config"
        local.mkdir()
        write(local, "[node]\nport = 1")
        assert load().settings.node.port == 1
        (tmp_path / "etc").mkdir()
        write(tmp_path / "etc", "[node]\nport = 2")
        assert load().settings.node.port == 2

    def test_a_given_path_must_be_there(self, tmp_path: Path) -> None:
        assert "does not exist" in refusal(tmp_path / "nowhere")

    def test_a_folder_with_a_misspelt_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "nodes.toml").write_text("[node]\nport = 1", encoding="utf-8")
        assert "nodes.toml" in refusal(tmp_path)


def test_the_kinds_of_a_peer_can_come_from_the_environment(tmp_path: Path) -> None:
    folder = write(tmp_path, "", "[pacs]\nae_title = 'PACS'\nhost = 'pacs'")
    environ = {"ECHO_NODE_PEERS__PACS__KINDS": "basic-text-sr, encapsulated-pdf"}
    assert load(folder, environ).settings.peers["pacs"].documents == ("basic-text-sr", "encapsulated-pdf")
