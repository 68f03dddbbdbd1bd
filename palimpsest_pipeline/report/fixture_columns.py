"""Tournaments and fixtures as columns for the page's script.

Classes and counts come from the marts; the script only selects among them. An unknown count is `UNKNOWN_COUNT`, never
0. A set of platforms is a number: bit i is set for the platform at position i in the list of platforms (home first).
"""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from palimpsest_pipeline.domain.enums import FixtureClass, PresenceEvidence
from palimpsest_pipeline.storage.marts.page_coverage import Coverage

from .page_data import list_columns, number_keys, to_epoch_s_column
from .statements import OfferStatus, PlatformOffer

UNKNOWN_COUNT: Final = -1
ANY_PLATFORM: Final = "any"
FIXTURE_CLASSES: Final = tuple(word.value for word in FixtureClass)
NO_GAP, HOME_LACKS, PLATFORM_LACKS = 0, 1, 2


def build_tournament_columns(coverage: Coverage, offers: Sequence[PlatformOffer]) -> dict[str, Any]:
    """Return the tournaments as columns, sorted by country and name.

    `counts` has two entries, the counts of upcoming fixtures and those of all fixtures, null for a tournament without a
    row. Each country has one spelling. `elsewhere` lists, for each tournament, the other countries under which
    platforms list it, with these platforms.
    """
    tournaments = _list_tournaments(coverage)
    return {
        "key": tournaments["tournament_key"].to_list(),
        "name": tournaments["display_name"].to_list(),
        "country": tournaments["country"].to_list(),
        "elsewhere": _list_other_countries(coverage, tournaments, offers),
        "counts": [
            _build_counts(coverage.tournaments.filter(pl.col("include_started") == started), tournaments, offers)
            for started in (False, True)
        ],
    }


def _list_tournaments(coverage: Coverage) -> pl.DataFrame:
    """Return one row per tournament, in the order in which the page shows them."""
    by_country = (pl.col("country").str.to_lowercase(), "display_name", "tournament_key")
    tournaments = (
        coverage.tournaments.select("tournament_key", "display_name", "country")
        .sort(pl.all())
        .unique("tournament_key", keep="first")
    )
    return _unify_country_names(tournaments, coverage).sort(*by_country, nulls_last=True)


def _unify_country_names(rows: pl.DataFrame, coverage: Coverage) -> pl.DataFrame:
    """Return `rows` with one spelling per country: home's, else the most frequent one.

    For example, one platform writes Czechia and another one Czech Republic.
    """
    is_home = pl.col("platform") == coverage.home_platform
    use_order = (pl.col("n_home") * -1, pl.col("n") * -1, "country")
    spellings = (
        coverage.countries.drop_nulls("country_iso")
        .group_by("country_iso", "country")
        .agg(n_home=is_home.sum().cast(pl.Int64), n=pl.len().cast(pl.Int64))
        .sort("country_iso", *use_order)
        .with_columns(spelled=pl.col("country").first().over("country_iso"))
        .unique("country", keep="first", maintain_order=True)
    )
    matched = rows.join(spellings.select("country", "spelled"), on="country", how="left", maintain_order="left")
    return matched.with_columns(pl.coalesce("spelled", "country").alias("country")).drop("spelled")


def _list_other_countries(
    coverage: Coverage, tournaments: pl.DataFrame, offers: Sequence[PlatformOffer]
) -> list[list[list[Any]]]:
    position_by_platform = number_keys([platform.key for platform in offers])
    country_by_tournament = dict(tournaments.select("tournament_key", "country").iter_rows())
    rows = (
        _unify_country_names(coverage.countries, coverage)
        .select("tournament_key", "country", "platform")
        .unique()
        .sort(pl.all())
    )
    elsewhere: dict[str, dict[str, list[int]]] = {}
    for key, country, platform in rows.iter_rows():
        if platform in position_by_platform and country_by_tournament.get(key) != country:
            elsewhere.setdefault(key, {}).setdefault(country, []).append(position_by_platform[platform])
    return [
        [[country, positions] for country, positions in elsewhere.get(key, {}).items()]
        for key in tournaments["tournament_key"]
    ]


def _build_counts(rows: pl.DataFrame, tournaments: pl.DataFrame, offers: Sequence[PlatformOffer]) -> dict[str, Any]:
    """Return the counts per tournament, for upcoming fixtures or for all.

    `on` has one list per platform, home first; `gap` has one per competitor.
    """
    home, *competitors = offers

    def select_platform(platform: str) -> pl.DataFrame:
        return tournaments.select("tournament_key").join(
            rows.filter(platform=platform), on="tournament_key", how="left", maintain_order="left"
        )

    any_platform = select_platform(ANY_PLATFORM)
    competitor_frames = [select_platform(platform.key) for platform in competitors]
    return {
        "on": [
            any_platform.select(_mask_unknown_count("n_home", home))["n_home"].to_list(),
            *(
                frame.select(_mask_unknown_count("n_platform", platform))["n_platform"].to_list()
                for frame, platform in zip(competitor_frames, competitors, strict=True)
            ),
        ],
        "gap": [frame.select(_classify_gap())["gap"].to_list() for frame in competitor_frames],
        **list_columns(
            any_platform.select("n_matched", "n_home_only", "n_platform_only", "n_undetermined", "n_unidentified")
        ),
    }


def _mask_unknown_count(count: str, platform: PlatformOffer) -> pl.Expr:
    """Return a count, or `UNKNOWN_COUNT` if it is 0 and a part of the tournament could not be observed."""
    is_uncertain = (pl.col("n_undetermined") > 0) | pl.lit(platform.offer_status is OfferStatus.PARTIAL)
    return pl.when((pl.col(count) == 0) & is_uncertain).then(pl.lit(UNKNOWN_COUNT)).otherwise(count).alias(count)


def _classify_gap() -> pl.Expr:
    """Return the side that lacks the tournament, home or competitor, if both were observed."""
    is_certain = pl.col("n_undetermined") == 0
    return (
        pl.when(is_certain & pl.col("platform_gap"))
        .then(HOME_LACKS)
        .when(is_certain & pl.col("home_gap"))
        .then(PLATFORM_LACKS)
        .otherwise(NO_GAP)
        .alias("gap")
    )


def build_fixture_columns(coverage: Coverage, offers: Sequence[PlatformOffer]) -> dict[str, Any]:
    """Return the fixtures as columns, sorted by kickoff.

    - `tournament`: the position in `build_tournament_columns`.
    - `kickoff`: seconds since 1970.
    - `class`: the position in `FIXTURE_CLASSES`.
    - `on`, `unknown`, `listings`: bits of the platforms that list the fixture, that may list it, and that list it more
      than once.
    - `moved`, `markets`: one list per platform: seconds from the fixture's kickoff to the platform's, and the
      platform's number of markets with a price; null where it does not list the fixture.
    - `home_lacks`, `lacks`, `not_compared`: one list per competitor: the number of markets that only the competitor
      offers, that only home offers, and that were not compared because the two were not observed near the same time;
      null without any.
    """
    order = _list_tournaments(coverage).select("tournament_key").with_row_index("tournament")
    bits = {platform.key: 1 << place for place, platform in enumerate(offers)}
    partial_platforms = [platform.key for platform in offers if not platform.is_whole]
    counts_dtype = pl.Struct({platform.key: pl.Int32 for platform in offers})
    rows = (
        coverage.fixtures.join(order, on="tournament_key", how="left")
        .sort("effective_kickoff", "home_team", "sr_id")
        .with_columns(n_listings=pl.col("n_listings_by_platform").str.json_decode(counts_dtype))
    )
    listed = {key: pl.col("platforms").list.contains(key) for key in bits}
    is_open = pl.col("evidence") == PresenceEvidence.PARTIAL.value
    fixtures = rows.select(
        "sr_id",
        "tournament",
        "home_team",
        "away_team",
        "started",
        to_epoch_s_column("effective_kickoff").alias("kickoff"),
        pl.col("fixture_class").replace_strict(number_keys(FIXTURE_CLASSES), return_dtype=pl.Int8).alias("class"),
        _sum_bits({bit: listed[key] for key, bit in bits.items()}).alias("on"),
        _sum_bits({bits[key]: ~listed[key] & is_open for key in partial_platforms}).alias("unknown"),
        _sum_bits({bit: pl.col("n_listings").struct.field(key).fill_null(0) > 1 for key, bit in bits.items()}).alias(
            "listings"
        ),
        "kickoff_max_delta_s",
        "rotated",
        "suspect_code",
        stale_since=to_epoch_s_column("stale_since"),
    )
    claims = coverage.listings.join(coverage.fixtures.select("sr_id", "effective_kickoff"), on="sr_id").with_columns(
        moved=(pl.col("kickoff_at") - pl.col("effective_kickoff")).dt.total_seconds()
    )
    claims_by_platform, gaps = (
        [_align_rows(fixtures, rows.filter(platform=key)) for key in bits] for rows in (claims, coverage.gaps)
    )
    return {
        **list_columns(fixtures),
        "moved": [frame["moved"].to_list() for frame in claims_by_platform],
        "markets": [frame["n_markets_priced"].to_list() for frame in claims_by_platform],
        "home_lacks": [frame["n_home_missing"].to_list() for frame in gaps[1:]],
        "lacks": [frame["n_platform_missing"].to_list() for frame in gaps[1:]],
        "not_compared": [frame["n_unknown"].to_list() for frame in gaps[1:]],
    }


def list_leads(coverage: Coverage, offers: Sequence[PlatformOffer]) -> dict[int, list[list[Any]]]:
    """Return, for each fixture that only competitors list, when each platform first listed it.

    An entry is [position of the platform, first listed in seconds since 1970, whether it may have been listed earlier,
    days before kickoff].
    """
    position_by_platform = number_keys([platform.key for platform in offers])
    rows = coverage.leads.filter(pl.col("platform").is_in(position_by_platform)).select(
        "sr_id",
        pl.col("platform").replace_strict(position_by_platform, return_dtype=pl.Int8),
        to_epoch_s_column("first_listed_at"),
        "listed_censored",
        pl.col("lead_days_listed").round(2),
    )
    leads: dict[int, list[list[Any]]] = {}
    for sr_id, *rest in rows.sort("sr_id", "platform").iter_rows():
        leads.setdefault(sr_id, []).append(rest)
    return leads


def _align_rows(fixtures: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row per fixture in the order of `fixtures`, null where `rows` has none."""
    return fixtures.select("sr_id").join(rows, on="sr_id", how="left", maintain_order="left")


def _sum_bits(flags: dict[int, pl.Expr]) -> pl.Expr:
    """Return an expression for the sum of the bits whose flag is true."""
    return pl.sum_horizontal(pl.lit(0, pl.Int16), *(flag.cast(pl.Int16) * bit for bit, flag in flags.items()))
