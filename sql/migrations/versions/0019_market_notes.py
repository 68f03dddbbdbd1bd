"""A note per market: what to know before its prices are compared."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

NOTE = "What to know before its prices are compared: rules that differ between platforms; null when nothing."
MERGED = "Priced outcomes left out: another market of the answer has the bet, or another feed the market; null: written before these were counted."
MERGED_BEFORE = "Priced outcomes left out since another market of the answer prices the same bet; null: written before these were counted."


def upgrade() -> None:
    op.add_column("markets", sa.Column("note", sa.Text(), nullable=True, comment=NOTE), schema="core")
    _say_of_merged(MERGED)


def downgrade() -> None:
    _say_of_merged(MERGED_BEFORE)
    op.drop_column("markets", "note", schema="core")


def _say_of_merged(comment: str) -> None:
    op.execute(f"comment on column core.captures.n_prices_merged is '{comment}'")
