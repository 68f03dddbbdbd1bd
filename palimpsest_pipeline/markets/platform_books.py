"""The books of a batch of answers in the platforms' own words, as the normaliser takes them: lists in, frames out, no vocabulary."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.domain.observations import Detail

MARKETS: Final[dict[str, pl.DataType]] = {
    "capture": pl.UInt32(),
    "platform": pl.Enum(Platform),
    "sport": pl.Enum(Sport),
    "market_id": pl.String(),
    "market_name": pl.String(),
    "specifier": pl.String(),
    "n_outcomes": pl.UInt32(),
}
OUTCOMES: Final[dict[str, pl.DataType]] = {"outcome_id": pl.String(), "outcome_name": pl.String(), "odds_milli": pl.Int32(), "off": pl.Boolean()}
_OWNER: Final = {name: MARKETS[name] for name in ("capture", "platform", "sport")}
_ROWS: Final = {name: kind for name, kind in MARKETS.items() if name not in _OWNER}


@dataclass(frozen=True, slots=True)
class RawBooks:
    """markets: rows of `MARKETS`, one per market row of an answer. outcomes: rows of `OUTCOMES`, those of the market rows one after the other."""

    markets: pl.DataFrame
    outcomes: pl.DataFrame


def raw_books(details: Iterable[Detail]) -> RawBooks:
    """The books of several answers as one batch; `capture` is the answer's place in `details`.

    Keeps nothing of a detail but its columns: of a batch that is read as it is taken, one answer's texts are alive at a time.
    """
    owners = []
    columns = {name: [pl.Series([], dtype=kind)] for name, kind in (_ROWS | OUTCOMES).items()}
    for place, detail in enumerate(details):
        owners.append((place, detail.listing.platform, detail.listing.sport, len(detail.prices.market_id)))
        for name, parts in columns.items():
            parts.append(pl.Series(getattr(detail.prices, name), dtype=parts[0].dtype))
    batch = {name: pl.concat(parts).alias(name) for name, parts in columns.items()}
    of_rows = pl.DataFrame(owners, schema={**_OWNER, "n_rows": pl.UInt32}, orient="row")
    markets = of_rows.drop("n_rows")[repeated(of_rows["n_rows"])].hstack([batch[name] for name in _ROWS])
    return RawBooks(markets, pl.DataFrame([batch[name] for name in OUTCOMES]))


def repeated(counts: pl.Series) -> pl.Series:
    """Each place of `counts` as often as its count says."""
    places = counts.alias("n").to_frame().with_row_index("place").filter(pl.col("n") > 0)
    return places.select("place", n=pl.int_ranges(0, "n", dtype=pl.UInt32)).explode("n")["place"]
