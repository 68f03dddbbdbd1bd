"""How the work on kickoff dates is cut: listings into batches, dates into runs; and what a discovery says of a
listing that it does not show.
"""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from palimpsest_pipeline.domain.schemas import INSTANT, LISTING_LOOKS
from palimpsest_pipeline.pipeline.marts.fixture_batches import batch_listings
from palimpsest_pipeline.storage.marts import lifecycle_rows

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("most", [1, 20, 35, 1000])
def test_batches_hold_every_listing_once_no_more_rows_than_asked_whole_fixtures_and_one_tournament_after_the_other(
    most: int,
):
    listings = pl.DataFrame(
        [(n, n // 2) for n in range(12)], schema={"listing_id": pl.Int32, "sr_id": pl.Int64}, orient="row"
    )
    n_rows = pl.DataFrame(
        {"listing_id": range(10), "n_rows": [7] * 10}, schema={"listing_id": pl.Int32, "n_rows": pl.Int32}
    )
    tournaments = pl.DataFrame(
        {"sr_id": range(6), "tournament_key": ["b", "a"] * 3}, schema={"sr_id": pl.Int64, "tournament_key": pl.String}
    )
    found = [
        batch["listing_id"].to_list()
        for batch in batch_listings(listings.sample(fraction=1, shuffle=True, seed=1), n_rows, tournaments, most)
    ]
    assert [i for batch in found for i in batch] == [2, 3, 6, 7, 10, 11, 0, 1, 4, 5, 8, 9]
    assert all(len(batch) % 2 == 0 for batch in found)
    assert all(7 * sum(i < 10 for i in batch) <= max(most, 14) for batch in found)
    assert len(found) == {1: 6, 20: 5, 35: 3, 1000: 1}[most]


DISCOVERIES_SCHEMA = {
    "cycle_id": pl.Int64,
    "as_of": INSTANT,
    "platform": pl.String,
    "tournament_external_id": pl.String,
    "complete": pl.Boolean,
    "missing": pl.String,
}
LISTINGS_SCHEMA = {
    "listing_id": pl.Int32,
    "sr_id": pl.Int64,
    **dict.fromkeys(("platform", "external_id", "tournament_external_id", "tournament_key"), pl.String),
    **dict.fromkeys(("first_listed_at", "last_seen_at", "own_kickoff", "effective_kickoff"), INSTANT),
    "speaks": pl.Boolean,
}


def discovered(*told: tuple[int, int, bool]) -> pl.DataFrame:
    """(cycle, hours after noon, complete) of discoveries of one tournament."""
    rows = [
        (cycle, NOON + timedelta(hours=hour), "bet9ja", "t", complete, "" if complete else "page 2")
        for cycle, hour, complete in told
    ]
    return pl.DataFrame(rows, schema=DISCOVERIES_SCHEMA, orient="row")


def found(first_listed_h: float, own_kickoff_h: float, effective_kickoff_h: float) -> pl.DataFrame:
    hours = {
        name: NOON + timedelta(hours=h)
        for name, h in (("first", first_listed_h), ("own", own_kickoff_h), ("effective", effective_kickoff_h))
    }
    row = (7, 1, "bet9ja", "x", "t", "sr:3", hours["first"], hours["first"], hours["own"], hours["effective"], False)
    return pl.DataFrame([row], schema=LISTINGS_SCHEMA, orient="row")


def looks(lives: pl.DataFrame, told: pl.DataFrame, *listed: int) -> list[tuple[int, str, str]]:
    shown = pl.DataFrame(
        {"listing_id": [7] * len(listed), "cycle_id": listed}, schema={"listing_id": pl.Int32, "cycle_id": pl.Int64}
    )
    return (
        lifecycle_rows.derive_discovery_looks(lives, told, shown)
        .sort("cycle_id")
        .select("cycle_id", "look", "detail")
        .rows()
    )


def test_before_the_first_sighting_only_what_follows_the_last_proof_of_absence_is_told():
    told = discovered((1, 0, True), (2, 1, False), (3, 2, True), (4, 3, False), (5, 4, True))
    assert looks(found(4.1, 30, 30), told, 5) == [(3, "absent", ""), (4, "unknown", "page 2")]
    assert looks(found(1.5, 30, 30), told, 2) == [
        (1, "absent", ""),
        (3, "absent", ""),
        (4, "unknown", "page 2"),
        (5, "absent", ""),
    ]


def test_without_a_proof_of_absence_nothing_is_told_of_the_time_before():
    assert looks(found(2.1, 30, 30), discovered((1, 0, False), (2, 1, False), (3, 2, True)), 3) == []


def test_a_listing_seen_after_its_cycles_discovery_was_over_is_not_absent_in_that_cycle():
    """Its own answer comes minutes after the discovery that showed it."""
    assert looks(found(2.1, 30, 30), discovered((1, 1, True), (2, 2, True)), 2) == [(1, "absent", "")]


@pytest.mark.parametrize(("own_h", "effective_h"), [(2.5, 3.5), (3.5, 2.5)])
def test_what_is_taken_off_at_its_own_kickoff_is_not_dropped(own_h: float, effective_h: float):
    assert looks(found(0, own_h, effective_h), discovered((1, 0, True), (2, 2, True), (3, 3, True)), 1) == [
        (2, "absent", "")
    ]


def test_of_what_a_cycle_tells_of_a_listing_an_answer_counts_and_then_the_strongest():
    def told(*rows: tuple[int, int, str]) -> pl.DataFrame:
        full = [
            (7, cycle, NOON + timedelta(minutes=minute), look, "", 3 if look == "answered" else None)
            for cycle, minute, look in rows
        ]
        return pl.DataFrame(full, schema=LISTING_LOOKS, orient="row")

    answers = told((1, 5, "answered"), (1, 6, "answered"))
    others = told(
        (1, 1, "listed"),
        (1, 7, "failed"),
        (2, 10, "listed"),
        (2, 12, "failed"),
        (3, 20, "listed"),
        (4, 30, "absent"),
        (4, 30, "unknown"),
    )
    merged = lifecycle_rows.keep_one_look_per_cycle(answers, others.sample(fraction=1, shuffle=True, seed=1))
    assert merged.select("cycle_id", "look").rows() == [
        (1, "answered"),
        (1, "answered"),
        (2, "failed"),
        (3, "listed"),
        (4, "absent"),
    ]
