"""Comparisons and gaps hold what changes with prices and states, under ids; when their listings were seen stands in a table of its own.

Neither direction converts rows: all of them follow from core, and the fixtures that had any are marked as due.
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql as pg

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
TYPES = {
    "platform": (("betpawa", "sportybet", "bet9ja"), "A bookmaker''s site"),
    "gap_type": (
        ("home_missing", "platform_missing", "home_suspended_only", "platform_suspended_only", "both", "unknown"),
        "Who of home and a competitor cannot be backed on a market that the other one lists, and how",
    ),
    "availability_state": (
        ("offered", "suspended", "no_price", "withdrawn", "event_dropped", "closed_at_kickoff", "not_observed"),
        "What can be said of a market, or of a whole listing, over a stretch of time",
    ),
}
"""Words and comment of each new type in schema mart."""
MARKET_STATE = pg.ENUM(
    "offered", "suspended", "no_price", "withdrawn", name="market_state", schema="core", create_type=False
)
PLATFORM, GAP_TYPE, STATE = (
    pg.ENUM(*words, name=name, schema="mart", create_type=False) for name, (words, _) in TYPES.items()
)
VACUUMED_OFTEN = {"autovacuum_vacuum_scale_factor": 0.05}
MARK_AS_DUE = """
insert into mart.dirty_fixtures (product, sr_id, marked_at)
select product, sr_id, clock_timestamp()
from (select sr_id from mart.price_comparison union select sr_id from mart.availability_gap) f
cross join unnest(array['prices', 'odds_alerts']) as due (product)
on conflict (product, sr_id) do nothing
"""


def upgrade() -> None:
    op.execute(MARK_AS_DUE)
    op.drop_table("availability_gap", schema="mart")
    op.drop_table("price_comparison", schema="mart")
    for name, (words, comment) in TYPES.items():
        op.execute(f"create type mart.{name} as enum ({', '.join(map(repr, words))})")
        op.execute(f"comment on type mart.{name} is '{comment}'")
    _compared_listing()
    _price_comparison()
    _availability_gap()


def downgrade() -> None:
    op.execute(MARK_AS_DUE)
    for table in ("availability_gap", "price_comparison", "compared_listing"):
        op.drop_table(table, schema="mart")
    for name in reversed(TYPES):
        op.execute(f"drop type mart.{name}")
    made, corrected = (context.script.get_revision(number).module for number in ("0011", "0013"))
    made._price_comparison()
    made._availability_gap()
    for column, _, comment in corrected.BEST:
        op.alter_column("price_comparison", column, comment=comment, schema="mart")


def _key(name: str, kind: sa.types.TypeEngine, comment: str) -> sa.Column:
    return sa.Column(name, kind, autoincrement=False, nullable=False, comment=comment)


def _compared_listing() -> None:
    op.create_table(
        "compared_listing",
        _key("sr_id", sa.BigInteger(), "SportRadar id."),
        _key("platform", PLATFORM, "Platform, home or a competitor."),
        sa.Column("home_platform", PLATFORM, nullable=False, comment="Home platform it was computed for."),
        sa.Column("answered_at", INSTANT, nullable=True, comment="Last answer of the listing; null without one."),
        sa.Column(
            "home_answered_at",
            INSTANT,
            nullable=True,
            comment="Home's last answer on the fixture; null when home does not list it.",
        ),
        sa.Column(
            "skew_s",
            sa.Double(),
            nullable=True,
            comment="Between these two answers, seconds, never negative; null of home itself, and where one of the two has none or is dropped.",
        ),
        sa.Column(
            "dropped_at",
            INSTANT,
            nullable=True,
            comment="Since when complete discoveries lack it; null while it is listed.",
        ),
        sa.Column(
            "as_of",
            INSTANT,
            nullable=False,
            comment="Latest answer of any platform on the fixture, or discovery that lacks it: nothing later was known.",
        ),
        sa.Column("kickoff_at", INSTANT, nullable=False, comment="Effective kickoff of the fixture."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was computed."),
        sa.Column(
            "comparable",
            sa.Boolean(),
            nullable=False,
            comment="Its answer and home's are no further apart than PALIMPSEST_MAX_SKEW_S, and nothing makes it doubtful that both listings offer "
            "the same bets (suspect_code kickoff_mismatch, home_away_swapped). False of home itself.",
        ),
        sa.Column("mapping_version", sa.Text(), nullable=False, comment="Version of the market vocabulary."),
        sa.PrimaryKeyConstraint("sr_id", "platform", name=op.f("pk_compared_listing")),
        schema="mart",
        comment="When the listings that price_comparison and availability_gap rest on were seen. Written with these.",
        postgresql_with={"fillfactor": 50},
    )


def _price_comparison() -> None:
    op.create_table(
        "price_comparison",
        _key("sr_id", sa.BigInteger(), "SportRadar id."),
        _key("line_id", sa.Integer(), "Market on a line: ops.market_lines."),
        _key("platform", PLATFORM, "Competitor compared with home."),
        sa.Column(
            "home_state",
            MARKET_STATE,
            nullable=False,
            comment="Best state of the outcomes on home; withdrawn: it is no longer there.",
        ),
        sa.Column("platform_state", MARKET_STATE, nullable=False, comment="The same on the competitor."),
        sa.Column(
            "home_margin",
            sa.Double(),
            nullable=True,
            comment="Margin of the market on home; null when it cannot be computed.",
        ),
        sa.Column("platform_margin", sa.Double(), nullable=True, comment="Margin of the market on the competitor."),
        sa.Column(
            "home_share",
            sa.Double(),
            nullable=True,
            comment="Fair probability of an outcome x its odds on home; null without a margin.",
        ),
        sa.Column("platform_share", sa.Double(), nullable=True, comment="The same on the competitor."),
        sa.Column(
            "cross_book_sum_inverse",
            sa.Double(),
            nullable=True,
            comment="Sum of the inverse best odds over the market's outcomes, of answers near each other; null unless every outcome of a complete "
            "set has one.",
        ),
        sa.Column(
            "home_off_mask",
            sa.BigInteger(),
            nullable=True,
            comment="Bit i-1 set: outcome i cannot be backed on home though it is there; null: none is off.",
        ),
        sa.Column("platform_off_mask", sa.BigInteger(), nullable=True, comment="The same on the competitor."),
        sa.Column(
            "home_tied_best_mask",
            sa.BigInteger(),
            nullable=True,
            comment="Bit i-1 set: on outcome i home offers most together with others; null: on none.",
        ),
        sa.Column(
            "arb",
            sa.Boolean(),
            nullable=True,
            comment="That sum is below the number of outcomes that win: backing each at its best price wins; null without it.",
        ),
        sa.Column(
            "home_odds_milli",
            pg.ARRAY(sa.Integer()),
            nullable=True,
            comment="Decimal odds x 1000 of home by outcome ordinal (a single outcome: one place); null: no price.",
        ),
        sa.Column("platform_odds_milli", pg.ARRAY(sa.Integer()), nullable=True, comment="The same of the competitor."),
        sa.Column(
            "best_odds_milli", pg.ARRAY(sa.Integer()), nullable=True, comment="What best_platform offers, by outcome."
        ),
        sa.Column(
            "best_platform",
            pg.ARRAY(PLATFORM),
            nullable=True,
            comment="By outcome who offers most, of home and competitors whose answers are near its and each other's; home, then by trust, where "
            "several do; null when home cannot be backed.",
        ),
        sa.Column(
            "rank_home",
            pg.ARRAY(sa.SmallInteger()),
            nullable=True,
            comment="By outcome 1 + how many comparable competitors offer more; null when home is comparable with none.",
        ),
        sa.PrimaryKeyConstraint("sr_id", "line_id", "platform", name=op.f("pk_price_comparison")),
        schema="mart",
        comment="Home's prices of each market and line against each competitor's, as they stand, of markets that both list and fixtures that have "
        "not begun: what palimpsest.compared_prices shows outcome by outcome. A row changes when a price does.",
        postgresql_with=VACUUMED_OFTEN,
    )


def _availability_gap() -> None:
    op.create_table(
        "availability_gap",
        _key("sr_id", sa.BigInteger(), "SportRadar id."),
        _key("line_id", sa.Integer(), "Market on a line, all its outcomes together: ops.market_lines, outcome ''."),
        _key("platform", PLATFORM, "Competitor compared with home."),
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
            "gap_type",
            GAP_TYPE,
            nullable=False,
            comment="home_missing, platform_missing: one offers it, the other lacks it; ..._suspended_only: ... lists it, suspended or without a "
            "price; both: neither offers it, one lists it; unknown: one was not looked at within PALIMPSEST_MAX_SKEW_S of as_of (a dropped listing "
            "needs no look).",
        ),
        sa.Column(
            "home_state",
            STATE,
            nullable=True,
            comment="State on home, the best of its outcomes'; null: never seen there.",
        ),
        sa.Column(
            "platform_state",
            STATE,
            nullable=True,
            comment="State on the competitor, the best of its outcomes'; null: never seen there.",
        ),
        sa.Column(
            "market_priority",
            sa.SmallInteger(),
            nullable=True,
            comment="Place in PALIMPSEST_MAIN_MARKETS, from 1; null for other markets.",
        ),
        sa.PrimaryKeyConstraint("sr_id", "line_id", "platform", name=op.f("pk_availability_gap")),
        schema="mart",
        comment="Markets that home and a competitor do not both offer, as they stand, of fixtures that both list or have listed and that have not "
        "begun: palimpsest.compared_gaps shows them with their names and how long they last. A row changes when a state does.",
        postgresql_with=VACUUMED_OFTEN,
    )
