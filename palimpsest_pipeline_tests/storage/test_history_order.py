"""The history is a function of the answers: not of the order in which they come, nor of how often."""

from datetime import datetime

import polars as pl
import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.storage import current, history
from palimpsest_pipeline_tests.storage.history_worlds import (
    DAYS,
    RESULT,
    SCORER,
    TOTAL,
    Book,
    Facts,
    Said,
    at,
    expected,
    expected_as_of,
    stored,
    take_in,
)

FACTS: dict[tuple[int, str, str], list[Facts]] = {
    RESULT: [
        ("offered", 0, (2100, 3400, 3000)),
        ("offered", 2, (2100, 3400, 3000)),
        ("suspended", 7, (2100, 3400, 3000)),
        ("offered", 0, (2100, None, 3000)),
    ],
    TOTAL: [("offered", 0, (1800, 2000)), ("no_price", 0, (None, None))],
    SCORER: [("offered", 0, (5000,)), ("suspended", 1, (5000,))],
}
ANSWER_SCHEMA = {name: history.CAPTURE_INPUT[name] for name in ("listing_id", "observed_at")}
INSTANTS = [at(day, hour) for day in range(len(DAYS)) for hour in (0, 9, 23)]


@st.composite
def books(draw: st.DrawFn) -> Book:
    return {key: draw(st.sampled_from(kinds)) for key, kinds in FACTS.items() if draw(st.booleans())}


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Said], list[list[Said]]]:
    """A world of answers, and batches in which they come: any order, several of a listing at once, repetitions, and drafts put right later."""
    keys = draw(st.lists(st.tuples(st.sampled_from([11, 12]), st.sampled_from(INSTANTS)), unique=True, min_size=1, max_size=10))
    world = [Said(listing, instant, draw(books())) for listing, instant in keys]
    drafts = [Said(a.listing_id, a.observed_at, draw(books())) for a in world if draw(st.integers(0, 3)) == 0]
    early = draw(st.permutations([*drafts, *(a for a in world if draw(st.integers(0, 3)) == 0)]))
    arrivals = [*early, *draw(st.permutations(world)), *(a for a in world if draw(st.integers(0, 4)) == 0)]
    batches: list[list[Said]] = [[]]
    for answer in arrivals:
        if draw(st.booleans()) or any((a.listing_id, a.observed_at) == (answer.listing_id, answer.observed_at) for a in batches[-1]):
            batches.append([])
        batches[-1].append(answer)
    return world, [batch for batch in batches if batch]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(story=stories(), instant=st.sampled_from([*INSTANTS, at(0, 12), at(1, 12)]))
def test_any_order_and_repetition_of_answers_gives_the_same_history(
    history_conn: psycopg.Connection, story: tuple[list[Said], list[list[Said]]], instant: datetime
) -> None:
    world, batches = story
    conn = history_conn
    conn.rollback()
    latest: dict[tuple[int, datetime], Said] = {}
    for batch in batches:
        take_in(conn, batch)
        latest.update({(a.listing_id, a.observed_at): a for a in batch})
        assert stored(conn) == expected(latest.values())
        assert current.violations_current_vs_history(conn) == 0
    assert stored(conn) == expected(world)
    read = history.prices_as_of(conn, instant, [11, 12, 99])
    assert {tuple(tuple(v) if isinstance(v, list) else v for v in row) for row in read.iter_rows()} == expected_as_of(world, instant, [11, 12])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(story=stories(), data=st.data())
def test_an_answer_taken_out_leaves_the_history_as_if_it_had_never_come(
    history_conn: psycopg.Connection, story: tuple[list[Said], list[list[Said]]], data: st.DataObject
) -> None:
    world, batches = story
    conn = history_conn
    conn.rollback()
    for batch in batches:
        take_in(conn, batch)
    out = data.draw(st.lists(st.sampled_from(world), unique_by=lambda a: (a.listing_id, a.observed_at)))
    keys = pl.DataFrame({"listing_id": [a.listing_id for a in out], "observed_at": [a.observed_at for a in out]}, schema=ANSWER_SCHEMA)
    history.remove(conn, keys, lock_key=1)
    assert stored(conn) == expected(a for a in world if a not in out)
    assert current.violations_current_vs_history(conn) == 0
