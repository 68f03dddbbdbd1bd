"""Mart: prices as they stand now, of fixtures that have not begun, replaced by fixture; and what traders are told of.

The past of comparisons and gaps is a function of the history, not stored. Episodes of alerts are kept when they are over.
"""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from ...domain.words import AvailabilityState, FixtureProduct, GapType, OddsAlertLevel, OddsAlertStatus, OddsAlertType, Platform
from .base import Base, BigInt, Instant, Odds, SmallInt, Text, column, key, one_of
from .life import COMPUTED, KICKOFF_DATE, VERSION

AS_OF = "Latest answer of any platform on the fixture, or discovery that lacks it: nothing later was known."
COMPETITOR = "Competitor compared with home."
HOME = "Home platform it was computed for."
MARKET = "Market of the vocabulary."
SPECIFIER = "Canonical specifier; '' when the market has none."


class DirtyFixture(Base):
    __tablename__ = "dirty_fixtures"
    __table_args__ = ({"schema": "mart", "comment": "Fixtures that a cycle touched since what is derived of them was last derived."},)

    product: Mapped[FixtureProduct] = key("What is due: prices (comparisons and gaps), odds_alerts.", type_=one_of(FixtureProduct, "product"))
    sr_id: Mapped[BigInt] = key("SportRadar id.")
    marked_at: Mapped[Instant] = column("When it was marked last.")


class PriceComparison(Base):
    __tablename__ = "price_comparison"
    __table_args__ = (
        {
            "schema": "mart",
            "comment": "Home's price of each outcome against each competitor's, as they stand, of markets that both list and fixtures that have not "
            "begun.",
        },
    )

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    market_key: Mapped[Text] = key(MARKET)
    specifier: Mapped[Text] = key(SPECIFIER)
    outcome_key: Mapped[Text] = key("Outcome of the vocabulary. Players, whom each platform has under ids of its own, are left out.")
    platform: Mapped[Platform] = key(COMPETITOR, type_=one_of(Platform))
    home_platform: Mapped[Platform] = column(HOME, type_=one_of(Platform, "home_platform"))
    as_of: Mapped[Instant] = column(AS_OF)
    home_odds: Mapped[Odds | None] = column("Decimal odds of home; null without a price.")
    platform_odds: Mapped[Odds | None] = column("Decimal odds of the competitor; null without a price.")
    home_last_confirmed_at: Mapped[Instant] = column("Home's last answer on the fixture.")
    platform_last_confirmed_at: Mapped[Instant] = column("The competitor's last answer on the fixture.")
    skew_s: Mapped[float] = column("Between these two answers, seconds, never negative.", type_=sa.Double)
    home_state: Mapped[AvailabilityState] = column(
        "On home: offered, suspended, no_price; withdrawn: it is no longer there.", type_=one_of(AvailabilityState, "home_state")
    )
    platform_state: Mapped[AvailabilityState] = column("On the competitor.", type_=one_of(AvailabilityState, "platform_state"))
    comparable: Mapped[bool] = column(
        "Both can be backed, their answers are no further apart than PALIMPSEST_MAX_SKEW_S, and nothing makes it doubtful that both listings "
        "offer the same bets (suspect_code kickoff_mismatch, home_away_swapped)."
    )
    diff_abs: Mapped[float | None] = column("home_odds - platform_odds; null unless comparable.", type_=sa.Double)
    diff_rel: Mapped[float | None] = column("home_odds / platform_odds - 1; null unless comparable.", type_=sa.Double)
    fair_home_prob: Mapped[float | None] = column(
        "Probability that home's prices say, its margin shared out evenly; null without a margin.", type_=sa.Double
    )
    fair_platform_prob: Mapped[float | None] = column("The same of the competitor's prices.", type_=sa.Double)
    best_platform: Mapped[Platform | None] = column(
        "Who offers most, of home and competitors whose answers are near its and each other's; home, then by trust, where several do; "
        "null when home cannot be backed.",
        type_=one_of(Platform, "best_platform"),
    )
    best_odds: Mapped[Odds | None] = column("What it offers.")
    home_is_best: Mapped[bool | None] = column("Home alone offers most; null when home is comparable with none.")
    home_tied_best: Mapped[bool | None] = column("Home offers most together with others; null like home_is_best.")
    rank_home: Mapped[SmallInt | None] = column("1 + how many comparable competitors offer more; null like home_is_best.")
    home_margin: Mapped[float | None] = column("Margin of the market on home; null when it cannot be computed.", type_=sa.Double)
    platform_margin: Mapped[float | None] = column("Margin of the market on the competitor.", type_=sa.Double)
    margin_diff: Mapped[float | None] = column("home_margin - platform_margin.", type_=sa.Double)
    cross_book_sum_inverse: Mapped[float | None] = column(
        "Sum of the inverse best odds over the market's outcomes, of answers near each other; null unless every outcome of a complete set has one.",
        type_=sa.Double,
    )
    arb: Mapped[bool | None] = column("That sum is below the number of outcomes that win: backing each at its best price wins; null without it.")
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)


class AvailabilityGap(Base):
    __tablename__ = "availability_gap"
    __table_args__ = (
        {
            "schema": "mart",
            "comment": "Markets that home and a competitor do not both offer, as they stand, of fixtures that both list or have listed and that have "
            "not begun.",
        },
    )

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    market_key: Mapped[Text] = key(MARKET)
    specifier: Mapped[Text] = key(SPECIFIER)
    platform: Mapped[Platform] = key(COMPETITOR, type_=one_of(Platform))
    home_platform: Mapped[Platform] = column(HOME, type_=one_of(Platform, "home_platform"))
    as_of: Mapped[Instant] = column(AS_OF)
    gap_type: Mapped[GapType] = column(
        "home_missing, platform_missing: one offers it, the other lacks it; ..._suspended_only: ... lists it, suspended or without a price; both: "
        "neither offers it, one lists it; unknown: one was not looked at within PALIMPSEST_MAX_SKEW_S of as_of (a dropped listing needs no look).",
        type_=one_of(GapType),
    )
    home_state: Mapped[AvailabilityState | None] = column(
        "State on home, the best of its outcomes'; null: never seen there.", type_=one_of(AvailabilityState, "home_state")
    )
    platform_state: Mapped[AvailabilityState | None] = column(
        "State on the competitor, the best of its outcomes'; null: never seen there.", type_=one_of(AvailabilityState, "platform_state")
    )
    home_state_since: Mapped[Instant | None] = column(
        "Answer (event_dropped: discovery) since which home is in that state, whatever its prices do; null: never seen there."
    )
    platform_state_since: Mapped[Instant | None] = column(
        "Answer (event_dropped: discovery) since which the competitor is in that state; null: never seen there."
    )
    gap_open_since: Mapped[Instant | None] = column("Later of the two: since then both are in these states; null when unknown.")
    gap_minutes: Mapped[float | None] = column("From gap_open_since to as_of, minutes.", type_=sa.Double)
    never_offered_home: Mapped[bool] = column("No answer of home has ever shown it.")
    never_offered_platform: Mapped[bool] = column("No answer of the competitor has ever shown it.")
    minutes_to_kickoff: Mapped[float] = column("From as_of to the effective kickoff, minutes.", type_=sa.Double)
    market_priority: Mapped[SmallInt | None] = column("Place in PALIMPSEST_MAIN_MARKETS, from 1; null for other markets.")
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)


class OddsAlert(Base):
    __tablename__ = "odds_alert"
    __table_args__ = (
        sa.Index(None, "sr_id"),
        sa.Index(None, "kickoff_date"),
        sa.Index("ix_odds_alert_open", "sr_id", postgresql_where=sa.text("closed_at is null")),
        {
            "schema": "mart",
            "comment": "Episodes that traders are told of, in the last PALIMPSEST_ODDS_ALERT_DAYS before kickoff: one row from where a threshold is "
            "passed until things have calmed down. Of prices one row a market, its outcomes together.",
        },
    )

    alert_id: Mapped[BigInt] = key("Hash of what it is about and of opened_at: the same episode has the same id whenever it is derived.")
    alert_type: Mapped[OddsAlertType] = column(
        "price_move: a price is far from what it was a window earlier. direction_disagreement: home's and the competitor's moved apart. "
        "home_outlier: home's is far from the median of two or more competitors'. market_disappeared: was offered, an answer lacks it. "
        "market_returned: is offered again after that. event_dropped: a complete discovery lacks the listing.",
        type_=one_of(OddsAlertType),
    )
    severity: Mapped[OddsAlertLevel] = column(
        "How large the change of the implied probability (1 / odds) was at its peak: PALIMPSEST_ODDS_ALERT_LEVELS. What has no size: event_dropped "
        "is high, market_disappeared medium in PALIMPSEST_MAIN_MARKETS, all else low.",
        type_=one_of(OddsAlertLevel),
    )
    platform: Mapped[Platform] = column("Platform it is about.", type_=one_of(Platform))
    sr_id: Mapped[BigInt] = column("SportRadar id.")
    kickoff_date: Mapped[date] = column(KICKOFF_DATE)
    market_key: Mapped[Text] = column("Market of the vocabulary; '*' for the listing as a whole.")
    specifier: Mapped[Text] = column(SPECIFIER)
    outcome_key: Mapped[Text] = column("Outcome that was furthest off, at the peak; '' where no price is compared.")
    baseline_at: Mapped[Instant | None] = column(
        "Instant of baseline_odds: a window before peak_at (of direction_disagreement they may be older by PALIMPSEST_MAX_SKEW_S); home_outlier: "
        "peak_at; null without a price."
    )
    baseline_odds: Mapped[Odds | None] = column("The outcome's price then; home_outlier: median of the competitors'.")
    current_odds: Mapped[Odds | None] = column("The outcome's price at the peak.")
    change_rel: Mapped[float | None] = column("What peak_change_rel was when it opened, of the outcome that was furthest off then.", type_=sa.Double)
    window_minutes: Mapped[float | None] = column("Window over which prices moved, minutes; null where none is compared over time.", type_=sa.Double)
    competitor: Mapped[Platform | None] = column("Competitor that moved the other way; null but for it.", type_=one_of(Platform, "competitor"))
    competitor_odds: Mapped[Odds | None] = column("Its price at the peak.")
    competitor_change_rel: Mapped[float | None] = column("Its change over the window, at the peak.", type_=sa.Double)
    opened_at: Mapped[Instant] = column("Answer that passed the threshold; event_dropped: discovery that lacked the listing.")
    peak_at: Mapped[Instant | None] = column("Answer that first showed it at its largest; null where no price is compared.")
    peak_change_rel: Mapped[float | None] = column(
        "current_odds / baseline_odds - 1; of direction_disagreement, where the smaller of both changes counts, home's.", type_=sa.Double
    )
    closed_at: Mapped[Instant | None] = column(
        "Look with which it was over (calm, not to be backed any more, back again; market_returned: a window later), or the kickoff; null while open."
    )
    status: Mapped[OddsAlertStatus] = column("open, acknowledged, closed.", type_=one_of(OddsAlertStatus))
    minutes_to_kickoff: Mapped[float] = column("From opened_at to the effective kickoff, minutes.", type_=sa.Double)
    as_of: Mapped[Instant] = column("Latest look at the fixture before its kickoff: nothing later was known.")
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)
