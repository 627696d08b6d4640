"""Claims on rows: a lease, a heartbeat, and an attempt number that fences off earlier holders.

Every kind of work is claimed by these statements. On PostgreSQL a claim is SELECT … FOR UPDATE SKIP
LOCKED inside the UPDATE. On SQLite the transaction has begun as a writer, which guards the same
UPDATE … WHERE state … RETURNING.

An expired lease remains valid until another worker claims the row. After that, the attempt number
has changed, and the database refuses what the earlier holder records.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from echo_node.domain.work.job import Lease
from echo_node.errors import LeaseLost
from echo_node.storage.database.tables import Claimable

Row = TypeVar("Row", bound=Claimable)


@dataclass(frozen=True, slots=True)
class Claims(Generic[Row]):
    """Claims on the rows of one table.

    Attributes:
        table: mapped class.
        ready: state of rows that wait for a worker.
        running: state of rows that a worker has claimed.
        lease_s: lease duration, in seconds, until a claim is renewed.
    """

    table: type[Row]
    ready: StrEnum
    running: StrEnum
    lease_s: float

    def due(self, now: datetime, *order: InstrumentedAttribute[int]) -> Select[int]:
        """Return the query for the next row's id: by *order*, else the longest due first."""
        return (
            select(self.table.id)
            .where(self.table.state == self.ready, self.table.available_at <= now)
            .order_by(*(order or (self.table.available_at,)), self.table.id)
            .limit(1)
        )

    def claim(self, session: Session, due: Select[int], now: datetime, holder: str) -> Row | None:
        """Claim the row that *due* finds; None if there is none, or another worker claimed it."""
        return session.execute(
            update(self.table)
            .where(self.table.id == due.scalar_subquery(), self.table.state == self.ready)
            .values(
                state=self.running,
                attempt=self.table.attempt + 1,
                tries=self.table.tries + 1,
                holder=holder,
                lease_expires_at=self._expiry(now),
                reason=None,
                changed_at=now,
            )
            .returning(self.table)
            .execution_options(synchronize_session=False, populate_existing=True)
        ).scalar_one_or_none()

    def renew(self, session: Session, lease: Lease, now: datetime) -> None:
        """Extend the lease.

        Raises:
            LeaseLost: the holder no longer has the row.
        """
        self._change(session, lease, lease_expires_at=self._expiry(now))

    def end(self, session: Session, lease: Lease, now: datetime, **values: Any) -> None:
        """End a claim, and set columns of the row.

        Raises:
            LeaseLost: the holder no longer has the row. The transaction must not commit.
        """
        self._change(session, lease, holder=None, lease_expires_at=None, changed_at=now, **values)

    def expired(self, now: datetime) -> Select[Row]:
        """Return the query for the rows whose lease has expired."""
        return select(self.table).where(self.table.state == self.running, self.table.lease_expires_at < now)

    def expire(self, session: Session, holders: str, now: datetime) -> None:
        """End the leases of all holders whose name begins with *holders*, because they are dead."""
        session.execute(
            update(self.table)
            .where(self.table.state == self.running, self.table.holder.startswith(holders, autoescape=True))
            .values(lease_expires_at=now - timedelta(seconds=1))
        )

    def release(
        self, session: Session, row_id: int, dead: StrEnum, now: datetime, **values: Any
    ) -> Row | None:
        """Make a dead letter claimable again, with no tries; None if it is not a dead letter."""
        return session.execute(
            update(self.table)
            .where(self.table.id == row_id, self.table.state == dead)
            .values(tries=0, available_at=now, changed_at=now, **values)
            .returning(self.table)
            .execution_options(synchronize_session=False, populate_existing=True)
        ).scalar_one_or_none()

    def _expiry(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.lease_s)

    def _change(self, session: Session, lease: Lease, **values: Any) -> None:
        changed = session.execute(
            update(self.table)
            .where(
                self.table.id == lease.row_id,
                self.table.state == self.running,
                self.table.attempt == lease.attempt,
                self.table.holder == lease.holder,
            )
            .values(**values)
            .returning(self.table.id)
            .execution_options(synchronize_session=False)
        ).scalar_one_or_none()
        if changed is None:
            raise LeaseLost(f"{self.table.__tablename__} row {lease.row_id}: attempt {lease.attempt} is over")


def lease_of(row: Claimable) -> Lease:
    """Return the lease of a row that has just been claimed."""
    if row.holder is None or row.lease_expires_at is None:
        raise ValueError("the row is not claimed")
    return Lease(row.id, row.attempt, row.tries, row.holder, row.lease_expires_at)
