"""How many answers of a platform core refused, and what is said of it in the message of the platform's run."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

REFUSED = "Answers that core refused, of those that can be had (matches in play left out); 0 before the cycle is derived, or before this was kept."
REFUSAL = "What message says of refused answers, at its end; empty while few were refused."


def upgrade() -> None:
    op.add_column(
        "scrape_runs",
        sa.Column("refused", sa.Integer(), nullable=False, server_default="0", comment=REFUSED),
        schema="ops",
    )
    op.add_column(
        "scrape_runs", sa.Column("refusal", sa.Text(), nullable=False, server_default="", comment=REFUSAL), schema="ops"
    )


def downgrade() -> None:
    op.drop_column("scrape_runs", "refusal", schema="ops")
    op.drop_column("scrape_runs", "refused", schema="ops")
