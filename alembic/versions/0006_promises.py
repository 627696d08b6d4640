"""Storage commitment for modalities: their requests, and the archive's answer for each image.

The program of version 0005 works without them: it neither accepts such requests nor reads these
tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "promises",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("calling_ae_title", sa.String(length=16), nullable=False),
        sa.Column("called_ae_title", sa.String(length=16), nullable=False),
        sa.Column("request_uid", sa.String(length=64), nullable=False),
        sa.Column("archive", sa.String(length=128), nullable=True),
        sa.Column("transaction_uid", sa.String(length=64), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(length=128), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_promises"),
        sa.UniqueConstraint(
            "calling_ae_title", "request_uid", name="uq_promises_calling_ae_title_request_uid"
        ),
        sa.UniqueConstraint("transaction_uid", name="uq_promises_transaction_uid"),
    )
    op.create_index("ix_promises_state_available_at", "promises", ["state", "available_at"])
    op.create_table(
        "promised_instances",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("promise_id", sa.Integer(), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["promise_id"], ["promises.id"], name="fk_promised_instances_promise_id_promises"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_promised_instances"),
        sa.UniqueConstraint(
            "promise_id",
            "sop_instance_uid",
            "sop_class_uid",
            name="uq_promised_instances_promise_id_sop_instance_uid_sop_class_uid",
        ),
    )
    op.create_index("ix_promised_instances_sop_instance_uid", "promised_instances", ["sop_instance_uid"])


def downgrade() -> None:
    op.drop_index("ix_promised_instances_sop_instance_uid", table_name="promised_instances")
    op.drop_table("promised_instances")
    op.drop_index("ix_promises_state_available_at", table_name="promises")
    op.drop_table("promises")
