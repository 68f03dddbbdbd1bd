"""Mart: the lifecycle of a fixture on each platform, replaced by UTC date of kickoff.

The rows of a date depend on the whole history of its fixtures. A separate job derives them for the dates that ingestion
marks dirty.
"""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from palimpsest_pipeline.domain.enums import (
    AvailabilityState,
    BucketScheme,
    CloseQuality,
    ListingEnd,
    MarginStatus,
    OpenQuality,
    Platform,
)

from .base import PLATFORM, Base, BigInt, Instant, Json, Odds, SmallInt, Text, column, key, text_enum

KICKOFF_DATE = "UTC date of the effective kickoff."
AS_OF = "Latest cycle it rests on: nothing later was known."
VERSION = "Version of the market vocabulary."
COMPUTED = "When it was computed."


class DirtyKickoffDate(Base):
    __tablename__ = "dirty_kickoff_dates"
    __table_args__ = (
        {
            "schema": "mart",
            "comment": "Kickoff dates on which a cycle changed something since their life was last derived.",
        },
    )

    kickoff_date: Mapped[date] = key(KICKOFF_DATE)
    cycle_id: Mapped[BigInt] = key("Cycle that changed something.")
    marked_at: Mapped[Instant] = column("When it was marked.")


class AvailabilityInterval(Base):
    __tablename__ = "availability_interval"
    __table_args__ = (
        sa.Index(None, "kickoff_date"),
        {
            "schema": "mart",
            "comment": "What each platform offered of each market of a fixture, from when to when; market_key '*' is "
            "the listing as a whole.",
        },
    )

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM)
    market_key: Mapped[Text] = key("Market of the vocabulary; '*' for the listing as a whole.")
    specifier: Mapped[Text] = key("Canonical specifier; '' when the market has none.")
    valid_from: Mapped[Instant] = key(
        "Since when: the answer or discovery that shows it, the kickoff, or when the last look grew too old."
    )
    valid_to: Mapped[Instant | None] = column(
        "Until when, not included: valid_from of the next interval; null: it still holds."
    )
    kickoff_date: Mapped[date] = column(KICKOFF_DATE)
    state: Mapped[AvailabilityState] = column(
        "What it was, or why nothing is known.", type_=text_enum(AvailabilityState)
    )
    n_outcomes_active: Mapped[int | None] = column(
        "Outcomes that could be backed at its begin; null when not observed, and for the listing."
    )
    n_outcomes: Mapped[int | None] = column(
        "Outcomes listed at its begin; null when not observed, and for the listing."
    )
    first_cycle: Mapped[BigInt | None] = column(
        "Cycle that showed it first; null when no cycle did (kickoff, silence)."
    )
    last_cycle: Mapped[BigInt | None] = column("Last cycle that confirmed it; null like first_cycle.")
    n_confirmations: Mapped[int] = column("Looks that showed it so, the first included.")
    last_confirmed_at: Mapped[Instant | None] = column("Last look that showed it so; null without one.")
    minutes_to_kickoff_at_start: Mapped[float] = column(
        "From valid_from to the effective kickoff, minutes; negative after it.", type_=sa.Double
    )
    reason_detail: Mapped[Text] = column("Why nothing is known, or why it ended, in words; '' when an answer says it.")
    as_of: Mapped[Instant] = column(AS_OF)
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)


class OpenClose(Base):
    __tablename__ = "open_close"
    __table_args__ = (
        sa.Index(None, "kickoff_date"),
        {
            "schema": "mart",
            "comment": "First and last price of each outcome before the effective kickoff, each with how far it can "
            "be trusted.",
        },
    )

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM)
    market_key: Mapped[Text] = key("Market of the vocabulary.")
    specifier: Mapped[Text] = key("Canonical specifier; '' when the market has none.")
    outcome_key: Mapped[Text] = key(
        "Outcome of the vocabulary, or the outcome's own name where a market has open outcomes."
    )
    kickoff_date: Mapped[date] = column(KICKOFF_DATE)
    open_odds: Mapped[Odds | None] = column("First price that could be backed before kickoff; null without one.")
    open_observed_at: Mapped[Instant | None] = column("Answer that showed it.")
    open_minutes_to_kickoff: Mapped[float | None] = column(
        "From open_observed_at to the effective kickoff, minutes.", type_=sa.Double
    )
    open_quality: Mapped[OpenQuality | None] = column(
        "How near it is to the first price there was; null without one.", type_=text_enum(OpenQuality)
    )
    prev_absent_cycle: Mapped[BigInt | None] = column(
        "Last cycle before it that proved that there was no price; null when none did."
    )
    close_odds: Mapped[Odds | None] = column(
        "Last price that could be backed before kickoff; null without one, and while kickoff is to come."
    )
    close_observed_at: Mapped[Instant | None] = column("Answer since which it stood.")
    close_last_confirmed_at: Mapped[Instant | None] = column("Last answer before kickoff that showed it.")
    close_lag_s: Mapped[float | None] = column(
        "From close_last_confirmed_at to the effective kickoff, seconds.", type_=sa.Double
    )
    close_quality: Mapped[CloseQuality | None] = column(
        "How near it is to the price at kickoff; null while kickoff is to come.", type_=text_enum(CloseQuality)
    )
    effective_kickoff: Mapped[Instant] = column("Kickoff that open and close refer to.")
    kickoff_version: Mapped[SmallInt] = column("Number of that kickoff among those claimed, from 1.")
    n_changes: Mapped[int] = column(
        "Changes of its price or of whether it could be backed, before kickoff, the first price not counted."
    )
    min_odds: Mapped[Odds | None] = column("Lowest price that could be backed before kickoff.")
    max_odds: Mapped[Odds | None] = column("Highest price that could be backed before kickoff.")
    move_rel: Mapped[float | None] = column("close_odds / open_odds - 1.", type_=sa.Double)
    open_margin: Mapped[float | None] = column(
        "Margin of the market at open_observed_at; null when it cannot be computed.", type_=sa.Double
    )
    close_margin: Mapped[float | None] = column(
        "Margin of the market at close_last_confirmed_at; null when it cannot be computed.", type_=sa.Double
    )
    as_of: Mapped[Instant] = column(AS_OF)
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)


class ListingLeadTime(Base):
    __tablename__ = "listing_lead_time"
    __table_args__ = (
        sa.Index(None, "kickoff_date"),
        {
            "schema": "mart",
            "comment": "How long before kickoff each platform listed and priced a fixture, and who was first.",
        },
    )

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM)
    kickoff_date: Mapped[date] = column(KICKOFF_DATE)
    first_listed_at: Mapped[Instant] = column("First time an answer showed the listing.")
    first_priced_at: Mapped[Instant | None] = column("First answer with a price; null without one.")
    first_market_depth: Mapped[int | None] = column("Markets priced in that answer.")
    listed_censored: Mapped[bool] = column(
        "No complete discovery before first_listed_at proves that it was not listed: it may be older."
    )
    kickoff_at_first_listing: Mapped[Instant | None] = column(
        "Kickoff the platform claimed then; null when all it claimed were refused as absurd."
    )
    effective_kickoff: Mapped[Instant] = column("Kickoff that the lead refers to.")
    lead_days_listed: Mapped[float] = column("From first_listed_at to the effective kickoff, days.", type_=sa.Double)
    lead_days_priced: Mapped[float | None] = column(
        "From first_priced_at to the effective kickoff, days.", type_=sa.Double
    )
    home_lead_diff_days: Mapped[float | None] = column(
        "lead_days_listed less that of the home platform: positive when this platform was earlier; null when home "
        "does not list it.",
        type_=sa.Double,
    )
    n_markets_at_72h: Mapped[int | None] = column(
        "Markets priced in the last answer up to 72 h before kickoff; null without one."
    )
    n_markets_at_24h: Mapped[int | None] = column("... up to 24 h before kickoff.")
    n_markets_at_1h: Mapped[int | None] = column("... up to 1 h before kickoff.")
    last_seen_at: Mapped[Instant] = column("Last time an answer showed the listing.")
    ended_by: Mapped[ListingEnd | None] = column(
        "What ended it: kickoff, dropped before it, unknown; null while it is listed.",
        type_=text_enum(ListingEnd, "endedby"),
    )
    as_of: Mapped[Instant] = column(AS_OF)
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)


class MarketMargin(Base):
    __tablename__ = "market_margin"
    __table_args__ = (
        sa.Index(None, "kickoff_date"),
        {
            "schema": "mart",
            "comment": "Margins of the markets in PALIMPSEST_MAIN_MARKETS on each platform, before kickoff: one row "
            "for each stretch in which "
            "the prices stood still.",
        },
    )

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM)
    market_key: Mapped[Text] = key("Market of the vocabulary.")
    specifier: Mapped[Text] = key("Canonical specifier; '' when the market has none.")
    observed_from: Mapped[Instant] = key(
        "Answer that first showed these prices, or showed them again after they had ceased to stand."
    )
    kickoff_date: Mapped[date] = column(KICKOFF_DATE)
    last_confirmed_at: Mapped[Instant] = column("Last answer that showed them.")
    observed_to: Mapped[Instant | None] = column(
        "Until when they are taken to stand: the answer with other prices or without the market, a complete discovery "
        "without the listing, the "
        "kickoff, or when the last answer grew too old (PALIMPSEST_NOT_OBSERVED_AFTER_MINUTES); null while they stand."
    )
    n_outcomes: Mapped[SmallInt] = column("Outcomes that can be backed.")
    n_expected: Mapped[SmallInt | None] = column("Outcomes of the complete set; null when they are not enumerated.")
    winners_k: Mapped[SmallInt | None] = column("Outcomes that win; null when unknown.")
    sum_inverse: Mapped[float | None] = column(
        "Sum of the inverse odds of what can be backed; null when nothing can.", type_=sa.Double
    )
    margin: Mapped[float | None] = column(
        "sum_inverse / winners_k - 1; null unless margin_status is ok or negative.", type_=sa.Double
    )
    payout: Mapped[float | None] = column("winners_k / sum_inverse; null like margin.", type_=sa.Double)
    margin_status: Mapped[MarginStatus] = column("What can be said of the margin.", type_=text_enum(MarginStatus))
    margin_reference_pct: Mapped[float | None] = column(
        "(sum of inverse odds - 1) x 100 over every price whatever its state and winners_k: for reconciliation with "
        "figures of that kind only.",
        type_=sa.Double,
    )
    minutes_to_kickoff: Mapped[float] = column("From observed_from to the effective kickoff, minutes.", type_=sa.Double)
    ttk_bucket: Mapped[Text] = column("Bucket of minutes_to_kickoff, of the scheme trader10.")
    odds_vector: Mapped[Json] = column("Decimal odds by outcome key of what can be backed.")
    as_of: Mapped[Instant] = column(AS_OF)
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)


class MarginTtkBucket(Base):
    __tablename__ = "margin_ttk_bucket"
    __table_args__ = (
        {
            "schema": "mart",
            "comment": "Margins of the markets in PALIMPSEST_MAIN_MARKETS by time to kickoff, over the fixtures of a "
            "tournament on a kickoff date, "
            "weighted by how long they stood.",
        },
    )

    kickoff_date: Mapped[date] = key(KICKOFF_DATE)
    tournament_key: Mapped[Text] = key("Tournament.")
    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM)
    market_key: Mapped[Text] = key("Market of the vocabulary, all its lines together.")
    bucket_scheme: Mapped[BucketScheme] = key("reference4: four buckets; trader10: ten.", type_=text_enum(BucketScheme))
    ttk_bucket: Mapped[Text] = key(
        "Time to kickoff, its lesser end included: 7d+, 3-7d, 24-72h, <24h; 7d+, 3-7d, 1-3d, 12-24h, 6-12h, 3-6h, "
        "1-3h, 15-60m, <15m. In-play has no "
        "rows: nothing after kickoff is used."
    )
    home_platform: Mapped[Platform] = column("Home platform it was computed for.", type_=PLATFORM)
    n_fixtures: Mapped[int] = column("Fixtures with a margin in the bucket.")
    n_observed_minutes: Mapped[float] = column(
        "Minutes in which a margin stood, over all fixtures and lines.", type_=sa.Double
    )
    margin_tw_mean: Mapped[float] = column("Mean margin, weighted by minutes.", type_=sa.Double)
    margin_p50: Mapped[float] = column(
        "Median margin: the least one that was not exceeded in half of the minutes.", type_=sa.Double
    )
    margin_min: Mapped[float] = column("Least margin.", type_=sa.Double)
    margin_max: Mapped[float] = column("Largest margin.", type_=sa.Double)
    home_minus_platform_tw_mean: Mapped[float | None] = column(
        "Home's margin less the platform's, weighted by the minutes in which both stood on the same line; null for "
        "home, and without such minutes.",
        type_=sa.Double,
    )
    observed_share: Mapped[float] = column(
        "Minutes in which any line had a margin / minutes of the bucket up to as_of, both summed over these fixtures; "
        "an open-ended bucket begins "
        "when a platform first listed the fixture.",
        type_=sa.Double,
    )
    trend_pp: Mapped[float | None] = column(
        "Mean over the later half of the fixtures by kickoff (the middle one among them) of each one's mean weighted "
        "by minutes, less that over the "
        "earlier half, percentage points; null below four fixtures.",
        type_=sa.Double,
    )
    as_of: Mapped[Instant] = column(AS_OF)
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)


class GapCount(Base):
    __tablename__ = "gap_count"
    __table_args__ = (
        sa.Index(None, "kickoff_date"),
        {
            "schema": "mart",
            "comment": "How many markets home and a competitor offered so many hours before kickoff, and how many "
            "only one of them did.",
        },
    )

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    platform: Mapped[Platform] = key("Competitor compared with home.", type_=PLATFORM)
    hours_before: Mapped[SmallInt] = key(
        "Hours before the effective kickoff: 72, 24, 1, 0, as things stood up to that instant. Hours that are to come "
        "have no row, nor those at "
        "which one of the two had not listed the fixture yet."
    )
    kickoff_date: Mapped[date] = column(KICKOFF_DATE)
    tournament_key: Mapped[Text] = column("Tournament.")
    home_platform: Mapped[Platform] = column("Home platform it was computed for.", type_=PLATFORM)
    n_both: Mapped[int] = column("Markets that both offered (each line counts).")
    n_home_missing: Mapped[int] = column("Markets that the competitor offered and home lacked.")
    n_platform_missing: Mapped[int] = column("Markets that home offered and the competitor lacked.")
    n_home_suspended: Mapped[int] = column(
        "Markets that the competitor offered and home listed, suspended or without a price."
    )
    n_platform_suspended: Mapped[int] = column(
        "Markets that home offered and the competitor listed, suspended or without a price."
    )
    n_unknown: Mapped[int] = column("Markets that one offered while the other was not observed.")
    as_of: Mapped[Instant] = column(AS_OF)
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)
