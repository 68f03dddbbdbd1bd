"""Which platform's player is which SportRadar player, within one fixture: proposals with evidence. By ids and words of
names, never by distance.

A candidate is a player whose own id on some platform is SportRadar's. Every other player is compared with the
candidates of the same fixture.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import PlayerEvidence, PlayerStatus
from palimpsest_pipeline.domain.schemas import NAMED_PLAYERS

from .name_folding import fold_name

PLAYER_LINKS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "fixture_sr_id": pl.Int64(),
    "platform": pl.String(),
    "external_player_id": pl.String(),
    "player_name": pl.String(),
    "sr_player_id": pl.Int64(),
    "evidence": pl.String(),
    "status": pl.String(),
    "n_candidates": pl.Int32(),
}

SPORTRADAR_PLAYER_PATTERN: Final = r"^sr:player:([0-9]{1,18})$"
MIN_CONTAINED_WORDS: Final = 2
"""Words that a contained name must have: one alone, a given name or a surname, says too little."""
_PLAYER_KEY: Final = ["fixture_sr_id", "platform", "external_player_id"]
_CANDIDATE_KEY: Final = ["fixture_sr_id", "sr_player_id"]


def normalise_player_name(name: str) -> str:
    """A player's name as it is compared: folded, first names first, apostrophes gone: `"Kanté, N'Golo"` -> `"ngolo
    kante"`.
    """
    surname, _, first = name.partition(",")
    return fold_name("".join(c for c in f"{first} {surname}" if c not in "'’`´"))


def link_players(players: pl.DataFrame) -> pl.DataFrame:
    """One row (`PLAYER_LINKS_SCHEMA`) per player of `players` (`NAMED_PLAYERS`), sorted by fixture, platform and id.

    `status` proposed: `sr_player_id` and `evidence` say who he is and by what. ambiguous: `n_candidates` fit by name
    and none of them alone, or the one that fits another player of the platform too. none: nobody fits. Within a fixture
    no two players of a platform are proposed to be the same candidate. An equal name counts before a contained one; a
    contained one only where it is the only fit on both sides.
    """
    named = _add_words(players.select(pl.col(name).cast(kind) for name, kind in NAMED_PLAYERS.items()))
    pairs = _match_names(
        named.filter(pl.col("sr_player_id").is_null()), named.filter(pl.col("sr_player_id").is_not_null())
    )
    chosen = _select_unambiguous(pairs)
    fitting = pairs.group_by(_PLAYER_KEY).agg(n_fitting=pl.len())
    return (
        named.group_by(_PLAYER_KEY)
        .agg(
            player_name=pl.col("name").sort_by(pl.col("name").str.contains(",", literal=True), "name").first(),
            own=pl.col("sr_player_id").first(),
        )
        .join(chosen, on=_PLAYER_KEY, how="left")
        .join(fitting, on=_PLAYER_KEY, how="left")
        .with_columns(
            sr_player_id=pl.coalesce("own", "sr_player_id"),
            evidence=pl.when(pl.col("own").is_not_null())
            .then(pl.lit(PlayerEvidence.SPORTRADAR_ID.value))
            .otherwise(pl.col("evidence")),
            n_candidates=pl.when(pl.col("own").is_not_null()).then(1).otherwise(pl.col("n_fitting").fill_null(0)),
        )
        .with_columns(
            status=pl.when(pl.col("sr_player_id").is_not_null())
            .then(pl.lit(PlayerStatus.PROPOSED.value))
            .when(pl.col("n_candidates") > 0)
            .then(pl.lit(PlayerStatus.AMBIGUOUS.value))
            .otherwise(pl.lit(PlayerStatus.NONE.value))
        )
        .select(pl.col(name).cast(kind) for name, kind in PLAYER_LINKS_SCHEMA.items())
        .sort(_PLAYER_KEY)
    )


def _add_words(players: pl.DataFrame) -> pl.DataFrame:
    """Distinct rows with `sr_player_id` (the id itself, where it is SportRadar's), `plain` and `words` (each once)."""
    names = players["name"].unique()
    plain = [normalise_player_name(name) for name in names]
    spelling = pl.DataFrame(
        {"name": names, "plain": plain, "words": [sorted(set(text.split())) for text in plain]},
        schema={"name": pl.String, "plain": pl.String, "words": pl.List(pl.String)},
    )
    own = pl.col("external_player_id").str.extract(SPORTRADAR_PLAYER_PATTERN).cast(pl.Int64)
    return players.unique().with_columns(sr_player_id=own).join(spelling, on="name")


def _match_names(open_players: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    """Pairs of a player and a candidate of his fixture whose names fit in some spelling: keys of both, and `same`:
    they are equal in one.
    """
    ours, theirs = (
        frame.filter(pl.col("plain") != "").select(*key, "plain", "words").unique()
        for frame, key in ((open_players, _PLAYER_KEY), (candidates, _CANDIDATE_KEY))
    )
    same = ours.join(theirs, on=["fixture_sr_id", "plain"]).select(
        *_PLAYER_KEY, "sr_player_id", same=pl.lit(value=True)
    )
    one, other = (frame.with_columns(n_words=pl.col("words").list.len()).explode("words") for frame in (ours, theirs))
    contained = (
        one.join(other, on=["fixture_sr_id", "words"], suffix="_other")
        .group_by(*_PLAYER_KEY, "sr_player_id", "plain", "plain_other")
        .agg(n_shared=pl.len(), n_shorter=pl.min_horizontal(pl.col("n_words").first(), pl.col("n_words_other").first()))
        .filter((pl.col("n_shared") == pl.col("n_shorter")) & (pl.col("n_shorter") >= MIN_CONTAINED_WORDS))
        .select(*_PLAYER_KEY, "sr_player_id", same=pl.lit(value=False))
    )
    return pl.concat([same, contained]).group_by(*_PLAYER_KEY, "sr_player_id").agg(pl.col("same").any())


def _select_unambiguous(pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs in which each is the other's only fit, with `evidence`: among equal names alone for an equal name,
    among all for a contained one.
    """

    def alone(found: pl.DataFrame) -> pl.DataFrame:
        return found.filter(pl.len().over(_PLAYER_KEY) == 1, pl.len().over("platform", *_CANDIDATE_KEY) == 1)

    same = alone(pairs.filter("same")).with_columns(evidence=pl.lit(PlayerEvidence.SAME_NAME.value))
    contained = alone(pairs).filter(~pl.col("same")).with_columns(evidence=pl.lit(PlayerEvidence.NAME_CONTAINED.value))
    return pl.concat([same, contained]).drop("same")
