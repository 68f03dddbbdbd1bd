"""What the checks of a cycle judge: cycles that came to their own end, beside the cycles before them."""

import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.domain.enums import Scope
from palimpsest_pipeline.storage.marts import quality_inputs
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS

from ..listing_worlds import cycle, listing, write
from ..table_rows import insert


def batch(conn: psycopg.Connection, minutes: int, status: str, scope: Scope = Scope.FULL) -> None:
    facts = cycle(minutes, scope)
    insert(conn, "ops.scrape_batches", {"cycle_id": facts.cycle_id, "scope": scope, "status": status})


def rated(
    conn: psycopg.Connection,
    minutes: int,
    scope: Scope = Scope.FULL,
    completeness: str = "complete",
    **rates: float | None,
) -> int:
    """A cycle of which match rates were computed; returns its id."""
    facts = cycle(minutes, scope)
    write(conn, facts, [])
    for platform, rate in rates.items():
        of_all = platform == "all"
        for started, value in ((False, rate), (True, 0.0)):
            of = {"cycle_id": facts.cycle_id, "platform": platform, "include_started": started}
            told = {"overall_match_rate" if of_all else "fixture_match_rate": value, "completeness": completeness}
            insert(conn, "mart.match_rate_platform", of | told)
    return facts.cycle_id


def told(found: pl.DataFrame) -> list[tuple[object, ...]]:
    return found.sort("cycle_id", "platform").rows()


def test_rates_are_those_of_the_cycle_beside_those_before_it(conn: psycopg.Connection) -> None:
    before, first, last = (
        rated(conn, -60, all=0.4, bet9ja=0.3),
        rated(conn, 0, all=0.5),
        rated(conn, 30, completeness="partial", all=0.6, bet9ja=None),
    )
    rated(conn, 40, Scope.EVENTS, all=0.9)
    rated(conn, 60, all=0.7)
    rates, earlier = quality_inputs.read_match_rates(conn, last)
    assert told(rates) == [(last, "all", "partial", 0.6), (last, "bet9ja", "partial", None)], (
        "of upcoming fixtures alone"
    )
    assert told(earlier) == [
        (before, "all", "complete", 0.4),
        (before, "bet9ja", "complete", 0.3),
        (first, "all", "complete", 0.5),
    ]


@pytest.mark.parametrize("status", ["running", "cancelled", "interrupted"])
def test_a_cycle_that_did_not_come_to_its_own_end_is_neither_judged_nor_a_measure(
    conn: psycopg.Connection, status: str
) -> None:
    broken, whole, last = rated(conn, -60, all=0.1), rated(conn, 0, all=0.5), rated(conn, 30, all=0.2)
    batch(conn, -60, status)
    batch(conn, 0, "completed")
    batch(conn, 30, status)
    assert quality_inputs.filter_ended_cycles(conn, [last, whole, broken]) == [whole]
    rates, earlier = quality_inputs.read_match_rates(conn, whole)
    assert told(rates) == [(whole, "all", "complete", 0.5)]
    assert earlier.is_empty()


def test_no_more_cycles_are_looked_back_on_than_the_median_takes_and_those_without_rates_do_not_count(
    conn: psycopg.Connection,
) -> None:
    ids = [rated(conn, minutes, all=0.5) for minutes in range(-60 * (quality_inputs.TRAILING_CYCLES + 2), 1, 60)]
    write(conn, cycle(-30), [])
    rates, earlier = quality_inputs.read_match_rates(conn, ids[-1])
    assert rates["cycle_id"].to_list() == ids[-1:]
    assert sorted(earlier["cycle_id"]) == ids[-1 - quality_inputs.TRAILING_CYCLES : -1]


def test_a_cycle_of_given_fixtures_has_no_rates_and_is_not_judged(conn: psycopg.Connection) -> None:
    rated(conn, -60, all=0.5)
    asked = cycle(0, Scope.EVENTS)
    write(conn, asked, [], [("betpawa", "*", "failed")])
    assert quality_inputs.read_match_rates(conn, asked.cycle_id)[0].is_empty()
    assert quality_inputs.filter_ended_cycles(conn, [asked.cycle_id]) == []


def test_what_a_cycle_lacks_is_named(conn: psycopg.Connection) -> None:
    shown = [
        ("betpawa", "*", "complete"),
        ("betpawa", "t1", "partial"),
        ("bet9ja", "*", "failed"),
        ("bet9ja", "t9", "complete"),
    ]
    write(conn, cycle(0), [], [("sportybet", "*", "failed")])
    write(conn, cycle(30), [listing("1")], shown)
    write(conn, cycle(40, Scope.EVENTS), [], [("sportybet", "*", "failed")])
    write(conn, cycle(60), [], [(platform, "*", "complete") for platform in PLATFORMS])
    assert quality_inputs.read_incomplete_discovery(conn, cycle(30).cycle_id).drop("missing").rows() == [
        ("bet9ja", "*", "failed"),
        ("betpawa", "t1", "partial"),
    ]
    assert quality_inputs.read_incomplete_discovery(conn, cycle(60).cycle_id).is_empty()
