"""An index that finds the compared prices of one market without a scan of all fixtures."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_price_comparison_line_id", "price_comparison", ["line_id"], schema="mart")


def downgrade() -> None:
    op.drop_index("ix_price_comparison_line_id", "price_comparison", schema="mart")
