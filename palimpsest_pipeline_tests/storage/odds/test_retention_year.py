"""A year of days, exported and dropped, with a crash of the server in the middle: nothing orphaned, nothing lost,
every question answered.
"""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import psutil
import psycopg
import pytest
from polars.testing import assert_frame_equal

from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.archive import Archive, ExportedDay
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.odds import current_markets, partitions, retention
from palimpsest_pipeline.storage.odds.history_reader import OddsHistoryReader
from palimpsest_pipeline_tests.fixtures.postgres import make_server_folder, run_server, upgrade_with_platforms

from .. import layer_worlds
from ..answered_days import build_answers, cycle_at, ingest_day, mark
from ..history_worlds import CYCLE_ID, take_in

FIRST = date(2025, 3, 1)
YEAR = [FIRST + timedelta(days=n) for n in range(365)]
HOT = YEAR[-8:]
UNEXPORTED = [YEAR[40], YEAR[200], YEAR[-9]]
CHANGED = [YEAR[90], YEAR[300]]
UNUSED = [YEAR[10], YEAR[250]]
DAYS_AT_ONCE = 40
EXPORTED_AT = datetime(2026, 3, 1, tzinfo=UTC)
ASKED = [
    datetime.combine(day, time(12, 20), UTC)
    for day in (YEAR[0], YEAR[100], CHANGED[0], UNEXPORTED[1], YEAR[-30], YEAR[-1])
]
ORPHANS_SQL = r"""
select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'core' and c.relname ~ '^(captures|market_changes)_\d{8}$' and not exists (select from pg_inherits where inhrelid = c.oid)
"""


class Crashing(Archive):
    """Kills the server after so many looks, as a crash of the machine would: `SIGQUIT` is an immediate shutdown."""

    def __init__(self, archive: Archive, server: EmbeddedPostgres, after_looks: int) -> None:
        super().__init__(archive.address)
        self._server, self._left = server, after_looks

    def check_day(self, day: date) -> ExportedDay:
        self._left -= 1
        if self._left == 0:
            pid = self._server.status().pid
            assert pid is not None
            process = psutil.Process(pid)
            os.kill(pid, signal.SIGQUIT)
            psutil.wait_procs([process], timeout=20)
        return super().check_day(day)


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    """A cluster of its own. Until it is made durable it does not wait for the disk."""
    with make_server_folder() as folder, run_server(folder) as found:
        yield found


def write_year(conn: psycopg.Connection) -> None:
    """Each day two of six listings that stay, and one that is gone after three days."""
    layer_worlds.name(conn)
    for start in range(0, len(YEAR), DAYS_AT_ONCE):
        days = YEAR[start : start + DAYS_AT_ONCE]
        partitions.ensure_partitions(conn, days)
        used = [(n, day) for n, day in enumerate(days, start) if day not in UNUSED]
        # Taken in at once, which is quicker than day by day; then each answer is given to the cycle of its day.
        listings = [(day, n, (1 + n % 6, 1 + (n + 1) % 6, 1000 + n // 3)) for n, day in used]
        take_in(conn, [answer for day, n, ids in listings for answer in build_answers(day, *ids, odds=2000 + n)])
        to_day = "update core.captures set cycle_id = to_char(observed_at, 'YYYYMMDDHH24MI00000')::bigint where cycle_id = %s"
        conn.execute(to_day, [CYCLE_ID])
        for day, _, _ in listings:
            mark(conn, cycle_at(day), 0)
        conn.commit()


@pytest.mark.nightly
@pytest.mark.long
def test_a_year_of_days_leaves_postgres_exported_and_whole_whatever_crashes(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    archive = Archive(tmp_path / "export")
    upgrade_with_platforms(server.build_url("palimpsest"))
    database = Database(server.build_url("palimpsest"))
    with database.connect() as conn:
        write_year(conn)
    with database.connect() as conn:
        for day in sorted(set(YEAR) - {*UNEXPORTED, *UNUSED, *HOT[1:]}):
            archive.export(conn, day, exported_at=EXPORTED_AT)
        for day in CHANGED:
            ingest_day(conn, day, 1, 2, 3, odds=4000)
        conn.commit()
        layers = OddsHistoryReader(conn, archive)
        rows = (layers.read_changes(None, YEAR[0], YEAR[-1]), layers.read_captures(None, YEAR[0], YEAR[-1]))
        asked = [layers.read_markets_as_of(instant, listing_ids=range(1, 7)) for instant in ASKED]
    assert rows[1].height > 3 * 355
    assert all(frame.height for frame in asked)

    server.stop()
    server.durable = True
    server.start()
    with pytest.raises(psycopg.OperationalError), database.connect() as conn:
        retention.drop_exported_days(conn, Crashing(archive, server, after_looks=301), HOT[0])
    assert not server.status().running
    server.start()
    with database.connect() as conn:
        left = retention.read_stored_days(conn)
        assert 100 < len(left) < 300
        assert set(YEAR) - set(left) <= {*archive.read_catalogue(), *UNUSED}
        assert_frame_equal(OddsHistoryReader(conn, archive).read_captures(None, YEAR[0], YEAR[-1]), rows[1])
        conn.commit()
        done = retention.drop_exported_days(conn, archive, HOT[0])
    assert list(done.kept_days) == sorted([*UNEXPORTED, *CHANGED])
    assert len(done.dropped) + len(done.unused) == len(left) - len(HOT) - len(done.kept_days)

    with database.connect() as conn:
        assert retention.read_stored_days(conn) == sorted([*UNEXPORTED, *CHANGED, *HOT])
        assert partitions.find_missing_partitions(conn, [*UNEXPORTED, *CHANGED, *HOT]) == []
        assert conn.execute(ORPHANS_SQL).fetchone() == (0,)
        forgotten = "select count(*) from core.current_markets c where not exists (select from core.captures k where k.listing_id = c.listing_id)"
        assert conn.execute(forgotten).fetchone() == (0,)
        assert current_markets.count_violations(conn) == 0
        layers = OddsHistoryReader(conn, archive)
        assert_frame_equal(layers.read_changes(None, YEAR[0], YEAR[-1]), rows[0])
        assert_frame_equal(layers.read_captures(None, YEAR[0], YEAR[-1]), rows[1])
        for instant, before in zip(ASKED, asked, strict=True):
            assert_frame_equal(layers.read_markets_as_of(instant, listing_ids=range(1, 7)), before)
        conn.rollback()
        for day in CHANGED:
            archive.export(conn, day, exported_at=EXPORTED_AT)
        assert retention.drop_exported_days(conn, archive, HOT[0]).dropped == CHANGED
        assert_frame_equal(OddsHistoryReader(conn, archive).read_changes(None, YEAR[0], YEAR[-1]), rows[0])
