"""The ledger of cycles: schemas, and the tables of ops."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
FAILURE_CLASS = ("transient", "rate_limited", "blocked", "not_found", "contract_broken", "permanent")
PLATFORM = ("betpawa", "sportybet", "bet9ja")
RUN_STATUS = ("running", "completed", "partial", "failed")
SCOPE = ("full", "events", "recorded")
TRIGGER = ("scheduled", "sensor", "manual", "on_demand", "import")


SCHEMAS = {
    "ops": "Ledger: which cycles ran and how they fared. Not derived from anything; no replay drops it.",
    "core": "What the platforms said: listings, fixtures, odds history. Derived from the landing.",
    "mart": "Coverage, match rates and run quality, as of each cycle. Derived from core.",
    "palimpsest": "Views for analysts. Start here.",
}


def upgrade() -> None:
    for schema, comment in SCHEMAS.items():
        op.execute(f"create schema if not exists {schema}")
        op.execute(f"comment on schema {schema} is '{comment}'")
    _scrape_batches()
    _scrape_runs()
    _event_scrape_status()
    _listing_ids()
    _host_state()


def downgrade() -> None:
    op.drop_table("host_state", schema="ops")
    op.drop_table("listing_ids", schema="ops")
    op.drop_table("event_scrape_status", schema="ops")
    op.drop_table("scrape_runs", schema="ops")
    op.drop_table("scrape_batches", schema="ops")


def one_of(name: str, words: tuple[str, ...]) -> sa.Enum:
    """Text restricted to these words by a check constraint."""
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)


def _scrape_batches() -> None:
    op.create_table(
        "scrape_batches",
        sa.Column(
            "cycle_id",
            sa.BigInteger,
            nullable=False,
            autoincrement=False,
            comment="Cycle: UTC digits of its begin down to the millisecond, so ids sort by time.",
        ),
        sa.Column("trigger", one_of("trigger", TRIGGER), nullable=False, comment="What started it."),
        sa.Column(
            "scope", one_of("scope", SCOPE), nullable=False, comment="What it covers. Only full cycles discover."
        ),
        sa.Column(
            "sr_ids",
            pg.ARRAY(sa.BigInteger),
            nullable=True,
            comment="SportRadar ids asked for, when the scope is events.",
        ),
        sa.Column("home_platform", one_of("platform", PLATFORM), nullable=False, comment="Home platform in force."),
        sa.Column(
            "partition_hour", INSTANT, nullable=False, comment="UTC hour (Dagster partition) the cycle belongs to."
        ),
        sa.Column("run_id", sa.Text, nullable=True, comment="Dagster run that scraped it."),
        sa.Column(
            "status",
            one_of("runstatus", RUN_STATUS),
            nullable=False,
            comment="completed: all platforms; partial: some; failed: none.",
        ),
        sa.Column("started_at", INSTANT, nullable=False, comment="Begin of the cycle."),
        sa.Column("heartbeat_at", INSTANT, nullable=False, comment="Last sign of life of the process that runs it."),
        sa.Column("finished_at", INSTANT, nullable=True, comment="End of the cycle; null while it runs."),
        sa.PrimaryKeyConstraint("cycle_id", name=op.f("pk_scrape_batches")),
        schema="ops",
        comment="One row per cycle (one scrape of all platforms): what started it, what it covers, how it ended.",
    )
    op.create_index(
        op.f("ix_scrape_batches_partition_hour"), "scrape_batches", ["partition_hour"], unique=False, schema="ops"
    )
    op.create_index(op.f("ix_scrape_batches_run_id"), "scrape_batches", ["run_id"], unique=False, schema="ops")


def _scrape_runs() -> None:
    op.create_table(
        "scrape_runs",
        sa.Column(
            "cycle_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Cycle (batch) the run belongs to."
        ),
        sa.Column("platform", one_of("platform", PLATFORM), nullable=False, comment="Platform."),
        sa.Column("status", one_of("runstatus", RUN_STATUS), nullable=False, comment="completed, partial or failed."),
        sa.Column("started_at", INSTANT, nullable=False, comment="First request."),
        sa.Column("finished_at", INSTANT, nullable=False, comment="Last answer."),
        sa.Column(
            "discovered",
            sa.Integer,
            nullable=False,
            comment="Match listings that discovery found (0 in a cycle that does not discover).",
        ),
        sa.Column("targets", sa.Integer, nullable=False, comment="Listings that capture asked for."),
        sa.Column("fetched", sa.Integer, nullable=False, comment="Listings with a usable answer."),
        sa.Column("requests", sa.Integer, nullable=False, comment="Requests sent, retries included."),
        sa.Column("bytes", sa.BigInteger, nullable=False, comment="Body bytes received, after decompression."),
        sa.Column("errors_by_class", pg.JSONB, nullable=False, comment="Failed attempts by failure class."),
        sa.Column("p50_ms", sa.Double, nullable=True, comment="Median request duration in ms; null without a request."),
        sa.Column("p95_ms", sa.Double, nullable=True, comment="95th percentile of request duration in ms."),
        sa.Column("message", sa.Text, nullable=False, comment="Why it is not completed, in words; empty when it is."),
        sa.PrimaryKeyConstraint("cycle_id", "platform", name=op.f("pk_scrape_runs")),
        sa.ForeignKeyConstraint(["cycle_id"], ["ops.scrape_batches.cycle_id"], name=op.f("fk_scrape_runs_cycle_id")),
        schema="ops",
        comment="One row per cycle and platform: that platform's part of the batch.",
    )


def _event_scrape_status() -> None:
    op.create_table(
        "event_scrape_status",
        sa.Column("cycle_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Cycle."),
        sa.Column("platform", one_of("platform", PLATFORM), nullable=False, comment="Platform."),
        sa.Column("external_id", sa.Text, nullable=False, comment="The platform's own event id."),
        sa.Column("sr_id", sa.BigInteger, nullable=True, comment="SportRadar id of the fixture, where known."),
        sa.Column("status", one_of("runstatus", RUN_STATUS), nullable=False, comment="completed or failed."),
        sa.Column("attempts", sa.Integer, nullable=False, comment="Requests sent for it."),
        sa.Column(
            "error_class",
            one_of("failureclass", FAILURE_CLASS),
            nullable=True,
            comment="Failure class of the last attempt; null when completed.",
        ),
        sa.Column("error_detail", sa.Text, nullable=False, comment="What was wrong, in words; empty when completed."),
        sa.Column(
            "http_status",
            sa.Integer,
            nullable=True,
            comment="HTTP status of the last attempt; null when no answer came.",
        ),
        sa.Column("requested_at", INSTANT, nullable=False, comment="Start of the last attempt."),
        sa.Column(
            "received_at", INSTANT, nullable=False, comment="Last body byte, or the instant the failure was known."
        ),
        sa.Column("bytes", sa.BigInteger, nullable=False, comment="Body bytes after decompression."),
        sa.Column("duration_ms", sa.Double, nullable=False, comment="Duration of the last attempt in ms."),
        sa.PrimaryKeyConstraint("cycle_id", "platform", "external_id", name=op.f("pk_event_scrape_status")),
        sa.ForeignKeyConstraint(
            ["cycle_id"], ["ops.scrape_batches.cycle_id"], name=op.f("fk_event_scrape_status_cycle_id")
        ),
        schema="ops",
        comment="One row per cycle and listing asked for: how the request for its odds went.",
    )
    op.create_index(
        op.f("ix_event_scrape_status_sr_id_cycle_id"),
        "event_scrape_status",
        ["sr_id", "cycle_id"],
        unique=False,
        schema="ops",
    )


def _listing_ids() -> None:
    op.create_table(
        "listing_ids",
        sa.Column("listing_id", sa.Integer, nullable=False, autoincrement=True, comment="Listing."),
        sa.Column("platform", one_of("platform", PLATFORM), nullable=False, comment="Platform."),
        sa.Column("external_id", sa.Text, nullable=False, comment="The platform's own event id."),
        sa.PrimaryKeyConstraint("listing_id", name=op.f("pk_listing_ids")),
        sa.UniqueConstraint("platform", "external_id", name=op.f("uq_listing_ids_platform_external_id")),
        schema="ops",
        comment="Integer id of each listing's natural key. Outlives every replay, so that history rows keep their meaning.",
    )


def _host_state() -> None:
    op.create_table(
        "host_state",
        sa.Column("host", sa.Text, nullable=False, comment="Host name."),
        sa.Column(
            "blocked_until", INSTANT, nullable=True, comment="Nobody asks this host before then; null when open."
        ),
        sa.Column("reason", sa.Text, nullable=False, comment="Why, in words."),
        sa.Column("updated_at", INSTANT, nullable=False, comment="When this was last written."),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_host_state")),
        schema="ops",
        comment="What runs at the same time tell each other about a host.",
    )
