"""Claiming rows: a lease, a heartbeat, and an attempt number that fences off whoever lost them.

Jobs, deliveries, commitments and promises are claimed alike; the statements are here once. On PostgreSQL a
claim is SELECT … FOR UPDATE SKIP LOCKED inside the UPDATE; on SQLite the transaction has begun as a writer,
and the same UPDATE … WHERE state … RETURNING is guarded by that.

A lease that has run out is still good until somebody else takes the row: what its holder then records
is refused, because the attempt number has moved on.
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
    """The claiming of one table's rows.

    Attributes:
        table: the mapped class.
        ready: the state of rows that wait.
        running: the state of rows that are worked on.
        lease_s: how long a claim lasts unless it is renewed.
    """

    table: type[Row]
    ready: StrEnum
    running: StrEnum
    lease_s: float

    def due(self, now: datetime, *order: InstrumentedAttribute[int]) -> Select[int]:
        """Return the query for the id of the next row to claim: by *order*, else the longest due first."""
        return (
            select(self.table.id)
            .where(self.table.state == self.ready, self.table.available_at <= now)
            .order_by(*(order or (self.table.available_at,)), self.table.id)
            .limit(1)
        )

    def claim(self, session: Session, due: Select[int], now: datetime, holder: str) -> Row | None:
        """Take the row that *due* finds; None if there is none or another took it."""
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
            LeaseLost: the row is not the holder's any more.
        """
        self._change(session, lease, lease_expires_at=self._expiry(now))

    def end(self, session: Session, lease: Lease, now: datetime, **values: Any) -> None:
        """Give the row its next state and whatever else *values* say; the lease is over.

        Raises:
            LeaseLost: the row is not the holder's any more: the transaction must not commit.
        """
        self._change(session, lease, holder=None, lease_expires_at=None, changed_at=now, **values)

    def put_back(self, session: Session, lease: Lease, now: datetime, state: StrEnum | None = None) -> None:
        """Return the row as if it had not been tried, to its ready state unless another is named.

        Raises:
            LeaseLost: the row is not the holder's any more.
        """
        self.end(session, lease, now, state=state or self.ready, available_at=now, tries=lease.tries - 1)

    def expired(self, now: datetime) -> Select[Row]:
        """Return the query for the rows whose holder has not been heard of for a lease's time."""
        return select(self.table).where(self.table.state == self.running, self.table.lease_expires_at < now)

    def expire(self, session: Session, holders: str, now: datetime) -> None:
        """End the leases of every holder whose name begins with *holders*: they are known to be dead."""
        session.execute(
            update(self.table)
            .where(self.table.state == self.running, self.table.holder.startswith(holders, autoescape=True))
            .values(lease_expires_at=now - timedelta(seconds=1))
        )

    def release(
        self, session: Session, row_id: int, dead: StrEnum, now: datetime, **values: Any
    ) -> Row | None:
        """Let a dead letter be claimed again from the beginning; None if the row is not one."""
        return session.execute(
            update(self.table)
            .where(self.table.id == row_id, self.table.state == dead)
            .values(state=self.ready, tries=0, available_at=now, changed_at=now, **values)
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
    """Return the lease that a row just claimed stands for."""
    if row.holder is None or row.lease_expires_at is None:
        raise ValueError("the row is not claimed")
    return Lease(row.id, row.attempt, row.tries, row.holder, row.lease_expires_at)
