"""Analysts' SQL over the odds history: prices as of an instant, and price changes; what they say, what they read,
and what they refuse.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.archive import Archive
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.odds import partitions
from palimpsest_pipeline.storage.odds.history_reader import OddsHistoryReader
from palimpsest_pipeline_tests.fixtures.examples import count_examples
from palimpsest_pipeline_tests.fixtures.postgres import migrated_database

from ..history_worlds import DAYS, Key, Said, gone
from ..layer_worlds import LISTINGS, MARKETS, OUTCOMES, answers, ingest_world

WORLD = answers()
DAY = timedelta(days=1)
FIRST = get_day_start(DAYS[0])
LATE = get_day_start(DAYS[-1]) + timedelta(hours=23, minutes=59)
COLUMNS = (
    "platform, sr_id, market_key, specifier, outcome_key, odds::float, state, is_active, observed_at, last_confirmed_at"
)


@pytest.fixture(scope="module")
def told(postgres: EmbeddedPostgres) -> Iterator[psycopg.Connection[Any]]:
    """The world, in a transaction for each test."""
    with migrated_database(postgres) as url, Database(url).connect() as conn:
        partitions.ensure_partitions(conn, [*DAYS, DAYS[-1] + DAY])
        ingest_world(conn, WORLD)
        conn.execute("analyze")
        conn.commit()
        yield conn
        conn.rollback()


@pytest.fixture
def conn(told: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    yield told
    told.rollback()


@settings(max_examples=count_examples(25))
@given(
    after=st.timedeltas(timedelta(0), 5 * DAY),
    asked=st.sampled_from([{}, {"sr_ids": [7]}, {"tournament_keys": ["sr:18"]}, {"sr_ids": [404]}]),
)
def test_prices_as_of_an_instant_are_those_that_python_readers_give(
    told: psycopg.Connection[Any], tmp_path_factory: pytest.TempPathFactory, after: timedelta, asked: dict[str, Any]
) -> None:
    told.rollback()
    instant = FIRST + after
    frame = OddsHistoryReader(told, Archive(tmp_path_factory.getbasetemp() / "nothing")).read_prices_as_of(
        instant, **asked
    )
    columns = [column.removesuffix("::float") for column in COLUMNS.split(", ")]
    wanted = frame.filter("is_primary").select(columns).rows()
    sr_id, tournament = next(iter(asked.get("sr_ids", [])), None), next(iter(asked.get("tournament_keys", [])), None)
    found = told.execute(
        f"select {COLUMNS} from palimpsest.prices_as_of(%s, %s, %s)".encode(), [instant, sr_id, tournament]
    ).fetchall()
    assert sorted(found, key=repr) == sorted(wanted, key=repr)


def expected_price_changes(world: list[Said], listing_id: int) -> set[tuple[Any, ...]]:
    """(market_key, specifier, outcome_key, observed_at, state, odds, is_active, previous_odds) each time an outcome
    came to stand otherwise.
    """
    found: set[tuple[Any, ...]] = set()
    before: dict[Key, Any] = {}
    stands: dict[tuple[Key, int], tuple[str, int | None, bool]] = {}
    for said in sorted((a for a in world if a.listing_id == listing_id), key=lambda a: a.observed_at):
        now = {**{key: gone(facts) for key, facts in before.items()}, **said.book}
        for (market, specifier, outcome), (state, off, odds) in now.items():
            for n, price in enumerate(odds):
                place = ((market, specifier, outcome), n)
                stand = (state, price, state == "offered" and price is not None and not off >> n & 1)
                if stands.get(place) != stand:
                    was = stands[place][1] if place in stands else None
                    key = outcome or OUTCOMES[market, n + 1]
                    found.add(
                        (
                            MARKETS[market],
                            specifier,
                            key,
                            said.observed_at,
                            state,
                            price and price / 1000,
                            stand[2],
                            was and was / 1000,
                        )
                    )
                stands[place] = stand
        before = {**before, **said.book}
    return found


def test_price_changes_are_each_change_once_across_midnight_and_without_repetitions(
    conn: psycopg.Connection[Any],
) -> None:
    query = """
        select market_key, specifier, outcome_key, observed_at, state, odds::float, is_active, previous_odds::float
        from palimpsest.price_changes where listing_id = %s
    """
    told = 0
    for listing_id in LISTINGS:
        found = conn.execute(query, [listing_id]).fetchall()
        assert len(set(found)) == len(found)
        assert set(found) == expected_price_changes(WORLD, listing_id)
        told += len(found)
    assert conn.execute("select count(*) from palimpsest.price_changes").fetchone() == (told,)
    names = "select platform, sr_id, is_primary, home_team, away_team from palimpsest.price_changes where listing_id = 4 group by 1, 2, 3, 4, 5"
    assert conn.execute(names).fetchall() == [("bet9ja", 7, False, "A", "B")]


def test_some_market_of_the_world_goes_over_night(conn: psycopg.Connection[Any]) -> None:
    """What the test above rests on: a market that is withdrawn at the first answer of a day."""
    query = """
        select count(*)
        from palimpsest.price_changes p
        join core.captures c using (listing_id, observed_at)
        where p.state = 'withdrawn' and c.keyframe
    """
    row = conn.execute(query).fetchone()
    assert row is not None
    assert row[0] > 0


def scans(conn: psycopg.Connection[Any]) -> dict[str, tuple[int, int]]:
    """(whole reads, index reads) of each table of core and ops that this session has made of late."""
    query = "select relname::text, coalesce(seq_scan, 0), coalesce(idx_scan, 0) from pg_stat_xact_user_tables where schemaname in ('core', 'ops')"
    return {name: (whole, index) for name, whole, index in conn.execute(query)}


def test_prices_of_one_fixture_are_read_by_index_from_one_partition(conn: psycopg.Connection[Any]) -> None:
    conn.execute("set local enable_seqscan = off")  # tables of a few rows are read whole if that is allowed
    before = scans(conn)
    assert conn.execute("select count(*) > 0 from palimpsest.prices_as_of(%s, 7)", [LATE]).fetchone() == (True,)
    after = scans(conn)
    read = {name for name in after if after[name] != before[name]}
    assert {name for name in read if name.startswith(("captures", "market_changes"))} == {
        "captures_20260304",
        "market_changes_20260304",
    }
    assert {name for name in read if after[name][0] != before[name][0]} == set()


@pytest.mark.parametrize("instant", ["2026-03-05T12:00Z", "2026-03-30T12:00Z", "2026-03-03T12:00Z"])
def test_a_day_to_come_or_never_observed_is_empty(conn: psycopg.Connection[Any], instant: str) -> None:
    assert conn.execute("select count(*) from palimpsest.prices_as_of(%s)", [instant]).fetchone() == (0,)


@pytest.mark.parametrize(
    ("instant", "named"),
    [("2026-03-01T12:00Z", "2026-03-01"), ("2026-03-01T23:30-05:00", "2026-03-02"), ("1999-12-31Z", "1999-12-31")],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_a_day_that_is_no_longer_here_is_an_error_that_says_where_it_is(
    conn: psycopg.Connection[Any], instant: str, named: str, zone: str
) -> None:
    for day in DAYS[:2]:
        partitions.drop_day(conn, day)
    conn.execute("select set_config('TimeZone', %s, true)", [zone])
    with pytest.raises(psycopg.errors.UndefinedTable, match=f"prices of {named} are no longer in Postgres") as refused:
        conn.execute("select * from palimpsest.prices_as_of(%s, 404)", [instant])
    assert refused.value.diag.message_detail == "The oldest day here is 2026-03-04."
    assert "palimpsest prices" in (refused.value.diag.message_hint or "")


def test_a_day_that_went_from_between_others_is_an_error_when_a_cycle_saw_it(conn: psycopg.Connection[Any]) -> None:
    partitions.drop_day(conn, DAYS[1])
    noon = datetime.combine(DAYS[1], time(12), UTC)
    assert conn.execute("select count(*) from palimpsest.prices_as_of(%s)", [noon]).fetchone() == (0,)
    conn.execute(
        "insert into core.cycles values (1, %s, 'manual', 'full', 'betpawa', %s)",
        [noon - timedelta(hours=12, minutes=30), noon],
    )
    with pytest.raises(psycopg.errors.UndefinedTable, match="2026-03-02"):
        conn.execute("select * from palimpsest.prices_as_of(%s)", [noon])
