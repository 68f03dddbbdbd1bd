"""The machine of each run's process, so that a process that is gone is known at once."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

MACHINE = "Machine, its boot and its process namespace: within them the pid names one process; null when not known."


def upgrade() -> None:
    op.add_column("run_heartbeats", sa.Column("machine", sa.Text(), nullable=True, comment=MACHINE), schema="ops")


def downgrade() -> None:
    op.drop_column("run_heartbeats", "machine", schema="ops")
