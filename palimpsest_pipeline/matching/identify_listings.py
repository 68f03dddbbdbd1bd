"""From listings to fixtures: which real match each listing is, and which listing speaks for its platform.

Nothing about the fixture itself.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import ListingKind
from palimpsest_pipeline.domain.observations import MIN_RELISTING_GAP
from palimpsest_pipeline.domain.schemas import INSTANT

LISTINGS_SCHEMA: Final[dict[str, pl.DataType]] = {
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
    "is_deleted": pl.Boolean(),
}
"""Claims as they enter: one row per listing. `n_markets`: markets that its largest book priced, of all answers up to
the instant that is derived; null without an answer, and needed of `list_rival_listings` only. `is_deleted`: the
platform has taken it off. Further columns are carried through."""
_PLATFORM_FIXTURE_KEY: Final = ["platform", "fixture_sr_id"]


def identify_listings(listings: pl.DataFrame) -> pl.DataFrame:
    """`listings` (columns `LISTINGS_SCHEMA`) with `fixture_sr_id` Int64, `match_method` String and `is_primary`
    Boolean, sorted by platform and external id.

    A listing's own SportRadar id comes first. Without one, its Genius id leads to a fixture when every listing that
    carries that Genius id and a SportRadar id agrees on one. Only matches are identified; other kinds, listings that
    nothing leads anywhere, and those of a match of which
    no primary listing has a kickoff (null: it was refused) keep null. A listing with a kickoff goes before one without.
    Raises ValueError when a listing is there twice.
    """
    twice = listings.filter(listings.select("platform", "external_id").is_duplicated())
    if not twice.is_empty():
        raise ValueError(
            f"one row per listing is expected; given more than once: {twice.select('platform', 'external_id').unique().sort(pl.all()).head(5).rows()}"
        )
    identified = _add_fixture(listings)
    primary = select_primary_listings(identified).select("platform", "external_id", is_primary=pl.lit(True))
    return (
        identified.join(primary, on=["platform", "external_id"], how="left")
        .with_columns(pl.col("is_primary").fill_null(value=False))
        .sort("platform", *make_id_sort_keys("external_id"))
    )


def list_rival_listings(listings: pl.DataFrame) -> list[int]:
    """Return the ids of the listings (columns `LISTINGS_SCHEMA`) that share their fixture with another listing of
    their platform, in order.
    """
    identified = _add_fixture(listings).filter(pl.col("fixture_sr_id").is_not_null())
    return identified.filter(pl.struct(_PLATFORM_FIXTURE_KEY).is_duplicated())["listing_id"].sort().to_list()


def select_primary_listings(listings: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the primary listings: one for each platform and fixture. No other place states this rule.

    1. A listing that the platform has taken off is primary only if no other is left.
    2. A listing that kicks off more than RELISTED before the latest one that ever had a price is never primary.
    3. A listing without a kickoff (null: it was refused) is primary only if no other has one.
    4. Of the rest, the one with the largest book is primary, then the one with the smallest id.

    Neither the clock nor an earlier choice counts, so every order of arrival gives the same result.

    `listings`: at least platform, external_id, fixture_sr_id, kickoff_at, n_markets and is_deleted, as in
    `LISTINGS_SCHEMA`.
    """
    latest_priced = pl.col("kickoff_at").filter(pl.col("n_markets") > 0).max().over(_PLATFORM_FIXTURE_KEY)
    return (
        listings.filter(pl.col("fixture_sr_id").is_not_null())
        .with_columns(pl.col("is_deleted").fill_null(value=False), pl.col("n_markets").fill_null(0))
        .filter(pl.col("is_deleted") == pl.col("is_deleted").min().over(_PLATFORM_FIXTURE_KEY))
        .filter((pl.col("kickoff_at") >= latest_priced - MIN_RELISTING_GAP).fill_null(value=True))
        .sort(
            pl.col("kickoff_at").is_null(),
            "n_markets",
            *make_id_sort_keys("external_id"),
            descending=[False, True, False, False, False],
        )
        .unique(subset=_PLATFORM_FIXTURE_KEY, keep="first", maintain_order=True)
    )


def _add_fixture(listings: pl.DataFrame) -> pl.DataFrame:
    """`listings` with the fixture that each is, and by which evidence."""
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
    # A platform's primary listing has a kickoff when any of its listings has one, of those that it has not taken off
    # where there are any.
    is_deleted = pl.col("is_deleted").fill_null(value=False)
    may_speak = is_deleted == is_deleted.min().over(_PLATFORM_FIXTURE_KEY)
    is_dated = (pl.col("kickoff_at").is_not_null() & may_speak).any().over("fixture_sr_id")
    return identified.with_columns(pl.when(is_dated).then(pl.col("fixture_sr_id", "match_method")))


def make_id_sort_keys(column: str) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """Sort keys of a platform's own ids: digits by value and before anything else, the rest as text."""
    digits = pl.col(column).str.contains(r"^\d+$")
    significant = pl.col(column).str.strip_chars_start("0")
    length = pl.when(digits).then(significant.str.len_bytes()).otherwise(pl.lit(2**32 - 1, dtype=pl.UInt32))
    return length, pl.when(digits).then(significant).otherwise(pl.col(column)), pl.col(column)


def _is_match() -> pl.Expr:
    return pl.col("kind") == ListingKind.MATCH.value
