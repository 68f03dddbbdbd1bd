"""The captured detail answers, read by the platforms' own dialects into raw frames."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.words import PayloadKind, Platform, Sport
from palimpsest_pipeline.markets import Vocabulary, normalise, vocabulary
from palimpsest_pipeline.markets.normalise import RAW
from palimpsest_pipeline.platforms.registry import adapters

CAPTURES: Final = {
    "betpawa_norway_france": (Platform.BETPAWA, Sport.FOOTBALL, "detail_football_113_markets_v3_2026-06-26.json"),
    "betpawa_v4": (Platform.BETPAWA, Sport.FOOTBALL, "detail_football_59_markets_v4_2026-08-21.json"),
    "sportybet_norway_france": (Platform.SPORTYBET, Sport.FOOTBALL, "event_prematch_football_norway_france_974_markets.json"),
    "sportybet_360": (Platform.SPORTYBET, Sport.FOOTBALL, "event_prematch_football_360_markets.json"),
    "sportybet_tennis": (Platform.SPORTYBET, Sport.TENNIS, "event_prematch_tennis.json"),
    "bet9ja_norway_france": (Platform.BET9JA, Sport.FOOTBALL, "getevent_soccer_norway_france.json"),
    "bet9ja_qatar_sudan": (Platform.BET9JA, Sport.FOOTBALL, "getevent_soccer_qatar_sudan_suspended_prices.json"),
    "bet9ja_basketball": (Platform.BET9JA, Sport.BASKETBALL, "getevent_basketball_bonn_wurzburg.json"),
}
"""Name to platform, sport, file. The three of Norway against France are one fixture."""

INDEX: Final = {name: index for index, name in enumerate(CAPTURES)}
"""Number of each capture in the frames."""

FOOTBALL: Final = [name for name, (_, sport, _) in CAPTURES.items() if sport is Sport.FOOTBALL]


@cache
def raw_frame(samples: Path) -> pl.DataFrame:
    """All captured books in one raw frame."""
    return pl.concat([_book(samples, name) for name in CAPTURES])


def _book(samples: Path, name: str) -> pl.DataFrame:
    platform, sport, file = CAPTURES[name]
    received_at = datetime(2026, 6, 26, 10, tzinfo=UTC)
    request = Request(platform, PayloadKind.DETAIL, "/")
    body = (samples / platform.value / file).read_bytes()
    prices = adapters()[platform].read_detail(Answer(request, 1, received_at, received_at, received_at, 200, {}, body)).prices
    columns = {
        "market_id": prices.per_outcome(prices.market_id),
        "market_name": prices.per_outcome(prices.market_name),
        "specifier": prices.per_outcome(prices.specifier),
        "outcome_id": prices.outcome_id,
        "outcome_name": prices.outcome_name,
        "odds_milli": prices.odds_milli,
        "off": prices.off,
    }
    constant = {"capture": INDEX[name], "platform": platform.value, "sport": sport.value}
    return pl.DataFrame(columns, schema={key: RAW[key] for key in columns}).select(
        pl.lit(constant[key], dtype=kind).alias(key) if key in constant else pl.col(key) for key, kind in RAW.items()
    )


def canonical(samples: Path, words: Vocabulary | None = None) -> pl.DataFrame:
    """All captured prices in the vocabulary's words: capture (name), platform, sport, market_key, specifier, outcome, odds_milli, backable."""
    words = words or vocabulary()
    names = pl.DataFrame(
        [(INDEX[name], name, platform.value, sport.value) for name, (platform, sport, _) in CAPTURES.items()],
        schema={"index": pl.UInt32, "name": pl.String, "platform": pl.String, "sport": pl.String},
        orient="row",
    )
    prices = normalise(raw_frame(samples), words).prices
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
            backable=pl.col("odds_milli").is_not_null() & ~pl.col("off"),
        )
        .sort("capture", "market_key", "specifier", "outcome")
    )
