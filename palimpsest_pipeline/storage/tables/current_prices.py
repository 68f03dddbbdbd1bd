"""Mart: comparisons of current prices of fixtures that have not begun, and alerts to traders.

Comparisons and gaps hold only values that change with prices and states. The times at which their listings were seen
are in a table of their own, which every cycle updates. The analysts' views join both. Past comparisons are computed
from the history and are not stored. Closed alert episodes are kept.
"""

from datetime import date
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Mapped

from palimpsest_pipeline.domain.enums import (
    AvailabilityState,
    FixtureProduct,
    GapType,
    MarketState,
    OddsAlertLevel,
    OddsAlertStatus,
    OddsAlertType,
    Platform,
)

from .base import Base, BigInt, Instant, IntArray, Odds, SmallInt, Text, column, key, native_enum, text_enum
from .core import MARKET_STATE
from .lifecycle import COMPUTED, KICKOFF_DATE, VERSION


class PlatformLabel(sa.types.UserDefinedType[str]):
    """The enum `mart.platform`, to which a platform is added when the database first knows it.

    A value takes four bytes, which matters in large tables.
    """

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "mart.platform"


PLATFORM_LABEL: Final = PlatformLabel()
STATE: Final = native_enum(AvailabilityState, "availability_state", "mart")
VACUUMED_OFTEN: Final = {"autovacuum_vacuum_scale_factor": 0.05}
"""The storage of large tables of which each cycle writes a part.

Frequent vacuuming reuses the space of old versions early, so pages need no free space from the start.
"""

AS_OF = "Latest answer of any platform on the fixture, or discovery that lacks it: nothing later was known."
COMPETITOR = "Competitor compared with home."
HOME = "Home platform it was computed for."
SPECIFIER = "Canonical specifier; '' when the market has none."


class DirtyFixture(Base):
    __tablename__ = "dirty_fixtures"
    __table_args__ = (
        {"schema": "mart", "comment": "Fixtures that a cycle touched since what is derived of them was last derived."},
    )

    product: Mapped[FixtureProduct] = key(
        "What is due: prices (comparisons and gaps), odds_alerts.", type_=text_enum(FixtureProduct, "product")
    )
    sr_id: Mapped[BigInt] = key("SportRadar id.")
    marked_at: Mapped[Instant] = column("When it was marked last.")


class ComparedListing(Base):
    __tablename__ = "compared_listing"
    # A cycle updates every row without changing its key. With half of each page empty, the new version fits on the page
    # and the index stays unchanged.
    __table_args__ = (
        {
            "schema": "mart",
            "comment": "When the listings that price_comparison and availability_gap rest on were seen. Written with "
            "these.",
            "postgresql_with": {"fillfactor": 50},
        },
    )

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    platform: Mapped[Platform] = key("Platform, home or a competitor.", type_=PLATFORM_LABEL)
    home_platform: Mapped[Platform] = column(HOME, type_=PLATFORM_LABEL)
    answered_at: Mapped[Instant | None] = column("Last answer of the listing; null without one.")
    home_answered_at: Mapped[Instant | None] = column(
        "Home's last answer on the fixture; null when home does not list it."
    )
    skew_s: Mapped[float | None] = column(
        "Between these two answers, seconds, never negative; null of home itself, and where one of the two has none "
        "or is dropped.",
        type_=sa.Double,
    )
    dropped_at: Mapped[Instant | None] = column("Since when complete discoveries lack it; null while it is listed.")
    as_of: Mapped[Instant] = column(AS_OF)
    kickoff_at: Mapped[Instant] = column("Effective kickoff of the fixture.")
    computed_at: Mapped[Instant] = column(COMPUTED)
    comparable: Mapped[bool] = column(
        "Its answer and home's are no further apart than PALIMPSEST_MAX_SKEW_S, and nothing makes it doubtful that "
        "both listings offer the same bets"
        " (suspect_code kickoff_mismatch, home_away_swapped). False of home itself."
    )
    mapping_version: Mapped[Text] = column(VERSION)


class PriceComparison(Base):
    __tablename__ = "price_comparison"
    __table_args__ = (
        {
            "schema": "mart",
            "comment": "Home's prices of each market and line against each competitor's, as they stand, of markets "
            "that both list and fixtures that "
            "have not begun: what palimpsest.compared_prices shows outcome by outcome. A row changes when a price "
            "does.",
            "postgresql_with": VACUUMED_OFTEN,
        },
    )

    # Widest columns first, because every row pays for alignment padding.
    sr_id: Mapped[BigInt] = key("SportRadar id.")
    line_id: Mapped[int] = key("Market on a line: ops.market_lines.")
    platform: Mapped[Platform] = key(COMPETITOR, type_=PLATFORM_LABEL)
    home_state: Mapped[MarketState] = column(
        "Best state of the outcomes on home; withdrawn: it is no longer there.", type_=MARKET_STATE
    )
    platform_state: Mapped[MarketState] = column("The same on the competitor.", type_=MARKET_STATE)
    home_margin: Mapped[float | None] = column(
        "Margin of the market on home; null when it cannot be computed.", type_=sa.Double
    )
    platform_margin: Mapped[float | None] = column("Margin of the market on the competitor.", type_=sa.Double)
    home_share: Mapped[float | None] = column(
        "Fair probability of an outcome x its odds on home; null without a margin.", type_=sa.Double
    )
    platform_share: Mapped[float | None] = column("The same on the competitor.", type_=sa.Double)
    cross_book_sum_inverse: Mapped[float | None] = column(
        "Sum of the inverse best odds over the market's outcomes, of answers near each other; null unless every "
        "outcome of a complete set has one.",
        type_=sa.Double,
    )
    home_off_mask: Mapped[BigInt | None] = column(
        "Bit i-1 set: outcome i cannot be backed on home though it is there; null: none is off."
    )
    platform_off_mask: Mapped[BigInt | None] = column("The same on the competitor.")
    home_tied_best_mask: Mapped[BigInt | None] = column(
        "Bit i-1 set: on outcome i home offers most together with others; null: on none."
    )
    arb: Mapped[bool | None] = column(
        "That sum is below the number of outcomes that win: backing each at its best price wins; null without it."
    )
    home_odds_milli: Mapped[IntArray | None] = column(
        "Decimal odds x 1000 of home by outcome ordinal (a single outcome: one place); null: no price."
    )
    platform_odds_milli: Mapped[IntArray | None] = column("The same of the competitor.")
    best_odds_milli: Mapped[IntArray | None] = column("What best_platform offers, by outcome.")
    best_platform: Mapped[list[Platform] | None] = column(
        "By outcome who offers most, of home and competitors whose answers are near its and each other's; home, then "
        "by trust, where several do; "
        "null when home cannot be backed.",
        type_=pg.ARRAY(PLATFORM_LABEL),
    )
    rank_home: Mapped[list[int] | None] = column(
        "By outcome 1 + how many comparable competitors offer more; null when home is comparable with none.",
        type_=pg.ARRAY(sa.SmallInteger),
    )


class AvailabilityGap(Base):
    __tablename__ = "availability_gap"
    __table_args__ = (
        {
            "schema": "mart",
            "comment": "Markets that home and a competitor do not both offer, as they stand, of fixtures that both "
            "list or have listed and that have "
            "not begun: palimpsest.compared_gaps shows them with their names and how long they last. A row changes "
            "when a state does.",
            "postgresql_with": VACUUMED_OFTEN,
        },
    )

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    line_id: Mapped[int] = key("Market on a line, all its outcomes together: ops.market_lines, outcome ''.")
    platform: Mapped[Platform] = key(COMPETITOR, type_=PLATFORM_LABEL)
    home_state_since: Mapped[Instant | None] = column(
        "Answer (event_dropped: discovery) since which home is in that state, whatever its prices do; null: never "
        "seen there."
    )
    platform_state_since: Mapped[Instant | None] = column(
        "Answer (event_dropped: discovery) since which the competitor is in that state; null: never seen there."
    )
    gap_type: Mapped[GapType] = column(
        "home_missing, platform_missing: one offers it, the other lacks it; ..._suspended_only: ... lists it, "
        "suspended or without a price; both: "
        "neither offers it, one lists it; unknown: one was not looked at within PALIMPSEST_MAX_SKEW_S of as_of (a "
        "dropped listing needs no look).",
        type_=native_enum(GapType, "gap_type", "mart"),
    )
    home_state: Mapped[AvailabilityState | None] = column(
        "State on home, the best of its outcomes'; null: never seen there.", type_=STATE
    )
    platform_state: Mapped[AvailabilityState | None] = column(
        "State on the competitor, the best of its outcomes'; null: never seen there.", type_=STATE
    )
    market_priority: Mapped[SmallInt | None] = column(
        "Place in PALIMPSEST_MAIN_MARKETS, from 1; null for other markets."
    )


class OddsAlert(Base):
    __tablename__ = "odds_alert"
    __table_args__ = (
        sa.Index(None, "sr_id"),
        sa.Index(None, "kickoff_date"),
        sa.Index("ix_odds_alert_open", "sr_id", postgresql_where=sa.text("closed_at is null")),
        {
            "schema": "mart",
            "comment": "Episodes that traders are told of, in the last PALIMPSEST_ODDS_ALERT_DAYS before kickoff: one "
            "row from where a threshold is "
            "passed until things have calmed down. Of prices one row a market, its outcomes together.",
        },
    )

    alert_id: Mapped[BigInt] = key(
        "Hash of what it is about and of opened_at: the same episode has the same id whenever it is derived."
    )
    alert_type: Mapped[OddsAlertType] = column(
        "price_move: a price is far from what it was a window earlier. direction_disagreement: home's and the "
        "competitor's moved apart. "
        "home_outlier: home's is far from the median of two or more competitors'. market_disappeared: was offered, an "
        "answer lacks it. "
        "market_returned: is offered again after that. event_dropped: a complete discovery lacks the listing.",
        type_=text_enum(OddsAlertType),
    )
    severity: Mapped[OddsAlertLevel] = column(
        "How large the change of the implied probability (1 / odds) was at its peak: PALIMPSEST_ODDS_ALERT_LEVELS. "
        "What has no size: event_dropped "
        "is high, market_disappeared medium in PALIMPSEST_MAIN_MARKETS, all else low.",
        type_=text_enum(OddsAlertLevel),
    )
    platform: Mapped[Platform] = column("Platform it is about.", type_=sa.String(24))
    sr_id: Mapped[BigInt] = column("SportRadar id.")
    kickoff_date: Mapped[date] = column(KICKOFF_DATE)
    market_key: Mapped[Text] = column("Market of the vocabulary; '*' for the listing as a whole.")
    specifier: Mapped[Text] = column(SPECIFIER)
    outcome_key: Mapped[Text] = column("Outcome that was furthest off, at the peak; '' where no price is compared.")
    baseline_at: Mapped[Instant | None] = column(
        "Instant of baseline_odds: a window before peak_at (of direction_disagreement they may be older by "
        "PALIMPSEST_MAX_SKEW_S); home_outlier: "
        "peak_at; null without a price."
    )
    baseline_odds: Mapped[Odds | None] = column("The outcome's price then; home_outlier: median of the competitors'.")
    current_odds: Mapped[Odds | None] = column("The outcome's price at the peak.")
    change_rel: Mapped[float | None] = column(
        "What peak_change_rel was when it opened, of the outcome that was furthest off then.", type_=sa.Double
    )
    window_minutes: Mapped[float | None] = column(
        "Window over which prices moved, minutes; null where none is compared over time.", type_=sa.Double
    )
    competitor: Mapped[Platform | None] = column(
        "Competitor that moved the other way; null but for it.", type_=sa.String(24)
    )
    competitor_odds: Mapped[Odds | None] = column("Its price at the peak.")
    competitor_change_rel: Mapped[float | None] = column("Its change over the window, at the peak.", type_=sa.Double)
    opened_at: Mapped[Instant] = column(
        "Answer that passed the threshold; event_dropped: discovery that lacked the listing."
    )
    peak_at: Mapped[Instant | None] = column(
        "Answer that first showed it at its largest; null where no price is compared."
    )
    peak_change_rel: Mapped[float | None] = column(
        "current_odds / baseline_odds - 1; of direction_disagreement, where the smaller of both changes counts, "
        "home's.",
        type_=sa.Double,
    )
    closed_at: Mapped[Instant | None] = column(
        "Look with which it was over (calm, not to be backed any more, back again; market_returned: a window later), "
        "or the kickoff; null while open."
    )
    status: Mapped[OddsAlertStatus] = column("open, acknowledged, closed.", type_=text_enum(OddsAlertStatus))
    minutes_to_kickoff: Mapped[float] = column("From opened_at to the effective kickoff, minutes.", type_=sa.Double)
    as_of: Mapped[Instant] = column("Latest look at the fixture before its kickoff: nothing later was known.")
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)
