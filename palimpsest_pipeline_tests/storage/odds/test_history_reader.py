"""The same question over days in Postgres, days in the archive, and some of each: the same answer, and the one that
the answers alone give.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.archive import Archive, ArchiveError
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.odds import history_reader, partitions
from palimpsest_pipeline.storage.odds.day_sources import PostgresDays
from palimpsest_pipeline.storage.odds.history_reader import OddsHistoryReader
from palimpsest_pipeline_tests.fixtures.examples import count_examples
from palimpsest_pipeline_tests.fixtures.postgres import create_database, drop_database, upgrade_with_platforms

from ..history_worlds import CYCLE_ID, DAYS, INGESTED_AT, Said, capture_frame, read_stored_history
from ..layer_worlds import LISTINGS, answers, as_set, expected_markets, ingest_world

WORLD = answers()
DAY = timedelta(days=1)
FIRST, LAST = get_day_start(DAYS[0]), get_day_start(DAYS[-1])
INSTANTS = st.one_of(
    st.sampled_from([a.observed_at for a in WORLD]),
    st.timedeltas(-DAY, 6 * DAY).map(lambda after: FIRST + after),
)
AGES = st.sampled_from([None, timedelta(0), timedelta(hours=6), DAY, 4 * DAY])
LAYOUTS = {"hot": (), "half": DAYS[:1], "early": DAYS[1:2], "cold": DAYS}
"""Days that were exported and dropped."""


@pytest.fixture(scope="module")
def worlds(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, OddsHistoryReader]]:
    """The world once all hot, once all cold, and in between. Every day is exported, those of LAYOUTS are dropped."""
    archive = Archive(tmp_path_factory.mktemp("export"))
    database_name = f"layers_{uuid4().hex[:12]}"
    create_database(postgres, database_name)
    upgrade_with_platforms(postgres.build_url(database_name))
    with Database(postgres.build_url(database_name)).connect() as conn:
        partitions.ensure_partitions(conn, DAYS)
        ingest_world(conn, WORLD)
    with Database(postgres.build_url(database_name)).connect(autocommit=True) as conn:
        for day in DAYS:
            archive.export(conn, day, exported_at=INGESTED_AT)
    opened: dict[str, psycopg.Connection] = {}
    for layout, dropped in LAYOUTS.items():
        with Database(postgres.build_url("postgres")).connect(autocommit=True) as admin:
            admin.execute(f"create database {database_name}_{layout} template {database_name}".encode())
        opened[layout] = Database(postgres.build_url(f"{database_name}_{layout}")).connect(autocommit=True)
        for day in dropped:
            with opened[layout].transaction():
                partitions.drop_day(opened[layout], day)
    yield {layout: OddsHistoryReader(conn, archive) for layout, conn in opened.items()}
    for layout, conn in opened.items():
        conn.close()
        drop_database(postgres, f"{database_name}_{layout}")
    drop_database(postgres, database_name)


@pytest.fixture(scope="module")
def hot(worlds: dict[str, OddsHistoryReader]) -> OddsHistoryReader:
    return worlds["hot"]


@settings(max_examples=count_examples(40), suppress_health_check=[HealthCheck.too_slow])
@given(instant=INSTANTS, max_age=AGES)
def test_as_of_any_instant_returns_the_observations_up_to_then_wherever_the_days_are_stored(
    worlds: dict[str, OddsHistoryReader], instant: datetime, max_age: timedelta | None
) -> None:
    wanted = expected_markets(WORLD, instant, LISTINGS, max_age)
    first = worlds["hot"].read_prices_as_of(instant, max_age=max_age)
    for layout, reader in worlds.items():
        markets = reader.read_markets_as_of(instant, max_age=max_age)
        assert as_set(markets) == wanted, layout
        assert reader.read_prices_as_of(instant, max_age=max_age).equals(first), layout


@pytest.mark.parametrize(
    ("given_", "listings"),
    [
        ({"sr_ids": [7]}, {1, 2, 3, 4}),
        ({"tournament_keys": ["sr:18"]}, {5}),
        ({"listing_ids": [2, 6]}, {2, 6}),
        ({"sr_ids": [7], "listing_ids": [2, 5]}, {2}),
        ({"sr_ids": [7], "tournament_keys": ["sr:18"]}, set()),
        ({"sr_ids": [404]}, set()),
        ({"listing_ids": []}, set()),
    ],
)
def test_arguments_narrow_the_result(
    worlds: dict[str, OddsHistoryReader], given_: dict[str, Any], listings: set[int]
) -> None:
    instant = LAST + DAY - timedelta(seconds=1)
    for layout, reader in worlds.items():
        assert as_set(reader.read_markets_as_of(instant, max_age=9 * DAY, **given_)) == expected_markets(
            WORLD, instant, listings, 9 * DAY
        ), layout


def test_rows_carry_their_names(hot: OddsHistoryReader) -> None:
    found = hot.read_markets_as_of(LAST + DAY, max_age=9 * DAY)
    assert found.schema == pl.Schema(history_reader.MARKETS_SCHEMA)
    names = found.select("listing_id", "platform", "external_id", "sr_id", "is_primary").unique()
    assert {row[0]: row[1:] for row in names.rows()} == {
        k: v for k, v in LISTINGS.items() if k in set(names["listing_id"])
    }
    assert names.height > 3


def test_a_price_has_the_outcome_of_its_place_and_can_be_backed_unless_something_is_off(
    worlds: dict[str, OddsHistoryReader],
) -> None:
    instant = LAST + DAY - timedelta(seconds=1)
    for layout, asked in worlds.items():
        prices = asked.read_prices_as_of(instant, max_age=9 * DAY)
        assert prices.schema == pl.Schema(history_reader.PRICES_SCHEMA)
        wanted = set()
        for listing, market, specifier, outcome, state, off, odds, _, _ in expected_markets(
            WORLD, instant, LISTINGS, 9 * DAY
        ):
            keys = {"match_result": ["1", "X", "2"], "total_goals": ["over", "under"]}.get(market, [outcome])
            elsewhere: dict[str, list[int | None]] = {"correct_score": [2], "scorer": [None]}
            places = elsewhere.get(market, [1, 2, 3])
            for n, (key, place, price) in enumerate(zip(keys, places, odds, strict=False)):
                active = state == "offered" and price is not None and not off >> n & 1
                wanted.add((listing, market, specifier, key, place, price and price / 1000, state, active))
        columns = ("listing_id", "market_key", "specifier", "outcome_key", "ordinal", "odds", "state", "is_active")
        assert set(prices.select(columns).iter_rows()) == wanted, layout
        assert prices.height == len(wanted)


def test_every_past_answer_can_be_read_completely(worlds: dict[str, OddsHistoryReader]) -> None:
    for answer in WORLD[::7]:
        book = {(key[0], *key[1:], *facts) for key, facts in answer.book.items()}
        for layout, reader in worlds.items():
            markets = reader.read_markets_as_of(answer.observed_at, listing_ids=[answer.listing_id])
            present = markets.filter(pl.col("state") != "withdrawn")
            names = {"match_result": 1, "total_goals": 2, "scorer": 3, "correct_score": 4}
            rows = present.select("market_key", "specifier", "outcome", "state", "off_mask", "odds_milli").iter_rows()
            assert {(names[key], *rest, tuple(odds)) for key, *rest, odds in rows} == book, layout
            assert set(present["last_confirmed_at"]) <= {answer.observed_at}


@pytest.mark.parametrize(
    "days", [(DAYS[0], DAYS[-1]), (DAYS[0], DAYS[0]), (DAYS[1], DAYS[-1]), (date(2026, 1, 1), date(2026, 2, 1))]
)
@pytest.mark.parametrize("listings", [None, [1, 4], []])
def test_rows_of_any_range_of_days_are_equal_from_postgres_and_archive(
    worlds: dict[str, OddsHistoryReader], days: tuple[date, date], listings: list[int] | None
) -> None:
    for kind in ("read_changes", "read_captures"):
        first = getattr(worlds["hot"], kind)(listings, *days)
        among = [
            a
            for a in WORLD
            if days[0] <= a.observed_at.date() <= days[1] and (listings is None or a.listing_id in listings)
        ]
        assert set(first.select("listing_id", "observed_at").iter_rows()) <= {
            (a.listing_id, a.observed_at) for a in among
        }
        for layout, reader in worlds.items():
            assert getattr(reader, kind)(listings, *days).equals(first), (layout, kind)
    assert first.height == len(among)
    captures = first.select(capture_frame([]).columns).rows()
    assert captures == capture_frame(sorted(among, key=lambda a: (a.listing_id, a.observed_at))).rows()
    assert set(first["cycle_id"]) <= {CYCLE_ID}


def test_an_instant_without_zone_is_refused(hot: OddsHistoryReader) -> None:
    for ask in (hot.read_markets_as_of, hot.read_prices_as_of):
        with pytest.raises(ValueError, match="with a time zone"):
            ask(FIRST.replace(tzinfo=None))
    in_lagos = (FIRST + timedelta(minutes=30)).astimezone(ZoneInfo("Africa/Lagos"))
    assert in_lagos.date() == FIRST.date()
    in_new_york = in_lagos.astimezone(ZoneInfo("America/New_York"))
    assert in_new_york.date() < FIRST.date()
    assert as_set(hot.read_markets_as_of(in_new_york)) == expected_markets(
        WORLD, FIRST + timedelta(minutes=30), LISTINGS
    )


def test_a_day_stays_in_postgres_until_a_running_read_ends(
    history_conn: psycopg.Connection, tmp_path: Path, migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = [a for a in WORLD if a.observed_at.date() == DAYS[0]]
    ingest_world(history_conn, world)
    history_conn.commit()
    archive, looked = Archive(tmp_path), PostgresDays.list_days
    attempts: list[bool] = []

    def drop() -> None:
        with Database(migrated_database_url).connect() as other:
            partitions.lock_day_exclusively(other, DAYS[0], patience_s=0)
            partitions.drop_day(other, DAYS[0])

    def look(self: PostgresDays, days: Sequence[date]) -> list[date]:
        found_days = looked(self, days)
        if not attempts:
            with pytest.raises(partitions.InUse):
                drop()
            attempts.append(True)
        return found_days

    with Database(migrated_database_url).connect(autocommit=True) as other:
        archive.export(other, DAYS[0], exported_at=INGESTED_AT)
    monkeypatch.setattr(PostgresDays, "list_days", look)
    reader, instant = OddsHistoryReader(history_conn, archive), FIRST + DAY - timedelta(seconds=1)
    markets = reader.read_markets_as_of(instant)
    assert attempts
    assert as_set(markets) == expected_markets(world, instant, LISTINGS)
    drop()  # no lock is held after the read
    assert partitions.read_partitions(history_conn).filter(pl.col("day") == DAYS[0]).is_empty()
    assert reader.read_markets_as_of(instant).equals(markets)


def test_half_a_day_in_postgres_is_an_error(history_conn: psycopg.Connection, tmp_path: Path) -> None:
    ingest_world(history_conn, WORLD[:5])
    history_conn.execute(f"drop table core.{partitions.build_partition_name('market_changes', DAYS[0])}".encode())
    with pytest.raises(partitions.MissingPartitionError, match="2026-03-01"):
        OddsHistoryReader(history_conn, Archive(tmp_path)).read_markets_as_of(FIRST)


@pytest.mark.parametrize(
    ("hour", "scope", "n_rows", "lost"),
    [(12, "full", 3, True), (12, "full", 0, False), (23, "full", 3, False), (12, "recorded", 3, False)],
)
def test_a_lost_day_with_stored_odds_is_an_error_and_not_an_empty_result(
    history_conn: psycopg.Connection, tmp_path: Path, hour: int, scope: str, n_rows: int, lost: bool
) -> None:
    at = datetime(2026, 2, 1, hour, tzinfo=UTC)
    history_conn.execute("insert into core.cycles values (1, %s, 'manual', %s, 'betpawa', %s)", [at, scope, at])
    versions = {"landing_digest": "", "parser_version": "1", "mapping_version": "1"}
    derived_products.mark_derived(history_conn, "core", "odds_snapshots/betpawa", 1, **versions, n_rows=n_rows)
    reader = OddsHistoryReader(history_conn, Archive(tmp_path / "elsewhere"))
    if lost:
        with pytest.raises(
            ArchiveError,
            match=r"odds of 2026-02-01 were stored, but they are neither in Postgres nor in the export at .*elsewhere",
        ):
            reader.read_markets_as_of(at + timedelta(minutes=30))
    else:
        assert reader.read_markets_as_of(at + timedelta(minutes=30)).is_empty()
    assert reader.read_markets_as_of(at + DAY).is_empty()


@pytest.mark.parametrize(
    ("forget", "message"),
    [
        (
            "delete from core.market_outcomes where outcome_key = 'X'",
            "core.market_outcomes has no name .* `palimpsest db upgrade`",
        ),
        ("delete from core.market_outcomes; delete from core.markets where market_id = 2", "core.markets has no name"),
    ],
)
def test_a_market_without_its_name_is_an_error(
    history_conn: psycopg.Connection, tmp_path: Path, forget: str, message: str
) -> None:
    ingest_world(history_conn, WORLD)
    history_conn.execute(forget.encode())
    with pytest.raises(LookupError, match=message):
        OddsHistoryReader(history_conn, Archive(tmp_path)).read_prices_as_of(LAST + DAY, max_age=9 * DAY)


def test_the_world_contains_every_state(hot: OddsHistoryReader, history_conn: psycopg.Connection) -> None:
    """The tests above need every state, every layout and empty books."""
    ingest_world(history_conn, WORLD)
    history_rows = read_stored_history(history_conn)
    assert {row[5] for row in history_rows.changes} == {"offered", "suspended", "no_price", "withdrawn"}
    assert {a.observed_at.date() for a in WORLD} == set(DAYS)
    assert {a.listing_id for a in WORLD} == set(LISTINGS)
    assert any(not answer.book for answer in WORLD if isinstance(answer, Said))


def test_changes_of_some_lines_equal_the_filtered_changes_of_all(
    worlds: dict[str, OddsHistoryReader], hot: OddsHistoryReader
) -> None:
    every = hot.read_changes(None, DAYS[0], DAYS[-1])
    wanted = every["line_id"].unique().sort()[::2].to_list()
    for layout, reader in worlds.items():
        changes = reader.read_changes(None, DAYS[0], DAYS[-1], wanted)
        assert changes.equals(every.filter(pl.col("line_id").is_in(wanted))), layout
        assert 0 < changes.height < every.height
        assert reader.read_changes(None, DAYS[0], DAYS[-1], []).is_empty()
