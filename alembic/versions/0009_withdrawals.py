"""Withdrawal of drafts: who requested it, when and why. Notes are documents, delivered as such.

The program of version 0008 works as long as nothing is withdrawn: it knows neither the table nor
the states of withdrawn studies and deliveries.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "withdrawals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("rejection", sa.String(32), nullable=False),
        sa.Column("explanation", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(length=128), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(length=128), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name="fk_withdrawals_study_id_studies"),
        sa.PrimaryKeyConstraint("id", name="pk_withdrawals"),
        sa.UniqueConstraint("study_id", "revision", name="uq_withdrawals_study_id_revision"),
    )
    op.create_index("ix_withdrawals_state_available_at", "withdrawals", ["state", "available_at"])


def downgrade() -> None:
    op.drop_index("ix_withdrawals_state_available_at", table_name="withdrawals")
    op.drop_table("withdrawals")
