"""Table of the verdicts of checks on cycles."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

SEVERITIES = ("warn", "error")


def upgrade() -> None:
    op.create_table(
        "cycle_checks",
        sa.Column(
            "check_name",
            sa.Text(),
            nullable=False,
            comment="Asset and check, such as core/odds_snapshots:history_equals_current.",
        ),
        sa.Column("cycle_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Cycle."),
        sa.Column(
            "severity",
            sa.Enum(*SEVERITIES, name="severity", native_enum=False, create_constraint=True, length=24),
            nullable=False,
            comment="Severity of the violations; without violations it means nothing.",
        ),
        sa.Column("violations", sa.Integer(), nullable=False, comment="Number of violations; 0: the cycle has passed."),
        sa.Column(
            "description",
            sa.Text(),
            nullable=False,
            comment="The problem and what to do about it; empty when the cycle has passed.",
        ),
        sa.Column(
            "judged_at", sa.TIMESTAMP(timezone=True), nullable=False, comment="When the check last judged the cycle."
        ),
        sa.PrimaryKeyConstraint("check_name", "cycle_id", name=op.f("pk_cycle_checks")),
        schema="ops",
        comment="The newest verdict of each check on each cycle.",
    )
    op.create_index(
        "ix_cycle_checks_bad", "cycle_checks", ["cycle_id"], schema="ops", postgresql_where=sa.text("violations > 0")
    )


def downgrade() -> None:
    op.drop_table("cycle_checks", schema="ops")
