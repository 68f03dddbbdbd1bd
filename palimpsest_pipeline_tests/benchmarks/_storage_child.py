"""One timed write in a process of its own: told by JSON on stdin, it tells what it took by JSON on stdout.

Reading the input does not count.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import polars as pl
import psycopg

from palimpsest_pipeline.pipeline.ingest.write_core import ANSWERS_PER_BATCH
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.odds import history

from ._child import Meter, Order, peak_rss_mb, tell, the_task
from ._market_world import PLATFORMS, MarketWorld

COPY_SQL = "copy bench.raw_prices from stdin (format csv)"
UPSERT_SQL = """
insert into bench.price_current select listing_id, line_id, ordinal, observed_at, odds from pg_temp.staged
on conflict (listing_id, line_id, ordinal) do update set observed_at = excluded.observed_at, odds = excluded.odds
"""


class Write(Order):
    """What to write: `do` is ingest, copy or upsert; `folder` holds the cycle's files."""

    url: str
    folder: str
    cycle_id: int = 0


class Took(msgspec.Struct):
    """Seconds; `cpu_s` of this process, all threads."""

    wall_s: float
    cpu_s: float
    peak_rss_mb: float
    n_rows: int


def ingest(task: Write) -> Callable[[], int]:
    """The production path from normalised answers to committed history: platform by platform side by side, in
    batches.
    """
    captures = pl.read_parquet(Path(task.folder) / "captures.parquet")
    contents = pl.read_parquet(Path(task.folder) / "contents.parquet")
    parts = []
    for number, platform in enumerate(PLATFORMS):
        of_platform = MarketWorld.platform_of(platform)
        own, said = captures.filter(of_platform).sort("listing_id"), contents.filter(of_platform).sort("listing_id")
        batches = [own[start : start + ANSWERS_PER_BATCH] for start in range(0, own.height, ANSWERS_PER_BATCH)]
        parts.append((number, [(b, said.join(b.select("listing_id"), on="listing_id", how="semi")) for b in batches]))

    def take_in(part: tuple[int, list[tuple[pl.DataFrame, pl.DataFrame]]]) -> int:
        number, batches = part
        with Database(task.url).connect() as conn:
            return sum(
                history.ingest_answers(
                    conn,
                    own,
                    said,
                    cycle_id=task.cycle_id,
                    mapping_version="1",
                    ingested_at=datetime.now(UTC),
                    platform=str(number),
                ).n_rows_written
                for own, said in batches
            )

    def work() -> int:
        with ThreadPoolExecutor(len(parts)) as pool:
            return sum(pool.map(take_in, parts))

    return work


def copy(task: Write) -> Callable[[], int]:
    """The floor: every price of the cycle as a row of integers, made ready as text beforehand, into a table without
    an index.
    """
    text = (Path(task.folder) / "prices.csv").read_bytes()

    def work() -> int:
        with psycopg.connect(Database(task.url).conninfo) as conn, conn.cursor() as cursor:
            with cursor.copy(COPY_SQL) as into:
                into.write(text)
            return cursor.rowcount

    return work


def upsert(task: Write) -> Callable[[], int]:
    """Every price of the cycle written over its last one, in bulk."""
    text = (Path(task.folder) / "prices.csv").read_bytes()

    def work() -> int:
        with psycopg.connect(Database(task.url).conninfo) as conn, conn.cursor() as cursor:
            cursor.execute("create temporary table staged (like bench.raw_prices) on commit drop")
            with cursor.copy("copy pg_temp.staged from stdin (format csv)") as into:
                into.write(text)
            cursor.execute(UPSERT_SQL)
            return cursor.rowcount

    return work


if __name__ == "__main__":
    task = the_task(Write)
    work = {"ingest": ingest, "copy": copy, "upsert": upsert}[task.do](task)
    meter = Meter()
    n_rows = work()
    used = meter.read()
    tell(Took(used.ended_at - used.began_at, used.cpu_s, peak_rss_mb(), n_rows))
