"""What is known, as of an instant, of every fixture on every platform: listed, known to be missing, or not looked at.
Every coverage number is counted from these cells, so that a fixture is classified once. No counting here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import ListingKind, Platform, PresenceEvidence
from palimpsest_pipeline.domain.platform_trust import order_by_trust
from palimpsest_pipeline.domain.schemas import INSTANT

ANY_COMPETITOR: Final = "any"
"""All competitors together, in `pairs`."""
_RANK_BY_EVIDENCE: Final = {
    PresenceEvidence.COMPLETE.value: 0,
    PresenceEvidence.CARRIED.value: 1,
    PresenceEvidence.PARTIAL.value: 2,
}
_EVIDENCE_BY_RANK: Final = {rank: word for word, rank in _RANK_BY_EVIDENCE.items()}
PARTIAL_RANK: Final = _RANK_BY_EVIDENCE[PresenceEvidence.PARTIAL.value]


@dataclass(frozen=True)
class CoverageUniverse:
    """All frames that coverage is counted from. Made by `Universe.build`."""

    as_of: datetime
    home: Platform
    platforms: tuple[Platform, ...]
    """In order of trust, home first."""
    listings: pl.DataFrame
    """Match listings with `fixture_sr_id`, `tournament_key` (the fixture's; the platform tournament's where
    unidentified) and `started`.
    """
    fixtures: pl.DataFrame
    """core.fixtures columns and `started`."""
    tournaments: pl.DataFrame
    """`tournament_key, sport, country, display_name` of every key in use."""
    looked_tournaments: pl.DataFrame
    cells: pl.DataFrame
    """Fixture x platform: `sr_id, platform, listed, missing, evidence_rank, stale_since`.

    Neither listed nor missing: could not be looked at.
    """
    pairs: pl.DataFrame
    """Fixture x (competitor or `any`): `sr_id, tournament_key, effective_kickoff, started, platform, on_home,
    on_platform, outcome`, where outcome is matched, home_only, platform_only, undetermined, or null when neither side
    lists it."""

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
        home: Platform | str,
        platforms: Sequence[Platform | str],
    ) -> "CoverageUniverse":
        """`identified`: listings as of the instant with `evidence` and `stale_since`; `fixtures`, `links`,
        `tournaments`: matched from these very listings (with home first in trust); `looked`: columns
        `LOOKED_TOURNAMENTS`.

        Raises ValueError on a naive `as_of`, when home is not among the platforms, without a competitor, and on
        listings of other platforms or of fixtures that are not in `fixtures`.
        """
        order = _order_platforms(home, platforms)
        if as_of.tzinfo is None:
            raise ValueError(f"naive datetime {as_of!r}: instants carry a time zone here")
        matches = identified.filter(pl.col("kind") == ListingKind.MATCH.value)
        strangers = set(matches["platform"].unique()) - set(order)
        if strangers:
            raise ValueError(f"listings of platforms that are not compared: {', '.join(sorted(strangers))}")
        lost = matches.filter(pl.col("fixture_sr_id").is_not_null()).join(
            fixtures, left_on="fixture_sr_id", right_on="sr_id", how="anti"
        )
        if not lost.is_empty():
            raise ValueError(
                f"listings of fixtures that are not given: {lost['fixture_sr_id'].unique().sort().head(5).to_list()}"
            )
        present = fixtures.join(matches, left_on="sr_id", right_on="fixture_sr_id", how="semi").with_columns(
            started=pl.col("effective_kickoff") <= pl.lit(as_of, INSTANT)
        )
        listings = _add_fixture(matches, present, links, as_of)
        cells = _build_cells(listings, present, looked_tournaments, links, order)
        return cls(
            as_of=as_of,
            home=order[0],
            platforms=order,
            listings=listings,
            fixtures=present.sort("sr_id"),
            tournaments=_name_tournaments(tournaments, listings, order),
            looked_tournaments=looked_tournaments,
            cells=cells,
            pairs=_build_pairs(cells, present, order[0]),
        )


def name_evidence(rank: pl.Expr) -> pl.Expr:
    """Evidence of a rank: the higher, the weaker."""
    return rank.replace_strict(_EVIDENCE_BY_RANK, return_dtype=pl.String)


def rank_evidence(evidence: pl.Expr) -> pl.Expr:
    """Rank of evidence; an unknown word is an error, null stays null."""
    return evidence.replace_strict(_RANK_BY_EVIDENCE, return_dtype=pl.Int8)


def _order_platforms(home: Platform | str, platforms: Sequence[Platform | str]) -> tuple[Platform, ...]:
    order = order_by_trust(home, platforms)
    if len(order) == 1:
        raise ValueError(f"coverage compares {home} with competitors: give at least one")
    return order


def _add_fixture(matches: pl.DataFrame, fixtures: pl.DataFrame, links: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """A listing of a fixture stands and falls with the fixture's kickoff and tournament; an unidentified one has only
    its own. One without a kickoff has not started."""
    keys = links.select("platform", tournament_external_id="external_id", own_key="tournament_key")
    alone = pl.col("platform") + ":" + pl.col("tournament_external_id")
    return (
        matches.join(
            fixtures.select("sr_id", "tournament_key", "started"), left_on="fixture_sr_id", right_on="sr_id", how="left"
        )
        .join(keys, on=["platform", "tournament_external_id"], how="left")
        .with_columns(
            pl.coalesce("tournament_key", "own_key", alone).alias("tournament_key"),
            pl.coalesce("started", pl.col("kickoff_at") <= pl.lit(as_of, INSTANT), pl.lit(value=False)).alias(
                "started"
            ),
        )
        .drop("own_key")
    )


def _name_tournaments(tournaments: pl.DataFrame, listings: pl.DataFrame, order: Sequence[Platform]) -> pl.DataFrame:
    """Tournaments in use; one that the crosswalk does not hold stands alone under its listings' own words."""
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
    used = tournaments.select("tournament_key", "sport", "country", "display_name").join(
        listings, on="tournament_key", how="semi"
    )
    return pl.concat([used, unlinked]).sort("tournament_key")


def _build_cells(
    listings: pl.DataFrame,
    fixtures: pl.DataFrame,
    looked_tournaments: pl.DataFrame,
    links: pl.DataFrame,
    order: Sequence[Platform],
) -> pl.DataFrame:
    """What each platform says of each fixture. Absence is known when the platform's every tournament was looked at, or
    when each of its tournaments linked to the fixture's was; a tournament known but not received leaves it open."""
    grid = fixtures.select("sr_id", "tournament_key").join(
        pl.DataFrame({"platform": list(order)}, schema={"platform": pl.String}), how="cross"
    )
    known = looked_tournaments.select(
        "platform", "tournament_external_id", "stale_since", rank=rank_evidence(pl.col("evidence"))
    )
    whole = known.filter(pl.col("tournament_external_id") == "*").select(
        "platform", whole_rank="rank", whole_stale="stale_since"
    )
    linked = (
        links.select("platform", "tournament_key", tournament_external_id="external_id")
        .join(known, on=["platform", "tournament_external_id"], how="left")
        .join(whole, on="platform")
        # A tournament that has no row of its own was looked at when, and as well as, the platform was.
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
        .join(whole, on="platform", how="left")
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
    """The best sighting of each fixture on each platform."""
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
    ours = cells.filter(pl.col("platform") == home).select("sr_id", on_home="listed", home_missing="missing")
    theirs = cells.filter(pl.col("platform") != home).select(
        "sr_id", "platform", on_platform="listed", platform_missing="missing"
    )
    together = theirs.group_by("sr_id").agg(
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
        pl.concat([theirs, together.select(theirs.columns)])
        .join(ours, on="sr_id")
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
