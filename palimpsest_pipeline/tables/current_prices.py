"""Tables of the schema mart: current price comparisons, gaps, alerts to traders, price leads.

They cover fixtures that have not kicked off. Comparisons and gaps have only columns that change with prices and states.
The times at which listings were last seen are in a separate table, which every cycle updates; the analysts' views join
both. Past comparisons are computed from the history and not stored. Closed alerts and price leads stay.
"""

from datetime import date
from typing import Any, ClassVar, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Mapped

from palimpsest_pipeline.domain.enums import (
    AvailabilityState,
    FixtureProduct,
    GapType,
    LagLimit,
    MarketState,
    OddsAlertLevel,
    OddsAlertStatus,
    OddsAlertType,
    Platform,
    PriceLeadType,
)

from .core import MARKET_STATE
from .declarative_base import (
    BigInt,
    Instant,
    IntArray,
    MartTable,
    Odds,
    SmallInt,
    SmallIntArray,
    Text,
    column,
    key,
    native_enum,
    text_enum,
)
from .lifecycle import COMPUTED, KICKOFF_DATE, VERSION


class PlatformLabel(sa.types.UserDefinedType[str]):
    """The enum `mart.platform`. `write_platforms` adds a value for each new platform.

    A value takes four bytes, which matters in large tables.
    """

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "mart.platform"


PLATFORM_LABEL: Final = PlatformLabel()
STATE: Final = native_enum(AvailabilityState, "availability_state", "mart")
VACUUMED_OFTEN: Final = {"autovacuum_vacuum_scale_factor": 0.05}
"""Storage option of large tables of which each cycle writes a part.

Frequent vacuuming reuses the space of dead rows early.
"""

_AS_OF = (
    "Time of the latest answer of any platform about the fixture, or of the latest discovery that lacks it. "
    "Nothing later was known."
)
COMPETITOR = "Competitor compared with home."
HOME = "Home platform for which it was computed."
SPECIFIER = "Canonical specifier; '' when the market has none."


class DirtyFixture(MartTable):
    """Fixtures that a cycle changed and whose derived rows are due."""

    __tablename__ = "dirty_fixtures"

    product: Mapped[FixtureProduct] = key(
        "Product that is due: prices (comparisons and gaps) or odds_alerts.", type_=text_enum(FixtureProduct, "product")
    )
    sr_id: Mapped[BigInt] = key("SportRadar id.")
    marked_at: Mapped[Instant] = column("When it was marked last.")


class ComparedListing(MartTable):
    """Observation times of the listings behind price_comparison and availability_gap.

    Written together with these.
    """

    __tablename__ = "compared_listing"
    # A cycle updates every row without changing its key. With half of each page free, the new version fits on the same
    # page and the index does not change.
    table_options: ClassVar = {"postgresql_with": {"fillfactor": 50}}

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    platform: Mapped[Platform] = key("Platform, home or a competitor.", type_=PLATFORM_LABEL)
    home_platform: Mapped[Platform] = column(HOME, type_=PLATFORM_LABEL)
    answered_at: Mapped[Instant | None] = column("Time of the listing's last answer; null without one.")
    home_answered_at: Mapped[Instant | None] = column(
        "Time of home's last answer about the fixture; null when home does not list it."
    )
    skew_s: Mapped[float | None] = column(
        "Time between these two answers in seconds, never negative; null for home itself, and when one of the two "
        "listings has no answer or is dropped."
    )
    dropped_at: Mapped[Instant | None] = column(
        "Time from which complete discoveries lack it; null while it is listed."
    )
    as_of: Mapped[Instant] = column(_AS_OF)
    kickoff_at: Mapped[Instant] = column("Effective kickoff of the fixture.")
    computed_at: Mapped[Instant] = column(COMPUTED)
    comparable: Mapped[bool] = column(
        "True when its answer and home's are at most PALIMPSEST_MAX_SKEW_S apart, and both listings are not "
        "suspected of offering different bets (suspect_code kickoff_mismatch or home_away_swapped). False for "
        "home itself."
    )
    mapping_version: Mapped[Text] = column(VERSION)


class PriceComparison(MartTable):
    """Current prices of home and each competitor, per market and line.

    Markets that both list, of fixtures that have not begun. The view palimpsest.compared_prices shows them by
    outcome. A row changes when a price changes.
    """

    __tablename__ = "price_comparison"
    schema_items = (sa.Index(None, "line_id"),)
    table_options: ClassVar = {"postgresql_with": VACUUMED_OFTEN}

    # The widest columns come first, because every row pays for alignment padding.
    sr_id: Mapped[BigInt] = key("SportRadar id.")
    line_id: Mapped[int] = key("Line, which is a market with one specifier: ops.market_lines.")
    platform: Mapped[Platform] = key(COMPETITOR, type_=PLATFORM_LABEL)
    home_state: Mapped[MarketState] = column(
        "Best state of the outcomes on home; withdrawn: home no longer has the market.", type_=MARKET_STATE
    )
    platform_state: Mapped[MarketState] = column(
        "Best state of the outcomes on the competitor; withdrawn: the competitor no longer has the market.",
        type_=MARKET_STATE,
    )
    home_margin: Mapped[float | None] = column("Margin of the market on home; null when it cannot be computed.")
    platform_margin: Mapped[float | None] = column(
        "Margin of the market on the competitor; null when it cannot be computed."
    )
    home_share: Mapped[float | None] = column(
        "Fair probability of an outcome times its odds on home; null without a margin."
    )
    platform_share: Mapped[float | None] = column(
        "Fair probability of an outcome times its odds on the competitor; null without a margin."
    )
    cross_book_sum_inverse: Mapped[float | None] = column(
        "Sum of 1 / best odds over the market's outcomes, from answers at most PALIMPSEST_MAX_SKEW_S apart; null "
        "unless the set is complete and every outcome has a best price."
    )
    home_off_mask: Mapped[BigInt | None] = column(
        "Bit i-1 is set when outcome i is listed on home but cannot be backed there; null when there is no such "
        "outcome."
    )
    platform_off_mask: Mapped[BigInt | None] = column(
        "Bit i-1 is set when outcome i is listed on the competitor but cannot be backed there; null when there is "
        "no such outcome."
    )
    home_tied_best_mask: Mapped[BigInt | None] = column(
        "Bit i-1 is set when home shares the best price of outcome i with another platform; null when there is no "
        "such outcome."
    )
    arb: Mapped[bool | None] = column(
        "True when cross_book_sum_inverse is below the number of outcomes that win, so that backing each outcome "
        "at its best price wins; null without that sum."
    )
    home_odds_milli: Mapped[IntArray | None] = column(
        "Decimal odds x 1000 of home, at the outcome's ordinal (one position for a single outcome); null without "
        "a price."
    )
    platform_odds_milli: Mapped[IntArray | None] = column(
        "Decimal odds x 1000 of the competitor, at the outcome's ordinal (one position for a single outcome); "
        "null without a price."
    )
    best_odds_milli: Mapped[IntArray | None] = column("Decimal odds x 1000 of best_platform, by outcome.")
    best_platform: Mapped[list[Platform] | None] = column(
        "Platform with the best price, by outcome, among home and the competitors whose answers are close to "
        "home's and to each other's in time; of equal prices home's, then the most trusted platform's; null when "
        "the outcome cannot be backed on home.",
        type_=pg.ARRAY(PLATFORM_LABEL),
    )
    rank_home: Mapped[SmallIntArray | None] = column(
        "Rank of home by outcome: 1 + the number of comparable competitors with a better price; null when home is "
        "comparable with none."
    )


class AvailabilityGap(MartTable):
    """Current markets that home and a competitor do not both offer.

    The fixtures are those that both list or have listed and that have not begun. The view palimpsest.compared_gaps
    shows them with their names and durations. A row changes when a state changes.
    """

    __tablename__ = "availability_gap"
    table_options: ClassVar = {"postgresql_with": VACUUMED_OFTEN}

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    line_id: Mapped[int] = key("Line, with all its outcomes together: ops.market_lines, outcome ''.")
    platform: Mapped[Platform] = key(COMPETITOR, type_=PLATFORM_LABEL)
    home_state_since: Mapped[Instant | None] = column(
        "Time of the answer (event_dropped: of the discovery) that began home's state, whatever the prices; null "
        "when home never showed the market."
    )
    platform_state_since: Mapped[Instant | None] = column(
        "Time of the answer (event_dropped: of the discovery) that began the competitor's state; null when the "
        "competitor never showed the market."
    )
    gap_type: Mapped[GapType] = column(
        "home_missing: the competitor offers the market, home lacks it; platform_missing: the reverse; "
        "home_suspended_only: the competitor offers it, home lists it suspended or without a price; "
        "platform_suspended_only: the reverse; both: one lists it, neither offers it; unknown: one was not "
        "observed within PALIMPSEST_MAX_SKEW_S of as_of (a dropped listing needs no answer).",
        type_=native_enum(GapType, "gap_type", "mart"),
    )
    home_state: Mapped[AvailabilityState | None] = column(
        "Best state of the outcomes on home; null when home never showed the market.", type_=STATE
    )
    platform_state: Mapped[AvailabilityState | None] = column(
        "Best state of the outcomes on the competitor; null when the competitor never showed the market.", type_=STATE
    )
    market_priority: Mapped[SmallInt | None] = column(
        "Position in PALIMPSEST_MAIN_MARKETS, from 1; null for other markets."
    )


class OddsAlert(MartTable):
    """Episodes of alerts to traders, in the last PALIMPSEST_ODDS_ALERT_DAYS before kickoff.

    An episode begins when a threshold is passed and ends when the market is calm again. A price alert has one row
    per market, for all its outcomes.
    """

    __tablename__ = "odds_alert"
    schema_items = (
        sa.Index(None, "sr_id"),
        sa.Index(None, "kickoff_date"),
        sa.Index("ix_odds_alert_open", "sr_id", postgresql_where=sa.text("closed_at is null")),
    )

    alert_id: Mapped[BigInt] = key(
        "Hash of the alert's subject and of opened_at: an episode has the same id in every derivation."
    )
    alert_type: Mapped[OddsAlertType] = column(
        "price_move: a price is far from its value one window earlier. direction_disagreement: home's and the "
        "competitor's price moved in opposite directions. home_outlier: home's price is far from the median of "
        "two or more competitors. market_disappeared: an answer lacks a market that was offered. market_returned: "
        "such a market is offered again. event_dropped: a complete discovery lacks the listing."
    )
    severity: Mapped[OddsAlertLevel] = column(
        "Size of the change of the implied probability (1 / odds) at its peak, by PALIMPSEST_ODDS_ALERT_LEVELS. "
        "Of the types without a size, event_dropped is high, market_disappeared is medium in "
        "PALIMPSEST_MAIN_MARKETS, and all others are low."
    )
    platform: Mapped[Platform] = column("Platform that the alert is about.")
    sr_id: Mapped[BigInt] = column("SportRadar id.")
    kickoff_date: Mapped[date] = column(KICKOFF_DATE)
    market_key: Mapped[Text] = column("Market of the vocabulary; '*' for the listing as a whole.")
    specifier: Mapped[Text] = column(SPECIFIER)
    outcome_key: Mapped[Text] = column("Outcome with the largest deviation at the peak; '' when no price is compared.")
    baseline_at: Mapped[Instant | None] = column(
        "Time of baseline_odds: one window before peak_at (for direction_disagreement up to PALIMPSEST_MAX_SKEW_S "
        "earlier); for home_outlier peak_at; null without a price."
    )
    baseline_odds: Mapped[Odds | None] = column(
        "The outcome's price at baseline_at; for home_outlier the median of the competitors."
    )
    current_odds: Mapped[Odds | None] = column("The outcome's price at the peak.")
    change_rel: Mapped[float | None] = column(
        "Value of peak_change_rel when the alert opened, for the outcome with the largest deviation at that time."
    )
    window_minutes: Mapped[float | None] = column(
        "Window over which prices moved, in minutes; null when no prices are compared over time."
    )
    competitor: Mapped[Platform | None] = column(
        "Competitor that moved in the opposite direction; null for types other than direction_disagreement."
    )
    competitor_odds: Mapped[Odds | None] = column("The competitor's price at the peak.")
    competitor_change_rel: Mapped[float | None] = column(
        "Change of the competitor's price over the window, at the peak."
    )
    opened_at: Mapped[Instant] = column(
        "Time of the answer that passed the threshold; for event_dropped, of the discovery that lacked the listing."
    )
    peak_at: Mapped[Instant | None] = column(
        "Time of the answer that first showed the largest deviation; null when no price is compared."
    )
    peak_change_rel: Mapped[float | None] = column(
        "current_odds / baseline_odds - 1. For direction_disagreement this is home's change, and the smaller of "
        "both changes decides the peak."
    )
    closed_at: Mapped[Instant | None] = column(
        "Time of the observation that ended the alert (prices are calm, the market cannot be backed any more, or "
        "it is back; market_returned: one window later), or the kickoff; null while open."
    )
    status: Mapped[OddsAlertStatus] = column("open, acknowledged or closed.")
    minutes_to_kickoff: Mapped[float] = column("From opened_at to the effective kickoff, minutes.")
    as_of: Mapped[Instant] = column(
        "Time of the latest observation of the fixture before its kickoff. Nothing later was known."
    )
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)


class PriceLead(MartTable):
    """Pairs of events on two platforms, the earlier one first.

    They are in markets of PALIMPSEST_MAIN_MARKETS and in the last PALIMPSEST_ODDS_ALERT_DAYS before kickoff. An
    event happened after the last answer with the old state and not after the first answer with the new state; the
    middle of this interval places it in time. Two events, at most PALIMPSEST_PRICE_LEAD_WINDOW_MINUTES apart, are a
    pair when each was the other's nearest on the two platforms at the time of the later answer. Later answers do
    not change a pair. An interval longer than this window and PALIMPSEST_NOT_OBSERVED_AFTER_MINUTES together makes
    no pair.
    """

    __tablename__ = "price_lead"
    schema_items = (sa.Index(None, "kickoff_date"),)

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    lead_type: Mapped[PriceLeadType] = key(
        "move: the fair probability of an outcome rose by PALIMPSEST_PRICE_LEAD_MIN_RISE or more, so its price became "
        "shorter (a fall is a rise of other outcomes). suspension: an answer no longer offers a market that the answer "
        "before offered."
    )
    market_key: Mapped[Text] = key("Market of the vocabulary.")
    specifier: Mapped[Text] = key(SPECIFIER)
    leader: Mapped[Platform] = key(
        "Platform of the earlier event. Of events with the same middle, the first in alphabetical order."
    )
    follower: Mapped[Platform] = key("Platform of the later event.")
    leader_at: Mapped[Instant] = key("Time of the leader's first answer with the new state.")
    leader_after: Mapped[Instant] = column("Time of the leader's last answer with the old state.")
    follower_at: Mapped[Instant] = column("Time of the follower's first answer with the new state.")
    follower_after: Mapped[Instant] = column("Time of the follower's last answer with the old state.")
    outcome_key: Mapped[Text] = column(
        "Outcome of the steam, otherwise the one that rose most on both platforms; '' for a suspension."
    )
    leader_probability_before: Mapped[float | None] = column(
        "The outcome's fair probability (multiplicative) at leader_after; null for a suspension."
    )
    leader_probability: Mapped[float | None] = column("The same at leader_at.")
    follower_probability_before: Mapped[float | None] = column("The same at follower_after.")
    follower_probability: Mapped[float | None] = column("The same at follower_at.")
    lag_s: Mapped[float] = column(
        "Time from the leader's event to the follower's, seconds: the middle of lag_min_s and lag_max_s."
    )
    lag_min_s: Mapped[float] = column(
        "Shortest possible lag, seconds: follower_after - leader_at. If it is not negative, the order is proven."
    )
    lag_max_s: Mapped[float] = column("Longest possible lag, seconds: follower_at - leader_after.")
    lag_limited_by: Mapped[LagLimit] = column(
        "Why the lag is known within bounds only. not_observed: a platform was not observed during a part of its "
        "interval. polling: both were observed; between the two answers a market may have been without prices."
    )
    steam_at: Mapped[Instant | None] = column(
        "First answer of the steam to which both moves belong; null when they belong to none. A steam is a series of "
        "moves of an outcome on PALIMPSEST_PRICE_LEAD_STEAM_PLATFORMS or more platforms. The intervals of two "
        "successive moves together are at most PALIMPSEST_PRICE_LEAD_STEAM_MINUTES long."
    )
    steam_platforms: Mapped[SmallInt | None] = column("Number of platforms of the steam; null without one.")
    kickoff_date: Mapped[date] = column(KICKOFF_DATE)
    mapping_version: Mapped[Text] = column(VERSION)
