"""The keeper of a running cycle's ledger: rows to read while it runs, and no harm from a database that is away."""

import logging
import threading
from datetime import UTC, datetime

import psycopg
import pytest

from palimpsest_pipeline.domain.cycles import Cycle, EventOutcome, PlatformRun
from palimpsest_pipeline.domain.enums import RunStatus, Scope, Trigger
from palimpsest_pipeline.pipeline.live.ledger_writer import LedgerWriter
from palimpsest_pipeline.storage.db.connection import DatabaseUnreachable
from palimpsest_pipeline.storage.ledger import cycle_ledger
from palimpsest_pipeline_tests.fixtures.ledger import read_latest_cycles
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA

AT = datetime(2026, 6, 26, 19, 5, tzinfo=UTC)
CYCLE = Cycle(20260626190500000, Trigger.MANUAL, Scope.FULL, BETPAWA, AT.replace(minute=0), AT)
PART = PlatformRun(BETPAWA, RunStatus.RUNNING, AT, AT, 5, 4, 3, 9, 1234, {}, 10.5, 20.0)
LINES = "select external_id from ops.event_scrape_status order by external_id"


def line(external_id: str) -> EventOutcome:
    return EventOutcome(BETPAWA, external_id, 7, RunStatus.COMPLETED, 1, None, "", 200, AT, AT, 10, 5.0, AT)


class Away:
    """A way to a database that is away for the first tries."""

    def __init__(self, connect, tries: int) -> None:
        self.connect, self.tries, self.back = connect, tries, threading.Event()

    def __call__(self) -> psycopg.Connection:
        self.tries -= 1
        if self.tries >= 0:
            raise DatabaseUnreachable("nobody answers")
        self.back.set()
        return self.connect()


@pytest.mark.parametrize("tries", [0, 3])
def test_lines_and_signs_of_life_are_there_while_the_cycle_runs_also_after_the_database_was_away(
    tries: int, make_pipeline: MakePipeline, caplog: pytest.LogCaptureFixture
):
    pipeline = make_pipeline()
    with pipeline.connect() as conn:
        cycle_ledger.write_running_cycle(conn, CYCLE)
        conn.execute("update ops.scrape_batches set heartbeat_at = %s", [AT])
    away = Away(pipeline.connect, tries)
    with caplog.at_level(logging.WARNING), LedgerWriter(away, CYCLE, 0.01, lambda: [PART]) as keeper:
        keeper.on_outcomes([line("1"), line("2"), line("")])
        assert away.back.wait(30)
        keeper.on_outcomes([line("3")])
        with pipeline.connect() as conn:
            conn.autocommit = True
            while conn.execute(LINES).fetchall() != [("1",), ("2",), ("3",)]:
                pass
            assert cycle_ledger.read_running_cycles(conn, 60)
            assert conn.execute("select platform, status, fetched from ops.scrape_runs").fetchall() == [
                ("betpawa", "running", 3)
            ]
    assert [record.getMessage() for record in caplog.records] == [
        f"cycle {CYCLE.cycle_id}: cannot be written now: nobody answers"
    ] * (tries > 0)


def test_a_cycle_that_was_taken_for_dead_runs_again_with_its_next_sign_of_life(make_pipeline: MakePipeline):
    pipeline = make_pipeline()
    with pipeline.connect() as conn:
        cycle_ledger.write_running_cycle(conn, CYCLE)
        conn.execute("update ops.scrape_batches set status = 'interrupted', finished_at = now()")
    with LedgerWriter(pipeline.connect, CYCLE, heartbeat_interval_s=0.01) as keeper:
        keeper.on_outcomes([line("1")])
        with pipeline.connect() as conn:
            conn.autocommit = True
            while conn.execute(LINES).fetchall() != [("1",)]:
                pass
            assert read_latest_cycles(conn)[0].status is RunStatus.RUNNING


def test_a_cycle_that_another_run_has_ended_stays_as_it_is_and_says_so_once(
    make_pipeline: MakePipeline, caplog: pytest.LogCaptureFixture
):
    pipeline = make_pipeline()
    with pipeline.connect() as conn:
        cycle_ledger.write_running_cycle(conn, CYCLE)
        conn.execute("update ops.scrape_batches set status = 'completed', finished_at = now()")
    with caplog.at_level(logging.WARNING), LedgerWriter(pipeline.connect, CYCLE, heartbeat_interval_s=0.01) as keeper:
        keeper.on_outcomes([line("1")])
        while not caplog.records:
            pass
    assert "was closed or taken over by another run" in caplog.messages[0]
    with pipeline.connect() as conn:
        assert conn.execute(LINES).fetchall() == []
        assert read_latest_cycles(conn)[0].status is RunStatus.COMPLETED
