"""Worlds of prices for the board, written straight into core; the marts are derived from them as in a live run.

Each fixture has a fate, by its number: some are not at home, some suspended, withdrawn, dropped, or not looked at.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts.derive_prices import derive_prices
from palimpsest_pipeline.storage.db.reference_rows import write_line_names
from palimpsest_pipeline.storage.odds import partitions
from palimpsest_pipeline_tests.storage.table_rows import insert

PLATFORMS: Final = tuple(map(Platform, ("betpawa", "sportybet", "bet9ja", "msport", "betway")))
EVIL: Final = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', '=HYPERLINK("x")', "Żółć & 'Brøndby'")
TOURNAMENTS: Final = (
    ("sr:17", "Premier League", "England"),
    ("sr:8", "LaLiga", "Spain"),
    ("sr:23", "Serie A", "Italy"),
    ("sr:35", "Bundesliga", "Germany"),
    ("sr:34", "Ligue 1", "France"),
    ("sr:2500", "NPFL", "Nigeria"),
    ("sr:202", "Ekstraklasa", "Poland"),
    ("sr:7", "Champions League", None),
)
TEAMS: Final = (
    "Arsenal",
    "Real Sociedad",
    "Atalanta",
    "Werder Bremen",
    "Olympique Lyon",
    "Enyimba",
    "Lech Poznań",
    "Tromsø",
    "Kano Pillars",
    "Beşiktaş",
    "Brøndby",
    "Málaga",
    "Dynamo Kyiv",
    "Sporting CP",
    "Rangers",
    "Wolverhampton",
)
LINES: Final = (
    ("match_result", ""),
    ("double_chance", ""),
    ("both_teams_to_score", ""),
    *(("total_goals", f"total={total}") for total in ("1.5", "2.5", "3.5")),
    *(("asian_handicap", f"hcp={hcp}") for hcp in ("-0.5", "0.5")),
)
WINNERS: Final = {"double_chance": 2}
FIRST_SR_ID: Final = 61_000_000
CHANGED_AFTER: Final = timedelta(minutes=-5)
"""The last answers of a world, before its instant."""


@dataclass
class World:
    """Numbers of a world that was written."""

    pipeline: Pipeline
    now: datetime
    sr_ids: list[int]
    line_ids: dict[tuple[str, str], int]
    listing_ids: dict[tuple[int, str], int]

    def change(self, sr_ids: Sequence[int], factor: float = 1.05, platform: str = "betpawa") -> datetime:
        """Multiply the prices of match_result on a platform, seen now, and derive these fixtures."""
        seen_at = datetime.now(UTC)
        line_id = self.line_ids["match_result", ""]
        listings = [self.listing_ids[sr_id, platform] for sr_id in sr_ids]
        with self.pipeline.connect() as conn:
            conn.execute(
                "update core.current_markets set changed_at = %(at)s,"
                " odds_milli = (select array_agg((o * %(factor)s)::integer) from unnest(odds_milli) o)"
                " where listing_id = any(%(listings)s) and line_id = %(line)s",
                {"at": seen_at, "factor": factor, "listings": listings, "line": line_id},
            )
            conn.execute(
                "insert into core.market_changes (observed_at, off_mask, listing_id, line_id, state, keyframe, odds_milli)"
                " select %(at)s, off_mask, listing_id, line_id, state, false, odds_milli from core.current_markets"
                " where listing_id = any(%(listings)s) and line_id = %(line)s",
                {"at": seen_at, "listings": listings, "line": line_id},
            )
            _answer(conn, listings, seen_at)
            mark(conn, sr_ids)
        derive_prices(self.pipeline, list(sr_ids))
        return seen_at

    @contextmanager
    def begun(self, sr_id: int) -> Iterator[None]:
        """The fixture has begun ten minutes ago; the marts still have it, as until the next cycle."""
        statements = (
            b"update core.fixtures set effective_kickoff = %s where sr_id = %s",
            b"update mart.compared_listing set kickoff_at = %s where sr_id = %s",
        )

        def write(kickoff: datetime) -> None:
            with self.pipeline.connect() as conn:
                for statement in statements:
                    conn.execute(statement, [kickoff, sr_id])

        with self.pipeline.connect() as conn:
            row = conn.execute("select effective_kickoff from core.fixtures where sr_id = %s", [sr_id]).fetchone()
        assert row is not None
        write(datetime.now(UTC) - timedelta(minutes=10))
        try:
            yield
        finally:
            write(row[0])


def _answer(conn: psycopg.Connection, listings: Sequence[int], at: datetime) -> None:
    insert(conn, "core.captures", *({"listing_id": listing, "observed_at": at, "cycle_id": 2} for listing in listings))


def mark(conn: psycopg.Connection, sr_ids: Sequence[int]) -> None:
    conn.execute(
        "insert into mart.dirty_fixtures (product, sr_id, marked_at) select 'prices', s, now() from unnest(%s::bigint[]) s"
        " on conflict do nothing",
        [list(sr_ids)],
    )


def write_world(pipeline: Pipeline, size: int = 60, seed: int = 1, *, names: Sequence[str] = EVIL) -> World:
    """Write `size` upcoming fixtures with their listings, books and the changes of the last two hours; derive prices.

    `names` are the home sides of the first fixtures. A fixture's fate is its number modulo 12: 3 is not at home, 4 is
    suspended at home, 5 withdrawn at home, 6 dropped by the second platform, 7 was not looked at by the second
    platform, 8 has one outcome suspended at home, 9 is cheapest at home, 10 dearest.
    """
    draw, now = random.Random(seed), datetime.now(UTC).replace(microsecond=0)
    fixtures: list[dict[str, Any]] = []
    listings: list[dict[str, Any]] = []
    ids: list[dict[str, Any]] = []
    with pipeline.connect() as conn:
        pipeline.record_platforms(conn, PLATFORMS)
        # Views that tell home from competitors take home from the newest cycle.
        insert(conn, "core.cycles", {"cycle_id": 1, "home_platform": PLATFORMS[0], "partition_hour": now, "as_of": now})
        conn.commit()
        partitions.ensure_partitions(
            conn, [(now - timedelta(days=1)).date(), now.date(), (now + timedelta(days=1)).date()]
        )
        for key, name, country in TOURNAMENTS:
            insert(conn, "core.tournaments", {"tournament_key": key, "display_name": name, "country": country})
        markets = dict(conn.execute("select market_key, market_id from core.markets").fetchall())
        sizes = dict(conn.execute("select market_id, count(*) from core.market_outcomes group by 1").fetchall())
        line_ids = {line: number for number, line in enumerate(LINES, start=1)}
        insert(
            conn,
            "ops.market_lines",
            *(
                {"line_id": number, "market_id": markets[key], "specifier": specifier, "outcome": ""}
                for (key, specifier), number in line_ids.items()
            ),
        )
        write_line_names(conn)
        current: list[dict[str, Any]] = []
        changes: list[dict[str, Any]] = []
        captures: list[dict[str, Any]] = []
        listing_ids: dict[tuple[int, str], int] = {}
        for n in range(size):
            sr_id, fate = FIRST_SR_ID + n, n % 12
            key, name, country = TOURNAMENTS[draw.randrange(len(TOURNAMENTS))]
            kickoff = now + timedelta(minutes=20 + 5 * draw.randrange(12 + size))
            home_team, away_team = draw.sample(TEAMS, 2)
            present = [
                p for k, p in enumerate(PLATFORMS) if not (fate == 3 and k == 0) and not (k > 2 and draw.random() < 0.2)
            ]
            fixtures.append(
                {
                    "sr_id": sr_id, "sport": "football", "tournament_key": key, "country": country, "tournament_name": name,
                    "home_team": names[n] if n < len(names) else home_team, "away_team": away_team, "metadata_source": present[0],
                    "effective_kickoff": kickoff, "platforms": list(present), "n_platforms": len(present), "n_listings_by_platform": "{}",
                }
            )  # fmt: skip
            chances = [draw.uniform(0.2, 0.6) for _ in range(3)]
            for place, platform in enumerate(present):
                listing_id = len(ids) + 1
                listing_ids[sr_id, platform] = listing_id
                external_id = str(40_000_000 + listing_id)
                ids.append({"listing_id": listing_id, "platform": platform, "external_id": external_id})
                is_home, is_second = platform == PLATFORMS[0], platform == PLATFORMS[1]
                listings.append(
                    {
                        "listing_id": listing_id, "platform": platform, "external_id": external_id, "sport": "football", "kind": "match",
                        "home_team": home_team, "away_team": away_team, "kickoff_at": kickoff, "sr_id": sr_id, "fixture_sr_id": sr_id,
                        "is_primary": True, "first_seen_at": now - timedelta(days=1), "last_seen_at": now,
                        "deleted_at": now - timedelta(minutes=10) if fate == 6 and is_second else None,
                    }
                )  # fmt: skip
                answered_at = now + CHANGED_AFTER + timedelta(seconds=draw.randrange(40))
                if fate == 7 and is_second:
                    answered_at -= timedelta(hours=3)
                before_at = answered_at - timedelta(minutes=25)
                day_at = answered_at.replace(hour=0, minute=0, second=0)
                oldest_at = min(max(day_at, before_at - timedelta(hours=2)), before_at - timedelta(minutes=1))
                for at, keyframe in ((oldest_at, True), (before_at, False), (answered_at, False)):
                    captures.append({"listing_id": listing_id, "observed_at": at, "cycle_id": 1, "keyframe": keyframe})
                for key_of_line, specifier in LINES:
                    line_id = line_ids[key_of_line, specifier]
                    n_outcomes = sizes[markets[key_of_line]]
                    scale = WINNERS.get(key_of_line, 1) / sum(chances[:n_outcomes])
                    tilt = 0.93 if fate == 9 and is_home else 1.07 if fate == 10 and is_home else 1.0
                    margin = 1.045 + 0.008 * place
                    odds = [
                        max(1010, round(1000 * tilt * draw.uniform(0.98, 1.02) / (chance * scale * margin), -1))
                        for chance in chances[:n_outcomes]
                    ]
                    odds = [int(price) for price in odds]
                    state, off_mask = "offered", None
                    if is_home and key_of_line == "match_result":
                        state = {4: "suspended", 5: "withdrawn"}.get(fate, "offered")
                        off_mask = {4: (1 << n_outcomes) - 1, 8: 1}.get(fate)
                    steps = [(oldest_at, [price - 50 if price > 1200 else price for price in odds])]
                    if draw.random() < 0.3:
                        steps.append((before_at, [price + 40 for price in odds]))
                    if draw.random() < 0.2 or state != "offered":
                        steps.append((answered_at, odds))
                    else:
                        odds = steps[-1][1]
                    if state == "withdrawn":
                        odds = [None] * n_outcomes  # type: ignore[list-item]
                    for k, (at, prices) in enumerate(steps):
                        is_last = k == len(steps) - 1
                        changes.append(
                            {
                                "observed_at": at, "listing_id": listing_id, "line_id": line_id, "keyframe": k == 0,
                                "state": state if is_last else "offered", "off_mask": off_mask if is_last else None,
                                "odds_milli": odds if is_last else prices,
                            }
                        )  # fmt: skip
                    current.append(
                        {
                            "listing_id": listing_id, "line_id": line_id, "changed_at": steps[-1][0], "state_since": steps[-1 if state != "offered" else 0][0],
                            "state": state, "off_mask": off_mask, "odds_milli": odds,
                        }
                    )  # fmt: skip
        insert(conn, "core.fixtures", *fixtures)
        insert(conn, "ops.listing_ids", *ids)
        insert(conn, "core.event_listings", *listings)
        insert(conn, "core.captures", *captures)
        insert(conn, "core.current_markets", *current)
        insert(conn, "core.market_changes", *changes)
        sr_ids = [fixture["sr_id"] for fixture in fixtures]
        mark(conn, sr_ids)
        conn.commit()
        conn.execute("analyze")
    derive_prices(pipeline)
    return World(pipeline, now, sr_ids, line_ids, listing_ids)
