"""Which of several listings speaks for its platform, from answers to marts: a match that was postponed and listed anew,
and one whose main listing is suspended before kickoff while a copy of it goes on. Captured answers, with other ids,
kickoffs and prices."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import PayloadKind, Platform, RunStatus, Scope, Trigger
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.instants import floor_to_hour, make_cycle_id
from palimpsest_pipeline.matching import select_primary_listings
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.derive_hour import derive_cycles
from palimpsest_pipeline.pipeline.ingest.write_core import ingest_cycle, make_core_needs
from palimpsest_pipeline.pipeline.marts import derive_lifecycle, derive_marts, derive_odds_alerts, derive_prices
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.catalog import upcoming_fixtures
from palimpsest_pipeline.storage.derivation.derived_products import COVERAGE_PRODUCT
from palimpsest_pipeline.storage.marts import quality_inputs
from palimpsest_pipeline_tests.fixtures.content import content_hashes, drop_derived
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, SPORTYBET

POSTPONED, SUSPENDED = 66457014, 66457015
"""SportRadar ids of the two matches."""
OLD, NEW, MAIN, COPY = "101", "202", "303", "404"
"""BetPawa's listings: OLD and NEW of the postponed match, MAIN and COPY of the other one."""
FILES: Final = {
    BETPAWA: "betpawa/detail_football_113_markets_v3_2026-06-26.json",
    SPORTYBET: "sportybet/event_prematch_football_norway_france_974_markets.json",
}
AT: Final = tuple(timedelta(minutes=minutes) for minutes in (-32 * 60, -180, -75, -30, -5))
"""When the cycles are, from now."""
FIRST_KICKOFF, NEW_KICKOFF = timedelta(hours=-2), timedelta(hours=5)
KICKOFF, KICKOFF_OF_COPY = timedelta(minutes=-20), timedelta(minutes=-15)
"""Kickoffs of the postponed match, as listed first and anew; and of the other one.

Its copy claims another one, so that it shows who speaks.
"""


@cache
def captured(samples: Path, platform: Platform) -> str:
    return (samples / FILES[platform]).read_text()


def betpawa(
    samples: Path, external_id: str, sr_id: int, kickoff: datetime, n: int, *, off: bool = False, by: float = 1.0
) -> tuple[Any, ...]:
    """BetPawa's answer with the first `n` markets, all prices `by` so much higher, none of which can be backed when
    it is `off`.
    """
    book = json.loads(captured(samples, BETPAWA))
    book |= {"id": external_id, "startTime": f"{kickoff:%Y-%m-%dT%H:%M:%SZ}", "markets": book["markets"][:n]}
    book["widgets"] = [{"id": str(sr_id), "type": "SPORTRADAR", "retention": "PREMATCH"}]
    for price in (price for market in book["markets"] for row in market["row"] for price in row["prices"]):
        price |= {"suspended": off, "price": round(1 + (price["price"] - 1) * by, 2)}
    return BETPAWA, external_id, book


def sportybet(samples: Path, sr_id: int, kickoff: datetime) -> tuple[Any, ...]:
    book = json.loads(captured(samples, SPORTYBET).replace(str(POSTPONED), str(sr_id)))
    event = book["data"]
    event |= {"estimateStartTime": int(kickoff.timestamp() * 1000), "markets": event["markets"][:40]}
    return SPORTYBET, event["eventId"], book


def land(pipeline: Pipeline, at: datetime, bodies: Sequence[tuple[Platform, str, Any]]) -> int:
    """A full cycle that began at `at`, of which detail answers came and no discovery did."""
    cycle = Cycle(make_cycle_id(at), Trigger.MANUAL, Scope.FULL, BETPAWA, floor_to_hour(at), at)
    writer = pipeline.landing.open_writer(cycle)
    for number, (platform, external_id, body) in enumerate(bodies, 1):
        request = Request(platform, PayloadKind.DETAIL, f"/{external_id}", external_id=external_id)
        received_at = at + timedelta(seconds=number)
        writer.append(Answer(request, 1, at, received_at, received_at, 200, {}, json.dumps(body).encode()))
    writer.close(RunStatus.COMPLETED, at + timedelta(seconds=30), ("discovery", "capture"))
    return cycle.cycle_id


@dataclass
class World:
    """What came of it."""

    pipeline: Pipeline
    now: datetime
    cycles: list[int]

    def rows(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        with self.pipeline.connect() as conn:
            return conn.execute(query.encode(), params).fetchall()

    def primaries(self) -> dict[int, str]:
        return dict(
            self.rows(
                "select fixture_sr_id, external_id from core.event_listings where platform = 'betpawa' and is_primary"
            )
        )


def derive_all(pipeline: Pipeline, cycles: Sequence[int], days: Sequence[Any]) -> None:
    """Everything of these cycles in this order, coverage again where a later arrival makes it due, then what is
    derived from all of them.
    """
    for cycle in cycles:
        ingest_cycle(pipeline, cycle)
        derive_cycles(
            pipeline,
            [pipeline.landing.read_manifest(cycle)],
            "mart",
            COVERAGE_PRODUCT,
            derive_marts.derive_coverage,
            needs=make_core_needs(["matched_events"]),
        )
    derive_cycles(
        pipeline,
        pipeline.landing.list_cycles(),
        "mart",
        COVERAGE_PRODUCT,
        derive_marts.derive_coverage,
        needs=make_core_needs(["matched_events"]),
    )
    derive_prices.derive_prices(pipeline)
    derive_odds_alerts.derive_alerts(pipeline)
    for day in days:
        derive_lifecycle.derive_kickoff_date(pipeline, day)


def kickoff_days(now: datetime) -> list[Any]:
    return sorted({(now + kickoff).date() for kickoff in (FIRST_KICKOFF, NEW_KICKOFF, KICKOFF, KICKOFF_OF_COPY)})


@pytest.fixture(scope="module")
def world(samples: Path, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    now = datetime.now(UTC).replace(microsecond=0)
    first, anew, kickoff, of_copy = (now + since for since in (FIRST_KICKOFF, NEW_KICKOFF, KICKOFF, KICKOFF_OF_COPY))
    old, copy = betpawa(samples, OLD, POSTPONED, first, 30), betpawa(samples, COPY, SUSPENDED, of_copy, 6, by=0.8)
    main, main_off = (betpawa(samples, MAIN, SUSPENDED, kickoff, 30, off=off) for off in (False, True))
    new, new_moved = (betpawa(samples, NEW, POSTPONED, anew, 10, by=by) for by in (1.0, 2.0))
    other = sportybet(samples, SUSPENDED, kickoff)
    cycles = [
        [old, sportybet(samples, POSTPONED, first), main, copy, other],
        [old, sportybet(samples, POSTPONED, first), main, copy, other],
        [old, new, sportybet(samples, POSTPONED, anew), main, copy, other],
        [old, new, sportybet(samples, POSTPONED, anew), main_off, copy, other],
        [new_moved, sportybet(samples, POSTPONED, anew)],
    ]
    with pipelines(postgres, tmp_path_factory.mktemp("primary")) as make:
        pipeline = make()
        landed = [land(pipeline, now + at, bodies) for at, bodies in zip(AT, cycles, strict=True)]
        derive_all(pipeline, landed, kickoff_days(now))
        yield World(pipeline, now, landed)


def test_a_match_listed_anew_after_it_was_postponed_has_the_new_kickoff_and_its_slots(world: World) -> None:
    anew = world.now + NEW_KICKOFF
    assert world.primaries()[POSTPONED] == NEW
    assert world.rows("select effective_kickoff, suspect_code from core.fixtures where sr_id = %s", POSTPONED) == [
        (anew, None)
    ]
    with world.pipeline.connect() as conn:
        assert upcoming_fixtures.read_kickoffs(conn, world.now, anew) == [(POSTPONED, anew)]


def test_a_match_listed_anew_after_it_was_postponed_is_compared_and_watched(world: World) -> None:
    compared = world.rows(
        "select count(*), count(*) filter (where comparable) from palimpsest.compared_prices where sr_id = %s",
        POSTPONED,
    )
    assert compared[0][0] > 20
    assert compared[0][1] > 5
    assert world.rows("select count(*) > 20 from mart.availability_gap where sr_id = %s", POSTPONED) == [(True,)]
    moved = world.rows("select count(*) > 0 from mart.odds_alert where sr_id = %s and platform = 'betpawa'", POSTPONED)
    assert moved == [(True,)], "home's prices doubled while SportyBet's stood"


def test_coverage_as_of_each_cycle_goes_by_what_was_known_then(world: World) -> None:
    found = world.rows("select cycle_id, sr_id, effective_kickoff from mart.coverage_fixture order by cycle_id, sr_id")
    first, anew, kickoff = (world.now + since for since in (FIRST_KICKOFF, NEW_KICKOFF, KICKOFF))
    kickoffs = {POSTPONED: [first, first, anew, anew, anew], SUSPENDED: [kickoff, kickoff, kickoff, kickoff]}
    assert found == sorted(
        (cycle, sr_id, at)
        for sr_id, instants in kickoffs.items()
        for cycle, at in zip(world.cycles, instants, strict=False)
    )


def test_a_copy_does_not_take_over_when_the_main_listing_is_suspended_before_kickoff(world: World) -> None:
    assert world.primaries()[SUSPENDED] == MAIN
    # Before the kickoff, in the table of present prices and as of then.
    then = derive_prices.compute_prices_as_of(world.pipeline, [SUSPENDED], world.now + AT[3] + timedelta(minutes=1))
    home = then["mart.price_comparison"]["home_state"].drop_nulls().unique().to_list()
    assert home == ["suspended"]


def test_the_life_of_a_fixture_is_that_of_the_main_listing_though_it_ends_suspended(world: World) -> None:
    named = "sr_id = %s and platform = 'betpawa' and market_key = 'match_result'"
    opened = world.rows(
        f"select outcome_key, open_odds::float, close_quality from mart.open_close where {named} order by 1", SUSPENDED
    )
    assert opened == [
        ("away", 1.68, "suspended_at_close"),
        ("draw", 4.66, "suspended_at_close"),
        ("home", 4.71, "suspended_at_close"),
    ]
    states = world.rows(f"select state from mart.availability_interval where {named} order by valid_from", SUSPENDED)
    assert list(dict.fromkeys(state for (state,) in states if state != "not_observed")) == [
        "offered",
        "suspended",
        "closed_at_kickoff",
    ]
    margins = world.rows(
        f"select odds_vector -> 'home' from mart.market_margin where {named} order by observed_from", SUSPENDED
    )
    assert {odds for (odds,) in margins if odds} == {4.71}
    n_markets = world.rows(
        "select count(distinct (market_key, specifier)) from mart.open_close where sr_id = %s and platform = 'betpawa'",
        SUSPENDED,
    )
    assert n_markets[0][0] > 20


def test_prices_as_of_an_instant_before_the_postponement_are_those_of_the_old_listing(world: World) -> None:
    then = derive_prices.compute_prices_as_of(world.pipeline, [POSTPONED], world.now + AT[1] + timedelta(minutes=1))[
        "mart.price_comparison"
    ]
    assert then.filter(pl.col("home_odds").is_not_null()).height > 5


def test_the_kickoffs_that_platforms_are_judged_by_are_those_of_their_primary_listings(world: World) -> None:
    with world.pipeline.connect() as conn:
        speaking = select_primary_listings(quality_inputs.read_kickoff_claims(conn, world.cycles[1]))
    told = {(sr_id, name) for sr_id, name in speaking.select("fixture_sr_id", "external_id").iter_rows()}
    assert {(SUSPENDED, MAIN), (SUSPENDED, f"sr:match:{SUSPENDED}")} <= told
    assert (SUSPENDED, COPY) not in told


@pytest.mark.slow
@settings(deadline=None, max_examples=3, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(order=st.permutations(range(len(AT))))
def test_any_order_of_arrival_gives_the_same_rows(world: World, order: list[int]) -> None:
    before = content_hashes(world.pipeline)
    drop_derived(world.pipeline)
    derive_all(world.pipeline, [world.cycles[number] for number in order], kickoff_days(world.now))
    after = content_hashes(world.pipeline)
    assert {table for table in before if after[table] != before[table]} == set()
    assert world.primaries() == {POSTPONED: NEW, SUSPENDED: MAIN}
