"""What keeping every price change costs: time to take a cycle in, bytes a price, time to ask for any past instant. On a
Postgres of its own.

Every figure that is a ratio compares two things of the same run, turn by turn, each write in a new process. Sizes are
those of the tables and files made here; gigabytes for 90 days are these bytes times the rows of 90 days.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import numpy as np
import polars as pl
import psycopg
import typer

from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.db.copy_frames import copy_rows
from palimpsest_pipeline.storage.odds import current_markets, partitions
from palimpsest_pipeline.storage.odds.market_lines import number_lines
from palimpsest_pipeline_tests.fixtures.postgres import create_database, run_server, upgrade_with_platforms

from ._child import run
from ._market_world import BEGIN, MarketWorld
from ._questions import questions
from ._storage_child import Took, Write
from ._storage_child import __name__ as child

EVERY: Final = timedelta(minutes=10)
DAYS, HOT_DAYS = 90, 7
LITTLE: Final = 7
"""Cycles of change in the small history, after the day's first answers."""
TABLES: Final = """
create schema bench;
create table bench.raw_prices (listing_id integer, line_id integer, ordinal smallint, observed_at timestamptz, odds integer);
create table bench.price_current (like bench.raw_prices, primary key (listing_id, line_id, ordinal));
"""
LISTINGS_SQL: Final = """
insert into ops.listing_ids (listing_id, platform, external_id)
overriding system value
select n, (array['betpawa', 'sportybet', 'bet9ja'])[(n - 1) %% 3 + 1], n::text from generate_series(1, %s) n
"""


@dataclass
class Filled:
    """A database with a history in it."""

    url: str
    n_prices: int = 0
    """Prices in market_changes."""
    n_rows: int = 0
    days: list[date] = field(default_factory=list)


def measure(
    events: Annotated[int, typer.Option(min=30, help="Events, each on three platforms.")] = 1500,
    changed: Annotated[
        float, typer.Option(min=0.001, max=1, help="Share of the markets that change from one cycle to the next.")
    ] = 0.05,
    history_prices: Annotated[
        int, typer.Option(min=1, help="Prices of changes in the large history; the small one has a hundredth.")
    ] = 50_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, of which the median counts.")] = 5,
    seed: Annotated[int, typer.Option(help="Chooses the prices.")] = 1,
) -> dict[str, Any]:
    """All figures of this module.

    The small history is a day's first answers and a hundredth of the changes; the large one ends with it.
    """
    with TemporaryDirectory(prefix="palimpsest-storage-") as folder, server(Path(folder)) as make:
        world = MarketWorld(events, changed, seed)
        n_cycles = max(2 * LITTLE, round(history_prices / (changed * world.n_prices)))
        small, large = make("small"), make("large")
        last = fill(world, small, large, n_cycles)
        took = timed_rounds(world, [small, large], last, rounds, Path(folder))
        sizes = bytes_per_price(large)
        found = {
            "n_current_prices": world.n_prices,
            "n_history_prices": {"small": small.n_prices, "large": large.n_prices},
            "rounds": rounds,
            "ingest_s": {name: median(t.wall_s for t in took[name]) for name in took},
            "ingest_cpu_s": {name: median(t.cpu_s for t in took[name]) for name in took},
            "ingest_ratio_to_copy": _ratio(took["large"], took["copy"]),
            "ingest_speedup_vs_upsert_all": _ratio(took["upsert"], took["large"]),
            "ingest_growth_100x": _ratio(took["large"], took["small"]),
            "ingest_peak_rss_mb": max(t.peak_rss_mb for t in took["large"]),
            **sizes,
            **questions(large.url, large.days, world, Path(folder) / "export"),
        }
        hot_gb, cold_gb = gigabytes(world, changed, found)
        return {**found, "gb_90d": hot_gb + cold_gb, "gb_90d_hot": hot_gb, "gb_90d_cold": cold_gb}


@contextmanager
def server(folder: Path) -> Iterator[Callable[[str], Filled]]:
    """Makes databases with the schema in them on a server of its own, with the settings of the embedded one."""

    def make(name: str) -> Filled:
        create_database(postgres, name)
        upgrade_with_platforms(postgres.build_url(name))
        with Database(postgres.build_url(name)).connect() as conn:
            conn.execute(TABLES)
        return Filled(postgres.build_url(name))

    with run_server(folder, durable=True) as postgres:
        yield make


def fill(world: MarketWorld, small: Filled, large: Filled, n_cycles: int) -> datetime:
    """Write the history row by row as ingestion would have, but in bulk: keyframes at midnight, else what moved.
    Returns when the last cycle began.

    The last day holds the first answers of the day and LITTLE cycles: that is all of the small history, and the end of
    the large one.
    """
    midnight = BEGIN + timedelta(days=-(-(n_cycles - LITTLE) * EVERY // timedelta(days=1)))
    begin = midnight - (n_cycles - LITTLE) * EVERY
    lines = _prepare(world, large, begin, midnight)
    _prepare(world, small, midnight, midnight)
    changed_us = np.zeros((world.listings, world.lines.height), np.int64)
    day = None
    with Database(small.url).connect() as little, Database(large.url).connect() as much:
        for number, at in enumerate(world.cycles(n_cycles + 1, EVERY, begin)):
            moved = world.move() if number else np.ones_like(changed_us, bool)
            instants = world.instants(at)
            changed_us = np.where(moved, instants[:, None], changed_us)
            keyframe, day = at.date() != day, at.date()
            rows = (
                world.rows(instants, None if keyframe else moved)
                .join(lines, on="market")
                .with_columns(keyframe=pl.lit(keyframe))
            )
            counts = rows.group_by("listing_id").len("n_changed")
            captures = (
                world.captures(instants)
                .join(counts, on="listing_id", how="left")
                .with_columns(
                    pl.col("n_changed").fill_null(0).cast(pl.Int32),
                    cycle_id=_cycle_id(at),
                    keyframe=pl.lit(keyframe),
                    mapping_version=pl.lit("1"),
                    ingested_at=pl.lit(at, INSTANT),
                )
            )
            for conn, filled in ((much, large), (little, small)):
                if conn is much or at >= midnight:
                    _append(conn, filled, captures, rows)
            if number % 20 == 0:
                much.commit()
        held = (
            world.rows(np.zeros(world.listings, np.int64))
            .join(lines, on="market")
            .join(
                pl.DataFrame(
                    {"listing_id": np.repeat(np.arange(1, world.listings + 1, dtype=np.int32), changed_us.shape[1])}
                ).with_columns(
                    market=pl.Series(np.tile(np.arange(changed_us.shape[1], dtype=np.int32), world.listings)),
                    changed_at=pl.Series(changed_us.ravel()).cast(INSTANT),
                ),
                on=["listing_id", "market"],
            )
        )
        for conn in (little, much):
            copy_rows(
                conn,
                "core.current_markets",
                held.select(
                    "listing_id",
                    "line_id",
                    "changed_at",
                    state=pl.lit("offered"),
                    state_since="changed_at",
                    odds_milli="odds_milli",
                ).sort("listing_id", "line_id"),
            )
            conn.commit()
            conn.autocommit = True
            conn.execute("vacuum analyze")
            wrong = current_markets.count_violations(conn, list(range(1, 1 + min(60, world.listings))))
            assert not wrong, (
                f"{wrong} markets of what was filled in contradict themselves: the measurement would be of nothing"
            )
    return at


def _prepare(world: MarketWorld, filled: Filled, first: datetime, last: datetime) -> pl.DataFrame:
    """Partitions, ids of listings and of lines; returns the lines with their ids."""
    filled.days = [first.date() + timedelta(days=n) for n in range((last.date() - first.date()).days + 1)]
    with Database(filled.url).connect() as conn:
        partitions.ensure_partitions(conn, filled.days)
        conn.execute(LISTINGS_SQL, [world.listings])
        lines = number_lines(conn, world.lines.with_columns(outcome=pl.lit("")))
    return lines.select("market", "line_id")


def _append(conn: psycopg.Connection, filled: Filled, captures: pl.DataFrame, rows: pl.DataFrame) -> None:
    copy_rows(conn, "core.captures", captures)
    written = rows.select(
        "listing_id", "observed_at", "line_id", "keyframe", state=pl.lit("offered"), odds_milli="odds_milli"
    )
    copy_rows(conn, "core.market_changes", written.sort("listing_id", "line_id"))
    filled.n_rows += rows.height
    filled.n_prices += int(rows["odds_milli"].list.len().sum())


def _cycle_id(at: datetime) -> int:
    return int(at.strftime("%Y%m%d%H%M%S")) * 1000


def timed_rounds(
    world: MarketWorld, filled: Sequence[Filled], last: datetime, rounds: int, folder: Path
) -> dict[str, list[Took]]:
    """Each round is one more cycle: taken in by both histories, copied raw, and written over all current prices, in
    turns.
    """
    small, large = filled
    took: dict[str, list[Took]] = {"small": [], "large": [], "copy": [], "upsert": []}
    with Database(large.url).connect() as conn:
        lines = number_lines(conn, world.lines.with_columns(outcome=pl.lit(""))).select("market", "line_id")
    for number in range(rounds + 1):
        at = last + (number + 1) * EVERY
        world.move()
        instants = world.instants(at)
        files = folder / "cycle"
        files.mkdir(exist_ok=True)
        world.captures(instants).write_parquet(files / "captures.parquet")
        world.contents(instants).write_parquet(files / "contents.parquet")
        _price_rows(world, instants, lines).write_csv(files / "prices.csv", include_header=False)
        turns = [
            ("small", small, "ingest"),
            ("large", large, "ingest"),
            ("copy", large, "copy"),
            ("upsert", large, "upsert"),
        ]
        for name, database, do in turns[number % 4 :] + turns[: number % 4]:
            with Database(database.url).connect(autocommit=True) as conn:
                conn.execute("truncate bench.raw_prices")
                conn.execute("checkpoint")
            told = run(child, Write(do, database.url, str(files), _cycle_id(at)), Took)
            if number:  # the first round warms, and fills the table that is written over
                took[name].append(told)
    return took


def _price_rows(world: MarketWorld, instants: np.ndarray, lines: pl.DataFrame) -> pl.DataFrame:
    rows = (
        world.rows(instants).join(lines, on="market").select("listing_id", "line_id", "observed_at", odds="odds_milli")
    )
    return (
        rows.with_columns(ordinal=pl.int_ranges(1, pl.col("odds").list.len() + 1))
        .explode("ordinal", "odds")
        .select("listing_id", "line_id", "ordinal", "observed_at", "odds")
    )


def _ratio(one: Sequence[Took], other: Sequence[Took]) -> float:
    """Median of the rounds' own ratios of wall time."""
    return median(a.wall_s / b.wall_s for a, b in zip(one, other, strict=True))


def bytes_per_price(filled: Filled) -> dict[str, float]:
    """What Postgres takes for a price of days that are over, packed as upkeep does each night: rows and index, and with
    the captures that confirm them; what the present state takes."""
    over = filled.days[:-1] if len(filled.days) > 1 else filled.days
    sizes = "select pg_table_size(%(name)s::regclass)::float8, pg_indexes_size(%(name)s::regclass)::float8"
    first, last = over[0], over[-1] + timedelta(days=1)
    counts = """
        select sum(cardinality(odds_milli))::float8, count(*)::float8,
            (select count(*)::float8 from core.captures where observed_at >= %(first)s and observed_at < %(last)s)
        from core.market_changes where observed_at >= %(first)s and observed_at < %(last)s
    """
    by_table = dict.fromkeys(partitions.PARTITIONED_TABLES, 0.0)
    index_bytes = 0.0
    with Database(filled.url).connect() as conn:
        prices, rows, n_captures = conn.execute(counts, {"first": first, "last": last}).fetchone() or (0, 0, 0)
        for day in over:
            partitions.reindex_day(conn, day)
            for name in partitions.PARTITIONED_TABLES:
                heap, index = conn.execute(
                    sizes, {"name": f"core.{partitions.build_partition_name(name, day)}"}
                ).fetchone() or (0, 0)
                by_table[name] += heap + index
                index_bytes += index if name == "market_changes" else 0
        (current,) = conn.execute("select pg_total_relation_size('core.current_markets')::float8").fetchone() or (0,)
    return {
        "pg_bytes_per_price": by_table["market_changes"] / prices,
        "pg_index_bytes_per_price": index_bytes / prices,
        "pg_bytes_per_price_with_captures": sum(by_table.values()) / prices,
        "pg_bytes_per_market_row": by_table["market_changes"] / rows,
        "pg_bytes_per_capture": by_table["captures"] / n_captures,
        "pg_current_bytes": current,
    }


def gigabytes(world: MarketWorld, changed: float, found: Mapping[str, Any]) -> tuple[float, float]:
    """GB for 90 days of a cycle every ten minutes: of the hot days in Postgres, and of the others in Parquet."""
    cycles = DAYS * timedelta(days=1) / EVERY
    prices_a_day = cycles * changed * world.n_prices / DAYS + world.n_prices
    hot = HOT_DAYS * prices_a_day * found["pg_bytes_per_price_with_captures"] + found["pg_current_bytes"]
    cold = (DAYS - HOT_DAYS) * prices_a_day * found["parquet_bytes_per_price_with_captures"]
    return hot / 1e9, cold / 1e9
