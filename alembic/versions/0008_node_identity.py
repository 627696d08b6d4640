"""A node and its objects carry the same id. The search for orphans includes the outbox.

The program of version 0007 works without it: it neither checks nor states whose the objects are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "node_identity",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("node", sa.String(length=36), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("one", name="pk_node_identity"),
    )
    op.create_index("ix_documents_path", "documents", ["path"])
    op.create_index("ix_documents_kept_path", "documents", ["kept_path"])


def downgrade() -> None:
    op.drop_index("ix_documents_kept_path", table_name="documents")
    op.drop_index("ix_documents_path", table_name="documents")
    op.drop_table("node_identity")
