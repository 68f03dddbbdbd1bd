"""The books of several answers with the platforms' own ids, as frames. Uses no vocabulary."""

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
    """The books of several answers.

    `markets` has the columns `MARKETS_SCHEMA`, one row per market row of an answer. `outcomes` has the columns
    `OUTCOMES_SCHEMA`: the outcomes of the first market row, then those of the second, and so on.
    """

    markets: pl.DataFrame
    outcomes: pl.DataFrame


def collect_raw_books(details: Iterable[Detail]) -> RawBooks:
    """Return the books of several answers; `capture` is the answer's position in `details`.

    Keeps only the columns of a detail: if `details` is a generator, the texts of only one answer are in memory at a
    time.
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
    """Return each position of `counts` repeated by its count: [2, 1] gives [0, 0, 1]."""
    places = counts.alias("n").to_frame().with_row_index("place").filter(pl.col("n") > 0)
    return places.select("place", n=pl.int_ranges(0, "n", dtype=pl.UInt32)).explode("n")["place"]
