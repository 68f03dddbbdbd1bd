"""Exporting a day again replaces it: a reader sees what was there before or what is there now, never nothing, never
both.
"""

import subprocess
import sys
import threading
from collections import Counter

import psycopg
import pytest

from palimpsest_pipeline.storage.archive import Archive
from palimpsest_pipeline.storage.db.connection import Database

from ..history_worlds import DAYS
from . import looking
from .rows import DAY, EXPORTED_AT, LATE, answer_late, export

EXPORTS = 8


@pytest.mark.slow
def test_a_reader_never_sees_a_day_twice_or_not_at_all(conn: psycopg.Connection, archive: Archive) -> None:
    before = export(archive, conn)
    opened = conn.execute("select min(observed_at) from core.captures").fetchone()
    answer_late(conn)
    after = export(archive, conn)
    assert after.n_rows != before.n_rows
    command = [sys.executable, looking.__file__, archive.address, DAY.isoformat()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdin
        assert reader.stdout
        seen = [reader.stdout.readline()]
        for _ in range(EXPORTS // 2):
            conn.execute("create temporary table kept as select * from core.captures where observed_at = %s", [LATE])
            conn.execute(
                "create temporary table rows as select * from core.market_changes where observed_at = %s", [LATE]
            )
            conn.execute("delete from core.captures where observed_at = %s", [LATE])
            conn.execute("delete from core.market_changes where observed_at = %s", [LATE])
            removed = export(archive, conn, force=True)
            conn.execute("insert into core.captures select * from kept")
            conn.execute("insert into core.market_changes select * from rows")
            conn.execute("drop table kept, rows")
            assert export(archive, conn).digest == after.digest
        out, _ = reader.communicate()
        seen += out.splitlines()
    assert reader.returncode == 0
    assert opened
    found = Counter(tuple(line.split()) for line in seen)
    assert {key for key in found if key[0] == "rows"} <= {
        ("rows", str(after.n_rows), LATE.isoformat()),
        ("rows", str(removed.n_rows), opened[0].isoformat()),
    }
    assert sum(found.values()) > EXPORTS
    # What DuckDB joins from two files is of one export or the next: no instant is taken for another, no row is there
    # twice.
    assert all(int(key[1]) > 0 for key in found if key[0] == "odds")
    assert len({key for key in found if key[0] == "odds"}) <= 2
    assert found["failed",] < sum(found.values()) / 4


def test_days_can_be_exported_at_the_same_time(database: Database, archive: Archive) -> None:
    def write() -> None:
        with database.connect() as conn:
            for day in DAYS:
                archive.export(conn, day, exported_at=EXPORTED_AT)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(archive.read_catalogue()) == list(DAYS)
    assert all(archive.check_day(day) for day in DAYS)
    assert archive.scan_changes(DAYS).collect().height == sum(
        entry.n_rows for entry in archive.read_catalogue().values()
    )
