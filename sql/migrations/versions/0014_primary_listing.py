"""Answers whose Age header was not believed are counted."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0011"
branch_labels = None
depends_on = None

AGES_IGNORED = (
    "Answers whose Age header was not believed, being unreadable or above an hour: they count as observed when they arrived; null: written before"
    " these were counted."
)


def upgrade() -> None:
    op.add_column("run_quality", sa.Column("ages_ignored", sa.Integer(), nullable=True, comment=AGES_IGNORED), schema="mart")


def downgrade() -> None:
    op.drop_column("run_quality", "ages_ignored", schema="mart")
