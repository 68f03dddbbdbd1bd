"""Markets that home and a competitor do not both offer, with the side that lacks them and since when.

Takes and returns frames. The columns of the frames are in `comparison_frames`.

A market is offered when one of its outcomes can be backed. It is listed when the last answer shows it in any state. An
old answer proves nothing about the current state: if one side was not observed within `max_skew_s` before the last look
at the fixture, the type of the gap is unknown. A dropped listing stays dropped until a look shows it again.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import AvailabilityState, GapType, MarketState
from palimpsest_pipeline.domain.schemas import INSTANT

from ..comparison_frames import add_as_of
from ..lifecycle_frames import FrameSchema

GAPS_SCHEMA: Final[FrameSchema] = {
    "sr_id": pl.Int64,
    "market_key": pl.String,
    "specifier": pl.String,
    "platform": pl.String,
    "as_of": INSTANT,
    "gap_type": pl.String,
    "home_state": pl.String,
    "platform_state": pl.String,
    "home_state_since": INSTANT,
    "platform_state_since": INSTANT,
    "gap_open_since": INSTANT,
    "gap_minutes": pl.Float64,
    "never_offered_home": pl.Boolean,
    "never_offered_platform": pl.Boolean,
    "minutes_to_kickoff": pl.Float64,
    "market_priority": pl.Int16,
}
GAP_KEY: Final = ("sr_id", "market_key", "specifier", "platform")

_MARKET_COLUMNS: Final = ("sr_id", "market_key", "specifier")
_STATES_BEST_FIRST: Final = [state.value for state in MarketState]
"""The states of a market from best to worst. A market with several rows has the best of their states."""
_OFFERED, _NOT_LISTED = 0, len(_STATES_BEST_FIRST) - 1
_RANK_UNIT: Final = 1 << 56
"""A number above any instant in microseconds, used to combine rank and instant into one number."""


def find_availability_gaps(
    markets: pl.DataFrame,
    listings: pl.DataFrame,
    *,
    platforms: Sequence[str],
    max_skew_s: float,
    main_markets: Sequence[str],
) -> pl.DataFrame:
    """Return the gaps between home and each competitor: markets that one side lists and not both offer.

    There is one row per market and competitor, for fixtures that both list or have listed, columns `GAPS_SCHEMA`,
    sorted by `GAP_KEY`. `markets` and `listings` are as in `comparison_frames`. `platforms` starts with home; listings
    of other platforms are left out. `main_markets` are market keys by priority. A market of open outcomes (players) has
    the best state of its rows, since the earliest of the rows with that state.

    Fixtures are independent of each other, so a caller may process them in groups.
    """
    home, *competitors = platforms
    dated_listings = add_as_of(listings)
    ranks = _rank_states(markets, platforms)
    priority = pl.col("market_key").replace_strict(
        list(main_markets), range(1, len(main_markets) + 1), default=None, return_dtype=pl.Int16
    )
    parts = [_find_gaps_between(ranks, dated_listings, home, competitor, max_skew_s) for competitor in competitors]
    gaps = pl.concat(parts).with_columns(market_priority=priority) if parts else pl.DataFrame(schema=GAPS_SCHEMA)
    return gaps.sort(GAP_KEY).select(pl.col(name).cast(dtype) for name, dtype in GAPS_SCHEMA.items())


def _rank_states(markets: pl.DataFrame, platforms: Sequence[str]) -> pl.DataFrame:
    """Return the rank of each market's state (`rank_`) and its begin (`since_`), per platform.

    The platform's name follows each prefix. Both are null where the market was never seen.
    """
    rank = pl.col("state").replace_strict(_STATES_BEST_FIRST, range(len(_STATES_BEST_FIRST)), return_dtype=pl.Int64)
    combined = rank * _RANK_UNIT + pl.col("state_since").dt.epoch("us")
    best = markets.group_by(_MARKET_COLUMNS).agg(
        pl.when(pl.col("platform") == platform).then(combined).min().alias(platform) for platform in platforms
    )
    return best.select(
        *_MARKET_COLUMNS,
        *((pl.col(platform) // _RANK_UNIT).alias(f"rank_{platform}") for platform in platforms),
        *(
            (pl.col(platform) % _RANK_UNIT)
            .cast(pl.Datetime("us"))
            .dt.replace_time_zone("UTC")
            .alias(f"since_{platform}")
            for platform in platforms
        ),
    )


def _find_gaps_between(
    ranks: pl.DataFrame, listings: pl.DataFrame, home: str, competitor: str, max_skew_s: float
) -> pl.DataFrame:
    """Return the gaps between home and one competitor, columns `GAPS_SCHEMA` without market_priority."""
    sides = {"home": home, "platform": competitor}
    home_listed, competitor_listed = (
        _select_listed(listings, side, platform, max_skew_s) for side, platform in sides.items()
    )
    fixtures = home_listed.join(competitor_listed.drop("as_of", "kickoff_at"), on="sr_id")
    is_dropped = {side: pl.col(f"{side}_dropped_at").is_not_null() for side in sides}
    rank = {
        side: pl.when(is_dropped[side]).then(_NOT_LISTED).otherwise(pl.col(f"rank_{platform}").fill_null(_NOT_LISTED))
        for side, platform in sides.items()
    }
    both_offered = pl.all_horizontal(each == _OFFERED for each in rank.values())
    none_listed = pl.all_horizontal(each == _NOT_LISTED for each in rank.values())
    since = pl.max_horizontal(f"{side}_state_since" for side in sides)
    kind = (
        pl.when(~pl.all_horizontal(f"{side}_known" for side in sides))
        .then(pl.lit(GapType.UNKNOWN.value))
        .when((rank["home"] != _OFFERED) & (rank["platform"] != _OFFERED))
        .then(pl.lit(GapType.BOTH.value))
        .when(rank["home"] == _NOT_LISTED)
        .then(pl.lit(GapType.HOME_MISSING.value))
        .when(rank["platform"] == _NOT_LISTED)
        .then(pl.lit(GapType.PLATFORM_MISSING.value))
        .when(rank["home"] != _OFFERED)
        .then(pl.lit(GapType.HOME_SUSPENDED_ONLY.value))
        .otherwise(pl.lit(GapType.PLATFORM_SUSPENDED_ONLY.value))
    )
    was_seen = {side: pl.col(f"rank_{platform}").is_not_null() for side, platform in sides.items()}
    return (
        ranks.join(fixtures, on="sr_id")
        .filter(~both_offered & ~none_listed)
        .with_columns(
            *(
                _name_state(f"rank_{platform}", was_seen[side], is_dropped[side]).alias(f"{side}_state")
                for side, platform in sides.items()
            ),
            *(
                pl.when(was_seen[side])
                .then(pl.coalesce(f"{side}_dropped_at", f"since_{platform}"))
                .alias(f"{side}_state_since")
                for side, platform in sides.items()
            ),
            *((~was_seen[side]).alias(f"never_offered_{side}") for side in sides),
            gap_type=kind,
            platform=pl.lit(competitor),
            minutes_to_kickoff=(pl.col("kickoff_at") - pl.col("as_of")).dt.total_minutes(fractional=True),
        )
        .with_columns(gap_open_since=pl.when(pl.col("gap_type") != GapType.UNKNOWN.value).then(since))
        .with_columns(gap_minutes=(pl.col("as_of") - pl.col("gap_open_since")).dt.total_minutes(fractional=True))
        .select(name for name in GAPS_SCHEMA if name != "market_priority")
    )


def _select_listed(listings: pl.DataFrame, side: str, platform: str, max_skew_s: float) -> pl.DataFrame:
    """Return the fixtures that the platform lists or has listed, and whether its state is known.

    The columns are sr_id, as_of, kickoff_at, and dropped_at and known, both prefixed with `side`.
    """
    is_recent = (pl.col("as_of") - pl.col("answered_at")).dt.total_seconds(fractional=True) <= max_skew_s
    return listings.filter(pl.col("platform") == platform).select(
        "sr_id",
        "as_of",
        "kickoff_at",
        pl.col("dropped_at").alias(f"{side}_dropped_at"),
        (pl.col("dropped_at").is_not_null() | is_recent.fill_null(value=False)).alias(f"{side}_known"),
    )


def _name_state(rank: str, was_seen: pl.Expr, is_dropped: pl.Expr) -> pl.Expr:
    """Return the name of a state; null where the market was never seen."""
    name = pl.col(rank).replace_strict(range(len(_STATES_BEST_FIRST)), _STATES_BEST_FIRST, return_dtype=pl.String)
    return pl.when(was_seen).then(
        pl.when(is_dropped).then(pl.lit(AvailabilityState.EVENT_DROPPED.value)).otherwise(name)
    )
