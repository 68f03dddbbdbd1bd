"""From listings to fixtures: which real match each listing is, and which listing speaks for its platform. Nothing about the fixture itself."""

from typing import Final

import polars as pl

from ..domain.words import ListingKind

INSTANT: Final = pl.Datetime("us", "UTC")
LISTINGS: Final[dict[str, pl.DataType]] = {
    "listing_id": pl.Int64(),
    "platform": pl.String(),
    "external_id": pl.String(),
    "sport": pl.String(),
    "kind": pl.String(),
    "tournament_external_id": pl.String(),
    "tournament_name": pl.String(),
    "country_raw": pl.String(),
    "country_iso": pl.String(),
    "sr_tournament_id": pl.Int64(),
    "home_team": pl.String(),
    "away_team": pl.String(),
    "kickoff_at": INSTANT,
    "sr_id": pl.Int64(),
    "genius_id": pl.Int64(),
    "n_markets": pl.Int32(),
}
"""Claims as they enter: one row per listing. Further columns are carried through."""


def identify(listings: pl.DataFrame) -> pl.DataFrame:
    """`listings` (columns `LISTINGS`) with `fixture_sr_id` Int64, `match_method` String and `is_primary` Boolean, sorted by platform and external id.

    A listing's own SportRadar id comes first. Without one, its Genius id leads to a fixture when every listing that carries that Genius id
    and a SportRadar id agrees on one. Only matches are identified; other kinds, listings that nothing leads anywhere, and those of a match of which
    no listing has a kickoff (null: it was refused) keep null. A listing with a kickoff goes before one without.
    Raises ValueError when a listing is there twice.
    """
    twice = listings.filter(listings.select("platform", "external_id").is_duplicated())
    if not twice.is_empty():
        raise ValueError(
            f"one row per listing is expected; given more than once: {twice.select('platform', 'external_id').unique().sort(pl.all()).head(5).rows()}"
        )
    bridge = (
        listings.filter(_is_match(), pl.col("sr_id").is_not_null(), pl.col("genius_id").is_not_null())
        .group_by("sport", "genius_id")
        .agg(pl.col("sr_id").min().alias("bridge_sr_id"), pl.col("sr_id").n_unique().alias("n_ids"))
        .filter(pl.col("n_ids") == 1)
        .select("sport", "genius_id", "bridge_sr_id")
    )
    identified = (
        listings.join(bridge, on=["sport", "genius_id"], how="left")
        .with_columns(
            fixture_sr_id=pl.when(_is_match()).then(pl.coalesce("sr_id", "bridge_sr_id")).cast(pl.Int64),
            match_method=pl.when(_is_match() & pl.col("sr_id").is_not_null())
            .then(pl.lit("sportradar"))
            .when(_is_match() & pl.col("bridge_sr_id").is_not_null())
            .then(pl.lit("genius"))
            .cast(pl.String),
        )
        .drop("bridge_sr_id")
    )
    is_dated = pl.col("kickoff_at").is_not_null().any().over("fixture_sr_id")
    identified = identified.with_columns(pl.when(is_dated).then(pl.col("fixture_sr_id", "match_method")))
    primary = (
        identified.filter(pl.col("fixture_sr_id").is_not_null())
        .sort(
            pl.col("kickoff_at").is_null(),
            pl.col("n_markets").fill_null(-1),
            *id_order("external_id"),
            descending=[False, True, False, False, False],
        )
        .unique(subset=["platform", "fixture_sr_id"], keep="first", maintain_order=True)
        .select("platform", "external_id", is_primary=pl.lit(True))
    )
    return (
        identified.join(primary, on=["platform", "external_id"], how="left")
        .with_columns(pl.col("is_primary").fill_null(value=False))
        .sort("platform", *id_order("external_id"))
    )


def id_order(column: str) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """Sort keys of a platform's own ids: digits by value and before anything else, the rest as text."""
    digits = pl.col(column).str.contains(r"^\d+$")
    significant = pl.col(column).str.strip_chars_start("0")
    length = pl.when(digits).then(significant.str.len_bytes()).otherwise(pl.lit(2**32 - 1, dtype=pl.UInt32))
    return length, pl.when(digits).then(significant).otherwise(pl.col(column)), pl.col(column)


def _is_match() -> pl.Expr:
    return pl.col("kind") == ListingKind.MATCH.value
