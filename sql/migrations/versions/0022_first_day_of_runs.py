"""The first day of each run's partitions, so that machines that disagree on it are named."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

FIRST_DAY = "First UTC day of the partitions that the process has loaded; null when not known."


def upgrade() -> None:
    op.add_column("run_heartbeats", sa.Column("first_day", sa.Date(), nullable=True, comment=FIRST_DAY), schema="ops")


def downgrade() -> None:
    op.drop_column("run_heartbeats", "first_day", schema="ops")
