"""A store belongs to one database: no other one removes what is in it, or writes there."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import make_url, text
from support.studies import MODEL, SetClock, document, put, received, selection

from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.studies.intake import StoreOutcome
from echo_node.domain.work.drafting import NewDraft
from echo_node.errors import ConfigError, PermanentError
from echo_node.roles import open_storage as role_storage
from echo_node.settings import DatabaseSettings, RetentionSettings, Settings
from echo_node.storage.database import migrate
from echo_node.storage.database.engine import Database
from echo_node.storage.objects.ownership import NOBODY, UNREADABLE, StoreOwnership
from echo_node.storage.objects.store import OWNER
from echo_node.storage.open import Storage
from echo_node.storage.operations.backup import back_up, restore
from echo_node.wiring.storage import open_storage

SettingsOf = Callable[[Path], Settings]
Opener = Callable[..., Storage]
DAY_S = 86_400.0
LATER_S = -5.0
"""An age that every object has, whatever the two clocks say."""

_CLAIMING = """
import sys
from echo_node.errors import ConfigError
from echo_node.settings import Settings
from echo_node.wiring.storage import open_storage

made = Settings.model_validate_json(sys.stdin.readline())
with open_storage(made) as storage:
    storage.current()
    storage.objects.is_empty()
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        print(storage.ownership.claim().node)
    except ConfigError as error:
        print("refused", error)
"""


@pytest.fixture
def settings_for(settings_of: SettingsOf, tmp_path: Path) -> Callable[[Database], Settings]:
    """Makes the settings of a node with this database, on the one store of the test."""

    def made(database: Database) -> Settings:
        url = database.engine.url.render_as_string(hide_password=False)
        update = {"database": DatabaseSettings(url=url), "retention": RetentionSettings(keep_days=1)}
        settings = settings_of(tmp_path / "node").model_copy(update=update)
        peers = {"PACS": {"ae_title": "PACS", "host": "127.0.0.1"}}
        sending = {"delivery": {"destinations": ("PACS",)}, "peers": peers}
        return Settings.model_validate(settings.model_dump() | sending)

    return made


@pytest.fixture
def open_node(
    new_database: Callable[[], Database], settings_for: Callable[[Database], Settings]
) -> Iterator[Opener]:
    """Opens a node with its own database, or with a given one, on the one store of the test."""
    with ExitStack() as stack:

        def opened(database: Database | None = None) -> Storage:
            settings = settings_for(database or new_database())
            return stack.enter_context(open_storage(settings, SetClock()))

        yield opened


def move(node: Storage, seconds: float) -> None:
    """Move the clock of a node."""
    assert isinstance(node.drafting.clock, SetClock)
    node.drafting.clock.move(seconds)


def filled(node: Storage, number: int = 1) -> list[str]:
    """Let a node keep an image and a draft that was delivered; return the names of both."""
    instance = received(number, number)
    assert node.studies.record(instance, put(node.spool, instance)) is StoreOutcome.STORED
    move(node, 3600)
    node.studies.complete_due()
    job = node.jobs.claim("worker")
    assert job is not None
    node.drafts.finish(job, NewDraft([document(number, job.revision)], selection(instance), MODEL))
    delivery = node.deliveries.claim("sender")
    assert delivery is not None
    node.deliveries.finish(delivery, DeliveryOutcome.SUCCESS, 0)
    story = node.queries.show(job.study_id)
    return [row["path"] for kind in ("instances", "documents") for row in story[kind]]


def orphan(node: Storage, number: int) -> str:
    """Write an image that no row comes to name."""
    instance = received(number, number)
    return str(put(node.spool, instance).path)


def copied(database: Database, folder: Path) -> Database:
    """Copy a database as an operator may: the file, or by dump and load."""
    if database.file is not None:
        folder.mkdir()
        with database.engine.connect() as connection:
            connection.connection.execute("VACUUM INTO ?", (str(folder / "copy.sqlite3"),))
        return Database(f"sqlite:///{folder / 'copy.sqlite3'}")
    url = database.engine.url
    name = f"{url.database}_copy"
    database.close()
    server = Database(url.set(database="postgres").render_as_string(hide_password=False))
    with server.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {url.database}"))
    server.close()
    return Database(make_url(url).set(database=name).render_as_string(hide_password=False))


def nothing(_done: int, _of: int) -> None:
    pass


def test_a_second_database_on_the_store_removes_nothing(open_node: Opener) -> None:
    first, second = open_node(), open_node()
    names = filled(first)
    assert first.orphans.sweep(age_s=LATER_S) == 0
    with suppress(ConfigError):
        second.orphans.sweep(age_s=LATER_S)
    assert all(map(first.objects.contains, names))


def test_the_words_that_a_form_can_be_made_from_are_no_orphan(open_node: Opener) -> None:
    """A form that could not be made is a row without its object; the pending draft is stored."""
    node = open_node()
    kept = filled(node)[-1]
    with node.database.write() as session:
        session.execute(
            text("UPDATE documents SET kept_path = path, kept_sha256 = sha256, path = '', sha256 = ''")
        )
    assert node.orphans.sweep(age_s=LATER_S) == 0
    assert node.objects.contains(kept)


def test_the_words_that_nothing_is_made_from_any_more_are_one(open_node: Opener) -> None:
    node = open_node()
    names = filled(node)
    kept = str(node.outbox.keep("2.25.1", b"{}"))
    assert node.orphans.sweep(age_s=LATER_S) == 1
    assert not node.objects.contains(kept)
    assert all(map(node.objects.contains, names))


def test_a_store_of_which_only_such_words_are_left_is_known_by_them(open_node: Opener) -> None:
    """The images were removed by retention, and the one draft has no object of its own yet."""
    node = open_node()
    filled(node)
    with node.database.write() as session:
        unmade = "UPDATE documents SET kept_path = path, kept_sha256 = sha256, path = '', sha256 = ''"
        session.execute(text(unmade))
        session.execute(text("UPDATE instances SET removed_at = received_at"))
    assert node.ownership.examine().standing is StoreOwnership.FREE
    assert node.ownership.claim().node == node.ownership.examine().node


def test_the_first_start_makes_the_id_and_the_claim_and_the_next_ones_keep_them(open_node: Opener) -> None:
    node = open_node()
    assert node.ownership.examine().standing is StoreOwnership.FREE
    owner = node.ownership.claim()
    again = open_node(node.database)
    assert again.ownership.claim() == owner == node.ownership.claim()
    assert again.ownership.examine().node == owner.node
    assert json.loads(node.objects.read_owner() or b"")["node"] == owner.node


def test_a_second_database_does_not_start_and_is_told_both_ids(open_node: Opener) -> None:
    first, second = open_node(), open_node()
    owner = first.ownership.claim()
    for use in (second.ownership.claim, second.orphans.sweep, second.ownership.refuse_foreign):
        with pytest.raises(ConfigError) as refusal:
            use()
        said = str(refusal.value)
        assert owner.node in said
        assert str(second.ownership.examine().node) in said
        assert "echo-node storage adopt" in said
        assert OWNER in said
    assert second.ownership.examine().standing is StoreOwnership.FOREIGN
    assert first.ownership.claim() == owner


def test_a_copy_of_a_database_is_told_from_it_and_removes_nothing(open_node: Opener, tmp_path: Path) -> None:
    first = open_node()
    names = filled(first)
    first.ownership.claim()
    copy = copied(first.database, tmp_path / "copied")
    second = open_node(copy)
    copy.close()
    move(second, 2 * DAY_S)
    for use in (second.ownership.claim, second.retention, lambda: second.orphans.sweep(LATER_S)):
        with pytest.raises(ConfigError, match="it is a copy, or was moved"):
            use()
    later = filled(first, 2)
    assert all(map(first.objects.contains, [*names, *later]))
    assert second.queries.show(1)["instances"][0]["removed_at"] is None
    assert first.ownership.examine().standing is StoreOwnership.OURS


def test_a_node_of_the_version_before_is_adopted_without_a_word(open_node: Opener) -> None:
    before = open_node()
    names = filled(before)
    with before.database.engine.begin() as connection:
        command.downgrade(migrate._config(connection), "0007")
    assert before.ownership.examine().standing is StoreOwnership.FREE
    assert before.upgrade() == migrate.latest()
    assert before.orphans.sweep(LATER_S) == 0
    assert before.ownership.examine().standing is StoreOwnership.OURS
    assert all(map(before.objects.contains, names))


def test_objects_of_nobody_are_not_taken_by_a_database_that_names_none_of_them(open_node: Opener) -> None:
    """The first node is of the version before, and has no claim yet."""
    before, second = open_node(), open_node()
    names = filled(before)
    with pytest.raises(ConfigError, match="nobody has claimed them"):
        second.orphans.sweep(LATER_S)
    filled(second, 2)  # its own are there now, but only since it wrote without having asked
    before.ownership.claim()
    with pytest.raises(ConfigError, match="belong to another database"):
        second.orphans.sweep(LATER_S)
    assert all(map(before.objects.contains, names))


def test_a_store_that_has_lost_everything_is_not_taken_for_a_new_one(open_node: Opener) -> None:
    """A folder that is not mounted looks like this."""
    node = open_node()
    for name in filled(node):
        node.objects.remove(name)
    with pytest.raises(ConfigError, match="is the folder mounted"):
        node.ownership.claim()
    assert node.objects.read_owner() is None


def test_a_claim_that_makes_no_sense_is_nobodys_to_take_but_on_purpose(open_node: Opener) -> None:
    node = open_node()
    filled(node)
    owner = node.ownership.claim()
    node.objects.write_owner(b"{}", replacing=True)
    with pytest.raises(ConfigError, match=UNREADABLE):
        node.ownership.claim()
    assert node.ownership.adopt(UNREADABLE).node != owner.node


@pytest.mark.parametrize("same_database", [True, False])
def test_of_two_processes_that_start_at_once_one_database_has_the_store(
    new_database: Callable[[], Database], settings_for: Callable[[Database], Settings], same_database: bool
) -> None:
    first = new_database()
    databases = (first, first if same_database else new_database())
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _CLAIMING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in databases
    ]
    for process, database in zip(started, databases, strict=True):
        assert process.stdin is not None
        process.stdin.write(settings_for(database).model_dump_json() + "\n")
        process.stdin.flush()
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[0].splitlines()[-1] for process in started]
    refused = [line for line in said if line.startswith("refused")]
    owners = set(said) - set(refused)
    assert (len(owners), len(refused)) == (1, 0 if same_database else 1)
    assert all(owners.pop() in line for line in refused)


def test_an_operator_takes_a_store_over_and_nothing_that_was_there_goes(open_node: Opener) -> None:
    first, second = open_node(), open_node()
    names = [*filled(first), orphan(first, 7)]
    owner = first.ownership.claim()
    with pytest.raises(PermanentError, match="belongs to"):
        second.ownership.adopt("somebody else")
    taken = second.ownership.adopt(owner.node)
    assert taken.node not in (owner.node, None)
    assert second.orphans.sweep(LATER_S) == 0
    assert sorted(second.orphans.find(LATER_S)) == sorted(names)
    move(first, 2 * DAY_S)
    for use in (first.ownership.claim, first.retention, lambda: first.orphans.sweep(LATER_S)):
        with pytest.raises(ConfigError, match="belong to another database"):
            use()
    assert all(map(second.objects.contains, names))
    assert second.ownership.adopt(taken.node).node != taken.node  # it has it already, and may say so again
    assert second.orphans.remove(LATER_S) == 3


def test_what_came_after_a_store_was_taken_over_is_an_orphan_again(
    open_node: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = open_node(), open_node()
    names = filled(first)
    owner = first.ownership.claim()
    present = second.objects.now()
    monkeypatch.setattr(type(second.objects), "now", lambda _: present - 60.0)
    second.ownership.adopt(owner.node)
    monkeypatch.undo()
    assert second.orphans.sweep(LATER_S) == len(names)


def test_objects_of_nobody_are_taken_over_on_purpose(open_node: Opener) -> None:
    before, second = open_node(), open_node()
    names = filled(before)
    second.ownership.adopt(NOBODY)
    assert second.orphans.sweep(LATER_S) == 0
    assert all(map(second.objects.contains, names))


def test_a_role_that_runs_ends_when_the_store_is_taken_over(
    open_node: Opener, settings_for: Callable[[Database], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = open_node(), open_node()
    owner = first.ownership.claim()
    monkeypatch.setattr(role_storage, "_OWNERSHIP_EVERY_S", 0.05)
    stop = threading.Event()
    with (  # noqa: PT012 - it is raised at the end of the block
        pytest.raises(ConfigError, match="belong to another database"),
        role_storage.owned_storage(settings_for(first.database), stop),
    ):
        second.ownership.adopt(owner.node)
        assert stop.wait(60)


class TestRestoring:
    """A restored node is one of its own."""

    def test_the_copy_has_an_id_of_its_own_and_may_not_have_the_store(
        self, open_node: Opener, new_database: Callable[[], Database], tmp_path: Path
    ) -> None:
        node = open_node()
        names = filled(node)
        owner = node.ownership.claim()
        back_up(node.database, node.objects, tmp_path / "node", tmp_path / "backup", nothing)
        again = open_node()
        with pytest.raises(ConfigError, match=f"--take-over {owner.node}"):
            restore(tmp_path / "backup", again.database, again.objects, nothing)
        assert node.ownership.claim() == owner
        elsewhere = Settings.model_validate(
            {
                "node": {"data_dir": tmp_path / "elsewhere"},
                "database": {"url": new_database().engine.url.render_as_string(hide_password=False)},
            }
        )
        with open_storage(elsewhere, SetClock()) as copy:
            restore(tmp_path / "backup", copy.database, copy.objects, nothing)
            assert copy.ownership.claim().node != owner.node
            assert copy.orphans.sweep(LATER_S) == 0
            assert all(map(copy.objects.contains, names))

    def test_the_successor_of_a_dead_node_has_its_store_and_keeps_what_the_backup_lacks(
        self, open_node: Opener, tmp_path: Path
    ) -> None:
        node = open_node()
        names = filled(node)
        owner = node.ownership.claim()
        back_up(node.database, node.objects, tmp_path / "node", tmp_path / "backup", nothing)
        names += filled(node, 2)  # after the backup: acknowledged, and in no row of it
        again = open_node()
        restore(tmp_path / "backup", again.database, again.objects, nothing, owner.node)
        assert again.ownership.claim().node != owner.node
        assert again.orphans.sweep(LATER_S) == 0
        assert sorted(again.orphans.find(LATER_S)) == sorted(names[2:])
        assert all(map(again.objects.contains, names))
        with pytest.raises(ConfigError, match="belong to another database"):
            node.ownership.claim()

    def test_nobody_starts_on_what_is_half_restored_and_the_same_restore_goes_on(
        self, open_node: Opener, tmp_path: Path
    ) -> None:
        node = open_node()
        names = filled(node)
        owner = node.ownership.claim()
        back_up(node.database, node.objects, tmp_path / "node", tmp_path / "backup", nothing)
        again = open_node()

        def die(_done: int, _of: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            restore(tmp_path / "backup", again.database, again.objects, die, owner.node)
        for each in (node, again):
            with pytest.raises(ConfigError, match="a backup is being restored"):
                each.orphans.sweep(LATER_S)
        restore(tmp_path / "backup", again.database, again.objects, nothing)
        assert again.ownership.examine().standing is StoreOwnership.OURS
        assert again.ownership.claim().restoring is None
        assert all(map(again.objects.contains, names))

    def test_a_backup_is_that_of_one_node(self, open_node: Opener, tmp_path: Path) -> None:
        node = open_node()
        filled(node)
        owner = node.ownership.claim()
        target = tmp_path / "backup"
        for _ in range(2):
            back_up(node.database, node.objects, tmp_path / "node", target, nothing)
        kept = {path for path in target.rglob("*") if path.is_file()}
        other = open_node()
        with pytest.raises(ConfigError, match="belong to another database"):
            back_up(other.database, other.objects, tmp_path / "node", target, nothing)
        other.ownership.adopt(owner.node)
        with pytest.raises(PermanentError, match=f"is the backup of node {owner.node}"):
            back_up(other.database, other.objects, tmp_path / "node", target, nothing)
        assert {path for path in target.rglob("*") if path.is_file()} == kept
