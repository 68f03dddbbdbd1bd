"""The database remembers which days of the odds history were exported.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "exported_days",
        sa.Column("day", sa.Date(), nullable=False, comment="UTC day."),
        sa.Column("exported_at", INSTANT, nullable=False, comment="When it was last exported."),
        sa.Column("n_captures", sa.BigInteger(), nullable=False, comment="Answers of the day in the archive."),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_exported_days")),
        schema="ops",
        comment="UTC days of the odds history that were exported: the archive must have each of them.",
    )


def downgrade() -> None:
    op.drop_table("exported_days", schema="ops")
