"""UIDs of up to 128 characters: some modalities send longer ones than the 64 that DICOM allows.

The program of version 0009 works with the wider columns.
"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_WIDTH, _WIDTH_BEFORE = 128, 64
_UID_COLUMNS = {
    "studies": ["study_instance_uid"],
    "instances": ["series_instance_uid", "sop_instance_uid", "sop_class_uid", "transfer_syntax_uid"],
    "conflicts": ["study_instance_uid"],
    "documents": ["sop_instance_uid", "sop_class_uid", "transfer_syntax_uid"],
    "commitments": ["transaction_uid"],
    "promises": ["transaction_uid", "request_uid"],
    "promised_instances": ["sop_class_uid", "sop_instance_uid"],
}
_SCHEMA = sa.table("sqlite_master", sa.column("type"), sa.column("name"), sa.column("sql"))


def upgrade() -> None:
    _change_width(_WIDTH_BEFORE, _WIDTH)


def downgrade() -> None:
    _change_width(_WIDTH, _WIDTH_BEFORE)


def _change_width(before: int, after: int) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _declare_on_sqlite(f"VARCHAR({before})", f"VARCHAR({after})")
        return
    for table, columns in _UID_COLUMNS.items():
        for column in columns:
            op.alter_column(table, column, existing_type=sa.String(before), type_=sa.String(after))


def _declare_on_sqlite(before: str, after: str) -> None:
    """Change the declared types only: SQLite does not check lengths, so the rows stay as they are.

    See "Making Other Kinds Of Table Schema Changes" in SQLite's documentation of ALTER TABLE. The
    usual way, a copy of each table, would take minutes, and drop tables that others refer to.
    """
    connection = op.get_bind()
    number = connection.execute(sa.text("PRAGMA schema_version")).scalar_one()
    connection.execute(sa.text("PRAGMA writable_schema = ON"))
    try:
        for table, columns in _UID_COLUMNS.items():
            is_this = sa.and_(_SCHEMA.c.type == "table", _SCHEMA.c.name == table)
            declared = connection.execute(sa.select(_SCHEMA.c.sql).where(is_this)).scalar_one()
            pattern = rf"\b({'|'.join(columns)}) {re.escape(before)}"
            changed = re.sub(pattern, rf"\1 {after}", declared)
            connection.execute(_SCHEMA.update().where(is_this).values(sql=changed))
        connection.execute(sa.text(f"PRAGMA schema_version = {number + 1}"))
    finally:
        connection.execute(sa.text("PRAGMA writable_schema = OFF"))
