"""Books with each distinct text replaced by a number, so that joins over prices use integers."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI

from .platform_books import RawBooks, repeat_places

_OFFERED, _NO_PRICE, SUSPENDED = range(3)
INSTANCE_COLUMNS: Final = ("platform", "sport", "market_id", "specifier")


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """Several books with numbers instead of repeated texts.

    - `rows`: capture, instance, market_name; one row per market row of an answer.
    - `instances`: the distinct `INSTANCE_COLUMNS`, as text; `instance` is the position of a row.
    - `outcomes`: capture, instance, distinct, odds_milli (null: no price), state (OFFERED, ...), in the order of the
      input.
    - `distinct_outcomes`: the distinct pairs of instance and code (the number of an outcome id); `distinct` is the
      position of a row.
    - `outcome_ids`: code, outcome_id.

    Positions follow the order of the input, so results must not contain positions or be sorted or chosen by them.
    """

    rows: pl.DataFrame
    instances: pl.DataFrame
    outcomes: pl.DataFrame
    distinct_outcomes: pl.DataFrame
    outcome_ids: pl.DataFrame


def pack_numbers(high: str, low: str) -> pl.Expr:
    """Return two 32-bit numbers as one 64-bit number, because one column joins and sorts faster than two."""
    return pl.col(high).cast(pl.UInt64) * 2**32 + pl.col(low)


def unpack_numbers(number: str) -> tuple[pl.Expr, pl.Expr]:
    """Return the two numbers that `pack_numbers` combined."""
    return (pl.col(number) // 2**32).cast(pl.UInt32), (pl.col(number) % 2**32).cast(pl.UInt32)


def encode_books(raw: RawBooks) -> EncodedBatch:
    """Return the books with numbers instead of texts. Null texts become '', because joins drop nulls."""
    coded_markets = raw.markets.with_columns(
        pl.col("market_id", "specifier").fill_null("").cast(_make_text_categories())
    )
    instances = coded_markets.select(INSTANCE_COLUMNS).unique().with_row_index("instance")
    rows = coded_markets.join(instances, on=INSTANCE_COLUMNS, how="left", maintain_order="left").select(
        "capture", "instance", "market_name", "n_outcomes"
    )
    outcomes = rows.select("capture", "instance")[repeat_places(rows["n_outcomes"])].hstack(
        raw.outcomes.select(
            code=pl.col("outcome_id").fill_null("").cast(_make_text_categories()).to_physical(),
            odds_milli=pl.when(pl.col("odds_milli") > EVENS_MILLI).then("odds_milli"),
            off=pl.col("off").fill_null(value=False),
        )
    )
    keys = outcomes.select(key=pack_numbers("instance", "code"))
    distinct = keys[keys["key"].arg_unique()].with_row_index("distinct")
    instance, code = unpack_numbers("key")
    return EncodedBatch(
        rows=rows.drop("n_outcomes"),
        instances=instances.with_columns(pl.exclude("instance").cast(pl.String)),
        outcomes=outcomes.select(
            "capture",
            "instance",
            keys.join(distinct, on="key", how="left", maintain_order="left")["distinct"],
            "odds_milli",
            state=pl.when("off")
            .then(SUSPENDED)
            .when(pl.col("odds_milli").is_null())
            .then(_NO_PRICE)
            .otherwise(_OFFERED)
            .cast(pl.UInt8),
        ),
        distinct_outcomes=distinct.select("distinct", instance=instance, code=code),
        outcome_ids=pl.DataFrame([outcomes["code"], raw.outcomes["outcome_id"].fill_null("")])[
            outcomes["code"].arg_unique()
        ],
    )


def _make_text_categories() -> pl.Categorical:
    """Return a new numbering of texts for each call, so that texts of earlier calls are freed."""
    return pl.Categorical(pl.Categories.random())
