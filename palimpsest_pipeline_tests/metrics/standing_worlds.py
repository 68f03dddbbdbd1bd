"""Books of a few fixtures as they stand on three platforms, written down by hand or drawn, as the metrics of prices
side by side take them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

import polars as pl
from hypothesis import strategies as st

from palimpsest_pipeline.domain.schemas import COMPARED_LISTINGS
from palimpsest_pipeline.metrics import build_outcome_sets
from palimpsest_pipeline.metrics.comparison_frames import COMPARED_MARKETS_SCHEMA

HOME: Final = "betpawa"
PLATFORMS: Final = (HOME, "sportybet", "bet9ja")
NOON: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)
KICKOFF: Final = NOON + timedelta(hours=6)
SKEW_S: Final = 120.0

Key = tuple[str, str, str]
"""Market key, specifier, outcome ('' for a whole market)."""
RESULT: Final[Key] = ("match_result", "", "")
DOUBLE: Final[Key] = ("double_chance", "", "")
TOTAL: Final[Key] = ("total_goals", "total=2.5", "")
GOALS: Final[Key] = ("exact_goals", "", "")
EARLY: Final[Key] = ("match_result_early_payout", "", "")
PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "match_result": ("home", "draw", "away"),
    "double_chance": ("home_draw", "home_away", "draw_away"),
    "total_goals": ("over", "under"),
    "exact_goals": ("0", "1", "2+", "2", "3+"),
    "match_result_early_payout": ("home", "draw", "away"),
    "correct_score": ("0:0", "1:0", "0:1"),
    "anytime_goalscorer": ("nobody",),
}
FAIR_SUMS: Final = {
    "match_result": "1",
    "double_chance": "2",
    "total_goals": "1",
    "exact_goals": "1",
    "match_result_early_payout": "overlap(1.3)",
    "correct_score": "1",
    "anytime_goalscorer": None,
}
IDS: Final = {key: number for number, key in enumerate(PLACES, start=1)}
OUTCOMES: Final = pl.DataFrame(
    [(key, n, name) for key, names in PLACES.items() for n, name in enumerate(names, start=1)],
    schema={"market_key": pl.String, "ordinal": pl.Int16, "outcome_key": pl.String},
    orient="row",
)
SETS: Final = build_outcome_sets(
    pl.DataFrame(
        {"market_id": list(IDS.values()), "fair_sum": [FAIR_SUMS[key] for key in IDS]},
        schema_overrides={"market_id": pl.Int16},
    ),
    OUTCOMES.select(pl.col("market_key").replace_strict(IDS, return_dtype=pl.Int16).alias("market_id"), "ordinal"),
    pl.DataFrame(
        [
            (IDS["exact_goals"], name, n)
            for name, ordinals in (("2+", (1, 2, 3)), ("3+", (1, 2, 4, 5)))
            for n in ordinals
        ],
        schema={"market_id": pl.Int16, "set": pl.String, "ordinal": pl.Int16},
        orient="row",
    ),
).with_columns(
    market_key=pl.col("market_id").replace_strict({number: key for key, number in IDS.items()}, return_dtype=pl.String)
)


@dataclass(frozen=True)
class Market:
    """How a market stands: its state since so many minutes before noon, prices in thousandths, and the mask of what
    is off.
    """

    odds: tuple[int | None, ...]
    state: str = "offered"
    off: int = 0
    minutes: float = 60


def offered(*odds: int | None, off: int = 0, minutes: float = 60) -> Market:
    return Market(odds, "offered", off, minutes)


def suspended(*odds: int | None, minutes: float = 60) -> Market:
    return Market(odds, "suspended", (1 << len(odds)) - 1, minutes)


def no_price(n: int, minutes: float = 60) -> Market:
    return Market((None,) * n, "no_price", 0, minutes)


def withdrawn(n: int, minutes: float = 60) -> Market:
    return Market((None,) * n, "withdrawn", 0, minutes)


@dataclass(frozen=True)
class Listing:
    """A platform's book of a fixture, answered so many seconds before noon (None: never), dropped so many (None:
    listed).
    """

    book: Mapping[Key, Market] = field(default_factory=dict)
    age_s: float | None = 0
    dropped_s: float | None = None


World = Mapping[tuple[int, str], Listing]
"""By fixture and platform."""


def ago(seconds: float | None) -> datetime | None:
    return None if seconds is None else NOON - timedelta(seconds=seconds)


def frames(world: World) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Markets and listings as `metrics.present` has them."""
    markets = [
        (sr_id, platform, *key, market.state, market.off, list(market.odds), ago(market.minutes * 60))
        for (sr_id, platform), listing in world.items()
        for key, market in listing.book.items()
    ]
    listings = [
        (sr_id, platform, ago(listing.age_s), ago(listing.dropped_s), KICKOFF)
        for (sr_id, platform), listing in world.items()
    ]
    return pl.DataFrame(markets, schema=COMPARED_MARKETS_SCHEMA, orient="row"), pl.DataFrame(
        listings, schema=COMPARED_LISTINGS, orient="row"
    )


def disordered(frame: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The same rows in another order, some of them twice."""
    luck = Random(seed)
    rows = [*range(frame.height), *(n for n in range(frame.height) if luck.random() < 0.3)]
    luck.shuffle(rows)
    return frame[rows]


@st.composite
def markets(draw: st.DrawFn, n: int) -> Market:
    state = draw(st.sampled_from(["offered"] * 5 + ["suspended", "no_price", "withdrawn"]))
    minutes = draw(st.sampled_from([0, 30, 90]))
    if state in ("no_price", "withdrawn"):
        return Market((None,) * n, state, 0, minutes)
    odds = draw(st.lists(st.sampled_from([None, 1000, 1500, 2000, 2000, 3000, 4500]), min_size=n, max_size=n))
    return Market(
        tuple(odds),
        state,
        draw(st.integers(0, (1 << n) - 1)) if state == "suspended" or draw(st.booleans()) else 0,
        minutes,
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to three fixtures on some of the platforms, some of them dropped, silent or late."""
    singles: list[Key] = [("correct_score", "", name) for name in PLACES["correct_score"]] + [
        ("anytime_goalscorer", "", "7")
    ]
    found: dict[tuple[int, str], Listing] = {}
    for sr_id in range(1, draw(st.integers(1, 3)) + 1):
        for platform in PLATFORMS:
            if draw(st.integers(0, 5)) == 0:
                continue
            keys = draw(
                st.lists(st.sampled_from([RESULT, DOUBLE, TOTAL, GOALS, EARLY, *singles]), unique=True, max_size=6)
            )
            book = {key: draw(markets(1 if key[2] else len(PLACES[key[0]]))) for key in keys}
            age_s = draw(st.sampled_from([0, 0, 60, 120, 121, 200, 4000, None]))
            found[sr_id, platform] = Listing(
                book if age_s is not None else {}, age_s, draw(st.sampled_from([None] * 7 + [30.0]))
            )
    return found
