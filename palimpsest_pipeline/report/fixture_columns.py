"""Tournaments and fixtures as columns for the page's script. Classes and counts are the mart's own; the script only
selects among them.

A count that could not be known is UNKNOWN, never nought. Sets of platforms are bits, by their place in the list of
platforms (home first).
"""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from palimpsest_pipeline.domain.enums import FixtureClass, PresenceEvidence
from palimpsest_pipeline.storage.marts.page_coverage import Coverage

from .page_data import list_columns, number_words, to_epoch_s_column
from .statements import OfferStatus, PlatformOffer

UNKNOWN_COUNT: Final = -1
ANY_PLATFORM: Final = "any"
FIXTURE_CLASSES: Final = tuple(word.value for word in FixtureClass)
NO_GAP, HOME_LACKS, PLATFORM_LACKS = 0, 1, 2


def build_tournament_columns(coverage: Coverage, offers: Sequence[PlatformOffer]) -> dict[str, Any]:
    """Columns of the tournaments by country and name, and for both universes (upcoming, started included) their counts,
    null without a row.

    A country has one spelling. `elsewhere`: for each tournament, the other countries in which platforms place it, and
    which platforms do.
    """
    named = _list_tournaments(coverage)
    return {
        "key": named["tournament_key"].to_list(),
        "name": named["display_name"].to_list(),
        "country": named["country"].to_list(),
        "elsewhere": _list_other_countries(coverage, named, offers),
        "counts": [
            _build_counts(coverage.tournaments.filter(pl.col("include_started") == started), named, offers)
            for started in (False, True)
        ],
    }


def _list_tournaments(found: Coverage) -> pl.DataFrame:
    """A row a tournament, in the order of the page."""
    by_country = (pl.col("country").str.to_lowercase(), "display_name", "tournament_key")
    told = (
        found.tournaments.select("tournament_key", "display_name", "country")
        .sort(pl.all())
        .unique("tournament_key", keep="first")
    )
    return _unify_country_names(told, found).sort(*by_country, nulls_last=True)


def _unify_country_names(rows: pl.DataFrame, found: Coverage) -> pl.DataFrame:
    """Return `rows` with one spelling per country: home's, else the most frequent one.

    One platform writes Czechia, another Czech Republic.
    """
    is_home = pl.col("platform") == found.home_platform
    by_use = (pl.col("n_home") * -1, pl.col("n") * -1, "country")
    spellings = (
        found.countries.drop_nulls("country_iso")
        .group_by("country_iso", "country")
        .agg(n_home=is_home.sum().cast(pl.Int64), n=pl.len().cast(pl.Int64))
        .sort("country_iso", *by_use)
        .with_columns(spelled=pl.col("country").first().over("country_iso"))
        .unique("country", keep="first", maintain_order=True)
    )
    alike = rows.join(spellings.select("country", "spelled"), on="country", how="left", maintain_order="left")
    return alike.with_columns(pl.coalesce("spelled", "country").alias("country")).drop("spelled")


def _list_other_countries(found: Coverage, named: pl.DataFrame, seen: Sequence[PlatformOffer]) -> list[list[list[Any]]]:
    place = number_words([platform.key for platform in seen])
    own = dict(named.select("tournament_key", "country").iter_rows())
    rows = (
        _unify_country_names(found.countries, found)
        .select("tournament_key", "country", "platform")
        .unique()
        .sort(pl.all())
    )
    elsewhere: dict[str, dict[str, list[int]]] = {}
    for key, country, platform in rows.iter_rows():
        if platform in place and own.get(key) != country:
            elsewhere.setdefault(key, {}).setdefault(country, []).append(place[platform])
    return [[[country, at] for country, at in elsewhere.get(key, {}).items()] for key in named["tournament_key"]]


def _build_counts(rows: pl.DataFrame, named: pl.DataFrame, seen: Sequence[PlatformOffer]) -> dict[str, Any]:
    """Of one universe; `on` and `gap` have a list a platform, home first."""
    home, *competitors = seen

    def of(platform: str) -> pl.DataFrame:
        return named.select("tournament_key").join(
            rows.filter(platform=platform), on="tournament_key", how="left", maintain_order="left"
        )

    everyone = of(ANY_PLATFORM)
    each = [of(platform.key) for platform in competitors]
    return {
        "on": [
            everyone.select(_mask_unknown_count("n_home", home))["n_home"].to_list(),
            *(
                frame.select(_mask_unknown_count("n_platform", platform))["n_platform"].to_list()
                for frame, platform in zip(each, competitors, strict=True)
            ),
        ],
        "gap": [frame.select(_classify_gap())["gap"].to_list() for frame in each],
        **list_columns(
            everyone.select("n_matched", "n_home_only", "n_platform_only", "n_undetermined", "n_unidentified")
        ),
    }


def _mask_unknown_count(count: str, platform: PlatformOffer) -> pl.Expr:
    """None is known to be there only where somebody looked."""
    unseen = (pl.col("n_undetermined") > 0) | pl.lit(platform.seen is OfferStatus.PARTIAL)
    return pl.when((pl.col(count) == 0) & unseen).then(pl.lit(UNKNOWN_COUNT)).otherwise(count).alias(count)


def _classify_gap() -> pl.Expr:
    """Who of home and the competitor lacks the tournament, where both were looked at."""
    certain = pl.col("n_undetermined") == 0
    return (
        pl.when(certain & pl.col("platform_gap"))
        .then(HOME_LACKS)
        .when(certain & pl.col("home_gap"))
        .then(PLATFORM_LACKS)
        .otherwise(NO_GAP)
        .alias("gap")
    )


def build_fixture_columns(coverage: Coverage, offers: Sequence[PlatformOffer]) -> dict[str, Any]:
    """Columns of the fixtures by kickoff.

    `tournament`: its place among `build_tournament_columns`; `kickoff`: seconds since 1970; `class`: its place in
    CLASSES; `on`: bits of the platforms that list it; `unknown`: bits of those of which that cannot be said;
    `listings`: bits of those that list it more than once; `moved`, `markets`: a list a platform, seconds by which its
    kickoff is later than the fixture's, and markets with a price, null where it does not list it; `home_lacks`,
    `lacks`, `not_compared`: a list a competitor, markets that it offers and home lacks, the other way round, and those
    of which neither is known, since home and it were not looked at together; null without any.
    """
    order = _list_tournaments(coverage).select("tournament_key").with_row_index("tournament")
    bits = {platform.key: 1 << place for place, platform in enumerate(offers)}
    unseen = [platform.key for platform in offers if not platform.is_whole]
    many = pl.Struct({platform.key: pl.Int32 for platform in offers})
    rows = (
        coverage.fixtures.join(order, on="tournament_key", how="left")
        .sort("effective_kickoff", "home_team", "sr_id")
        .with_columns(n_listings=pl.col("n_listings_by_platform").str.json_decode(many))
    )
    listed = {key: pl.col("platforms").list.contains(key) for key in bits}
    open_ = pl.col("evidence") == PresenceEvidence.PARTIAL.value
    shown = rows.select(
        "sr_id",
        "tournament",
        "home_team",
        "away_team",
        "started",
        to_epoch_s_column("effective_kickoff").alias("kickoff"),
        pl.col("fixture_class").replace_strict(number_words(FIXTURE_CLASSES), return_dtype=pl.Int8).alias("class"),
        _sum_bits({bit: listed[key] for key, bit in bits.items()}).alias("on"),
        _sum_bits({bits[key]: ~listed[key] & open_ for key in unseen}).alias("unknown"),
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
    each, gaps = ([_align_rows(shown, rows.filter(platform=key)) for key in bits] for rows in (claims, coverage.gaps))
    return {
        **list_columns(shown),
        "moved": [frame["moved"].to_list() for frame in each],
        "markets": [frame["n_markets_priced"].to_list() for frame in each],
        "home_lacks": [frame["n_home_missing"].to_list() for frame in gaps[1:]],
        "lacks": [frame["n_platform_missing"].to_list() for frame in gaps[1:]],
        "not_compared": [frame["n_unknown"].to_list() for frame in gaps[1:]],
    }


def list_leads(coverage: Coverage, offers: Sequence[PlatformOffer]) -> dict[int, list[list[Any]]]:
    """Of fixtures that competitors alone list: [place of the platform, first listed in seconds since 1970, whether
    it may be older, days of lead].
    """
    place = number_words([platform.key for platform in offers])
    rows = coverage.leads.filter(pl.col("platform").is_in(place)).select(
        "sr_id",
        pl.col("platform").replace_strict(place, return_dtype=pl.Int8),
        to_epoch_s_column("first_listed_at"),
        "listed_censored",
        pl.col("lead_days_listed").round(2),
    )
    told: dict[int, list[list[Any]]] = {}
    for sr_id, *rest in rows.sort("sr_id", "platform").iter_rows():
        told.setdefault(sr_id, []).append(rest)
    return told


def _align_rows(shown: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """A row a fixture, in the order of `shown`, null where `rows` has none."""
    return shown.select("sr_id").join(rows, on="sr_id", how="left", maintain_order="left")


def _sum_bits(flags: dict[int, pl.Expr]) -> pl.Expr:
    """The sum of the bits whose flag is set."""
    return pl.sum_horizontal(pl.lit(0, pl.Int16), *(flag.cast(pl.Int16) * bit for bit, flag in flags.items()))
