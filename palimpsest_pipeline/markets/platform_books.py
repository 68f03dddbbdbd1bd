"""The books of a batch of answers in the platforms' own terms: lists in, frames out, no vocabulary."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import Sport
from palimpsest_pipeline.domain.observations import Detail

MARKETS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "capture": pl.UInt32(),
    "platform": pl.Categorical(),
    "sport": pl.Enum(Sport),
    "market_id": pl.String(),
    "market_name": pl.String(),
    "specifier": pl.String(),
    "n_outcomes": pl.UInt32(),
}
OUTCOMES_SCHEMA: Final[dict[str, pl.DataType]] = {
    "outcome_id": pl.String(),
    "outcome_name": pl.String(),
    "odds_milli": pl.Int32(),
    "off": pl.Boolean(),
}
_ANSWER_COLUMNS: Final = {name: MARKETS_SCHEMA[name] for name in ("capture", "platform", "sport")}
_MARKET_COLUMNS: Final = {name: kind for name, kind in MARKETS_SCHEMA.items() if name not in _ANSWER_COLUMNS}


@dataclass(frozen=True, slots=True)
class RawBooks:
    """The books of a batch.

    markets: rows of `MARKETS_SCHEMA`, one per market row of an answer. outcomes: rows of `OUTCOMES_SCHEMA`, those of
    the market rows one after the other.
    """

    markets: pl.DataFrame
    outcomes: pl.DataFrame


def collect_raw_books(details: Iterable[Detail]) -> RawBooks:
    """Return the books of several answers as one batch; `capture` is the answer's position in `details`.

    Keeps only the columns of a detail: if `details` is a generator, the texts of one answer at a time are in memory.
    """
    owners = []
    columns = {name: [pl.Series([], dtype=kind)] for name, kind in (_MARKET_COLUMNS | OUTCOMES_SCHEMA).items()}
    for place, detail in enumerate(details):
        owners.append((place, detail.listing.platform, detail.listing.sport, len(detail.prices.market_id)))
        for name, parts in columns.items():
            parts.append(pl.Series(getattr(detail.prices, name), dtype=parts[0].dtype))
    batch = {name: pl.concat(parts).alias(name) for name, parts in columns.items()}
    answers = pl.DataFrame(owners, schema={**_ANSWER_COLUMNS, "n_rows": pl.UInt32}, orient="row")
    markets = answers.drop("n_rows")[repeat_places(answers["n_rows"])].hstack([batch[name] for name in _MARKET_COLUMNS])
    return RawBooks(markets, pl.DataFrame([batch[name] for name in OUTCOMES_SCHEMA]))


def repeat_places(counts: pl.Series) -> pl.Series:
    """Return each position of `counts` as often as its count."""
    places = counts.alias("n").to_frame().with_row_index("place").filter(pl.col("n") > 0)
    return places.select("place", n=pl.int_ranges(0, "n", dtype=pl.UInt32)).explode("n")["place"]
