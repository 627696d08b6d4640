"""Holds: studies that wait for an operator, because what arrived contradicts itself.

The program of version 0010 works as long as nothing is held: it does not know the state. Objects
that were set aside before have only the UIDs that the columns of then hold.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_UID = sa.String(length=128)


def upgrade() -> None:
    op.create_table(
        "holds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("explanation", sa.String(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("newer", sa.JSON(), nullable=False),
        sa.Column("older", sa.JSON(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ending", sa.String(length=32), nullable=True),
        sa.Column("ended_by", sa.String(length=128), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name="fk_holds_study_id_studies"),
        sa.PrimaryKeyConstraint("id", name="pk_holds"),
        sa.UniqueConstraint("study_id", "revision", name="uq_holds_study_id_revision"),
    )
    op.create_index(
        "ix_holds_open",
        "holds",
        ["study_id"],
        sqlite_where=sa.text("ending IS NULL"),
        postgresql_where=sa.text("ending IS NULL"),
    )
    op.add_column("instances", sa.Column("excluded_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("conflicts", sa.Column("series_instance_uid", _UID, nullable=True))
    op.add_column("conflicts", sa.Column("sop_class_uid", _UID, nullable=True))
    op.add_column("conflicts", sa.Column("transfer_syntax_uid", _UID, nullable=True))
    op.add_column("conflicts", sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("conflicts", sa.Column("resolution", sa.String(length=32), nullable=True))
    op.create_index("ix_conflicts_study_instance_uid", "conflicts", ["study_instance_uid"])


def downgrade() -> None:
    op.drop_index("ix_conflicts_study_instance_uid", table_name="conflicts")
    for column in ("resolution", "removed_at", "transfer_syntax_uid", "sop_class_uid", "series_instance_uid"):
        op.drop_column("conflicts", column)
    op.drop_column("instances", "excluded_at")
    op.drop_index("ix_holds_open", table_name="holds")
    op.drop_table("holds")
