"""The books of a batch of answers in the platforms' own words, as the normaliser takes them: lists in, frames out, no vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import polars as pl

from ..domain.observations import Detail, RawPrices
from ..domain.words import Platform, Sport

MARKETS: Final[dict[str, pl.DataType]] = {
    "capture": pl.UInt32(),
    "platform": pl.Enum(Platform),
    "sport": pl.Enum(Sport),
    "market_id": pl.String(),
    "market_name": pl.String(),
    "specifier": pl.String(),
    "n_outcomes": pl.UInt32(),
}
OUTCOMES: Final[dict[str, pl.DataType]] = {"outcome_id": pl.String(), "odds_milli": pl.Int32(), "off": pl.Boolean()}


@dataclass(frozen=True, slots=True)
class RawBooks:
    """markets: rows of `MARKETS`, one per market row of an answer. outcomes: rows of `OUTCOMES`, those of the market rows one after the other.

    `outcome_names` are the names of the outcomes, in their order. They stay a list because they are looked at for a few outcomes only: players, and
    what no vocabulary knows.
    """

    markets: pl.DataFrame
    outcomes: pl.DataFrame
    outcome_names: Sequence[str | None]


def raw_books(details: Sequence[Detail]) -> RawBooks:
    """The books of several answers as one batch; `capture` is the answer's place in `details`."""
    everything = RawPrices()
    columns = {field.name: getattr(everything, field.name) for field in fields(RawPrices)}
    for detail in details:
        for name, column in columns.items():
            column.extend(getattr(detail.prices, name))
    answers = pl.DataFrame(
        [(place, d.listing.platform, d.listing.sport, len(d.prices.market_id)) for place, d in enumerate(details)],
        schema={"capture": pl.UInt32, "platform": MARKETS["platform"], "sport": MARKETS["sport"], "n_rows": pl.UInt32},
        orient="row",
    )
    owners = answers.select("capture", "platform", "sport")[repeated(answers["n_rows"])]
    words = pl.DataFrame({name: columns[name] for name in MARKETS if name in columns}, schema_overrides=MARKETS)
    outcomes = pl.DataFrame({name: columns[name] for name in OUTCOMES}, schema_overrides=OUTCOMES)
    return RawBooks(owners.hstack(words), outcomes, everything.outcome_name)


def repeated(counts: pl.Series) -> pl.Series:
    """Each place of `counts` as often as its count says."""
    places = counts.alias("n").to_frame().with_row_index("place").filter(pl.col("n") > 0)
    return places.select("place", n=pl.int_ranges(0, "n", dtype=pl.UInt32)).explode("n")["place"]
