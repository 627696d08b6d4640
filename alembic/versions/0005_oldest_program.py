"""Rolling upgrades: the schema says which programs can still work with it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schema_support",
        sa.Column("oldest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("oldest", name="pk_schema_support"),
    )
    op.execute("INSERT INTO schema_support (oldest) VALUES ('0005')")


def downgrade() -> None:
    op.drop_table("schema_support")
