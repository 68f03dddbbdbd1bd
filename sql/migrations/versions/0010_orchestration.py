"""Cycles of the kickoff cadence and their slots, signs of life of runs, and what alerts were sent of."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
SCOPES = ("full", "events", "recorded")
WITH_SCOPE = (("scrape_batches", "ops"), ("cycles", "core"))
SLOT_AT = "Slot of the kickoff cadence that it was begun for; null in other scopes."
SR_IDS = (
    "SportRadar ids asked for, when the scope is events.",
    "SportRadar ids asked for, when the scope is kickoff or events.",
)


def upgrade() -> None:
    for table, schema in WITH_SCOPE:
        _allow(table, schema, ("full", "kickoff", "events", "recorded"))
    op.add_column("scrape_batches", sa.Column("slot_at", INSTANT, nullable=True, comment=SLOT_AT), schema="ops")
    op.create_index(
        op.f("ix_scrape_batches_slot_at"),
        "scrape_batches",
        ["slot_at"],
        schema="ops",
        postgresql_where=sa.text("slot_at is not null"),
    )
    op.create_index(
        "ix_scrape_batches_running",
        "scrape_batches",
        ["scope"],
        schema="ops",
        postgresql_where=sa.text("status = 'running'"),
    )
    op.alter_column("scrape_batches", "sr_ids", comment=SR_IDS[1], schema="ops")
    _known_kickoffs()
    _run_heartbeats()
    _alerts()


def downgrade() -> None:
    op.drop_table("alerts", schema="ops")
    op.drop_table("run_heartbeats", schema="ops")
    op.drop_table("known_kickoffs", schema="ops")
    op.alter_column("scrape_batches", "sr_ids", comment=SR_IDS[0], schema="ops")
    op.drop_index("ix_scrape_batches_running", "scrape_batches", schema="ops")
    # With its views gone the column goes; the older words know a cycle of given fixtures.
    op.drop_column("scrape_batches", "slot_at", schema="ops")
    for table, schema in WITH_SCOPE:
        op.execute(f"update {schema}.{table} set scope = 'events' where scope = 'kickoff'")
        _allow(table, schema, SCOPES)


def _allow(table: str, schema: str, words: tuple[str, ...]) -> None:
    """Restrict `scope` to these words."""
    name = op.f(f"ck_{table}_scope")
    op.drop_constraint(name, table, schema=schema)
    op.create_check_constraint(name, table, sa.column("scope").in_(words), schema=schema)


def _known_kickoffs() -> None:
    op.create_table(
        "known_kickoffs",
        sa.Column(
            "sr_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="SportRadar id of the fixture."
        ),
        sa.Column(
            "known_from",
            INSTANT,
            autoincrement=False,
            nullable=False,
            comment="When core first held it, until the fixture's next row.",
        ),
        sa.Column(
            "kickoff_at",
            INSTANT,
            nullable=True,
            comment="Its effective kickoff; null when nobody listed it any more, or it had been before this was known.",
        ),
        sa.PrimaryKeyConstraint("sr_id", "known_from", name=op.f("pk_known_kickoffs")),
        schema="ops",
        comment="Since when the pipeline knew of which kickoff: what its cadence went by. No replay changes its past.",
    )
    op.create_index(op.f("ix_known_kickoffs_kickoff_at"), "known_kickoffs", ["kickoff_at"], schema="ops")


def _run_heartbeats() -> None:
    op.create_table(
        "run_heartbeats",
        sa.Column("run_id", sa.Text(), autoincrement=False, nullable=False, comment="Dagster run."),
        sa.Column("job", sa.Text(), nullable=False, comment="Its job."),
        sa.Column("host", sa.Text(), nullable=False, comment="Machine that executes it."),
        sa.Column("pid", sa.Integer(), nullable=False, comment="Process that executes it."),
        sa.Column("started_at", INSTANT, nullable=False, comment="Begin of the execution."),
        sa.Column("heartbeat_at", INSTANT, nullable=False, comment="Last sign of life of the process."),
        sa.Column(
            "finished_at",
            INSTANT,
            nullable=True,
            comment="End of the execution; null while it runs, or when its process died.",
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_run_heartbeats")),
        schema="ops",
        comment="One row per Dagster run that this pipeline's code executes: whether its process is alive. Kept for some days.",
    )
    op.create_index(
        "ix_run_heartbeats_alive",
        "run_heartbeats",
        ["heartbeat_at"],
        schema="ops",
        postgresql_where=sa.text("finished_at is null"),
    )


def _alerts() -> None:
    severity = sa.Enum("warn", "error", name="severity", native_enum=False, create_constraint=True, length=24)
    op.create_table(
        "alerts",
        sa.Column(
            "alert_key",
            sa.Text(),
            autoincrement=False,
            nullable=False,
            comment="What the trouble is, without its occurrences: <kind>/<subject>/<error class>.",
        ),
        sa.Column("opened_at", INSTANT, autoincrement=False, nullable=False, comment="When it was first seen."),
        sa.Column("severity", severity, nullable=False, comment="How bad it was at its worst."),
        sa.Column("subject", sa.Text(), nullable=False, comment="What has it: a job, or a check with its asset."),
        sa.Column("error_class", sa.Text(), nullable=False, comment="Class of the error."),
        sa.Column(
            "message",
            sa.Text(),
            nullable=False,
            comment="What is wrong and what to do, in words: of the last occurrence.",
        ),
        sa.Column(
            "partition_key",
            sa.Text(),
            nullable=True,
            comment="Latest Dagster partition that had it; null without partitions.",
        ),
        sa.Column("n_seen", sa.Integer(), nullable=False, comment="Occurrences."),
        sa.Column("last_seen_at", INSTANT, nullable=False, comment="Last occurrence."),
        sa.Column("told_by", sa.ARRAY(sa.Text()), nullable=False, comment="Channels that have told its begin."),
        sa.Column(
            "told_at",
            INSTANT,
            nullable=True,
            comment="When the last of all channels had told its begin; null until then.",
        ),
        sa.Column("closed_at", INSTANT, nullable=True, comment="When it was over; null while it lasts."),
        sa.Column("closing_told_by", sa.ARRAY(sa.Text()), nullable=False, comment="Channels that have told its end."),
        sa.Column(
            "closing_told_at",
            INSTANT,
            nullable=True,
            comment="When the last of all channels had told its end; null until then.",
        ),
        sa.PrimaryKeyConstraint("alert_key", "opened_at", name=op.f("pk_alerts")),
        schema="ops",
        comment="One row per trouble from when it was first seen until it was over: what alerts were sent of.",
    )
    op.create_index(
        "ix_alerts_open",
        "alerts",
        ["alert_key"],
        unique=True,
        schema="ops",
        postgresql_where=sa.text("closed_at is null"),
    )
