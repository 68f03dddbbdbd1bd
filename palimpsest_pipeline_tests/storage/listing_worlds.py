"""Small worlds of cycles and listings for the tests: what a platform lists, and what discovery made of it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import Platform, Scope, Trigger
from palimpsest_pipeline.domain.instants import floor_to_hour, make_cycle_id
from palimpsest_pipeline.storage.catalog import listings as store
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, PLATFORMS

START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
KICKOFF = datetime(2026, 5, 3, 18, 0, tzinfo=UTC)


def cycle(minutes: int, scope: Scope = Scope.FULL, home: Platform = BETPAWA) -> store.CycleFacts:
    """A cycle so many minutes after START; its discovery ends one minute later."""
    begun = START + timedelta(minutes=minutes)
    return store.CycleFacts(
        make_cycle_id(begun), floor_to_hour(begun), Trigger.SCHEDULED, scope, home, begun + timedelta(minutes=1)
    )


def listing(external_id: str, platform: str = "betpawa", **claims: object) -> dict[str, object]:
    """One listing's claim; anything may be given otherwise."""
    return {
        "platform": platform,
        "external_id": external_id,
        "sport": "football",
        "kind": "match",
        "tournament_external_id": "t1",
        "tournament_name": "Premier League",
        "country_raw": "England",
        "sr_tournament_id": None,
        "home_team": "Arsenal",
        "away_team": 'Ñublense\'s "B"',
        "kickoff_at": KICKOFF,
        "sr_id": None,
        "genius_id": None,
        "n_markets_declared": 10,
        "seen_in": "listing",
        **claims,
    }


def listing_frame(at: datetime, rows: Sequence[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame([{"observed_at": at, **row} for row in rows], schema=store.LISTING_SCHEMA)


def manifest_frame(rows: Sequence[tuple[str, str, str]]) -> pl.DataFrame:
    """Rows of (platform, tournament or '*', completeness)."""
    return pl.DataFrame(
        [(platform, external_id, 1, 1, completeness, "") for platform, external_id, completeness in rows],
        schema=store.MANIFEST_SCHEMA,
        orient="row",
    )


def tournament_frame(at: datetime, rows: Sequence[tuple[str, str]]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (platform, external_id, "football", f"Name {external_id}", "England", "GB-ENG", None, at)
            for platform, external_id in rows
        ],
        schema=store.TOURNAMENT_SCHEMA,
        orient="row",
    )


def write(
    conn: psycopg.Connection,
    facts: store.CycleFacts,
    rows: Sequence[dict[str, object]],
    manifests: Sequence[tuple[str, str, str]] = (),
    *,
    manifests_first: bool = True,
) -> None:
    """One cycle into core, as the assets do: its manifests and tournaments, and its listings; all seen half a minute
    after its begin.
    """
    at = facts.as_of - timedelta(seconds=30)
    frame = listing_frame(at, rows)
    shown = sorted(
        {(str(m[0]), m[1]) for m in manifests if m[1] != "*"}
        & {(str(r["platform"]), str(r["tournament_external_id"])) for r in rows}
    )

    def discovery() -> None:
        store.write_discovery(conn, facts, manifest_frame(manifests), tournament_frame(at, shown), PLATFORMS)

    store.write_cycle_facts(conn, facts)
    if manifests_first:
        discovery()
    store.write_listings(conn, facts.cycle_id, frame, PLATFORMS)
    if not manifests_first:
        discovery()
