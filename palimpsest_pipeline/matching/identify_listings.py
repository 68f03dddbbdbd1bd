"""The identification of listings: the fixture of each, and the primary listing per platform."""

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
"""The columns of claims: one row per listing. Further columns are kept in results.

`n_markets` is the largest number of priced markets among all answers up to the derived instant, null without an answer;
only `select_primary_listings` and its callers need it. `is_deleted` is true when the platform has removed the listing.
"""
_PLATFORM_FIXTURE_KEY: Final = ["platform", "fixture_sr_id"]


def identify_listings(listings: pl.DataFrame) -> pl.DataFrame:
    """Return `listings` with `fixture_sr_id` Int64, `match_method` String and `is_primary` Boolean.

    Rows are sorted by platform and external id. A listing belongs to the fixture with its own SportRadar id. A listing
    without one belongs to the fixture of its Genius id, if all listings with that Genius id and a SportRadar id have
    the same SportRadar id.

    The new columns are null for listings that are no match, and for listings without such an id. They are also null for
    all listings of a match if none of its primary listings has a kickoff (a rejected kickoff is null). Raises
    ValueError when a listing appears twice.
    """
    repeated = listings.filter(listings.select("platform", "external_id").is_duplicated())
    if not repeated.is_empty():
        examples = repeated.select("platform", "external_id").unique().sort(pl.all()).head(5).rows()
        raise ValueError(f"one row per listing is expected; given more than once: {examples}")
    identified = _add_fixture(listings)
    primary = select_primary_listings(identified).select("platform", "external_id", is_primary=pl.lit(True))
    return (
        identified.join(primary, on=["platform", "external_id"], how="left")
        .with_columns(pl.col("is_primary").fill_null(value=False))
        .sort("platform", *make_id_sort_keys("external_id"))
    )


def list_rival_listings(listings: pl.DataFrame) -> list[int]:
    """Return the ids of listings whose platform has another listing of the same fixture, in order."""
    identified = _add_fixture(listings).filter(pl.col("fixture_sr_id").is_not_null())
    return identified.filter(pl.struct(_PLATFORM_FIXTURE_KEY).is_duplicated())["listing_id"].sort().to_list()


def select_primary_listings(listings: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the primary listings: one for each platform and fixture.

    The rule is defined only here:

    - A listing that the platform has removed is primary only if no other is left.
    - A listing whose kickoff is more than `MIN_RELISTING_GAP` before that of the latest listing that ever had a price
      is never primary.
    - A listing without a kickoff (null: it was rejected) is primary only if no other has one.
    - Of the remaining listings the one with most priced markets is primary, of several the one with the smallest id.

    Neither the time nor an earlier choice has an influence, so every order of arrival gives the same result.

    `listings` has at least platform, external_id, fixture_sr_id, kickoff_at, n_markets and is_deleted, as in
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
    """Return `listings` with the fixture of each, and the kind of id by which it was found."""
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
    # A platform's primary listing has a kickoff if any of its listings has one: among those that the platform has not
    # removed, or among all if it has removed all.
    is_deleted = pl.col("is_deleted").fill_null(value=False)
    is_eligible = is_deleted == is_deleted.min().over(_PLATFORM_FIXTURE_KEY)
    is_dated = (pl.col("kickoff_at").is_not_null() & is_eligible).any().over("fixture_sr_id")
    return identified.with_columns(pl.when(is_dated).then(pl.col("fixture_sr_id", "match_method")))


def make_id_sort_keys(column: str) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """Return sort keys for a platform's own ids: numbers by value, then all other texts."""
    digits = pl.col(column).str.contains(r"^\d+$")
    significant = pl.col(column).str.strip_chars_start("0")
    length = pl.when(digits).then(significant.str.len_bytes()).otherwise(pl.lit(2**32 - 1, dtype=pl.UInt32))
    return length, pl.when(digits).then(significant).otherwise(pl.col(column)), pl.col(column)


def _is_match() -> pl.Expr:
    return pl.col("kind") == ListingKind.MATCH.value
