"""Margins over time, what each side of a comparison lacks, prices side by side as they stand, and what traders are told of."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
PLATFORM = ("betpawa", "sportybet", "bet9ja")
STATE = ("offered", "suspended", "no_price", "withdrawn", "event_dropped", "closed_at_kickoff", "not_observed")
TO_DERIVE = (
    """insert into mart.dirty_fixtures (product, sr_id, marked_at)
    select product, sr_id, clock_timestamp() from core.fixtures cross join (values ('prices'), ('odds_alerts')) as products (product)
    where effective_kickoff > now()""",
    # No cycle changed anything on these dates: it is the new tables that lack them.
    """insert into mart.dirty_kickoff_dates (kickoff_date, cycle_id, marked_at)
    select kickoff_date, max(last_cycle), clock_timestamp() from mart.availability_interval group by kickoff_date having max(last_cycle) is not null
    on conflict do nothing""",
)

# Of what stands since an earlier answer at other prices. A row begins a stretch when its state is another than the row's before, or when the market
# was away in between: the next day on which the listing was answered did not begin with it. Of fixtures that have begun nobody asks.
STATE_SINCE_SQL = """
    with listings as (
        select e.listing_id from core.event_listings e join core.fixtures f on f.sr_id = e.fixture_sr_id where f.effective_kickoff > now()
    ), days as (
        select listing_id, observed_at as begins_at, lead(observed_at) over (partition by listing_id order by observed_at) as next_begins_at
        from core.captures where keyframe and listing_id in (select listing_id from listings)
    ), stretches as (
        select m.listing_id, m.line_id, m.observed_at, m.state,
            lag(m.observed_at) over line is null
            or m.state <> lag(m.state) over line
            or (lag(d.begins_at) over line <> d.begins_at and lag(d.next_begins_at) over line <> m.observed_at) as starts
        from days d
        join core.market_changes m
            on m.listing_id = d.listing_id and m.observed_at >= d.begins_at and m.observed_at < coalesce(d.next_begins_at, 'infinity')
        window line as (partition by m.listing_id, m.line_id order by m.observed_at)
    ), begun as (
        select listing_id, line_id, max(observed_at) as state_since from stretches where starts group by 1, 2
    )
    update core.current_markets c set state_since = b.state_since
    from begun b
    where (c.listing_id, c.line_id) = (b.listing_id, b.line_id) and b.state_since < c.changed_at and c.state <> 'withdrawn'
"""


def upgrade() -> None:
    _market_margin()
    _margin_ttk_bucket()
    _gap_count()
    _dirty_fixtures()
    _price_comparison()
    _availability_gap()
    _odds_alert()
    _acknowledged_odds_alerts()
    _state_since()
    # Analysts ask through it, and may not read core.
    op.execute("alter function palimpsest.home_platform() security definer set search_path = pg_catalog, pg_temp")
    for statement in TO_DERIVE:
        op.execute(statement)


def downgrade() -> None:
    op.execute("alter function palimpsest.home_platform() security invoker reset all")
    op.drop_column("current_markets", "state_since", schema="core")
    op.drop_table("acknowledged_odds_alerts", schema="ops")
    op.drop_table("odds_alert", schema="mart")
    op.drop_table("availability_gap", schema="mart")
    op.drop_table("price_comparison", schema="mart")
    op.drop_table("dirty_fixtures", schema="mart")
    op.drop_table("gap_count", schema="mart")
    op.drop_table("margin_ttk_bucket", schema="mart")
    op.drop_table("market_margin", schema="mart")


def _one_of(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)


def _market_margin() -> None:
    op.create_table(
        "market_margin",
        sa.Column("sr_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="SportRadar id."),
        sa.Column("platform", _one_of("platform", *PLATFORM), autoincrement=False, nullable=False, comment="Platform."),
        sa.Column("market_key", sa.Text(), autoincrement=False, nullable=False, comment="Market of the vocabulary."),
        sa.Column(
            "specifier",
            sa.Text(),
            autoincrement=False,
            nullable=False,
            comment="Canonical specifier; '' when the market has none.",
        ),
        sa.Column(
            "observed_from",
            INSTANT,
            autoincrement=False,
            nullable=False,
            comment="Answer that first showed these prices, or showed them again after they had ceased to stand.",
        ),
        sa.Column("kickoff_date", sa.Date(), nullable=False, comment="UTC date of the effective kickoff."),
        sa.Column("last_confirmed_at", INSTANT, nullable=False, comment="Last answer that showed them."),
        sa.Column(
            "observed_to",
            INSTANT,
            nullable=True,
            comment="Until when they are taken to stand: the answer with other prices or without the market, a complete discovery "
            "without the listing, the kickoff, or when the last answer grew too old (PALIMPSEST_NOT_OBSERVED_AFTER_MINUTES); null while they stand.",
        ),
        sa.Column("n_outcomes", sa.SmallInteger(), nullable=False, comment="Outcomes that can be backed."),
        sa.Column(
            "n_expected",
            sa.SmallInteger(),
            nullable=True,
            comment="Outcomes of the complete set; null when they are not enumerated.",
        ),
        sa.Column("winners_k", sa.SmallInteger(), nullable=True, comment="Outcomes that win; null when unknown."),
        sa.Column(
            "sum_inverse",
            sa.Double(),
            nullable=True,
            comment="Sum of the inverse odds of what can be backed; null when nothing can.",
        ),
        sa.Column(
            "margin",
            sa.Double(),
            nullable=True,
            comment="sum_inverse / winners_k - 1; null unless margin_status is ok or negative.",
        ),
        sa.Column("payout", sa.Double(), nullable=True, comment="winners_k / sum_inverse; null like margin."),
        sa.Column(
            "margin_status",
            _one_of(
                "marginstatus",
                "unknown_k",
                "suspended_outcome",
                "no_price",
                "incomplete_outcomes",
                "out_of_range",
                "negative",
                "ok",
            ),
            nullable=False,
            comment="What can be said of the margin.",
        ),
        sa.Column(
            "margin_reference_pct",
            sa.Double(),
            nullable=True,
            comment="(sum of inverse odds - 1) x 100 over every price whatever its state and winners_k: for reconciliation with "
            "figures of that kind only.",
        ),
        sa.Column(
            "minutes_to_kickoff",
            sa.Double(),
            nullable=False,
            comment="From observed_from to the effective kickoff, minutes.",
        ),
        sa.Column(
            "ttk_bucket", sa.Text(), nullable=False, comment="Bucket of minutes_to_kickoff, of the scheme trader10."
        ),
        sa.Column("odds_vector", JSONB(), nullable=False, comment="Decimal odds by outcome key of what can be backed."),
        sa.Column("as_of", INSTANT, nullable=False, comment="Latest cycle it rests on: nothing later was known."),
        sa.Column("mapping_version", sa.Text(), nullable=False, comment="Version of the market vocabulary."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was computed."),
        sa.PrimaryKeyConstraint(
            "sr_id", "platform", "market_key", "specifier", "observed_from", name=op.f("pk_market_margin")
        ),
        schema="mart",
        comment="Margins of the markets in PALIMPSEST_MAIN_MARKETS on each platform, before kickoff: one row for each stretch "
        "in which the prices stood still.",
    )
    op.create_index(
        op.f("ix_market_margin_kickoff_date"), "market_margin", ["kickoff_date"], unique=False, schema="mart"
    )


def _margin_ttk_bucket() -> None:
    op.create_table(
        "margin_ttk_bucket",
        sa.Column(
            "kickoff_date", sa.Date(), autoincrement=False, nullable=False, comment="UTC date of the effective kickoff."
        ),
        sa.Column("tournament_key", sa.Text(), autoincrement=False, nullable=False, comment="Tournament."),
        sa.Column("platform", _one_of("platform", *PLATFORM), autoincrement=False, nullable=False, comment="Platform."),
        sa.Column(
            "market_key",
            sa.Text(),
            autoincrement=False,
            nullable=False,
            comment="Market of the vocabulary, all its lines together.",
        ),
        sa.Column(
            "bucket_scheme",
            _one_of("bucketscheme", "reference4", "trader10"),
            autoincrement=False,
            nullable=False,
            comment="reference4: four buckets; trader10: ten.",
        ),
        sa.Column(
            "ttk_bucket",
            sa.Text(),
            autoincrement=False,
            nullable=False,
            comment="Time to kickoff, its lesser end included: 7d+, 3-7d, 24-72h, <24h; 7d+, 3-7d, 1-3d, 12-24h, 6-12h, 3-6h, 1-3h, "
            "15-60m, <15m. In-play has no rows: nothing after kickoff is used.",
        ),
        sa.Column(
            "home_platform",
            _one_of("home_platform", *PLATFORM),
            nullable=False,
            comment="Home platform it was computed for.",
        ),
        sa.Column("n_fixtures", sa.Integer(), nullable=False, comment="Fixtures with a margin in the bucket."),
        sa.Column(
            "n_observed_minutes",
            sa.Double(),
            nullable=False,
            comment="Minutes in which a margin stood, over all fixtures and lines.",
        ),
        sa.Column("margin_tw_mean", sa.Double(), nullable=False, comment="Mean margin, weighted by minutes."),
        sa.Column(
            "margin_p50",
            sa.Double(),
            nullable=False,
            comment="Median margin: the least one that was not exceeded in half of the minutes.",
        ),
        sa.Column("margin_min", sa.Double(), nullable=False, comment="Least margin."),
        sa.Column("margin_max", sa.Double(), nullable=False, comment="Largest margin."),
        sa.Column(
            "home_minus_platform_tw_mean",
            sa.Double(),
            nullable=True,
            comment="Home's margin less the platform's, weighted by the minutes in which both stood on the same line; null for "
            "home, and without such minutes.",
        ),
        sa.Column(
            "observed_share",
            sa.Double(),
            nullable=False,
            comment="Minutes in which any line had a margin / minutes of the bucket up to as_of, both summed over these fixtures; an "
            "open-ended bucket begins when a platform first listed the fixture.",
        ),
        sa.Column(
            "trend_pp",
            sa.Double(),
            nullable=True,
            comment="Mean over the later half of the fixtures by kickoff (the middle one among them) of each one's mean weighted by "
            "minutes, less that over the earlier half, percentage points; null below four fixtures.",
        ),
        sa.Column("as_of", INSTANT, nullable=False, comment="Latest cycle it rests on: nothing later was known."),
        sa.Column("mapping_version", sa.Text(), nullable=False, comment="Version of the market vocabulary."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was computed."),
        sa.PrimaryKeyConstraint(
            "kickoff_date",
            "tournament_key",
            "platform",
            "market_key",
            "bucket_scheme",
            "ttk_bucket",
            name=op.f("pk_margin_ttk_bucket"),
        ),
        schema="mart",
        comment="Margins of the markets in PALIMPSEST_MAIN_MARKETS by time to kickoff, over the fixtures of a tournament on a "
        "kickoff date, weighted by how long they stood.",
    )


def _gap_count() -> None:
    op.create_table(
        "gap_count",
        sa.Column("sr_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="SportRadar id."),
        sa.Column(
            "platform",
            _one_of("platform", *PLATFORM),
            autoincrement=False,
            nullable=False,
            comment="Competitor compared with home.",
        ),
        sa.Column(
            "hours_before",
            sa.SmallInteger(),
            autoincrement=False,
            nullable=False,
            comment="Hours before the effective kickoff: 72, 24, 1, 0, as things stood up to that instant. Hours that are to come have "
            "no row, nor those at which one of the two had not listed the fixture yet.",
        ),
        sa.Column("kickoff_date", sa.Date(), nullable=False, comment="UTC date of the effective kickoff."),
        sa.Column("tournament_key", sa.Text(), nullable=False, comment="Tournament."),
        sa.Column(
            "home_platform",
            _one_of("home_platform", *PLATFORM),
            nullable=False,
            comment="Home platform it was computed for.",
        ),
        sa.Column("n_both", sa.Integer(), nullable=False, comment="Markets that both offered (each line counts)."),
        sa.Column(
            "n_home_missing",
            sa.Integer(),
            nullable=False,
            comment="Markets that the competitor offered and home lacked.",
        ),
        sa.Column(
            "n_platform_missing",
            sa.Integer(),
            nullable=False,
            comment="Markets that home offered and the competitor lacked.",
        ),
        sa.Column(
            "n_home_suspended",
            sa.Integer(),
            nullable=False,
            comment="Markets that the competitor offered and home listed, suspended or without a price.",
        ),
        sa.Column(
            "n_platform_suspended",
            sa.Integer(),
            nullable=False,
            comment="Markets that home offered and the competitor listed, suspended or without a price.",
        ),
        sa.Column(
            "n_unknown",
            sa.Integer(),
            nullable=False,
            comment="Markets that one offered while the other was not observed.",
        ),
        sa.Column("as_of", INSTANT, nullable=False, comment="Latest cycle it rests on: nothing later was known."),
        sa.Column("mapping_version", sa.Text(), nullable=False, comment="Version of the market vocabulary."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was computed."),
        sa.PrimaryKeyConstraint("sr_id", "platform", "hours_before", name=op.f("pk_gap_count")),
        schema="mart",
        comment="How many markets home and a competitor offered so many hours before kickoff, and how many only one of them did.",
    )
    op.create_index(op.f("ix_gap_count_kickoff_date"), "gap_count", ["kickoff_date"], unique=False, schema="mart")


def _state_since() -> None:
    comment = "Answer since which it is in this state, at whatever prices."
    op.add_column("current_markets", sa.Column("state_since", INSTANT, nullable=True, comment=comment), schema="core")
    op.execute("update core.current_markets set state_since = changed_at")
    op.execute(STATE_SINCE_SQL)
    op.alter_column(
        "current_markets", "state_since", nullable=False, schema="core", existing_type=INSTANT, existing_comment=comment
    )


def _dirty_fixtures() -> None:
    op.create_table(
        "dirty_fixtures",
        sa.Column(
            "product",
            _one_of("product", "prices", "odds_alerts"),
            autoincrement=False,
            nullable=False,
            comment="What is due: prices (comparisons and gaps), odds_alerts.",
        ),
        sa.Column("sr_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="SportRadar id."),
        sa.Column("marked_at", INSTANT, nullable=False, comment="When it was marked last."),
        sa.PrimaryKeyConstraint("product", "sr_id", name=op.f("pk_dirty_fixtures")),
        schema="mart",
        comment="Fixtures that a cycle touched since what is derived of them was last derived.",
    )


def _price_comparison() -> None:
    op.create_table(
        "price_comparison",
        sa.Column("sr_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="SportRadar id."),
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
            comment="Outcome of the vocabulary. Players, whom each platform has under ids of its own, are left out.",
        ),
        sa.Column(
            "platform",
            _one_of("platform", *PLATFORM),
            autoincrement=False,
            nullable=False,
            comment="Competitor compared with home.",
        ),
        sa.Column(
            "home_platform",
            _one_of("home_platform", *PLATFORM),
            nullable=False,
            comment="Home platform it was computed for.",
        ),
        sa.Column(
            "as_of",
            INSTANT,
            nullable=False,
            comment="Latest answer of any platform on the fixture, or discovery that lacks it: nothing later was known.",
        ),
        sa.Column(
            "home_odds",
            sa.Numeric(precision=10, scale=3),
            nullable=True,
            comment="Decimal odds of home; null without a price.",
        ),
        sa.Column(
            "platform_odds",
            sa.Numeric(precision=10, scale=3),
            nullable=True,
            comment="Decimal odds of the competitor; null without a price.",
        ),
        sa.Column("home_last_confirmed_at", INSTANT, nullable=False, comment="Home's last answer on the fixture."),
        sa.Column(
            "platform_last_confirmed_at",
            INSTANT,
            nullable=False,
            comment="The competitor's last answer on the fixture.",
        ),
        sa.Column("skew_s", sa.Double(), nullable=False, comment="Between these two answers, seconds, never negative."),
        sa.Column(
            "home_state",
            _one_of("home_state", *STATE),
            nullable=False,
            comment="On home: offered, suspended, no_price; withdrawn: it is no longer there.",
        ),
        sa.Column("platform_state", _one_of("platform_state", *STATE), nullable=False, comment="On the competitor."),
        sa.Column(
            "comparable",
            sa.Boolean(),
            nullable=False,
            comment="Both can be backed, their answers are no further apart than PALIMPSEST_MAX_SKEW_S, and nothing makes it doubtful that both "
            "listings offer the same bets (suspect_code kickoff_mismatch, home_away_swapped).",
        ),
        sa.Column("diff_abs", sa.Double(), nullable=True, comment="home_odds - platform_odds; null unless comparable."),
        sa.Column(
            "diff_rel", sa.Double(), nullable=True, comment="home_odds / platform_odds - 1; null unless comparable."
        ),
        sa.Column(
            "fair_home_prob",
            sa.Double(),
            nullable=True,
            comment="Probability that home's prices say, its margin shared out evenly; null without a margin.",
        ),
        sa.Column("fair_platform_prob", sa.Double(), nullable=True, comment="The same of the competitor's prices."),
        sa.Column(
            "best_platform",
            _one_of("best_platform", *PLATFORM),
            nullable=True,
            comment="Who offers most, of home and the competitors comparable with it; home, then by trust, where several do; null when "
            "home cannot be backed.",
        ),
        sa.Column("best_odds", sa.Numeric(precision=10, scale=3), nullable=True, comment="What it offers."),
        sa.Column(
            "home_is_best",
            sa.Boolean(),
            nullable=True,
            comment="Home alone offers most; null when home is comparable with none.",
        ),
        sa.Column(
            "home_tied_best",
            sa.Boolean(),
            nullable=True,
            comment="Home offers most together with others; null like home_is_best.",
        ),
        sa.Column(
            "rank_home",
            sa.SmallInteger(),
            nullable=True,
            comment="1 + how many comparable competitors offer more; null like home_is_best.",
        ),
        sa.Column(
            "home_margin",
            sa.Double(),
            nullable=True,
            comment="Margin of the market on home; null when it cannot be computed.",
        ),
        sa.Column("platform_margin", sa.Double(), nullable=True, comment="Margin of the market on the competitor."),
        sa.Column("margin_diff", sa.Double(), nullable=True, comment="home_margin - platform_margin."),
        sa.Column(
            "cross_book_sum_inverse",
            sa.Double(),
            nullable=True,
            comment="Sum of the inverse best odds over the market's outcomes; null unless every outcome of a complete set has one.",
        ),
        sa.Column(
            "arb",
            sa.Boolean(),
            nullable=True,
            comment="That sum is below the number of outcomes that win: backing each at its best price wins; null without it.",
        ),
        sa.Column("mapping_version", sa.Text(), nullable=False, comment="Version of the market vocabulary."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was computed."),
        sa.PrimaryKeyConstraint(
            "sr_id", "market_key", "specifier", "outcome_key", "platform", name=op.f("pk_price_comparison")
        ),
        schema="mart",
        comment="Home's price of each outcome against each competitor's, as they stand, of markets that both list and fixtures that have not begun.",
    )


def _availability_gap() -> None:
    op.create_table(
        "availability_gap",
        sa.Column("sr_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="SportRadar id."),
        sa.Column("market_key", sa.Text(), autoincrement=False, nullable=False, comment="Market of the vocabulary."),
        sa.Column(
            "specifier",
            sa.Text(),
            autoincrement=False,
            nullable=False,
            comment="Canonical specifier; '' when the market has none.",
        ),
        sa.Column(
            "platform",
            _one_of("platform", *PLATFORM),
            autoincrement=False,
            nullable=False,
            comment="Competitor compared with home.",
        ),
        sa.Column(
            "home_platform",
            _one_of("home_platform", *PLATFORM),
            nullable=False,
            comment="Home platform it was computed for.",
        ),
        sa.Column(
            "as_of",
            INSTANT,
            nullable=False,
            comment="Latest answer of any platform on the fixture, or discovery that lacks it: nothing later was known.",
        ),
        sa.Column(
            "gap_type",
            _one_of(
                "gaptype",
                "home_missing",
                "platform_missing",
                "home_suspended_only",
                "platform_suspended_only",
                "both",
                "unknown",
            ),
            nullable=False,
            comment="home_missing, platform_missing: one offers it, the other lacks it; ..._suspended_only: ... lists it, "
            "suspended or without a price; both: neither offers it, one lists it; unknown: one was not looked at within "
            "PALIMPSEST_MAX_SKEW_S of as_of (a dropped listing needs no look).",
        ),
        sa.Column(
            "home_state",
            _one_of("home_state", *STATE),
            nullable=True,
            comment="State on home, the best of its outcomes'; null: never seen there.",
        ),
        sa.Column(
            "platform_state",
            _one_of("platform_state", *STATE),
            nullable=True,
            comment="State on the competitor, the best of its outcomes'; null: never seen there.",
        ),
        sa.Column(
            "home_state_since",
            INSTANT,
            nullable=True,
            comment="Answer (event_dropped: discovery) since which home is in that state, whatever its prices do; null: never seen there.",
        ),
        sa.Column(
            "platform_state_since",
            INSTANT,
            nullable=True,
            comment="Answer (event_dropped: discovery) since which the competitor is in that state; null: never seen there.",
        ),
        sa.Column(
            "gap_open_since",
            INSTANT,
            nullable=True,
            comment="Later of the two: since then both are in these states; null when unknown.",
        ),
        sa.Column("gap_minutes", sa.Double(), nullable=True, comment="From gap_open_since to as_of, minutes."),
        sa.Column("never_offered_home", sa.Boolean(), nullable=False, comment="No answer of home has ever shown it."),
        sa.Column(
            "never_offered_platform",
            sa.Boolean(),
            nullable=False,
            comment="No answer of the competitor has ever shown it.",
        ),
        sa.Column(
            "minutes_to_kickoff", sa.Double(), nullable=False, comment="From as_of to the effective kickoff, minutes."
        ),
        sa.Column(
            "market_priority",
            sa.SmallInteger(),
            nullable=True,
            comment="Place in PALIMPSEST_MAIN_MARKETS, from 1; null for other markets.",
        ),
        sa.Column("mapping_version", sa.Text(), nullable=False, comment="Version of the market vocabulary."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was computed."),
        sa.PrimaryKeyConstraint("sr_id", "market_key", "specifier", "platform", name=op.f("pk_availability_gap")),
        schema="mart",
        comment="Markets that home and a competitor do not both offer, as they stand, of fixtures that both list or have "
        "listed and that have not begun.",
    )


def _odds_alert() -> None:
    op.create_table(
        "odds_alert",
        sa.Column(
            "alert_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Hash of what it is about and of opened_at: the same episode has the same id whenever it is derived.",
        ),
        sa.Column(
            "alert_type",
            _one_of(
                "oddsalerttype",
                "price_move",
                "direction_disagreement",
                "market_disappeared",
                "market_returned",
                "event_dropped",
                "home_outlier",
            ),
            nullable=False,
            comment="price_move: a price is far from what it was a window earlier. direction_disagreement: home's and the "
            "competitor's moved apart. home_outlier: home's is far from the median of two or more competitors'. "
            "market_disappeared: was offered, an answer lacks it. market_returned: is offered again after that. "
            "event_dropped: a complete discovery lacks the listing.",
        ),
        sa.Column(
            "severity",
            _one_of("oddsalertlevel", "low", "medium", "high"),
            nullable=False,
            comment="How large it was at its peak: PALIMPSEST_ODDS_ALERT_LEVELS. What has no size: event_dropped is high, "
            "market_disappeared medium in PALIMPSEST_MAIN_MARKETS, all else low.",
        ),
        sa.Column("platform", _one_of("platform", *PLATFORM), nullable=False, comment="Platform it is about."),
        sa.Column("sr_id", sa.BigInteger(), nullable=False, comment="SportRadar id."),
        sa.Column("kickoff_date", sa.Date(), nullable=False, comment="UTC date of the effective kickoff."),
        sa.Column(
            "market_key", sa.Text(), nullable=False, comment="Market of the vocabulary; '*' for the listing as a whole."
        ),
        sa.Column("specifier", sa.Text(), nullable=False, comment="Canonical specifier; '' when the market has none."),
        sa.Column(
            "outcome_key",
            sa.Text(),
            nullable=False,
            comment="Outcome that was furthest off, at the peak; '' where no price is compared.",
        ),
        sa.Column(
            "baseline_at",
            INSTANT,
            nullable=True,
            comment="Instant of baseline_odds: a window before peak_at (of direction_disagreement they may be older by PALIMPSEST_MAX_SKEW_S); "
            "home_outlier: peak_at; null without a price.",
        ),
        sa.Column(
            "baseline_odds",
            sa.Numeric(precision=10, scale=3),
            nullable=True,
            comment="The outcome's price then; home_outlier: median of the competitors'.",
        ),
        sa.Column(
            "current_odds", sa.Numeric(precision=10, scale=3), nullable=True, comment="The outcome's price at the peak."
        ),
        sa.Column(
            "change_rel",
            sa.Double(),
            nullable=True,
            comment="What peak_change_rel was when it opened, of the outcome that was furthest off then.",
        ),
        sa.Column(
            "window_minutes",
            sa.Double(),
            nullable=True,
            comment="Window over which prices moved, minutes; null where none is compared over time.",
        ),
        sa.Column(
            "competitor",
            _one_of("competitor", *PLATFORM),
            nullable=True,
            comment="Competitor that moved the other way; null but for it.",
        ),
        sa.Column(
            "competitor_odds", sa.Numeric(precision=10, scale=3), nullable=True, comment="Its price at the peak."
        ),
        sa.Column(
            "competitor_change_rel", sa.Double(), nullable=True, comment="Its change over the window, at the peak."
        ),
        sa.Column(
            "opened_at",
            INSTANT,
            nullable=False,
            comment="Answer that passed the threshold; event_dropped: discovery that lacked the listing.",
        ),
        sa.Column(
            "peak_at",
            INSTANT,
            nullable=True,
            comment="Answer that first showed it at its largest; null where no price is compared.",
        ),
        sa.Column(
            "peak_change_rel",
            sa.Double(),
            nullable=True,
            comment="current_odds / baseline_odds - 1; of direction_disagreement, where the smaller of both changes counts, home's.",
        ),
        sa.Column(
            "closed_at",
            INSTANT,
            nullable=True,
            comment="Look with which it was over (calm, not to be backed any more, back again; market_returned: a window later), or"
            " the kickoff; null while open.",
        ),
        sa.Column(
            "status",
            _one_of("oddsalertstatus", "open", "acknowledged", "closed"),
            nullable=False,
            comment="open, acknowledged, closed.",
        ),
        sa.Column(
            "minutes_to_kickoff",
            sa.Double(),
            nullable=False,
            comment="From opened_at to the effective kickoff, minutes.",
        ),
        sa.Column(
            "as_of",
            INSTANT,
            nullable=False,
            comment="Latest look at the fixture before its kickoff: nothing later was known.",
        ),
        sa.Column("mapping_version", sa.Text(), nullable=False, comment="Version of the market vocabulary."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was computed."),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_odds_alert")),
        schema="mart",
        comment="Episodes that traders are told of, in the last PALIMPSEST_ODDS_ALERT_DAYS before kickoff: one row from where a"
        " threshold is passed until things have calmed down. Of prices one row a market, its outcomes together.",
    )
    op.create_index(op.f("ix_odds_alert_kickoff_date"), "odds_alert", ["kickoff_date"], unique=False, schema="mart")
    op.create_index(op.f("ix_odds_alert_sr_id"), "odds_alert", ["sr_id"], unique=False, schema="mart")
    op.create_index(
        "ix_odds_alert_open",
        "odds_alert",
        ["sr_id"],
        unique=False,
        schema="mart",
        postgresql_where=sa.text("closed_at is null"),
    )


def _acknowledged_odds_alerts() -> None:
    op.create_table(
        "acknowledged_odds_alerts",
        sa.Column("alert_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Episode."),
        sa.Column("acknowledged_at", INSTANT, nullable=False, comment="When."),
        sa.Column("acknowledged_by", sa.Text(), nullable=False, comment="Who, as he named himself."),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_acknowledged_odds_alerts")),
        schema="ops",
        comment="Episodes of mart.odds_alert that somebody has seen. No derivation changes it.",
    )
