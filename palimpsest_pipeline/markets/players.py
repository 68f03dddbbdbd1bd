"""The players that a batch's outcomes name: under which text, and as whom the platform writes them."""

from typing import Final

import polars as pl

from .numbered_texts import EncodedBatch, pack_numbers, unpack_numbers
from .platform_books import RawBooks

PLAYERS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "capture": pl.UInt32(),
    "outcome": pl.String(),
    "name": pl.String(),
    "team": pl.String(),
}

THRESHOLD_PATTERN: Final = r"\s+\d+\+$"
"""What "n or more" adds to a player's name."""
TEAM_SUFFIX_PATTERN: Final = r"^(.*\S)\s*\(([^()]+)\)$"


def list_named_players(raw: RawBooks, batch: EncodedBatch, choices: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """Rows of `PLAYERS_SCHEMA`, in order: one per capture and player, named as in the market of theirs that comes first
    in keys.csv.

    `choices` and `texts` (the players) are as `outcome_targets.resolve_outcomes` gives them. Where that market has
    several names, the least with a team.
    """
    if texts.is_empty():
        return pl.DataFrame(schema=PLAYERS_SCHEMA)
    told = _select_naming_outcomes(batch, choices)
    told = told.select(
        "capture", "player", raw.outcomes["outcome_name"].gather(told["position"]).fill_null("").alias("written")
    )
    full = pl.col("written").str.replace(THRESHOLD_PATTERN, "").str.strip_chars()
    people = (
        told.select("player", "written")
        .unique()
        .join(texts, on="player")
        .with_columns(
            name=pl.coalesce(full.str.extract(TEAM_SUFFIX_PATTERN, 1), full),
            team=full.str.extract(TEAM_SUFFIX_PATTERN, 2),
        )
        .sort("outcome", "team", "name", nulls_last=True)
        .with_row_index("rank")
    )
    return (
        told.join(people, on=("player", "written"))
        .sort("capture", "rank")
        .unique(("capture", "player"), keep="first", maintain_order=True)
        .select(*PLAYERS_SCHEMA)
    )


def _select_naming_outcomes(batch: EncodedBatch, choices: pl.DataFrame) -> pl.DataFrame:
    """Return capture, player and position of the outcomes that name a player.

    Of the keys under which a capture has the player, only the outcomes of the first one count.
    """
    distinct = batch.outcomes["distinct"]
    said = (
        pl.DataFrame(
            [batch.outcomes["capture"], choices["key_id"].gather(distinct), choices["player"].gather(distinct)]
        )
        .with_row_index("position")
        .filter(pl.col("player").is_not_null())
        .select("position", "key_id", naming=pack_numbers("capture", "player"))
    )
    first = said.group_by("naming").agg(pl.col("key_id").min())
    capture, player = unpack_numbers("naming")
    return said.join(first, on=("naming", "key_id")).select("position", capture=capture, player=player)
