"""Which outcomes of a market are a complete set, where that is not all of them: one bet may be sold in several grids, each complete in itself.

`vocabulary/complete_sets.csv` has one row per grid: market_key, set (its name), outcome_keys (joined by `|`). Of a market that is not in it the only
complete set is all its outcomes.
"""

from pathlib import Path
from typing import Final

import polars as pl

from .vocabulary import FOLDER, Vocabulary, VocabularyError

FILE: Final = "complete_sets.csv"
COMPLETE_SETS: Final[dict[str, pl.DataType]] = {"market_id": pl.Int16(), "set": pl.String(), "ordinal": pl.Int16()}


def complete_sets(vocabulary: Vocabulary, folder: Path = FOLDER) -> pl.DataFrame:
    """One row per outcome of each set (columns `COMPLETE_SETS`). Raises VocabularyError naming file and line."""
    listed = pl.read_csv(folder / FILE, infer_schema=False).fill_null("").with_row_index("line", offset=2)
    rows = (
        listed.with_columns(outcome_key=pl.col("outcome_keys").str.split("|"))
        .explode("outcome_key")
        .join(vocabulary.markets.select("market_key", "market_id"), on="market_key", how="left", maintain_order="left")
        .join(vocabulary.outcomes.select("market_id", "outcome_key", "ordinal"), on=("market_id", "outcome_key"), how="left", maintain_order="left")
    )
    key = ("market_key", "set", "outcome_key")
    for wrong, reason in ((pl.col("ordinal").is_null(), "is not in outcomes.csv"), (pl.struct(key).is_duplicated(), "is there twice")):
        for line, market_key, outcome_key in rows.filter(wrong).select("line", "market_key", "outcome_key").iter_rows():
            raise VocabularyError(f"{FILE}:{line}: outcome {outcome_key!r} of {market_key} {reason}")
    return rows.select(pl.col(name).cast(dtype) for name, dtype in COMPLETE_SETS.items())
