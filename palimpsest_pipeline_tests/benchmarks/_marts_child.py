"""One derived table by one engine over partitions, in a process of its own: told by JSON on stdin, it tells what it
took by JSON on stdout.

From the files (of Postgres: its tables) to the rows in the engine's own hands, one partition after the other, none
kept. Each engine imports its own library only, so that the memory of a process is its own.
"""

import sys
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from ._child import Meter, Order, peak_rss_mb, tell, the_task
from ._marts_files import INPUTS, WORDS, partition_file, word_file

SQL: Final = Path(__file__).parent / "marts"
WORK_MEM: Final = "256MB"
"""What Postgres may sort and hash in memory: with its default every partition would go through files."""


class Derive(Order):
    """`do`: the engine. `folder` holds the files; `write`: where the rows of the last partition shall be written as
    Parquet, '' nowhere.
    `fixtures_at_once`: of ours."""

    table: str
    folder: str
    partitions: int
    fixtures_at_once: int
    url: str = ""
    write: str = ""


class Took(msgspec.Struct):
    """Seconds; `peak_rss_mb` of this process, of Postgres of its backend (None where that may not be read)."""

    wall_s: float
    cpu_s: float
    idle_share: float
    peak_rss_mb: float | None
    n_rows: int


class Engine(Protocol):
    def __init__(self, task: Derive) -> None: ...

    def derive(self, partition: int) -> int:
        """The partition's rows; returns how many."""

    def write(self, path: str) -> None:
        """What was derived last, as Parquet."""

    def peak_rss_mb(self) -> float | None: ...


class Ours:
    """The functions of the pipeline."""

    def __init__(self, task: Derive) -> None:
        from . import _marts_ours as ours

        self._folder, self._ours, self._task = Path(task.folder), ours, task
        self._words = ours.read_words(self._folder)

    def derive(self, partition: int) -> int:
        self._rows: Any = None
        read = self._ours.read_partition(self._folder, self._task.table, partition)
        self._rows = self._ours.derive(self._task.table, self._task.fixtures_at_once, read, *self._words)
        return int(self._rows.height)

    def write(self, path: str) -> None:
        self._rows.write_parquet(path)

    def peak_rss_mb(self) -> float | None:
        return peak_rss_mb()


class DuckDB:
    """The same rules in SQL, on the same files."""

    def __init__(self, task: Derive) -> None:
        import duckdb

        self._folder, self._inputs, self._query = (
            Path(task.folder),
            INPUTS[task.table],
            (SQL / f"{task.table}.sql").read_text(),
        )
        self._conn = duckdb.connect()
        self._conn.execute("set timezone = 'UTC'")
        for name in WORDS:
            self._conn.execute(f"create view {name} as from read_parquet('{word_file(self._folder, name)}')")

    def derive(self, partition: int) -> int:
        for name in self._inputs:
            self._conn.execute(
                f"create or replace view {name} as from read_parquet('{partition_file(self._folder, name, partition)}')"
            )
        self._conn.execute(f"create or replace temp table derived as {self._query}")
        return int((self._conn.execute("select count(*) from derived").fetchone() or (0,))[0])

    def write(self, path: str) -> None:
        self._conn.execute(f"copy derived to '{path}' (format parquet)")

    def peak_rss_mb(self) -> float | None:
        return peak_rss_mb()


class Postgres:
    """The same SQL on the same rows, loaded beforehand: partition 7 in schema part_7, what all share in words."""

    def __init__(self, task: Derive) -> None:
        import psycopg

        from palimpsest_pipeline.storage.db.connection import Database

        self._query = (SQL / f"{task.table}.sql").read_text()
        self._conn = psycopg.connect(
            Database(task.url).conninfo, autocommit=True, options="-c TimeZone=UTC -c DateStyle=ISO"
        )
        self._conn.execute(f"set work_mem = '{WORK_MEM}'".encode())
        self._conn.execute(
            "set enable_nestloop = off"
        )  # it takes what a CTE comes to for a few rows, and would loop over them

    def derive(self, partition: int) -> int:
        self._conn.execute("drop table if exists pg_temp.derived")
        self._conn.execute(f"set search_path = part_{partition}, words".encode())
        return self._conn.execute(f"create temporary table derived as {self._query}".encode()).rowcount

    def write(self, path: str) -> None:

        from palimpsest_pipeline.storage.db.copy_frames import read_frame

        read_frame(self._conn, "select * from pg_temp.derived").write_parquet(path)

    def peak_rss_mb(self) -> float | None:
        """Of the backend, with the shared pages that it touched."""
        try:
            status = Path(f"/proc/{self._conn.info.backend_pid}/status").read_text()
        except OSError:
            return None
        return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:")), None)


ENGINES: Final[dict[str, type[Engine]]] = {"ours": Ours, "duckdb": DuckDB, "postgres": Postgres}


def main(task: Derive) -> Took:
    engine = ENGINES[task.do](task)
    meter = Meter()
    n_rows = sum(engine.derive(partition) for partition in range(task.partitions))
    used = meter.read()
    took = Took(used.ended_at - used.began_at, used.cpu_s, used.idle_share, engine.peak_rss_mb(), n_rows)
    if task.write:
        engine.write(task.write)
    return took


if __name__ == "__main__":
    tell(main(the_task(Derive)))
    sys.stdout.flush()
