"""What sizes say: every table once, days of the history counted, growth read off what was measured before."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.storage.odds import storage_growth
from palimpsest_pipeline.storage.odds.storage_growth import EXPORT_NAME, LANDING_NAME, SAMPLE_SCHEMA

from ..history_worlds import DAYS, RESULT, TOTAL, Said, at, offered, take_in

NOW = datetime(2026, 3, 10, 3, 10, tzinfo=UTC)
LIMIT = 1_000_000


def sample(at_: datetime, **sized: int) -> pl.DataFrame:
    """Tables of given sizes, half of it heap."""
    rows = [
        (at_, name.replace("__", "."), at_.date(), 1, None, size // 2, size - size // 2) for name, size in sized.items()
    ]
    return pl.DataFrame(rows, schema=SAMPLE_SCHEMA, orient="row")


def test_every_table_is_measured_once_and_every_day_of_the_history_is_counted(history_conn: psycopg.Connection) -> None:
    take_in(
        history_conn,
        [
            Said(11, at(0, 9), {RESULT: offered(2000, None, 4000)}),
            Said(12, at(0, 9), {RESULT: offered(2000), TOTAL: offered(1900)}),
        ],
    )
    found = storage_growth.measure_postgres(history_conn, NOW)
    assert dict(found.schema) == SAMPLE_SCHEMA
    assert not found.select("table_name", "day").is_duplicated().any()
    tables = set(found["table_name"])
    assert {
        "ops.market_lines",
        "core.current_markets",
        "mart.open_close",
        "core.captures",
        "core.market_changes",
    } <= tables
    assert not [name for name in tables if name[-8:].isdigit()]
    changes = found.filter(table_name="core.market_changes").sort("day")
    assert changes.select("day", "n_rows", "n_prices").rows() == [(DAYS[0], 3, 4), (DAYS[1], 0, 0), (DAYS[2], 0, 0)]
    assert changes["heap_bytes"][0] >= 8192
    captures = found.filter(table_name="core.captures", day=DAYS[0])
    assert captures.select("n_rows", "n_prices").row(0) == (2, None)
    assert captures["index_bytes"].item() > 0
    assert found.filter(table_name="core.current_markets").select("day", "n_rows").row(0) == (NOW.date(), 3)


def test_a_naive_instant_is_refused(history_conn: psycopg.Connection) -> None:
    with pytest.raises(ValueError, match="naive"):
        storage_growth.measure_postgres(history_conn, NOW.replace(tzinfo=None))


def test_figures_divide_bytes_by_the_prices_that_they_hold(history_conn: psycopg.Connection) -> None:
    take_in(history_conn, [Said(11, at(0, 9), {RESULT: offered(2000, 3000, 4000)})])
    measured = pl.concat(
        [
            storage_growth.measure_postgres(history_conn, NOW),
            storage_growth.build_file_sample(
                EXPORT_NAME, [(date(2026, 2, 1), 10, 500, 1_000), (date(2026, 2, 2), 10, 500, 2_000)], NOW
            ),
            storage_growth.build_file_sample(LANDING_NAME, [(DAYS[0], 3, None, 7_000)], NOW),
        ]
    )
    found = storage_growth.compute_storage_sizes(history_conn, measured, 10**9)
    first = measured.filter(pl.col("day") == DAYS[0], pl.col("table_name").is_in(storage_growth.HISTORY_TABLES))
    assert found.bytes_per_price == (first["heap_bytes"].sum() + first["index_bytes"].sum()) / 3
    assert (found.export_bytes, found.landing_bytes, found.export_bytes_per_price) == (3_000, 7_000, 3.0)
    assert found.total_bytes == measured["heap_bytes"].sum() + measured["index_bytes"].sum()
    assert found.postgres_bytes == found.total_bytes - 10_000


def test_growth_is_read_off_the_oldest_sample_of_a_week_and_tells_when_the_limit_is_reached(
    history_conn: psycopg.Connection,
) -> None:
    for days_ago, size in ((9, 1), (4, 200_000), (1, 900_000)):
        storage_growth.write_sample(
            history_conn, sample(NOW - timedelta(days=days_ago), core__fixtures=size // 2, landing=size - size // 2)
        )
    found = storage_growth.compute_storage_sizes(history_conn, sample(NOW, core__fixtures=600_000), LIMIT)
    assert found.growth_bytes_per_day == 100_000
    assert found.days_until_limit == 4
    assert (
        storage_growth.compute_storage_sizes(
            history_conn, sample(NOW, core__fixtures=1_600_000), LIMIT
        ).days_until_limit
        == 0
    )
    shrinks = storage_growth.compute_storage_sizes(history_conn, sample(NOW, core__fixtures=100_000), LIMIT)
    assert (shrinks.growth_bytes_per_day, shrinks.days_until_limit) == (-25_000, None)


def test_without_a_sample_of_another_day_nothing_is_said_of_growth(history_conn: psycopg.Connection) -> None:
    now = sample(NOW, core__fixtures=600_000)
    assert storage_growth.read_latest_total(history_conn) is None
    storage_growth.write_sample(history_conn, sample(NOW - timedelta(hours=2), core__fixtures=1))
    found = storage_growth.compute_storage_sizes(history_conn, now, LIMIT)
    assert (found.growth_bytes_per_day, found.days_until_limit) == (None, None)
    storage_growth.write_sample(history_conn, now)
    assert storage_growth.read_latest_total(history_conn) == 600_000


def test_samples_that_are_too_old_are_let_go(history_conn: psycopg.Connection) -> None:
    for days_ago in (100, 91, 89, 0):
        storage_growth.write_sample(history_conn, sample(NOW - timedelta(days=days_ago), core__fixtures=1))
    kept = history_conn.execute("select min(sampled_at), count(*) from ops.storage_samples").fetchone()
    assert kept == (NOW - timedelta(days=89), 2)
