"""The files that every engine reads: markets and listings of each partition, and the words they are read by. Imports no engine but ours."""

from pathlib import Path
from typing import Final

import polars as pl

INPUTS: Final = ("markets", "listings")
"""Of each partition: `present.MARKETS`, `present.LISTINGS`."""
WORDS: Final = ("outcomes", "sets")
"""Of all partitions: market_key, market_id, ordinal, outcome_key; and `open_close.SETS`."""
HOME_FIRST: Final = ("betpawa", "sportybet", "bet9ja")
"""Home, and its competitors in order of trust. The SQL names them as well, and what is below."""
MAX_SKEW_S: Final = 120.0
MAIN_MARKETS: Final = ("match_result", "total_goals", "both_teams_to_score", "double_chance", "draw_no_bet", "asian_handicap")


def partition_file(folder: Path, name: str, partition: int) -> Path:
    return folder / f"{name}-{partition:03}.parquet"


def word_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.parquet"


def read_partition(folder: Path, partition: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Markets and listings."""
    markets, listings = (pl.read_parquet(partition_file(folder, name, partition)) for name in INPUTS)
    return markets, listings


def read_words(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Outcomes and sets."""
    outcomes, sets = (pl.read_parquet(word_file(folder, name)) for name in WORDS)
    return outcomes, sets
