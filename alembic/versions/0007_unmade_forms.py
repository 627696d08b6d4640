"""Forms that could not be made with the others: where the draft is kept that they can be made from.

The program of version 0006 finds no file for such a document and leaves its delivery a dead letter.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("documents", sa.Column("kept_path", sa.String(length=255), nullable=True))
    op.add_column("documents", sa.Column("kept_sha256", sa.String(length=64), nullable=True))


def downgrade() -> None:
    op.drop_column("documents", "kept_sha256")
    op.drop_column("documents", "kept_path")
