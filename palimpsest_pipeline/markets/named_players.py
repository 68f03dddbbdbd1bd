"""The players that outcomes name, with their names as the platform writes them."""

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
"""The suffix of a player's name in outcomes such as "Saka 2+"."""
TEAM_SUFFIX_PATTERN: Final = r"^(.*\S)\s*\(([^()]+)\)$"


def list_named_players(raw: RawBooks, batch: EncodedBatch, choices: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """Return rows of `PLAYERS_SCHEMA`, in order: one per capture and player.

    `choices` and `texts` (its frame `players`) are results of `outcome_targets.resolve_outcomes`. The name is taken
    from the player's first market in keys.csv; if it has several names there, the first name in sort order with a team.
    """
    if texts.is_empty():
        return pl.DataFrame(schema=PLAYERS_SCHEMA)
    naming_outcomes = _select_naming_outcomes(batch, choices)
    naming_outcomes = naming_outcomes.select(
        "capture",
        "player",
        raw.outcomes["outcome_name"].gather(naming_outcomes["position"]).fill_null("").alias("written"),
    )
    full_name = pl.col("written").str.replace(THRESHOLD_PATTERN, "").str.strip_chars()
    spellings = (
        naming_outcomes.select("player", "written")
        .unique()
        .join(texts, on="player")
        .with_columns(
            name=pl.coalesce(full_name.str.extract(TEAM_SUFFIX_PATTERN, 1), full_name),
            team=full_name.str.extract(TEAM_SUFFIX_PATTERN, 2),
        )
        .sort("outcome", "team", "name", nulls_last=True)
        .with_row_index("rank")
    )
    return (
        naming_outcomes.join(spellings, on=("player", "written"))
        .sort("capture", "rank")
        .unique(("capture", "player"), keep="first", maintain_order=True)
        .select(*PLAYERS_SCHEMA)
    )


def _select_naming_outcomes(batch: EncodedBatch, choices: pl.DataFrame) -> pl.DataFrame:
    """Return capture, player and position of the outcomes from which a player's name is taken.

    These are the outcomes under the first key with the player in the capture.
    """
    distinct = batch.outcomes["distinct"]
    player_outcomes = (
        pl.DataFrame(
            [batch.outcomes["capture"], choices["key_id"].gather(distinct), choices["player"].gather(distinct)]
        )
        .with_row_index("position")
        .filter(pl.col("player").is_not_null())
        .select("position", "key_id", naming=pack_numbers("capture", "player"))
    )
    first = player_outcomes.group_by("naming").agg(pl.col("key_id").min())
    capture, player = unpack_numbers("naming")
    return player_outcomes.join(first, on=("naming", "key_id")).select("position", capture=capture, player=player)
