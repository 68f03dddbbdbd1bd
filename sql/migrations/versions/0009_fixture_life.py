"""The life of a fixture on each platform, by date of kickoff; how large what is stored was; and run quality counts changed markets, not captures."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
PLATFORM = ("betpawa", "sportybet", "bet9ja")
CHANGED = {
    "changed": (
        "Captures with at least one changed market (keyframes do not count).",
        "Markets that changed since the answer before; an answer's at most as many as it has. Keyframes do not count.",
    ),
    "confirmed": (
        "Captures that changed nothing.",
        "Markets that stand as in the answer before. Keyframes do not count.",
    ),
}
RECOUNT_SQL = """
    update mart.run_quality q
    set changed = n.changed, confirmed = n.compared - n.changed, change_ratio = n.changed::numeric / nullif(n.compared, 0)
    from (
        select c.cycle_id, i.platform, coalesce(sum({changed}) filter (where not c.keyframe), 0) as changed,
            coalesce(sum({compared}) filter (where not c.keyframe), 0) as compared
        from core.captures c join ops.listing_ids i using (listing_id) group by 1, 2
    ) n
    where q.cycle_id = n.cycle_id and q.platform = n.platform and q.stage = 'storage'
"""


def upgrade() -> None:
    _availability_interval()
    _dirty_kickoff_dates()
    _listing_lead_time()
    _open_close()
    _storage_samples()
    _count_changes(1, changed="least(c.n_changed, c.n_markets_mapped)", compared="c.n_markets_mapped")
    # What could not be read of a listing is asked for by listing, over all cycles; most rows of these tables are of another kind.
    op.create_index(
        "ix_event_scrape_status_failed",
        "event_scrape_status",
        ["platform", "external_id"],
        schema="ops",
        postgresql_where=sa.text("status = 'failed'"),
    )
    op.create_index(
        "ix_rejects_whole_answer",
        "rejects",
        ["platform", "external_id"],
        schema="core",
        postgresql_where=sa.text("whole_answer"),
    )


def downgrade() -> None:
    _count_changes(0, changed="(c.n_changed > 0)::integer", compared="1")
    op.drop_index("ix_rejects_whole_answer", "rejects", schema="core")
    op.drop_index("ix_event_scrape_status_failed", "event_scrape_status", schema="ops")
    op.drop_table("storage_samples", schema="ops")
    op.drop_table("open_close", schema="mart")
    op.drop_table("listing_lead_time", schema="mart")
    op.drop_table("dirty_kickoff_dates", schema="mart")
    op.drop_table("availability_interval", schema="mart")


def _count_changes(meaning: int, changed: str, compared: str) -> None:
    for column, meanings in CHANGED.items():
        op.alter_column("run_quality", column, comment=meanings[meaning], schema="mart")
    op.execute(RECOUNT_SQL.format(changed=changed, compared=compared))


def one_of(name: str, words: tuple[str, ...]) -> sa.Enum:
    """Text restricted to these words by a check constraint."""
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)


def _availability_interval() -> None:
    op.create_table(
        "availability_interval",
        sa.Column("sr_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="SportRadar id."),
        sa.Column("platform", one_of("platform", PLATFORM), autoincrement=False, nullable=False, comment="Platform."),
        sa.Column(
            "market_key",
            sa.Text(),
            autoincrement=False,
            nullable=False,
            comment="Market of the vocabulary; '*' for the listing as a whole.",
        ),
        sa.Column(
            "specifier",
            sa.Text(),
            autoincrement=False,
            nullable=False,
            comment="Canonical specifier; '' when the market has none.",
        ),
        sa.Column(
            "valid_from",
            INSTANT,
            autoincrement=False,
            nullable=False,
            comment="Since when: the answer or discovery that shows it, the kickoff, or when the last look grew too old.",
        ),
        sa.Column(
            "valid_to",
            INSTANT,
            nullable=True,
            comment="Until when, not included: valid_from of the next interval; null: it still holds.",
        ),
        sa.Column("kickoff_date", sa.Date(), nullable=False, comment="UTC date of the effective kickoff."),
        sa.Column(
            "state",
            one_of(
                "availabilitystate",
                (
                    "offered",
                    "suspended",
                    "no_price",
                    "withdrawn",
                    "event_dropped",
                    "closed_at_kickoff",
                    "not_observed",
                ),
            ),
            nullable=False,
            comment="What it was, or why nothing is known.",
        ),
        sa.Column(
            "n_outcomes_active",
            sa.Integer(),
            nullable=True,
            comment="Outcomes that could be backed at its begin; null when not observed, and for the listing.",
        ),
        sa.Column(
            "n_outcomes",
            sa.Integer(),
            nullable=True,
            comment="Outcomes listed at its begin; null when not observed, and for the listing.",
        ),
        sa.Column(
            "first_cycle",
            sa.BigInteger(),
            nullable=True,
            comment="Cycle that showed it first; null when no cycle did (kickoff, silence).",
        ),
        sa.Column(
            "last_cycle", sa.BigInteger(), nullable=True, comment="Last cycle that confirmed it; null like first_cycle."
        ),
        sa.Column(
            "n_confirmations", sa.Integer(), nullable=False, comment="Looks that showed it so, the first included."
        ),
        sa.Column(
            "last_confirmed_at", INSTANT, nullable=True, comment="Last look that showed it so; null without one."
        ),
        sa.Column(
            "minutes_to_kickoff_at_start",
            sa.Double(),
            nullable=False,
            comment="From valid_from to the effective kickoff, minutes; negative after it.",
        ),
        sa.Column(
            "reason_detail",
            sa.Text(),
            nullable=False,
            comment="Why nothing is known, or why it ended, in words; '' when an answer says it.",
        ),
        sa.Column("as_of", INSTANT, nullable=False, comment="Latest cycle it rests on: nothing later was known."),
        sa.Column("mapping_version", sa.Text(), nullable=False, comment="Version of the market vocabulary."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was computed."),
        sa.PrimaryKeyConstraint(
            "sr_id", "platform", "market_key", "specifier", "valid_from", name=op.f("pk_availability_interval")
        ),
        schema="mart",
        comment="What each platform offered of each market of a fixture, from when to when; market_key '*' is the listing as a whole.",
    )
    op.create_index(
        op.f("ix_availability_interval_kickoff_date"),
        "availability_interval",
        ["kickoff_date"],
        unique=False,
        schema="mart",
    )


def _dirty_kickoff_dates() -> None:
    op.create_table(
        "dirty_kickoff_dates",
        sa.Column(
            "kickoff_date", sa.Date(), autoincrement=False, nullable=False, comment="UTC date of the effective kickoff."
        ),
        sa.Column(
            "cycle_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Cycle that changed something."
        ),
        sa.Column("marked_at", INSTANT, nullable=False, comment="When it was marked."),
        sa.PrimaryKeyConstraint("kickoff_date", "cycle_id", name=op.f("pk_dirty_kickoff_dates")),
        schema="mart",
        comment="Kickoff dates on which a cycle changed something since their life was last derived.",
    )


def _listing_lead_time() -> None:
    op.create_table(
        "listing_lead_time",
        sa.Column("sr_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="SportRadar id."),
        sa.Column("platform", one_of("platform", PLATFORM), autoincrement=False, nullable=False, comment="Platform."),
        sa.Column("kickoff_date", sa.Date(), nullable=False, comment="UTC date of the effective kickoff."),
        sa.Column("first_listed_at", INSTANT, nullable=False, comment="First time an answer showed the listing."),
        sa.Column("first_priced_at", INSTANT, nullable=True, comment="First answer with a price; null without one."),
        sa.Column("first_market_depth", sa.Integer(), nullable=True, comment="Markets priced in that answer."),
        sa.Column(
            "listed_censored",
            sa.Boolean(),
            nullable=False,
            comment="No complete discovery before first_listed_at proves that it was not listed: it may be older.",
        ),
        sa.Column("kickoff_at_first_listing", INSTANT, nullable=False, comment="Kickoff the platform claimed then."),
        sa.Column("effective_kickoff", INSTANT, nullable=False, comment="Kickoff that the lead refers to."),
        sa.Column(
            "lead_days_listed",
            sa.Double(),
            nullable=False,
            comment="From first_listed_at to the effective kickoff, days.",
        ),
        sa.Column(
            "lead_days_priced",
            sa.Double(),
            nullable=True,
            comment="From first_priced_at to the effective kickoff, days.",
        ),
        sa.Column(
            "home_lead_diff_days",
            sa.Double(),
            nullable=True,
            comment="lead_days_listed less that of the home platform: positive when this platform was earlier; null when home does not list it.",
        ),
        sa.Column(
            "n_markets_at_72h",
            sa.Integer(),
            nullable=True,
            comment="Markets priced in the last answer up to 72 h before kickoff; null without one.",
        ),
        sa.Column("n_markets_at_24h", sa.Integer(), nullable=True, comment="... up to 24 h before kickoff."),
        sa.Column("n_markets_at_1h", sa.Integer(), nullable=True, comment="... up to 1 h before kickoff."),
        sa.Column("last_seen_at", INSTANT, nullable=False, comment="Last time an answer showed the listing."),
        sa.Column(
            "ended_by",
            one_of(
                "endedby",
                (
                    "kickoff",
                    "dropped",
                    "unknown",
                ),
            ),
            nullable=True,
            comment="What ended it: kickoff, dropped before it, unknown; null while it is listed.",
        ),
        sa.Column("as_of", INSTANT, nullable=False, comment="Latest cycle it rests on: nothing later was known."),
        sa.Column("mapping_version", sa.Text(), nullable=False, comment="Version of the market vocabulary."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was computed."),
        sa.PrimaryKeyConstraint("sr_id", "platform", name=op.f("pk_listing_lead_time")),
        schema="mart",
        comment="How long before kickoff each platform listed and priced a fixture, and who was first.",
    )
    op.create_index(
        op.f("ix_listing_lead_time_kickoff_date"), "listing_lead_time", ["kickoff_date"], unique=False, schema="mart"
    )


def _open_close() -> None:
    op.create_table(
        "open_close",
        sa.Column("sr_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="SportRadar id."),
        sa.Column("platform", one_of("platform", PLATFORM), autoincrement=False, nullable=False, comment="Platform."),
        sa.Column("market_key", sa.Text(), autoincrement=False, nullable=False, comment="Market of the vocabulary."),
        sa.Column(
            "specifier",
            sa.Text(),
            autoincrement=False,
            nullable=False,
            comment="Canonical specifier; '' when the market has none.",
        ),
        sa.Column(
            "outcome_key",
            sa.Text(),
            autoincrement=False,
            nullable=False,
            comment="Outcome of the vocabulary, or the outcome's own name where a market has open outcomes.",
        ),
        sa.Column("kickoff_date", sa.Date(), nullable=False, comment="UTC date of the effective kickoff."),
        sa.Column(
            "open_odds",
            sa.Numeric(precision=10, scale=3),
            nullable=True,
            comment="First price that could be backed before kickoff; null without one.",
        ),
        sa.Column("open_observed_at", INSTANT, nullable=True, comment="Answer that showed it."),
        sa.Column(
            "open_minutes_to_kickoff",
            sa.Double(),
            nullable=True,
            comment="From open_observed_at to the effective kickoff, minutes.",
        ),
        sa.Column(
            "open_quality",
            one_of(
                "openquality",
                (
                    "exact",
                    "left_censored",
                    "late_discovery",
                ),
            ),
            nullable=True,
            comment="How near it is to the first price there was; null without one.",
        ),
        sa.Column(
            "prev_absent_cycle",
            sa.BigInteger(),
            nullable=True,
            comment="Last cycle before it that proved that there was no price; null when none did.",
        ),
        sa.Column(
            "close_odds",
            sa.Numeric(precision=10, scale=3),
            nullable=True,
            comment="Last price that could be backed before kickoff; null without one, and while kickoff is to come.",
        ),
        sa.Column("close_observed_at", INSTANT, nullable=True, comment="Answer since which it stood."),
        sa.Column(
            "close_last_confirmed_at", INSTANT, nullable=True, comment="Last answer before kickoff that showed it."
        ),
        sa.Column(
            "close_lag_s",
            sa.Double(),
            nullable=True,
            comment="From close_last_confirmed_at to the effective kickoff, seconds.",
        ),
        sa.Column(
            "close_quality",
            one_of(
                "closequality",
                (
                    "exact",
                    "late",
                    "suspended_at_close",
                    "withdrawn_before_close",
                    "anchor_stale",
                    "missing",
                ),
            ),
            nullable=True,
            comment="How near it is to the price at kickoff; null while kickoff is to come.",
        ),
        sa.Column("effective_kickoff", INSTANT, nullable=False, comment="Kickoff that open and close refer to."),
        sa.Column(
            "kickoff_version",
            sa.SmallInteger(),
            nullable=False,
            comment="Number of that kickoff among those claimed, from 1.",
        ),
        sa.Column(
            "n_changes",
            sa.Integer(),
            nullable=False,
            comment="Changes of its price or of whether it could be backed, before kickoff, the first price not counted.",
        ),
        sa.Column(
            "min_odds",
            sa.Numeric(precision=10, scale=3),
            nullable=True,
            comment="Lowest price that could be backed before kickoff.",
        ),
        sa.Column(
            "max_odds",
            sa.Numeric(precision=10, scale=3),
            nullable=True,
            comment="Highest price that could be backed before kickoff.",
        ),
        sa.Column("move_rel", sa.Double(), nullable=True, comment="close_odds / open_odds - 1."),
        sa.Column(
            "open_margin",
            sa.Double(),
            nullable=True,
            comment="Margin of the market at open_observed_at; null when it cannot be computed.",
        ),
        sa.Column(
            "close_margin",
            sa.Double(),
            nullable=True,
            comment="Margin of the market at close_last_confirmed_at; null when it cannot be computed.",
        ),
        sa.Column("as_of", INSTANT, nullable=False, comment="Latest cycle it rests on: nothing later was known."),
        sa.Column("mapping_version", sa.Text(), nullable=False, comment="Version of the market vocabulary."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was computed."),
        sa.PrimaryKeyConstraint(
            "sr_id", "platform", "market_key", "specifier", "outcome_key", name=op.f("pk_open_close")
        ),
        schema="mart",
        comment="First and last price of each outcome before the effective kickoff, each with how far it can be trusted.",
    )
    op.create_index(op.f("ix_open_close_kickoff_date"), "open_close", ["kickoff_date"], unique=False, schema="mart")


def _storage_samples() -> None:
    op.create_table(
        "storage_samples",
        sa.Column("sampled_at", INSTANT, autoincrement=False, nullable=False, comment="When it was measured."),
        sa.Column(
            "table_name",
            sa.Text(),
            autoincrement=False,
            nullable=False,
            comment="Table with its schema; landing and export for what is in files.",
        ),
        sa.Column(
            "day",
            sa.Date(),
            autoincrement=False,
            nullable=False,
            comment="UTC day of the rows; the day of sampled_at for a table that is not kept by day.",
        ),
        sa.Column(
            "n_rows",
            sa.BigInteger(),
            nullable=False,
            comment="Rows: of a day of history counted, else as the planner estimates; of files the answers or rows in them.",
        ),
        sa.Column("n_prices", sa.BigInteger(), nullable=True, comment="Prices in them; null where rows hold none."),
        sa.Column(
            "heap_bytes",
            sa.BigInteger(),
            nullable=False,
            comment="Bytes of the rows, with what is kept out of line; of files their size.",
        ),
        sa.Column("index_bytes", sa.BigInteger(), nullable=False, comment="Bytes of the indexes."),
        sa.PrimaryKeyConstraint("sampled_at", "table_name", "day", name=op.f("pk_storage_samples")),
        schema="ops",
        comment="How large each table, and each day of the odds history, was when somebody looked.",
    )
