"""The history is a function of the answers: not of the order in which they come, nor of how often, nor of what fails
on the way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.pq import TransactionStatus

from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.odds import current_markets, history, partitions
from palimpsest_pipeline_tests.fixtures.examples import count_examples

from ..history_worlds import (
    CYCLE_ID,
    DAYS,
    RESULT,
    SCORER,
    TOTAL,
    Book,
    Facts,
    Said,
    as_of,
    at,
    expected,
    expected_as_of,
    read_stored_history,
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
ANSWER_SCHEMA = {name: history.CAPTURE_INPUT_SCHEMA[name] for name in ("listing_id", "observed_at")}
INSTANTS = [
    get_day_start(day) + since
    for day in DAYS
    for since in (timedelta(0), timedelta(hours=9), timedelta(days=1, microseconds=-1))
]
"""The first and the last of each day among them."""


@st.composite
def books(draw: st.DrawFn) -> Book:
    return {key: draw(st.sampled_from(kinds)) for key, kinds in FACTS.items() if draw(st.booleans())}


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Said], list[list[Said]]]:
    """A world of answers, and batches in which they come: any order, several of a listing at once, repetitions, and
    drafts put right later.
    """
    keys = draw(
        st.lists(st.tuples(st.sampled_from([11, 12]), st.sampled_from(INSTANTS)), unique=True, min_size=1, max_size=10)
    )
    world = [Said(listing, instant, draw(books())) for listing, instant in keys]
    drafts = [Said(a.listing_id, a.observed_at, draw(books())) for a in world if draw(st.integers(0, 3)) == 0]
    early = draw(st.permutations([*drafts, *(a for a in world if draw(st.integers(0, 3)) == 0)]))
    arrivals = [*early, *draw(st.permutations(world)), *(a for a in world if draw(st.integers(0, 4)) == 0)]
    batches: list[list[Said]] = [[]]
    for answer in arrivals:
        if draw(st.booleans()) or any(
            (a.listing_id, a.observed_at) == (answer.listing_id, answer.observed_at) for a in batches[-1]
        ):
            batches.append([])
        batches[-1].append(answer)
    return world, [batch for batch in batches if batch]


class Died(Exception):
    """The process that writes, as if it had died."""


class MortalConnection(psycopg.Connection[Any]):
    """A connection that can be made to fail."""

    dies_at: int | None = None

    @contextmanager
    def mortal(self, dies_at: int | None) -> Iterator[None]:
        """Within the block it fails once: after so many statements, before the next."""
        self.dies_at = dies_at
        try:
            yield
        finally:
            self.dies_at = None

    def wait(self, *args: Any, **kwargs: Any) -> Any:
        if self.dies_at is not None and self.info.transaction_status is not TransactionStatus.ACTIVE:
            self.dies_at -= 1
            if self.dies_at < 0:
                self.dies_at = None
                raise Died
        return super().wait(*args, **kwargs)


@pytest.fixture
def mortal_conn(migrated_database_url: str) -> Iterator[MortalConnection]:
    """As `history_conn`, but it can fail."""
    database = Database(migrated_database_url)
    with database.connect() as conn:
        partitions.ensure_partitions(conn, DAYS)
    with MortalConnection.connect(database.conninfo, options="-c TimeZone=UTC -c DateStyle=ISO") as conn:
        yield conn
        conn.rollback()


@dataclass(frozen=True)
class Step:
    """Answers that are taken in, or out, at once; and after how many statements the writer dies and begins again."""

    answers: list[Said]
    removes: bool
    dies_at: int | None


Key = tuple[int, datetime]


@st.composite
def tales(draw: st.DrawFn) -> list[Step]:
    """A story in whose course answers are also taken out again, and come back, and the writer dies."""
    _, batches = draw(stories())
    there: dict[Key, Said] = {}
    steps: list[Step] = []
    death = st.none() | st.integers(0, 40)
    for batch in batches:
        steps.append(Step(batch, False, draw(death)))
        there.update({(a.listing_id, a.observed_at): a for a in batch})
        if draw(st.integers(0, 2)) == 0:
            out = draw(st.lists(st.sampled_from(list(there)), unique=True, min_size=1, max_size=4)) if there else []
            steps.append(Step([there.pop(key) for key in out], True, draw(death)))
    return steps


def take_step(conn: psycopg.Connection[Any], step: Step) -> None:
    if step.removes:
        keys = [(a.listing_id, a.observed_at) for a in step.answers]
        history.remove_answers(conn, pl.DataFrame(keys, schema=ANSWER_SCHEMA, orient="row"), platform="betpawa")
    else:
        take_in(conn, step.answers)


@settings(
    max_examples=count_examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(tale=tales(), instant=st.sampled_from([*INSTANTS, at(0, 12), at(1, 12)]))
def test_the_history_says_what_the_answers_say_whatever_their_order_removals_repetitions_and_crashes(
    mortal_conn: MortalConnection, tale: list[Step], instant: datetime
) -> None:
    conn = mortal_conn
    conn.rollback()
    conn.execute("select 1")  # begins the transaction of the whole tale, so that each step is one inside it
    there: dict[Key, Said] = {}
    for step in tale:
        try:
            with conn.transaction(), conn.mortal(step.dies_at):
                take_step(conn, step)
        except Died:
            assert read_stored_history(conn) == expected(there.values()), "something half was left"
            take_step(conn, step)
        for a in step.answers:
            if step.removes:
                del there[a.listing_id, a.observed_at]
            else:
                there[a.listing_id, a.observed_at] = a
        assert read_stored_history(conn) == expected(there.values())
        assert current_markets.count_violations(conn) == 0
        assert current_markets.check_current_markets(conn, [CYCLE_ID]).violations == 0
    assert as_of(conn, instant, [11, 12, 99]) == expected_as_of(there.values(), instant, [11, 12])
