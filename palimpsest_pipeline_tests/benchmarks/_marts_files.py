"""The files that every engine reads: the inputs of each partition, and the words they are read by.

Imports no engine but ours.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

AS_THEY_STAND: Final = ("markets", "listings")
"""Of each partition: `present.MARKETS`, `present.LISTINGS`."""
OVER_TIME: Final = ("lives", "looks", "changes", "kickoffs")
"""Of each partition: `life.LISTINGS`, `life.LOOKS`, `life.CHANGES`, `life.KICKOFFS`."""
INPUTS: Final = {
    "price_comparison": AS_THEY_STAND,
    "standing_margins": AS_THEY_STAND,
    "availability_gap": AS_THEY_STAND,
    "market_margin": OVER_TIME,
    "price_lead": OVER_TIME,
}
"""Of each table."""
WORDS: Final = ("outcomes", "sets")
"""Of all partitions: market_key, market_id, ordinal, outcome_key; and `open_close.KEYED_SETS_SCHEMA`."""
HOME_FIRST: Final = ("betpawa", "sportybet", "bet9ja")
"""Home, and its competitors in order of trust. The SQL names them as well, and what is below."""
MAX_SKEW_S: Final = 120.0
MAIN_MARKETS: Final = (
    "match_result",
    "total_goals",
    "both_teams_to_score",
    "double_chance",
    "draw_no_bet",
    "asian_handicap",
)
HISTORY_AS_OF: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
SILENCE_LIMIT: Final = timedelta(minutes=150)


def partition_file(folder: Path, name: str, partition: int) -> Path:
    return folder / f"{name}-{partition:03}.parquet"


def word_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.parquet"


def read_partition(folder: Path, table: str, partition: int) -> list[pl.DataFrame]:
    """The INPUTS of the table."""
    return [pl.read_parquet(partition_file(folder, name, partition)) for name in INPUTS[table]]


def read_words(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Outcomes and sets."""
    outcomes, sets = (pl.read_parquet(word_file(folder, name)) for name in WORDS)
    return outcomes, sets
