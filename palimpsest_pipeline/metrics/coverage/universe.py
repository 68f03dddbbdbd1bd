"""The state of every fixture on every platform at an instant: listed, missing, or not observed.

All coverage numbers are counted from these states, so each fixture is classified only once. This module does not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import ListingKind, Platform, PresenceEvidence
from palimpsest_pipeline.domain.platform_trust import put_home_first
from palimpsest_pipeline.domain.schemas import INSTANT

ANY_COMPETITOR: Final = "any"
"""Value of `platform` in pairs that compare home with all competitors together."""
_RANK_BY_EVIDENCE: Final = {
    PresenceEvidence.COMPLETE.value: 0,
    PresenceEvidence.CARRIED.value: 1,
    PresenceEvidence.PARTIAL.value: 2,
}
_EVIDENCE_BY_RANK: Final = {rank: word for word, rank in _RANK_BY_EVIDENCE.items()}
PARTIAL_RANK: Final = _RANK_BY_EVIDENCE[PresenceEvidence.PARTIAL.value]


@dataclass(frozen=True)
class CoverageUniverse:
    """The frames from which coverage is counted, made by `CoverageUniverse.build`."""

    as_of: datetime
    home: Platform
    platforms: tuple[Platform, ...]
    """The compared platforms in order of trust, home first."""
    listings: pl.DataFrame
    """Listings of matches, with `fixture_sr_id`, `tournament_key` and `started`.

    `tournament_key` is that of the fixture; a listing without a fixture has the key of its platform's tournament.
    """
    fixtures: pl.DataFrame
    """The columns of core.fixtures and `started`."""
    tournaments: pl.DataFrame
    """One row per tournament in use: tournament_key, sport, country, display_name."""
    looked_tournaments: pl.DataFrame
    cells: pl.DataFrame
    """One row per fixture and platform: sr_id, platform, listed, missing, evidence_rank, stale_since.

    Where neither listed nor missing is true, the platform could not be observed.
    """
    pairs: pl.DataFrame
    """One row per fixture and competitor (or `any`).

    The columns are sr_id, tournament_key, effective_kickoff, started, platform, on_home, on_platform and outcome:
    matched, home_only, platform_only, undetermined, or null when neither side lists the fixture.
    """

    @property
    def competitors(self) -> tuple[Platform, ...]:
        return self.platforms[1:]

    @classmethod
    def build(
        cls,
        identified: pl.DataFrame,
        fixtures: pl.DataFrame,
        looked_tournaments: pl.DataFrame,
        links: pl.DataFrame,
        tournaments: pl.DataFrame,
        *,
        as_of: datetime,
        home: Platform,
        platforms: Sequence[Platform],
    ) -> "CoverageUniverse":
        """Return the universe of the listings `identified` as of an instant.

        `identified` has `evidence` and `stale_since`. `fixtures`, `links` and `tournaments` are the result of matching
        these listings with home first in trust. `platforms` are in order of trust. `looked_tournaments` tells
        when each tournament of a platform was observed completely: platform, tournament_external_id, evidence and
        stale_since, as `storage.catalog.listings_as_of.read_universe` returns them. The tournament `*` stands for
        the whole platform; without this row the platform was never observed.

        Raises ValueError on a naive `as_of`, when home is not among the platforms, without a competitor, and on
        listings of other platforms or of fixtures that are not in `fixtures`.
        """
        order = _order_platforms(home, platforms)
        if as_of.tzinfo is None:
            raise ValueError(f"naive datetime {as_of!r}: instants carry a time zone here")
        matches = identified.filter(pl.col("kind") == ListingKind.MATCH.value)
        unknown_platforms = set(matches["platform"].unique()) - set(order)
        if unknown_platforms:
            raise ValueError(f"listings of platforms that are not compared: {', '.join(sorted(unknown_platforms))}")
        orphans = matches.filter(pl.col("fixture_sr_id").is_not_null()).join(
            fixtures, left_on="fixture_sr_id", right_on="sr_id", how="anti"
        )
        if not orphans.is_empty():
            raise ValueError(
                f"listings of fixtures that are not given: {orphans['fixture_sr_id'].unique().sort().head(5).to_list()}"
            )
        listed_fixtures = fixtures.join(matches, left_on="sr_id", right_on="fixture_sr_id", how="semi").with_columns(
            started=pl.col("effective_kickoff") <= pl.lit(as_of, INSTANT)
        )
        listings = _add_fixture(matches, listed_fixtures, links, as_of)
        cells = _build_cells(listings, listed_fixtures, looked_tournaments, links, order)
        return cls(
            as_of=as_of,
            home=order[0],
            platforms=order,
            listings=listings,
            fixtures=listed_fixtures.sort("sr_id"),
            tournaments=_name_tournaments(tournaments, listings, order),
            looked_tournaments=looked_tournaments,
            cells=cells,
            pairs=_build_pairs(cells, listed_fixtures, order[0]),
        )


def name_evidence(rank: pl.Expr) -> pl.Expr:
    """Return the evidence with this rank. A higher rank is weaker evidence."""
    return rank.replace_strict(_EVIDENCE_BY_RANK, return_dtype=pl.String)


def rank_evidence(evidence: pl.Expr) -> pl.Expr:
    """Return the rank of evidence. Null stays null; an unknown value raises an error."""
    return evidence.replace_strict(_RANK_BY_EVIDENCE, return_dtype=pl.Int8)


def _order_platforms(home: Platform, platforms: Sequence[Platform]) -> tuple[Platform, ...]:
    order = put_home_first(home, platforms)
    if len(order) == 1:
        raise ValueError(f"coverage compares {home} with competitors: give at least one")
    return order


def _add_fixture(matches: pl.DataFrame, fixtures: pl.DataFrame, links: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Return listings of matches with the tournament of their fixture and whether the fixture has started.

    A listing without a fixture has the tournament and kickoff of the listing itself. Without a kickoff it has not
    started.
    """
    keys = links.select("platform", tournament_external_id="external_id", own_key="tournament_key")
    unlinked_key = pl.col("platform") + ":" + pl.col("tournament_external_id")
    return (
        matches.join(
            fixtures.select("sr_id", "tournament_key", "started"), left_on="fixture_sr_id", right_on="sr_id", how="left"
        )
        .join(keys, on=["platform", "tournament_external_id"], how="left")
        .with_columns(
            pl.coalesce("tournament_key", "own_key", unlinked_key).alias("tournament_key"),
            pl.coalesce("started", pl.col("kickoff_at") <= pl.lit(as_of, INSTANT), pl.lit(value=False)).alias(
                "started"
            ),
        )
        .drop("own_key")
    )


def _name_tournaments(tournaments: pl.DataFrame, listings: pl.DataFrame, order: Sequence[Platform]) -> pl.DataFrame:
    """Return the tournaments in use. Names missing in `tournaments` are taken from the listings."""
    ranks = pl.DataFrame(
        {"platform": list(order), "rank": range(len(order))}, schema={"platform": pl.String, "rank": pl.Int32}
    )
    unlinked = (
        listings.join(tournaments, on="tournament_key", how="anti")
        .join(ranks, on="platform")
        .sort("tournament_key", "rank", "external_id")
        .unique(subset="tournament_key", keep="first", maintain_order=True)
        .select("tournament_key", "sport", country="country_raw", display_name="tournament_name")
    )
    linked = tournaments.select("tournament_key", "sport", "country", "display_name").join(
        listings, on="tournament_key", how="semi"
    )
    return pl.concat([linked, unlinked]).sort("tournament_key")


def _build_cells(
    listings: pl.DataFrame,
    fixtures: pl.DataFrame,
    looked_tournaments: pl.DataFrame,
    links: pl.DataFrame,
    order: Sequence[Platform],
) -> pl.DataFrame:
    """Return the state of every fixture on every platform (`CoverageUniverse.cells`).

    A fixture is known to be missing when the discovery covered all tournaments of the platform, or all its tournaments
    that are linked to the fixture's. Otherwise, for example when a known tournament was not received, its state is
    unknown.
    """
    grid = fixtures.select("sr_id", "tournament_key").join(
        pl.DataFrame({"platform": list(order)}, schema={"platform": pl.String}), how="cross"
    )
    looks = looked_tournaments.select(
        "platform", "tournament_external_id", "stale_since", rank=rank_evidence(pl.col("evidence"))
    )
    platform_looks = looks.filter(pl.col("tournament_external_id") == "*").select(
        "platform", whole_rank="rank", whole_stale="stale_since"
    )
    linked = (
        links.select("platform", "tournament_key", tournament_external_id="external_id")
        .join(looks, on=["platform", "tournament_external_id"], how="left")
        .join(platform_looks, on="platform")
        # A tournament without a row of its own has the evidence and the age of the platform's whole discovery.
        .with_columns(
            stale_since=pl.when(pl.col("rank").is_null()).then("whole_stale").otherwise("stale_since"),
            rank=pl.coalesce("rank", "whole_rank"),
        )
        .group_by("platform", "tournament_key")
        .agg(
            pl.col("rank").max().alias("linked_rank"),
            pl.col("stale_since").filter(pl.col("rank") == 1).min().alias("linked_stale"),
        )
    )
    absence = (
        pl.when(pl.col("whole_rank") == 0)
        .then(0)
        .when(pl.col("whole_rank").is_null())
        .then(PARTIAL_RANK)
        .otherwise(pl.coalesce("linked_rank", "whole_rank"))
    )
    stale = pl.coalesce(
        pl.when(pl.col("linked_rank") == 1).then("linked_stale"), pl.when(pl.col("whole_rank") == 1).then("whole_stale")
    )
    return (
        grid.join(_find_best_sightings(listings), on=["sr_id", "platform"], how="left")
        .join(platform_looks, on="platform", how="left")
        .join(linked, on=["platform", "tournament_key"], how="left")
        .with_columns(listed=pl.col("seen_rank").is_not_null(), absence_rank=absence)
        .with_columns(evidence_rank=pl.coalesce("seen_rank", "absence_rank").cast(pl.Int8))
        .select(
            "sr_id",
            "platform",
            "listed",
            missing=~pl.col("listed") & (pl.col("absence_rank") < PARTIAL_RANK),
            evidence_rank="evidence_rank",
            stale_since=pl.when(pl.col("evidence_rank") == 1).then(
                pl.when("listed").then("seen_stale").otherwise(stale)
            ),
        )
        .sort("sr_id", "platform")
    )


def _find_best_sightings(listings: pl.DataFrame) -> pl.DataFrame:
    """Return, per fixture and platform, the strongest evidence that the fixture is listed."""
    return (
        listings.filter(pl.col("fixture_sr_id").is_not_null())
        .with_columns(rank=rank_evidence(pl.col("evidence")).fill_null(PARTIAL_RANK))
        .group_by(pl.col("fixture_sr_id").alias("sr_id"), "platform")
        .agg(
            pl.col("rank").min().alias("seen_rank"),
            pl.col("stale_since").filter(pl.col("rank") == 1).max().alias("seen_stale"),
        )
    )


def _build_pairs(cells: pl.DataFrame, fixtures: pl.DataFrame, home: Platform) -> pl.DataFrame:
    home_cells = cells.filter(pl.col("platform") == home).select("sr_id", on_home="listed", home_missing="missing")
    competitor_cells = cells.filter(pl.col("platform") != home).select(
        "sr_id", "platform", on_platform="listed", platform_missing="missing"
    )
    union_cells = competitor_cells.group_by("sr_id").agg(
        pl.lit(ANY_COMPETITOR).alias("platform"), pl.col("on_platform").any(), pl.col("platform_missing").all()
    )
    on_home, on_platform = pl.col("on_home"), pl.col("on_platform")
    outcome = (
        pl.when(on_home & on_platform)
        .then(pl.lit("matched"))
        .when(on_home & pl.col("platform_missing"))
        .then(pl.lit("home_only"))
        .when(on_platform & pl.col("home_missing"))
        .then(pl.lit("platform_only"))
        .when(on_home | on_platform)
        .then(pl.lit("undetermined"))
    )
    return (
        pl.concat([competitor_cells, union_cells.select(competitor_cells.columns)])
        .join(home_cells, on="sr_id")
        .join(fixtures.select("sr_id", "tournament_key", "effective_kickoff", "started"), on="sr_id")
        .select(
            "sr_id",
            "tournament_key",
            "effective_kickoff",
            "started",
            "platform",
            "on_home",
            "on_platform",
            outcome=outcome,
        )
        .sort("sr_id", "platform")
    )
