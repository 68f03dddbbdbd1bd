"""The books of a batch of answers in the platforms' own words, as the normaliser takes them: lists in, frames out, no vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import polars as pl

from ..domain.observations import Detail
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

    `outcome_names` are the names of the outcomes, in their order, in any number of lists. They stay lists because they are looked at for a few
    outcomes only: players, and what no vocabulary knows.
    """

    markets: pl.DataFrame
    outcomes: pl.DataFrame
    outcome_names: Sequence[Sequence[str | None]]

    def names_at(self, positions: pl.Series) -> pl.Series:
        """The names of the outcomes at these places of `outcomes`; '' for a name that is null."""
        sizes = pl.Series([len(names) for names in self.outcome_names], dtype=pl.UInt32)
        ends = sizes.cum_sum()
        lists = ends.search_sorted(positions, side="right")
        places = positions - (ends - sizes).gather(lists)
        return pl.Series([self.outcome_names[n][place] or "" for n, place in zip(lists, places, strict=True)], dtype=pl.String)


def raw_books(details: Sequence[Detail]) -> RawBooks:
    """The books of several answers as one batch; `capture` is the answer's place in `details`."""
    books = [detail.prices for detail in details]
    answers = pl.DataFrame(
        [(place, d.listing.platform, d.listing.sport, len(d.prices.market_id)) for place, d in enumerate(details)],
        schema={"capture": pl.UInt32, "platform": MARKETS["platform"], "sport": MARKETS["sport"], "n_rows": pl.UInt32},
        orient="row",
    )
    owners = answers.select("capture", "platform", "sport")[repeated(answers["n_rows"])]
    words = {name: list(chain.from_iterable(getattr(book, name) for book in books)) for name in MARKETS if name not in owners.columns}
    # A series per answer: one long list first would touch every text twice.
    outcomes = {name: [pl.Series(name, getattr(book, name), kind) for book in books] for name, kind in OUTCOMES.items()}
    return RawBooks(
        owners.hstack(pl.DataFrame(words, schema_overrides=MARKETS)),
        pl.DataFrame([pl.concat([pl.Series(name, [], OUTCOMES[name]), *parts]) for name, parts in outcomes.items()]),
        [book.outcome_name for book in books],
    )


def repeated(counts: pl.Series) -> pl.Series:
    """Each place of `counts` as often as its count says."""
    places = counts.alias("n").to_frame().with_row_index("place").filter(pl.col("n") > 0)
    return places.select("place", n=pl.int_ranges(0, "n", dtype=pl.UInt32)).explode("n")["place"]
