"""The captured detail answers, read by the platforms' own dialects into raw books."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarketState, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Detail
from palimpsest_pipeline.markets import RawBooks, Vocabulary, normalise
from palimpsest_pipeline.markets.platform_books import OUTCOMES_SCHEMA, PLATFORM_MARKETS_SCHEMA
from palimpsest_pipeline.pipeline.ingest.books import collect_raw_books
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET, build_adapters

CAPTURES: Final = {
    "betpawa_norway_france": (BETPAWA, Sport.FOOTBALL, "detail_football_113_markets_v3_2026-06-26.json"),
    "betpawa_v4": (BETPAWA, Sport.FOOTBALL, "detail_football_59_markets_v4_2026-08-21.json"),
    "sportybet_norway_france": (
        SPORTYBET,
        Sport.FOOTBALL,
        "event_prematch_football_norway_france_974_markets.json",
    ),
    "sportybet_360": (SPORTYBET, Sport.FOOTBALL, "event_prematch_football_360_markets.json"),
    "sportybet_tennis": (SPORTYBET, Sport.TENNIS, "event_prematch_tennis.json"),
    "bet9ja_norway_france": (BET9JA, Sport.FOOTBALL, "getevent_soccer_norway_france.json"),
    "bet9ja_qatar_sudan": (BET9JA, Sport.FOOTBALL, "getevent_soccer_qatar_sudan_suspended_prices.json"),
    "bet9ja_basketball": (BET9JA, Sport.BASKETBALL, "getevent_basketball.json"),
}
"""Name to platform, sport, file. The three of Norway against France are one fixture."""

INDEX: Final = {name: index for index, name in enumerate(CAPTURES)}
"""Number of each capture in the frames."""

FOOTBALL: Final = [name for name, (_, sport, _) in CAPTURES.items() if sport is Sport.FOOTBALL]


@cache
def captured_books(samples: Path) -> RawBooks:
    """All captured books as one batch; the captures' numbers are those of INDEX."""
    return collect_raw_books([detail(samples, name) for name in CAPTURES])


def detail(samples: Path, name: str) -> Detail:
    """One captured answer as its platform's dialect reads it."""
    platform, _, file = CAPTURES[name]
    received_at = datetime(2026, 6, 26, 10, tzinfo=UTC)
    request = Request(platform, PayloadKind.DETAIL, "/")
    body = (samples / platform / file).read_bytes()
    return build_adapters()[platform].read_detail(
        [Answer(request, 1, received_at, received_at, received_at, 200, {}, body)]
    )


@dataclass(frozen=True, slots=True)
class MarketRow:
    """One market row of an answer with its outcomes: (id, name, odds in thousandths, off) each."""

    capture: int
    platform: str
    sport: str
    market_id: str
    market_name: str | None
    specifier: str | None
    outcomes: tuple[tuple[str, str | None, int | None, bool | None], ...]


def books(rows: Sequence[MarketRow]) -> RawBooks:
    """Market rows as the batch that says them."""
    outcomes = [outcome for row in rows for outcome in row.outcomes]
    return RawBooks(
        pl.DataFrame(
            [(*astuple(row)[:-1], len(row.outcomes)) for row in rows], schema=PLATFORM_MARKETS_SCHEMA, orient="row"
        ),
        pl.DataFrame(outcomes, schema=OUTCOMES_SCHEMA, orient="row"),
    )


def market_rows_of(raw: RawBooks) -> list[MarketRow]:
    """The batch as its market rows."""
    outcomes = raw.outcomes.iter_rows()
    return [MarketRow(*words, tuple(islice(outcomes, n))) for *words, n in raw.markets.iter_rows()]


def canonical(samples: Path, words: Vocabulary | None = None) -> pl.DataFrame:
    """All captured prices in the vocabulary's words: capture (name), platform, sport, market_key, specifier,
    outcome, odds_milli, backable.
    """
    words = words or load_installed_vocabulary()
    names = pl.DataFrame(
        [(INDEX[name], name, platform, sport.value) for name, (platform, sport, _) in CAPTURES.items()],
        schema={"index": pl.UInt32, "name": pl.String, "platform": pl.String, "sport": pl.String},
        orient="row",
    )
    prices = normalise(captured_books(samples), words).prices
    return (
        prices.join(names, left_on="capture", right_on="index")
        .join(words.markets.select("market_id", "market_key"), on="market_id")
        .join(words.outcomes.select("market_id", "ordinal", "outcome_key"), on=("market_id", "ordinal"), how="left")
        .select(
            pl.col("name").alias("capture"),
            "platform",
            "sport",
            "market_key",
            "specifier",
            pl.when(pl.col("outcome") == "").then(pl.col("outcome_key")).otherwise(pl.col("outcome")).alias("outcome"),
            "odds_milli",
            backable=pl.col("state") == MarketState.OFFERED,
        )
        .sort("capture", "market_key", "specifier", "outcome")
    )
