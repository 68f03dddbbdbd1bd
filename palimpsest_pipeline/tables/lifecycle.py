"""Tables of the schema mart: the lifecycle of fixtures, replaced by UTC date of kickoff.

The rows of a date depend on the whole history of its fixtures. A separate job derives the dates that ingestion has
marked as due.
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

from .declarative_base import BigInt, Instant, Json, MartTable, Odds, SmallInt, Text, column, key, text_enum

KICKOFF_DATE = "UTC date of the effective kickoff."
_AS_OF = "Time of the latest cycle used. Nothing later was known."
VERSION = "Version of the market vocabulary."
COMPUTED = "When it was computed."


class DirtyKickoffDate(MartTable):
    """Kickoff dates on which a cycle changed a fixture and whose derived rows are due."""

    __tablename__ = "dirty_kickoff_dates"

    kickoff_date: Mapped[date] = key(KICKOFF_DATE)
    cycle_id: Mapped[BigInt] = key("Cycle that changed a fixture of this date.")
    marked_at: Mapped[Instant] = column("When it was marked.")


class AvailabilityInterval(MartTable):
    """Intervals in which a platform offered, suspended or lacked a market of a fixture.

    market_key '*' is the listing as a whole.
    """

    __tablename__ = "availability_interval"
    schema_items = (sa.Index(None, "kickoff_date"),)

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    platform: Mapped[Platform] = key("Platform.")
    market_key: Mapped[Text] = key("Market of the vocabulary; '*' for the listing as a whole.")
    specifier: Mapped[Text] = key("Canonical specifier; '' when the market has none.")
    valid_from: Mapped[Instant] = key(
        "Start of the interval: the answer or discovery that shows it, the kickoff, or the moment when the last "
        "observation became too old."
    )
    valid_to: Mapped[Instant | None] = column(
        "End of the interval, not included: valid_from of the next interval; null while the interval lasts."
    )
    kickoff_date: Mapped[date] = column(KICKOFF_DATE)
    state: Mapped[AvailabilityState] = column("State in the interval, or the reason why it is not known.")
    n_outcomes_active: Mapped[int | None] = column(
        "Outcomes that could be backed at the start of the interval; null when not observed, and for the listing "
        "as a whole."
    )
    n_outcomes: Mapped[int | None] = column(
        "Outcomes listed at the start of the interval; null when not observed, and for the listing as a whole."
    )
    first_cycle: Mapped[BigInt | None] = column(
        "First cycle that showed the state; null when no cycle did (kickoff, or no observation)."
    )
    last_cycle: Mapped[BigInt | None] = column("Last cycle that confirmed the state; null like first_cycle.")
    n_confirmations: Mapped[int] = column("Observations that showed the state, including the first.")
    last_confirmed_at: Mapped[Instant | None] = column(
        "Time of the last observation that showed the state; null without one."
    )
    minutes_to_kickoff_at_start: Mapped[float] = column(
        "From valid_from to the effective kickoff, minutes; negative after it."
    )
    reason_detail: Mapped[Text] = column(
        "Reason why the state is not known, or why it ended, in words; '' when an answer shows it."
    )
    as_of: Mapped[Instant] = column(_AS_OF)
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)


class OpenClose(MartTable):
    """First and last price of each outcome before the effective kickoff, each with its quality."""

    __tablename__ = "open_close"
    schema_items = (sa.Index(None, "kickoff_date"),)

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    platform: Mapped[Platform] = key("Platform.")
    market_key: Mapped[Text] = key("Market of the vocabulary.")
    specifier: Mapped[Text] = key("Canonical specifier; '' when the market has none.")
    outcome_key: Mapped[Text] = key(
        "Outcome of the vocabulary, or the outcome's own name where a market has open outcomes."
    )
    kickoff_date: Mapped[date] = column(KICKOFF_DATE)
    open_odds: Mapped[Odds | None] = column("First price before kickoff that could be backed; null without one.")
    open_observed_at: Mapped[Instant | None] = column("Time of the answer that showed this price.")
    open_minutes_to_kickoff: Mapped[float | None] = column("From open_observed_at to the effective kickoff, minutes.")
    open_quality: Mapped[OpenQuality | None] = column(
        "Quality of the opening price: how close it is to the first price that existed; null without one."
    )
    prev_absent_cycle: Mapped[BigInt | None] = column(
        "Last earlier cycle that proved that there was no price; null when none did."
    )
    close_odds: Mapped[Odds | None] = column(
        "Last price before kickoff that could be backed; null without one, and until kickoff."
    )
    close_observed_at: Mapped[Instant | None] = column("Time of the answer with which this price began.")
    close_last_confirmed_at: Mapped[Instant | None] = column(
        "Time of the last answer before kickoff that showed this price."
    )
    close_lag_s: Mapped[float | None] = column("From close_last_confirmed_at to the effective kickoff, seconds.")
    close_quality: Mapped[CloseQuality | None] = column(
        "Quality of the closing price: how close it is to the price at kickoff; null until kickoff."
    )
    effective_kickoff: Mapped[Instant] = column("Kickoff for which open and close were computed.")
    kickoff_version: Mapped[SmallInt] = column("Number of that kickoff among the platform's claims, from 1.")
    n_changes: Mapped[int] = column(
        "Changes before kickoff of the price, or of whether it could be backed; the first price does not count."
    )
    min_odds: Mapped[Odds | None] = column("Lowest price that could be backed before kickoff.")
    max_odds: Mapped[Odds | None] = column("Highest price that could be backed before kickoff.")
    move_rel: Mapped[float | None] = column("close_odds / open_odds - 1.")
    open_margin: Mapped[float | None] = column(
        "Margin of the market at open_observed_at; null when it cannot be computed."
    )
    close_margin: Mapped[float | None] = column(
        "Margin of the market at close_last_confirmed_at; null when it cannot be computed."
    )
    as_of: Mapped[Instant] = column(_AS_OF)
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)


class ListingLeadTime(MartTable):
    """Time before kickoff at which each platform listed and priced a fixture, compared with home."""

    __tablename__ = "listing_lead_time"
    schema_items = (sa.Index(None, "kickoff_date"),)

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    platform: Mapped[Platform] = key("Platform.")
    kickoff_date: Mapped[date] = column(KICKOFF_DATE)
    first_listed_at: Mapped[Instant] = column("First time an answer showed the listing.")
    first_priced_at: Mapped[Instant | None] = column("First answer with a price; null without one.")
    first_market_depth: Mapped[int | None] = column("Markets with a price in that answer.")
    listed_censored: Mapped[bool] = column(
        "True when no complete discovery before first_listed_at proves that it was not listed, so it may have "
        "been listed earlier."
    )
    kickoff_at_first_listing: Mapped[Instant | None] = column(
        "Kickoff that the platform stated at that time; null when all stated kickoffs were refused as absurd."
    )
    effective_kickoff: Mapped[Instant] = column("Kickoff for which the lead was computed.")
    lead_days_listed: Mapped[float] = column("From first_listed_at to the effective kickoff, days.")
    lead_days_priced: Mapped[float | None] = column("From first_priced_at to the effective kickoff, days.")
    home_lead_diff_days: Mapped[float | None] = column(
        "lead_days_listed minus that of the home platform, positive when this platform was earlier; null when "
        "home does not list it."
    )
    n_markets_at_72h: Mapped[int | None] = column(
        "Markets priced in the last answer up to 72 h before kickoff; null without one."
    )
    n_markets_at_24h: Mapped[int | None] = column(
        "Markets priced in the last answer up to 24 h before kickoff; null without one."
    )
    n_markets_at_1h: Mapped[int | None] = column(
        "Markets priced in the last answer up to 1 h before kickoff; null without one."
    )
    last_seen_at: Mapped[Instant] = column("Last time an answer showed the listing.")
    ended_by: Mapped[ListingEnd | None] = column(
        "Reason for the end: kickoff, dropped (before kickoff) or unknown; null while it is listed.",
        type_=text_enum(ListingEnd, "endedby"),
    )
    as_of: Mapped[Instant] = column(_AS_OF)
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)


class MarketMargin(MartTable):
    """Margins of the markets in PALIMPSEST_MAIN_MARKETS on each platform, before kickoff.

    One row for each period with unchanged prices.
    """

    __tablename__ = "market_margin"
    schema_items = (sa.Index(None, "kickoff_date"),)

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    platform: Mapped[Platform] = key("Platform.")
    market_key: Mapped[Text] = key("Market of the vocabulary.")
    specifier: Mapped[Text] = key("Canonical specifier; '' when the market has none.")
    observed_from: Mapped[Instant] = key(
        "Time of the answer that first showed these prices, or showed them again after a period without them."
    )
    kickoff_date: Mapped[date] = column(KICKOFF_DATE)
    last_confirmed_at: Mapped[Instant] = column("Time of the last answer that showed them.")
    observed_to: Mapped[Instant | None] = column(
        "Time until which the prices count as valid: the answer with other prices or without the market, a "
        "complete discovery without the listing, the kickoff, or the moment when the last answer became too old "
        "(PALIMPSEST_NOT_OBSERVED_AFTER_MINUTES); null while they are valid."
    )
    n_outcomes: Mapped[SmallInt] = column("Outcomes that can be backed.")
    n_expected: Mapped[SmallInt | None] = column(
        "Outcomes of the complete set; null when the vocabulary does not enumerate them."
    )
    winners_k: Mapped[SmallInt | None] = column("Outcomes that win; null when unknown.")
    sum_inverse: Mapped[float | None] = column(
        "Sum of 1 / odds over the outcomes that can be backed; null when there are none."
    )
    margin: Mapped[float | None] = column("sum_inverse / winners_k - 1; null unless margin_status is ok or negative.")
    payout: Mapped[float | None] = column("winners_k / sum_inverse; null like margin.")
    margin_status: Mapped[MarginStatus] = column("Result of the margin calculation.")
    margin_reference_pct: Mapped[float | None] = column(
        "(sum of 1 / odds - 1) x 100 over every price, whatever its state and winners_k: only for comparison with "
        "figures of that kind."
    )
    minutes_to_kickoff: Mapped[float] = column("From observed_from to the effective kickoff, minutes.")
    ttk_bucket: Mapped[Text] = column("Bucket of minutes_to_kickoff, of the scheme trader10.")
    odds_vector: Mapped[Json] = column("Decimal odds of the outcomes that can be backed, by outcome key.")
    as_of: Mapped[Instant] = column(_AS_OF)
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)


class MarginTtkBucket(MartTable):
    """Margins of the markets in PALIMPSEST_MAIN_MARKETS by time to kickoff.

    They are means over the fixtures of a tournament on a kickoff date, weighted by duration.
    """

    __tablename__ = "margin_ttk_bucket"

    kickoff_date: Mapped[date] = key(KICKOFF_DATE)
    tournament_key: Mapped[Text] = key("Tournament.")
    platform: Mapped[Platform] = key("Platform.")
    market_key: Mapped[Text] = key("Market of the vocabulary, all its lines together.")
    bucket_scheme: Mapped[BucketScheme] = key(
        "Division of the time to kickoff. reference4: four buckets; trader10: ten."
    )
    ttk_bucket: Mapped[Text] = key(
        "Time to kickoff, including the lower end. reference4: 7d+, 3-7d, 24-72h, <24h; trader10: 7d+, 3-7d, "
        "1-3d, 12-24h, 6-12h, 3-6h, 1-3h, 15-60m, <15m. There are no rows after kickoff."
    )
    home_platform: Mapped[Platform] = column("Home platform for which it was computed.")
    n_fixtures: Mapped[int] = column("Fixtures with a margin in the bucket.")
    n_observed_minutes: Mapped[float] = column("Minutes with a margin, over all fixtures and lines.")
    margin_tw_mean: Mapped[float] = column("Mean margin, weighted by minutes.")
    margin_p50: Mapped[float] = column(
        "Median margin over time: the smallest margin that was not exceeded in half of the minutes."
    )
    margin_min: Mapped[float] = column("Smallest margin.")
    margin_max: Mapped[float] = column("Largest margin.")
    home_minus_platform_tw_mean: Mapped[float | None] = column(
        "Home's margin minus the platform's, weighted by the minutes in which both had a margin on the same line; "
        "null for home, and without such minutes."
    )
    observed_share: Mapped[float] = column(
        "Minutes in which any line had a margin, divided by the minutes of the bucket up to as_of, both summed "
        "over these fixtures. An open-ended bucket begins when a platform first listed the fixture."
    )
    trend_pp: Mapped[float | None] = column(
        "Trend in percentage points: mean margin of the later half of the fixtures by kickoff (including the "
        "middle one) minus that of the earlier half. Each fixture counts with its mean weighted by minutes. Null "
        "below four fixtures."
    )
    as_of: Mapped[Instant] = column(_AS_OF)
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)


class GapCount(MartTable):
    """Number of markets that home and a competitor both offered, or only one of them.

    They are counted at fixed hours before kickoff.
    """

    __tablename__ = "gap_count"
    schema_items = (sa.Index(None, "kickoff_date"),)

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    platform: Mapped[Platform] = key("Competitor compared with home.")
    hours_before: Mapped[SmallInt] = key(
        "Hours before the effective kickoff: 72, 24, 1 or 0. The counts describe the state up to that instant. "
        "There is no row for a future instant, or for one at which home or the competitor had not listed the "
        "fixture yet."
    )
    kickoff_date: Mapped[date] = column(KICKOFF_DATE)
    tournament_key: Mapped[Text] = column("Tournament.")
    home_platform: Mapped[Platform] = column("Home platform for which it was computed.")
    n_both: Mapped[int] = column("Markets that both offered (each line counts).")
    n_home_missing: Mapped[int] = column("Markets that the competitor offered and home lacked.")
    n_platform_missing: Mapped[int] = column("Markets that home offered and the competitor lacked.")
    n_home_suspended: Mapped[int] = column(
        "Markets that the competitor offered and home listed as suspended or without a price."
    )
    n_platform_suspended: Mapped[int] = column(
        "Markets that home offered and the competitor listed as suspended or without a price."
    )
    n_unknown: Mapped[int] = column("Markets that one offered while the other was not observed.")
    as_of: Mapped[Instant] = column(_AS_OF)
    mapping_version: Mapped[Text] = column(VERSION)
    computed_at: Mapped[Instant] = column(COMPUTED)
