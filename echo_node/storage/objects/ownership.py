"""Ownership of a store: it belongs to one database, and an object in it says which.

The sweep removes an object that no row names as an orphan. In the store of another database that
would be every object: acknowledged images that exist nowhere else. Therefore each database has a
random id, its node, which is created once, and the store contains the id of its node
(`owner.json`). The two are compared before a role starts and before anything is removed. Only an
operator can take a store that has an owner.

The object also contains the place of the database, which a copy does not share: the identifiers of
server and database on PostgreSQL, the inode of the file on SQLite. A copy of a whole machine, or of
a server with all its files, cannot be distinguished from the original.

If two databases claim a store at once, one wins, through a hard link, or If-None-Match on S3. In a
store that has neither, the last one wins, and the other notices at its next check, as every role
does once a minute. Taking over a store (`adopt`) is not atomic either: the former owner notices
within that minute.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import delete, inspect, select

from echo_node.errors import ConfigError, PermanentError
from echo_node.storage.database.engine import Database
from echo_node.storage.database.rows import insert_if_absent
from echo_node.storage.database.tables import Document, Instance, NodeIdentity
from echo_node.storage.objects.store import OWNER, ObjectStore

log = structlog.get_logger()

NOBODY = "nobody"
"""Node of a store without an owner."""

UNREADABLE = "unreadable"
_INSIDE = "inside"
"""Place of a database in the store's own folder, which moves with its objects."""
_UNKNOWN = "-"
_LOOKED_FOR = 10
_FORMAT = 1
_NOTE = (
    "States the node to which these objects belong. Do not remove, change or copy it: "
    "see docs/how-to/recover-a-store.md."
)


class StoreOwnership(StrEnum):
    """Relation of a database to a store."""

    OURS = "ours"
    FREE = "free"
    FOREIGN = "foreign"
    COPY = "copy"
    RESTORING = "restoring"
    UNCLAIMED = "unclaimed"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Owner:
    """Owner of a store, as stated in the store.

    Attributes:
        node: id of the owning database.
        place: place of that database.
        claimed_at: time of the claim in UTC, for operators.
        restoring: digest of the backup that is being restored into the store.
        spared_before: moment of the store's clock at which the store was taken over; older objects
            are never orphans, whatever the rows say.
    """

    node: str
    place: str
    claimed_at: str
    restoring: str | None = None
    spared_before: float | None = None

    def encoded(self) -> bytes:
        """Return the content of the owner's object."""
        return json.dumps({"note": _NOTE, "format": _FORMAT} | asdict(self), indent=2).encode() + b"\n"


def decoded(content: bytes) -> Owner:
    """Return the owner in an owner's object; its node is UNREADABLE if the object is invalid."""
    try:
        stored: dict[str, Any] = json.loads(content)
        known: dict[str, Any] = {name: stored.get(name) for name in Owner.__dataclass_fields__}
        if stored["format"] == _FORMAT and all(isinstance(known[name], str) for name in ("node", "place")):
            return Owner(**known)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return Owner(UNREADABLE, _UNKNOWN, _UNKNOWN)


@dataclass(frozen=True, slots=True)
class Examination:
    """Relation of a database to a store, with its explanation for the operator.

    Attributes:
        standing: the relation.
        node: id of the database; None before it has one.
        owner: owner as stated in the store.
        where: path or URL of the statement.
    """

    standing: StoreOwnership
    node: str | None
    owner: Owner | None
    where: str

    @property
    def holder(self) -> str:
        """Node that owns the store, or NOBODY."""
        return NOBODY if self.owner is None else self.owner.node

    @property
    def refusal(self) -> str:
        """Message: what happened, what could be lost, and what to do."""
        own = f"this database is node {self.node}" if self.node else "this database has no id yet"
        since = f"since {self.owner.claimed_at}" if self.owner else ""
        what = {
            StoreOwnership.FOREIGN: (
                f"the images and drafts there belong to another database, of node {self.holder} ({since}); "
                f"{own}. Two databases on one store remove each other's images. Give this node another "
                "storage.url or node.data_dir"
            ),
            StoreOwnership.COPY: (
                f"this database has the id of its owner, node {self.holder} ({since}), and is not where that "
                "one was: it is a copy, or was moved. Two databases on one store remove each other's images. "
                "Give a copy another storage.url, and images of its own by backup and restore"
            ),
            StoreOwnership.RESTORING: (
                f"a backup is being restored into this store ({since}), or that was not finished. "
                "Finish it: run the same `echo-node restore` again, into an empty database"
            ),
            StoreOwnership.UNCLAIMED: (
                "there are images or drafts that this database does not name, and nobody has claimed them: "
                f"they are another node's, perhaps one that was not upgraded yet; {own}, and would remove "
                "them. Give this node another storage.url or node.data_dir, or, if its database was lost, "
                "restore that"
            ),
            StoreOwnership.ELSEWHERE: (
                f"there is none of the images and drafts that this database ({own}) names: is the folder "
                "mounted, and storage.url or node.data_dir the one that the node has written to"
            ),
        }.get(self.standing, "the store is this node's")
        adopt = "`echo-node storage adopt` takes the store over, once its owner is stopped for good"
        end = "?" if self.standing is StoreOwnership.ELSEWHERE else "."
        return f"{self.where}: {what}{end} {adopt}; docs/how-to/recover-a-store.md explains it"


class Ownership:
    """Compares a database with a store, and claims the store for the database.

    Args:
        database: database of the node.
        objects: store of images and drafts.
    """

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    def claim(self) -> Owner:
        """Ensure that this database owns the store; claim it if it has no owner and that is safe.

        A claim is safe if nothing could be lost: this database names no object and the store is
        empty, or the database names objects that are in the store. Call it before anything is
        removed.

        Raises:
            ConfigError: another database owns the store, or may own it.
            TransientError: database or store is unreachable.
        """
        node = self._node() or self._make_node()
        found = self.examine()
        if found.standing is StoreOwnership.FREE:
            self._objects.write_owner(self._new_owner(node).encoded(), replacing=False)
            found = self.examine()
            if found.standing is StoreOwnership.OURS:
                log.info("store_claimed", node=node)
        if found.owner is None or found.standing is not StoreOwnership.OURS:
            raise ConfigError(found.refusal)
        if found.owner.restoring is None:
            return found.owner
        owner = replace(found.owner, restoring=None)
        self._objects.write_owner(owner.encoded(), replacing=True)
        return owner

    def refuse_foreign(self) -> str | None:
        """Refuse the store of another database, without a change. Return this database's id.

        Raises:
            ConfigError: another database owns the store.
            TransientError: database or store is unreachable.
        """
        node, owner = self._node(), self._owner()
        if owner is not None:
            found = self._compare(node, owner)
            if found.standing is not StoreOwnership.OURS:
                raise ConfigError(found.refusal)
        return node

    def examine(self) -> Examination:
        """Return the relation of database and store, without a change.

        Raises:
            TransientError: database or store is unreachable.
        """
        node, owner = self._node(), self._owner()
        if owner is not None:
            return self._compare(node, owner)
        named = self._named()
        if not named:
            standing = StoreOwnership.FREE if self._objects.is_empty() else StoreOwnership.UNCLAIMED
        elif any(map(self._objects.contains, named)):
            standing = StoreOwnership.FREE
        else:
            standing = StoreOwnership.ELSEWHERE if self._objects.is_empty() else StoreOwnership.UNCLAIMED
        return Examination(standing, node, None, self._where)

    def adopt(self, holder: str) -> Owner:
        """Take the store over from its owner, for an operator; the sweeps spare its objects.

        The database gets a new id, so that a copy of it is refused from now on. The owner may adopt
        its own store again, for example after a return to an earlier state, which lacks later rows.

        Args:
            holder: owner that the operator saw and takes the store from, or NOBODY.

        Raises:
            ConfigError: another database takes the store over at this moment.
            PermanentError: the store has a different owner.
            TransientError: database or store is unreachable.
        """
        found = self.examine()
        if found.standing is StoreOwnership.FREE:
            return self.claim()
        if found.holder != holder:
            raise PermanentError(f"{self._where}: the store belongs to {found.holder}, not to {holder}")
        spared_before = self._objects.now()
        owner = self._new_owner(_new_id(), spared_before=spared_before)
        self._name_anew(owner.node)
        self._objects.write_owner(owner.encoded(), replacing=True)
        log.warning("store_adopted", node=owner.node)
        return self.claim()

    def begin_restore(self, backup: str, taken_from: str | None) -> Owner:
        """Claim the store for a database that a backup is about to be restored into.

        Args:
            backup: digest of the backup; a restore of the same backup may start again.
            taken_from: node that the store may be taken from; None takes it from no one.

        Raises:
            ConfigError: another database owns the store.
            TransientError: database or store is unreachable.
        """
        found = self.examine()
        before = found.owner
        if found.standing in (StoreOwnership.FREE, StoreOwnership.OURS) or _may_go_on(before, backup):
            spared_before = before.spared_before if before else None
        elif taken_from == found.holder:
            spared_before = self._objects.now()
        else:
            raise ConfigError(
                f"{found.refusal}. If the node that has it is gone for good, "
                f"`echo-node restore … --take-over {found.holder}` restores into it"
            )
        owner = self._new_owner(_new_id(), restoring=backup, spared_before=spared_before)
        self._objects.write_owner(owner.encoded(), replacing=before is not None)
        self._expect(owner)
        return owner

    def finish_restore(self, owner: Owner) -> Owner:
        """Make the restored database the owner: it gets the id of the beginning of the restore.

        Raises:
            ConfigError: another database has taken the store meanwhile.
            TransientError: database or store is unreachable.
        """
        self._expect(owner)
        self._name_anew(owner.node)
        return self.claim()

    def _expect(self, owner: Owner) -> None:
        found = self._owner()
        if found != owner:
            raise ConfigError(
                f"{self._where}: another node or restore took the store at the same moment "
                f"({found.node if found else NOBODY}); decide which of the two keeps it, and stop the other"
            )

    def _compare(self, node: str | None, owner: Owner) -> Examination:
        standing = StoreOwnership.OURS
        if owner.node != node:
            standing = StoreOwnership.FOREIGN if owner.restoring is None else StoreOwnership.RESTORING
        elif not _is_same(owner.place, self._place()):
            standing = StoreOwnership.COPY
        return Examination(standing, node, owner, self._where)

    def _owner(self) -> Owner | None:
        content = self._objects.read_owner()
        return None if content is None else decoded(content)

    def _new_owner(self, node: str, **more: Any) -> Owner:
        return Owner(node, self._place(), datetime.now(UTC).isoformat(timespec="seconds"), **more)

    def _node(self) -> str | None:
        with self._database.read() as session:
            if not inspect(session.connection()).has_table(NodeIdentity.__tablename__):
                return None
            return session.scalar(select(NodeIdentity.node))

    def _make_node(self) -> str:
        """Give the database an id, unless it has one. Return its id."""
        with self._database.write() as session:
            insert_if_absent(session, NodeIdentity, one=1, node=_new_id(), made_at=datetime.now(UTC))
            return session.scalars(select(NodeIdentity.node)).one()

    def _name_anew(self, node: str) -> None:
        with self._database.write() as session:
            session.execute(delete(NodeIdentity))
            session.add(NodeIdentity(one=1, node=node, made_at=datetime.now(UTC)))

    def _named(self) -> Sequence[str]:
        """Return the names of the latest objects that must be in the store."""
        kept = select(Instance.path).where(Instance.removed_at.is_(None)).order_by(Instance.id.desc())
        drafts = select(Document.object_path).order_by(Document.id.desc())
        with self._database.read() as session:
            if not inspect(session.connection()).has_table(Instance.__tablename__):
                return []
            return [path for query in (kept, drafts) for path in session.scalars(query.limit(_LOOKED_FOR))]

    def _place(self) -> str:
        file = self._database.file
        if file is None:
            return self._database.server_place()
        return _INSIDE if self._objects.holds(file) else f"sqlite:{file.stat().st_ino}"

    @property
    def _where(self) -> str:
        return self._objects.location(OWNER)


def _may_go_on(owner: Owner | None, backup: str) -> bool:
    """Return whether a restore may replace an unfinished one: same backup, or nothing to lose."""
    return (
        owner is not None
        and owner.restoring is not None
        and (owner.restoring == backup or owner.spared_before is None)
    )


def _new_id() -> str:
    return str(uuid.uuid4())


def _is_same(place: str, other: str) -> bool:
    """Return whether two places are the same, as far as their parts are known."""
    parts, others = place.split(":"), other.split(":")
    return len(parts) == len(others) and all(
        one == another or _UNKNOWN in (one, another) for one, another in zip(parts, others, strict=True)
    )
