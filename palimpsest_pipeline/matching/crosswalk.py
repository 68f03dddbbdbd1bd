"""The crosswalk: which tournaments of the platforms are the same tournament.

It uses SportRadar's tournament ids and shared fixtures, never names: two leagues called Premier League in two countries
have no fixture in common and stay separate.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import ListingKind, Platform
from palimpsest_pipeline.domain.platform_trust import put_home_first
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from .identify_listings import make_id_sort_keys

TOURNAMENTS_SCHEMA: Final = get_frame_schema("core.tournaments")
LINKS_SCHEMA: Final = get_frame_schema("core.tournament_links")
_TOURNAMENT_ID_COLUMNS: Final = ["platform", "external_id"]


def build_crosswalk(
    identified: pl.DataFrame, platforms: Sequence[Platform], home: Platform
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return `(tournaments, links)` of all platform tournaments that list a match.

    Their columns are `TOURNAMENTS_SCHEMA` and `LINKS_SCHEMA`, as in core. `identified` is the result of
    `identify_listings`; `platforms` are in order of trust.

    A platform tournament with SportRadar's id has the key `sr:<id>`. One without joins the tournament that holds most
    of its fixtures on other platforms. Tournaments without any link to a SportRadar id join the one on the most
    trusted platform (`<platform>:<external id>`), and a group that mixes several tournaments stays alone. Keys do not
    depend on `home`, whose name and country are displayed first.

    `n_votes` counts fixtures shared with other platforms under the same key; `confidence` is their share of all shared
    fixtures, a number in [0, 1]. It is 1 for a tournament with its own SportRadar id and for one without shared
    fixtures, so a low value shows a conflict.
    """
    listings = identified.filter(pl.col("kind") == ListingKind.MATCH.value).with_columns(
        external_id="tournament_external_id", listing="external_id"
    )
    platform_tournaments = _collect_platform_tournaments(listings)
    shared = _find_shared_fixtures(listings, platform_tournaments)
    mixed_groups = _find_mixed_groups(shared)
    other_groups = mixed_groups.rename({"platform": "platform_other", "external_id": "external_id_other"})
    votes = shared.join(mixed_groups, on=_TOURNAMENT_ID_COLUMNS, how="anti").join(
        other_groups, on=["platform_other", "external_id_other"], how="anti"
    )
    keys = _assign_keys(platform_tournaments, votes, platforms)
    trust = put_home_first(home, platforms)
    return _build_tournaments(platform_tournaments, keys, trust), _build_links(platform_tournaments, shared, keys)


def _collect_platform_tournaments(listings: pl.DataFrame) -> pl.DataFrame:
    """Return one row per platform tournament.

    Where its listings disagree, the value of most matches is used, of equally frequent values the smallest.
    """
    match = pl.coalesce(pl.col("fixture_sr_id").cast(pl.String), pl.lit("listing ") + pl.col("listing"))
    tournaments = listings.group_by(_TOURNAMENT_ID_COLUMNS).agg(match.n_unique().alias("n_matches"))
    for column in ("sport", "tournament_name", "country_raw", "country_iso", "sr_tournament_id"):
        most_frequent = (
            listings.filter(pl.col(column).is_not_null())
            .group_by(*_TOURNAMENT_ID_COLUMNS, column)
            .agg(match.n_unique().alias("n"))
            .sort("n", column, descending=[True, False])
            .unique(subset=_TOURNAMENT_ID_COLUMNS, keep="first", maintain_order=True)
            .drop("n")
        )
        tournaments = tournaments.join(most_frequent, on=_TOURNAMENT_ID_COLUMNS, how="left")
    return tournaments


def _find_shared_fixtures(listings: pl.DataFrame, platform_tournaments: pl.DataFrame) -> pl.DataFrame:
    """Return one row per platform tournament, fixture, and another platform's tournament of the fixture.

    `foreign` is true when both tournaments name a country and the countries differ.
    """
    members = (
        listings.filter(pl.col("fixture_sr_id").is_not_null()).select(*_TOURNAMENT_ID_COLUMNS, "fixture_sr_id").unique()
    )
    members = members.join(
        platform_tournaments.select(*_TOURNAMENT_ID_COLUMNS, "country_iso"), on=_TOURNAMENT_ID_COLUMNS, how="left"
    )
    country, other_country = pl.col("country_iso"), pl.col("country_iso_other")
    same_country = country.str.starts_with(other_country.str.slice(0, 2)) & (
        (country == other_country) | (country.str.len_bytes() == 2) | (other_country.str.len_bytes() == 2)
    )
    return (
        members.join(members, on="fixture_sr_id", suffix="_other")
        .filter(pl.col("platform") != pl.col("platform_other"))
        .with_columns(foreign=~same_country.fill_null(value=True))
        .drop("country_iso", "country_iso_other")
    )


def _find_mixed_groups(shared: pl.DataFrame) -> pl.DataFrame:
    """Return the platform tournaments that mix matches of several tournaments, such as special offers.

    On the platform that shares most of its fixtures, no tournament has more than half of them. Its fixtures do not
    count as votes.
    """
    fixture = pl.col("fixture_sr_id").n_unique()
    other = [*_TOURNAMENT_ID_COLUMNS, "platform_other"]
    largest = (
        shared.group_by(*other, "external_id_other").agg(fixture.alias("n")).group_by(other).agg(pl.col("n").max())
    )
    return (
        shared.group_by(other)
        .agg(fixture.alias("n_shared"))
        .join(largest, on=other)
        .sort("n_shared", "n", descending=True)
        .unique(subset=_TOURNAMENT_ID_COLUMNS, keep="first", maintain_order=True)
        .filter(pl.col("n") * 2 <= pl.col("n_shared"))
        .select(_TOURNAMENT_ID_COLUMNS)
    )


def _assign_keys(
    platform_tournaments: pl.DataFrame, shared: pl.DataFrame, platforms: Sequence[Platform]
) -> pl.DataFrame:
    """Return the key of every platform tournament.

    A fixture that is also in another platform's tournament is a vote for that tournament's key. Votes are counted in
    rounds. All votes of a round count at once, so the order of the rows has no influence.
    """
    own_keys = platform_tournaments.select(
        *_TOURNAMENT_ID_COLUMNS, tournament_key=pl.lit("sr:") + pl.col("sr_tournament_id").cast(pl.String)
    )
    keys = own_keys.filter(pl.col("tournament_key").is_not_null())
    for platform in (None, *_list_platforms(platform_tournaments, platforms)):
        open_tournaments = own_keys.join(keys, on=_TOURNAMENT_ID_COLUMNS, how="anti").select(_TOURNAMENT_ID_COLUMNS)
        if platform is not None:  # no SportRadar id: its own id becomes the key
            unlinked = open_tournaments.filter(pl.col("platform") == platform)
            keys = pl.concat(
                [keys, unlinked.with_columns(tournament_key=pl.col("platform") + ":" + pl.col("external_id"))]
            )
        while True:
            elected = _elect_keys(open_tournaments.join(keys, on=_TOURNAMENT_ID_COLUMNS, how="anti"), shared, keys)
            if elected.is_empty():
                break
            keys = pl.concat([keys, elected])
    return keys


def _elect_keys(open_tournaments: pl.DataFrame, shared: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    """Return for each open tournament the key for which most of its shared fixtures vote.

    A key of another country needs two votes and the majority: one SportRadar id on two matches by mistake must not join
    two leagues.
    """
    fixture = pl.col("fixture_sr_id")
    total = shared.group_by(_TOURNAMENT_ID_COLUMNS).agg(fixture.n_unique().alias("n_shared"))
    votes = (
        shared.join(open_tournaments, on=_TOURNAMENT_ID_COLUMNS)
        .join(
            keys.rename({"platform": "platform_other", "external_id": "external_id_other"}),
            on=["platform_other", "external_id_other"],
        )
        .group_by(*_TOURNAMENT_ID_COLUMNS, "tournament_key")
        .agg(fixture.n_unique().alias("n_votes"), fixture.filter(~pl.col("foreign")).n_unique().alias("n_domestic"))
        .join(total, on=_TOURNAMENT_ID_COLUMNS)
        .filter((pl.col("n_domestic") > 0) | ((pl.col("n_votes") > 1) & (pl.col("n_votes") * 2 > pl.col("n_shared"))))
    )
    return (
        votes.sort("n_votes", "n_domestic", "tournament_key", descending=[True, True, False])
        .unique(subset=_TOURNAMENT_ID_COLUMNS, keep="first", maintain_order=True)
        .select(*_TOURNAMENT_ID_COLUMNS, "tournament_key")
    )


def _build_links(platform_tournaments: pl.DataFrame, shared: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    fixture = pl.col("fixture_sr_id")
    other_keys = keys.rename(
        {"platform": "platform_other", "external_id": "external_id_other", "tournament_key": "key_other"}
    )
    is_agreed = pl.col("tournament_key") == pl.col("key_other")
    votes = (
        shared.join(keys, on=_TOURNAMENT_ID_COLUMNS)
        .join(other_keys, on=["platform_other", "external_id_other"])
        .group_by(_TOURNAMENT_ID_COLUMNS)
        .agg(fixture.filter(is_agreed).n_unique().alias("n_votes"), fixture.n_unique().alias("n_shared"))
    )
    own_id = pl.col("sr_tournament_id").is_not_null()
    linked = (
        platform_tournaments.join(keys, on=_TOURNAMENT_ID_COLUMNS)
        .join(votes, on=_TOURNAMENT_ID_COLUMNS, how="left")
        .with_columns(pl.col("n_votes", "n_shared").fill_null(0))
        .with_columns(
            method=pl.when(own_id)
            .then(pl.lit("sportradar"))
            .when(pl.col("n_votes") > 0)
            .then(pl.lit("votes"))
            .otherwise(pl.lit("alone")),
            confidence=pl.when(own_id | (pl.col("n_shared") == 0))
            .then(1.0)
            .otherwise(pl.col("n_votes") / pl.col("n_shared")),
        )
    )
    return linked.sort("platform", *make_id_sort_keys("external_id")).select(
        pl.col(name).cast(dtype) for name, dtype in LINKS_SCHEMA.items()
    )


def _build_tournaments(
    platform_tournaments: pl.DataFrame, keys: pl.DataFrame, trust: Sequence[Platform]
) -> pl.DataFrame:
    """Return each tournament with name and country from the most trusted platform.

    The country comes from the most trusted platform that names one. If a platform has two tournaments with this key,
    the one with more matches is used.
    """
    ranks = pl.DataFrame(
        {"platform": list(trust), "rank": range(len(trust))},
        schema={"platform": pl.String, "rank": pl.Int32},
    )
    rows = (
        platform_tournaments.join(keys, on=_TOURNAMENT_ID_COLUMNS)
        .join(ranks, on="platform", how="left")
        .sort(
            "tournament_key",
            pl.col("rank").fill_null(len(trust)),
            "platform",
            -pl.col("n_matches").cast(pl.Int64),
            *make_id_sort_keys("external_id"),
        )
        .group_by("tournament_key", maintain_order=True)
        .agg(
            pl.col("sport").first(),
            pl.col("country_raw").drop_nulls().first().alias("country"),
            pl.col("tournament_name").first().alias("display_name"),
        )
    )
    return rows.select(pl.col(name).cast(dtype) for name, dtype in TOURNAMENTS_SCHEMA.items())


def _list_platforms(platform_tournaments: pl.DataFrame, platforms: Sequence[Platform]) -> list[str]:
    order = list(platforms)
    return sorted(
        platform_tournaments["platform"].unique(), key=lambda p: (order.index(p) if p in order else len(order), p)
    )
