"""Order of drafting: urgent studies first, then senders in turn. Work that is paused."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("studies", sa.Column("urgent", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("precedence", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("jobs", sa.Column("turn", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column(
        "jobs", sa.Column("calling_ae_title", sa.String(length=16), nullable=False, server_default="")
    )
    op.add_column("jobs", sa.Column("losses", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_jobs_state_precedence_turn", "jobs", ["state", "precedence", "turn"])
    op.create_index("ix_jobs_state_calling_ae_title_turn", "jobs", ["state", "calling_ae_title", "turn"])
    op.create_index("ix_jobs_turn", "jobs", ["turn"])
    op.create_table(
        "pauses",
        sa.Column("what", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("what", name="pk_pauses"),
    )


def downgrade() -> None:
    op.drop_table("pauses")
    op.drop_index("ix_jobs_turn", table_name="jobs")
    op.drop_index("ix_jobs_state_calling_ae_title_turn", table_name="jobs")
    op.drop_index("ix_jobs_state_precedence_turn", table_name="jobs")
    for column in ("losses", "calling_ae_title", "turn", "precedence"):
        op.drop_column("jobs", column)
    op.drop_column("studies", "urgent")
