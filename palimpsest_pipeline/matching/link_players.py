"""The matching of platforms' players to SportRadar players within one fixture, as proposals.

Ids and words of names are compared, never edit distances. A candidate is a player whose id on some platform is
SportRadar's id. Every other player is compared with the candidates of the same fixture.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import PlayerEvidence, PlayerStatus
from palimpsest_pipeline.domain.schemas import NAMED_PLAYERS
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from .name_folding import fold_name

PLAYER_LINKS_SCHEMA: Final = get_frame_schema("core.player_links")

SPORTRADAR_PLAYER_PATTERN: Final = r"^sr:player:([0-9]{1,18})$"
MIN_CONTAINED_WORDS: Final = 2
"""Minimum number of words of a name that is contained in another. A single word proves too little."""
_PLAYER_KEY: Final = ["fixture_sr_id", "platform", "external_player_id"]
_CANDIDATE_KEY: Final = ["fixture_sr_id", "sr_player_id"]


def normalise_player_name(name: str) -> str:
    """Return a player's name for comparison: folded, first name first, without apostrophes.

    Example: `"Kanté, N'Golo"` -> `"ngolo kante"`.
    """
    surname, _, first = name.partition(",")
    return fold_name("".join(c for c in f"{first} {surname}" if c not in "'’`´"))


def link_players(players: pl.DataFrame) -> pl.DataFrame:
    """Return one row per player of `players`, sorted by fixture, platform and id.

    `players` has the columns `NAMED_PLAYERS`, the result `PLAYER_LINKS_SCHEMA`. `status` is one of:

    - proposed: one candidate fits; with `sr_player_id` and `evidence`.
    - ambiguous: the names of `n_candidates` candidates fit and none of them alone, or the only one also fits another
      player of the platform.
    - none: no candidate fits.

    Two players of a platform are never proposed as the same candidate of a fixture. An equal name is preferred to a
    contained one, which is proposed only if neither of the two fits another.
    """
    named_players = _add_words(players.select(pl.col(name).cast(kind) for name, kind in NAMED_PLAYERS.items()))
    pairs = _match_names(
        named_players.filter(pl.col("sr_player_id").is_null()),
        named_players.filter(pl.col("sr_player_id").is_not_null()),
    )
    chosen_pairs = _select_unambiguous(pairs)
    fit_counts = pairs.group_by(_PLAYER_KEY).agg(n_fitting=pl.len())
    return (
        named_players.group_by(_PLAYER_KEY)
        .agg(
            player_name=pl.col("name").sort_by(pl.col("name").str.contains(",", literal=True), "name").first(),
            own=pl.col("sr_player_id").first(),
        )
        .join(chosen_pairs, on=_PLAYER_KEY, how="left")
        .join(fit_counts, on=_PLAYER_KEY, how="left")
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
    """Return distinct rows with `sr_player_id`, `plain` (the normalised name) and `words` (its words).

    `sr_player_id` is the player's own id if that id is SportRadar's, otherwise null.
    """
    names = players["name"].unique()
    plain = [normalise_player_name(name) for name in names]
    spelling = pl.DataFrame(
        {"name": names, "plain": plain, "words": [sorted(set(text.split())) for text in plain]},
        schema={"name": pl.String, "plain": pl.String, "words": pl.List(pl.String)},
    )
    own_id = pl.col("external_player_id").str.extract(SPORTRADAR_PLAYER_PATTERN).cast(pl.Int64)
    return players.unique().with_columns(sr_player_id=own_id).join(spelling, on="name")


def _match_names(open_players: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    """Return pairs of a player and a candidate of the same fixture with fitting names.

    The columns are the keys of both, and `same`, which is true when the names are equal in one of their spellings.
    """
    player_names, candidate_names = (
        frame.filter(pl.col("plain") != "").select(*key, "plain", "words").unique()
        for frame, key in ((open_players, _PLAYER_KEY), (candidates, _CANDIDATE_KEY))
    )
    equal_pairs = player_names.join(candidate_names, on=["fixture_sr_id", "plain"]).select(
        *_PLAYER_KEY, "sr_player_id", same=pl.lit(value=True)
    )
    player_words, candidate_words = (
        frame.with_columns(n_words=pl.col("words").list.len()).explode("words")
        for frame in (player_names, candidate_names)
    )
    contained_pairs = (
        player_words.join(candidate_words, on=["fixture_sr_id", "words"], suffix="_other")
        .group_by(*_PLAYER_KEY, "sr_player_id", "plain", "plain_other")
        .agg(n_shared=pl.len(), n_shorter=pl.min_horizontal(pl.col("n_words").first(), pl.col("n_words_other").first()))
        .filter((pl.col("n_shared") == pl.col("n_shorter")) & (pl.col("n_shorter") >= MIN_CONTAINED_WORDS))
        .select(*_PLAYER_KEY, "sr_player_id", same=pl.lit(value=False))
    )
    return pl.concat([equal_pairs, contained_pairs]).group_by(*_PLAYER_KEY, "sr_player_id").agg(pl.col("same").any())


def _select_unambiguous(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs in which neither player nor candidate fits another, with `evidence`.

    Pairs with equal names are compared only with other such pairs, all other pairs with all pairs.
    """

    def keep_unique(candidate_pairs: pl.DataFrame) -> pl.DataFrame:
        return candidate_pairs.filter(pl.len().over(_PLAYER_KEY) == 1, pl.len().over("platform", *_CANDIDATE_KEY) == 1)

    equal_pairs = keep_unique(pairs.filter("same")).with_columns(evidence=pl.lit(PlayerEvidence.SAME_NAME.value))
    contained_pairs = (
        keep_unique(pairs).filter(~pl.col("same")).with_columns(evidence=pl.lit(PlayerEvidence.NAME_CONTAINED.value))
    )
    return pl.concat([equal_pairs, contained_pairs]).drop("same")
