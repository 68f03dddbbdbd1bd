"""The ledger says which cycles ran and how each platform and listing fared."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from palimpsest_pipeline.domain.cycles import Cycle, CycleResult, EventOutcome, PlatformRun
from palimpsest_pipeline.domain.enums import FailureClass, Platform, RunStatus, Scope, Trigger
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.ledger import cycle_ledger, cycle_reader
from palimpsest_pipeline.storage.marts import quality_inputs
from palimpsest_pipeline.tables import metadata
from palimpsest_pipeline_tests.fixtures.ledger import NULLABLE_COLUMNS, find_unfilled_columns, read_latest_cycles
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET

from ..table_rows import insert

AT = datetime(2026, 5, 1, 12, 10, tzinfo=UTC)
CYCLE = Cycle(20260501121000000, Trigger.SENSOR, Scope.EVENTS, BETPAWA, AT.replace(minute=0), AT, "run-1", (7, 8))


LATER = AT + timedelta(seconds=10)
LINES = "select platform, external_id, status, attempts, error_detail, observed_at from ops.event_scrape_status order by platform, external_id"
RUNS = "select platform, status, fetched, message from ops.scrape_runs order by platform"


def run(platform: Platform, status: RunStatus, message: str = "", fetched: int = 2) -> PlatformRun:
    counts = {"discovered": 3, "targets": 2, "fetched": fetched, "requests": 4, "bytes": 1234}
    times = {"p50_ms": 10.5, "p95_ms": 20.0, "clock_offset_s": 0.5, "capture_s": 8.0, "floor_s": 7.5}
    end = AT + timedelta(seconds=9)
    return PlatformRun(platform, status, AT, end, **counts, errors_by_class={"transient": 1}, **times, message=message)


def good(external_id: str, platform: Platform = BETPAWA, sr_id: int | None = 7) -> EventOutcome:
    return EventOutcome(platform, external_id, sr_id, RunStatus.COMPLETED, 1, None, "", 200, AT, AT, 600, 12.0, AT)


def bad(external_id: str, attempts: int = 3, platform: Platform = BET9JA) -> EventOutcome:
    failure = FailureClass.BLOCKED, "HTML, not JSON"
    return EventOutcome(platform, external_id, None, RunStatus.FAILED, attempts, *failure, None, AT, AT, 0, 8.0)


def result(**changes: object) -> CycleResult:
    runs = [run(BETPAWA, RunStatus.COMPLETED), run(SPORTYBET, RunStatus.COMPLETED)]
    failed = run(BET9JA, RunStatus.FAILED, "403", fetched=0)
    whole = CycleResult(CYCLE, RunStatus.PARTIAL, LATER, [failed, *runs], [good("1"), bad("9")])
    return replace(whole, **changes)  # type: ignore[arg-type]


@pytest.fixture
def opened(conn: psycopg.Connection) -> psycopg.Connection:
    """The connection, when `CYCLE` is under way."""
    cycle_ledger.write_running_cycle(conn, CYCLE)
    return conn


def test_a_batch_is_found_by_its_run_and_reads_as_it_was_opened(opened: psycopg.Connection) -> None:
    found = cycle_ledger.read_cycle_of_run(opened, "run-1")
    assert found is not None
    assert (found.cycle, found.status, found.finished_at) == (CYCLE, RunStatus.RUNNING, None)
    assert cycle_ledger.read_cycle_of_run(opened, "run-2") is None
    assert cycle_ledger.read_cycle(opened, 1) is None


def refused(
    conn: psycopg.Connection, platform: Platform, n_read: int, n_refused: int, reason: str = "$.id: another's"
) -> None:
    cycle_ledger.record_refusals(
        conn, CYCLE.cycle_id, platform, n_read=n_read, n_refused=n_refused, example=reason, max_refused_share=0.05
    )


def batch_status(conn: psycopg.Connection) -> str:
    ((status,),) = conn.execute("select status from ops.scrape_batches").fetchall()
    return str(status)


@pytest.mark.parametrize(
    ("n_read", "n_refused", "status"),
    [
        (100, 0, "completed"),
        (95, 5, "completed"),
        (94, 6, "partial"),
        (5, 95, "partial"),
        (4, 96, "failed"),
        (3, 144, "failed"),
        (0, 1, "failed"),
    ],
)
def test_a_platform_is_as_good_as_the_share_of_its_answers_that_could_be_read_and_a_later_reading_counts(
    n_read: int, n_refused: int, status: str, opened: psycopg.Connection
) -> None:
    cycle_ledger.close_cycle(opened, result(status=RunStatus.COMPLETED, runs=[run(BETPAWA, RunStatus.COMPLETED)]))
    message = (
        ""
        if status == "completed"
        else f"{n_refused} of {n_read + n_refused} answers were refused, e.g. $.id: another's"
    )
    for _ in range(2):
        refused(opened, BETPAWA, n_read, n_refused)
        assert opened.execute(RUNS).fetchall() == [("betpawa", status, 2, message)]
        assert batch_status(opened) == status
    assert opened.execute("select refused from palimpsest.scrape_runs").fetchall() == [(n_refused,)]
    refused(opened, BETPAWA, n_read + n_refused, 0)
    assert opened.execute(RUNS).fetchall() == [("betpawa", "completed", 2, "")]
    assert batch_status(opened) == "completed"


def test_refused_answers_are_told_beside_what_else_was_wrong_and_change_no_platform_that_did_not_come_to_its_end(
    opened: psycopg.Connection,
) -> None:
    runs = [
        run(BET9JA, RunStatus.PARTIAL, "1 of 3 fetched"),
        run(BETPAWA, RunStatus.CANCELLED, "capture cancelled"),
    ]
    cycle_ledger.close_cycle(opened, result(runs=runs))
    before = opened.execute(RUNS).fetchall()
    for platform in (BET9JA, BETPAWA, SPORTYBET):
        refused(opened, platform, 0, 9, "$: NUL \0")
    assert opened.execute(RUNS).fetchall() == [
        ("bet9ja", "failed", 2, "1 of 3 fetched; 9 of 9 answers were refused, e.g. $: NUL \N{REPLACEMENT CHARACTER}"),
        ("betpawa", "cancelled", 2, "capture cancelled"),
    ]
    refused(opened, BET9JA, 9, 0)
    assert opened.execute(RUNS).fetchall() == before


def test_a_batch_that_was_never_opened_can_be_neither_recorded_nor_closed(conn: psycopg.Connection) -> None:
    with pytest.raises(ValueError, match="never opened"):
        cycle_ledger.record_progress(conn, CYCLE, [], [])
    with pytest.raises(ValueError, match="never opened"):
        cycle_ledger.close_cycle(conn, result())


def test_rows_are_there_to_read_while_the_cycle_runs_and_recording_them_again_changes_nothing(
    opened: psycopg.Connection,
) -> None:
    for _ in range(2):
        assert cycle_ledger.record_progress(
            opened, CYCLE, [run(BETPAWA, RunStatus.RUNNING, fetched=1)], [good("1"), bad("9")]
        )
    assert opened.execute(RUNS).fetchall() == [("betpawa", "running", 1, "")]
    assert opened.execute(LINES).fetchall() == [
        ("bet9ja", "9", "failed", 3, "HTML, not JSON", None),
        ("betpawa", "1", "completed", 1, "", AT),
    ]
    assert cycle_ledger.record_progress(opened, CYCLE, [run(BETPAWA, RunStatus.RUNNING)], [good("2")])
    assert opened.execute(RUNS).fetchall() == [("betpawa", "running", 2, "")]
    found = cycle_ledger.read_cycle(opened, CYCLE.cycle_id)
    assert found is not None
    assert found.status is RunStatus.RUNNING
    assert cycle_reader.read_result(opened, found).runs == [run(BETPAWA, RunStatus.RUNNING)]


def test_recording_nothing_is_nothing_and_of_one_listing_told_twice_the_later_line_counts(
    opened: psycopg.Connection,
) -> None:
    assert cycle_ledger.record_progress(opened, CYCLE, [], [])
    assert cycle_ledger.record_progress(opened, CYCLE, [], [bad("9", attempts=1), bad("9", attempts=2)])
    assert opened.execute(LINES).fetchall() == [("bet9ja", "9", "failed", 2, "HTML, not JSON", None)]


def test_closing_keeps_every_recorded_line_and_writes_those_that_differ(opened: psycopg.Connection) -> None:
    versions = "select external_id, ctid from ops.event_scrape_status order by external_id"
    recorded = [good("1"), good("2"), bad("9", attempts=1)]
    cycle_ledger.record_progress(opened, CYCLE, [run(BETPAWA, RunStatus.RUNNING)], recorded)
    before = dict(opened.execute(versions).fetchall())
    for _ in range(2):
        cycle_ledger.close_cycle(opened, result(outcomes=[good("1"), bad("9"), good("3")]))
        after = dict(opened.execute(versions).fetchall())
        assert {key for key in before if after[key] != before[key]} == {"9"}, "what is the same is not written again"
        lines = "select external_id, attempts, error_class, sr_id, http_status from ops.event_scrape_status order by 1"
        kept = [(key, 1, None, 7, 200) for key in ("1", "2", "3")]
        assert opened.execute(lines).fetchall() == [*kept, ("9", 3, "blocked", None, None)]
        statuses = [("bet9ja", "failed"), ("betpawa", "completed"), ("sportybet", "completed")]
        assert [row[:2] for row in opened.execute(RUNS)] == statuses
        batch = read_latest_cycles(opened)[0]
        assert (batch.status, batch.finished_at) == (RunStatus.PARTIAL, LATER)


@pytest.mark.parametrize("ended", [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED])
def test_a_platform_that_nobody_speaks_of_at_the_end_has_not_completed(
    opened: psycopg.Connection, ended: RunStatus
) -> None:
    left = "cancelled" if ended is RunStatus.CANCELLED else "failed"
    cycle_ledger.record_progress(opened, CYCLE, [run(BETPAWA, RunStatus.RUNNING), run(BET9JA, RunStatus.RUNNING)], [])
    cycle_ledger.close_cycle(opened, result(status=ended, runs=[run(BETPAWA, RunStatus.COMPLETED)]))
    assert opened.execute(RUNS).fetchall() == [
        ("bet9ja", left, 2, "the cycle ended before this platform's part had"),
        ("betpawa", "completed", 2, ""),
    ]


def test_a_late_record_or_heartbeat_leaves_a_closed_batch_as_it_is(opened: psycopg.Connection) -> None:
    cycle_ledger.close_cycle(opened, result())
    before = cycle_ledger.read_cycle(opened, CYCLE.cycle_id)
    assert not cycle_ledger.record_progress(opened, CYCLE, [run(BETPAWA, RunStatus.RUNNING)], [good("late")])
    assert not cycle_ledger.record_heartbeat(opened, CYCLE.cycle_id, CYCLE.run_id)
    assert cycle_ledger.read_cycle(opened, CYCLE.cycle_id) == before
    assert [row[1] for row in opened.execute(RUNS)] == ["failed", "completed", "completed"]
    assert [row[1] for row in opened.execute(LINES)] == ["9", "1"]


def test_what_is_wrong_with_an_answer_may_quote_a_nul(opened: psycopg.Connection) -> None:
    cycle_ledger.record_progress(
        opened, CYCLE, [], [replace(bad("9"), failure_detail='no JSON: "\0\\u0000, caf\u00e9"')]
    )
    assert opened.execute("select error_detail from ops.event_scrape_status").fetchone() == (
        'no JSON: "\ufffd\\u0000, caf\u00e9"',
    )


def test_an_interrupted_cycle_ends_at_its_last_sign_of_life_with_what_is_landed(opened: psycopg.Connection) -> None:
    cycle_ledger.record_progress(
        opened,
        CYCLE,
        [run(BETPAWA, RunStatus.RUNNING), run(BET9JA, RunStatus.RUNNING)],
        [good("1"), good("not landed"), bad("9", attempts=2), bad("not asked", attempts=0)],
    )
    beat = datetime(2026, 5, 1, 12, 10, 5, tzinfo=UTC)
    opened.execute("update ops.scrape_batches set heartbeat_at = %s", [beat])
    landed = result(
        status=RunStatus.INTERRUPTED,
        finished_at=LATER + timedelta(hours=1),
        runs=[replace(run(BETPAWA, RunStatus.INTERRUPTED), finished_at=LATER)],
        outcomes=[good("1"), bad("9", attempts=1), good("not yet recorded")],
    )
    assert cycle_ledger.interrupt_cycle(opened, CYCLE.cycle_id, landed)
    batch = read_latest_cycles(opened)[0]
    assert (batch.status, batch.heartbeat_at, batch.finished_at) == (RunStatus.INTERRUPTED, beat, LATER)
    assert [row[:2] for row in opened.execute(RUNS)] == [("bet9ja", "interrupted"), ("betpawa", "interrupted")]
    lost = "the process died before the answer was landed"
    assert opened.execute(LINES).fetchall() == [
        ("bet9ja", "9", "failed", 1, "HTML, not JSON", None),
        ("bet9ja", "not asked", "failed", 0, "HTML, not JSON", None),
        ("betpawa", "1", "completed", 1, "", AT),
        ("betpawa", "not landed", "interrupted", 1, lost, None),
        ("betpawa", "not yet recorded", "completed", 1, "", AT),
    ]
    assert find_unfilled_columns(opened, CYCLE.cycle_id) == []
    assert not cycle_ledger.interrupt_cycle(opened, CYCLE.cycle_id, landed)


def test_a_cycle_that_ended_by_itself_is_not_interrupted(opened: psycopg.Connection) -> None:
    cycle_ledger.close_cycle(opened, result())
    before = [opened.execute(query).fetchall() for query in (RUNS, LINES)]
    assert not cycle_ledger.interrupt_cycle(opened, CYCLE.cycle_id, result(status=RunStatus.INTERRUPTED, outcomes=[]))
    assert read_latest_cycles(opened)[0].status is RunStatus.PARTIAL
    assert [opened.execute(query).fetchall() for query in (RUNS, LINES)] == before


def test_an_interrupted_cycle_of_which_nothing_is_landed_ends_at_its_last_heartbeat(opened: psycopg.Connection) -> None:
    cycle_ledger.record_progress(opened, CYCLE, [run(BETPAWA, RunStatus.RUNNING)], [good("1")])
    assert cycle_ledger.interrupt_cycle(
        opened, CYCLE.cycle_id, result(status=RunStatus.INTERRUPTED, runs=[], outcomes=[])
    )
    batch = read_latest_cycles(opened)[0]
    assert batch.finished_at == batch.heartbeat_at
    assert [row[2] for row in opened.execute(LINES)] == ["interrupted"]


def test_a_resumed_cycle_runs_again_with_what_was_recorded_of_it(opened: psycopg.Connection) -> None:
    cycle_ledger.record_progress(opened, CYCLE, [run(BETPAWA, RunStatus.RUNNING)], [good("1")])
    cycle_ledger.interrupt_cycle(
        opened, CYCLE.cycle_id, result(status=RunStatus.INTERRUPTED, runs=[], outcomes=[good("1")])
    )
    cycle_ledger.write_running_cycle(opened, replace(CYCLE, run_id="run-2"))
    found = cycle_ledger.read_cycle_of_run(opened, "run-2")
    assert found is not None
    assert (found.status, found.finished_at) == (RunStatus.RUNNING, None)
    assert cycle_ledger.record_progress(opened, replace(CYCLE, run_id="run-2"), [], [good("2")])
    assert [row[1] for row in opened.execute(LINES)] == ["1", "2"]


def test_a_run_that_lost_its_cycle_changes_nothing_of_the_run_that_took_it_up(opened: psycopg.Connection) -> None:
    def read_all() -> tuple[object, ...]:
        return cycle_ledger.read_cycle_of_run(opened, "run-2"), *(opened.execute(q).fetchall() for q in (RUNS, LINES))

    second = replace(CYCLE, run_id="run-2")
    cycle_ledger.write_running_cycle(opened, second)
    assert cycle_ledger.record_progress(opened, second, [run(BETPAWA, RunStatus.RUNNING)], [good("1")])
    before = read_all()
    assert not cycle_ledger.record_heartbeat(opened, CYCLE.cycle_id, CYCLE.run_id)
    lost = run(BETPAWA, RunStatus.RUNNING, fetched=0)
    assert not cycle_ledger.record_progress(opened, CYCLE, [lost], [bad("1", platform=BETPAWA)])
    assert not cycle_ledger.close_cycle(opened, result(status=RunStatus.FAILED))
    assert read_all() == before
    assert cycle_ledger.close_cycle(opened, result(cycle=second))


def test_the_columns_that_may_be_null_are_those_of_the_one_list() -> None:
    nullable = {
        table: {c.name for c in metadata.tables[f"ops.{table}"].columns if c.nullable} for table in NULLABLE_COLUMNS
    }
    assert nullable == {table: set(columns) for table, columns in NULLABLE_COLUMNS.items()}


def test_every_column_of_the_ledger_is_filled_by_a_cycle(opened: psycopg.Connection) -> None:
    cycle_ledger.record_progress(
        opened, CYCLE, [replace(run(BETPAWA, RunStatus.RUNNING), capture_s=None, floor_s=None)], [good("1")]
    )
    assert find_unfilled_columns(opened, CYCLE.cycle_id) == []
    cycle_ledger.close_cycle(opened, result())
    assert find_unfilled_columns(opened, CYCLE.cycle_id) == []
    silent = replace(run(BETPAWA, RunStatus.COMPLETED), p50_ms=None, capture_s=None)
    cycle_ledger.close_cycle(
        opened, result(runs=[silent], outcomes=[replace(good("1"), observed_at=None), replace(bad("9"), failure=None)])
    )
    assert find_unfilled_columns(opened, CYCLE.cycle_id) == [
        "ops.scrape_runs.p50_ms is null in 1 rows",
        "ops.scrape_runs.capture_s is null in 1 rows",
        "ops.event_scrape_status.error_class is null in 1 rows",
        "ops.event_scrape_status.observed_at is null in 1 rows",
    ]


@pytest.mark.parametrize("status", [RunStatus.CANCELLED, RunStatus.INTERRUPTED, RunStatus.RUNNING])
def test_no_platform_has_failed_in_a_cycle_without_its_own_end(conn: psycopg.Connection, status: RunStatus) -> None:
    later = replace(CYCLE, cycle_id=CYCLE.cycle_id + 1)
    for cycle in (CYCLE, later):
        cycle_ledger.write_running_cycle(conn, cycle)
        cycle_ledger.close_cycle(conn, result(cycle=cycle))
    both, first = [CYCLE.cycle_id, later.cycle_id], (CYCLE.cycle_id, "bet9ja failed: 403")
    assert cycle_reader.read_failed_platforms(conn, both) == [first, (later.cycle_id, "bet9ja failed: 403")]
    conn.execute("update ops.scrape_batches set status = %s where cycle_id = %s", [status, later.cycle_id])
    assert cycle_reader.read_failed_platforms(conn, both) == [first]


def test_skew_is_between_what_the_first_good_answers_show_and_not_when_they_were_received(
    opened: psycopg.Connection,
) -> None:
    outcomes = [
        replace(good("1"), received_at=AT + timedelta(seconds=4), observed_at=AT),
        replace(good("a", SPORTYBET), observed_at=AT + timedelta(seconds=1)),
        replace(good("b", SPORTYBET), observed_at=AT + timedelta(seconds=3)),
        good("2", sr_id=8),
        replace(bad("c", platform=SPORTYBET), sr_id=8),
        replace(good("3"), sr_id=9, observed_at=None),
        good("d", SPORTYBET, 9),
        replace(good("e", SPORTYBET), sr_id=None, observed_at=AT + timedelta(seconds=9)),
    ]
    cycle_ledger.close_cycle(opened, result(outcomes=outcomes))
    assert cycle_reader.read_skews_ms(opened, [CYCLE.cycle_id]) == [1000.0]


def test_the_drop_is_measured_by_complete_stages_of_cycles_that_came_to_their_own_end(conn: psycopg.Connection) -> None:
    fetched = {
        1: (RunStatus.COMPLETED, "complete", 100),
        2: (RunStatus.PARTIAL, "complete", 110),
        3: (RunStatus.PARTIAL, "partial", 1),
        4: (RunStatus.PARTIAL, "failed", 0),
        5: (RunStatus.CANCELLED, "complete", 2),
        6: (RunStatus.INTERRUPTED, "complete", 3),
        7: (RunStatus.FAILED, "complete", 4),
        9: (RunStatus.COMPLETED, "complete", 5),
    }
    as_of = {"partition_hour": AT, "as_of": AT}
    for cycle_id, (status, completeness, n) in fetched.items():
        insert(conn, "core.cycles", {"cycle_id": cycle_id, "scope": "full", **as_of})
        cycle_ledger.write_running_cycle(conn, replace(CYCLE, cycle_id=cycle_id))
        cycle_ledger.close_cycle(
            conn, result(cycle=replace(CYCLE, cycle_id=cycle_id), status=status, runs=[], outcomes=[])
        )
        row = {"cycle_id": cycle_id, "stage": "capture", "fetched": n, "completeness": completeness}
        insert(conn, "mart.run_quality", row)
    insert(conn, "core.cycles", {"cycle_id": 8, "scope": "full", **as_of})
    assert quality_inputs.read_fetched_medians(conn, 8).rows() == [("betpawa", "capture", 105.0)]
    insert(conn, "core.cycles", {"cycle_id": 10, "scope": "events", **as_of})
    assert quality_inputs.read_fetched_medians(conn, 10).is_empty()


def test_the_summary_names_home_first_and_what_failed(opened: psycopg.Connection) -> None:
    query = "select summary, trigger from palimpsest.scrape_batches where id = %s"
    assert opened.execute(query, [CYCLE.cycle_id]).fetchone() == ("running", "sensor")
    cycle_ledger.close_cycle(opened, result())
    assert opened.execute(query, [CYCLE.cycle_id]).fetchone() == ("betpawa ok, sportybet ok, bet9ja failed", "sensor")


def test_silence_is_judged_by_the_last_sign_of_life_and_not_by_the_start(opened: psycopg.Connection) -> None:
    assert [b.cycle.cycle_id for b in cycle_ledger.read_running_cycles(opened, 60)] == [CYCLE.cycle_id]
    assert cycle_ledger.read_silent_cycles(opened, 60) == []
    opened.execute("update ops.scrape_batches set heartbeat_at = clock_timestamp() - interval '2 minutes'")
    assert cycle_ledger.read_running_cycles(opened, 0) == []  # 0 s: the server may have been started a moment ago
    assert len(cycle_ledger.read_silent_cycles(opened, 0)) == 1
    assert cycle_ledger.record_heartbeat(opened, CYCLE.cycle_id, CYCLE.run_id)
    assert cycle_ledger.read_silent_cycles(opened, 60) == []


def test_while_the_server_is_down_no_cycle_falls_silent(opened: psycopg.Connection) -> None:
    opened.execute("update ops.scrape_batches set heartbeat_at = clock_timestamp() - interval '30 days'")
    ((up_s,),) = opened.execute(
        "select extract(epoch from clock_timestamp() - pg_postmaster_start_time())::float8"
    ).fetchall()
    for limit_s, is_silent in ((0, True), (up_s + 3600, False)):
        assert (len(cycle_ledger.claim_dead_cycles(opened, limit_s)) == 1) is is_silent
        assert (len(cycle_ledger.read_silent_cycles(opened, limit_s)) == 1) is is_silent
        assert (cycle_ledger.read_running_cycles(opened, limit_s) == []) is is_silent
        assert (cycle_ledger.find_overlapping_cycle(opened, CYCLE.scope, CYCLE.sr_ids, limit_s) is None) is is_silent


def test_a_sign_of_life_reopens_what_was_closed_as_interrupted_of_its_own_run_only(conn: psycopg.Connection) -> None:
    of_run = replace(CYCLE, run_id="one")
    cycle_ledger.write_running_cycle(conn, of_run)
    cycle_ledger.record_progress(conn, of_run, [replace(part, status=RunStatus.RUNNING) for part in result().runs], [])
    cycle_ledger.interrupt_cycle(conn, CYCLE.cycle_id, result(status=RunStatus.INTERRUPTED, runs=[], outcomes=[]))
    assert not cycle_ledger.record_heartbeat(conn, CYCLE.cycle_id, "another")
    assert cycle_ledger.read_running_cycles(conn) == []
    assert cycle_ledger.record_heartbeat(conn, CYCLE.cycle_id, "one")
    (batch,) = cycle_ledger.read_running_cycles(conn)
    assert (batch.cycle, batch.finished_at) == (of_run, None)
    assert conn.execute("select distinct status from ops.scrape_runs").fetchall() == [("running",)]
    cycle_ledger.close_cycle(conn, result(cycle=of_run))
    assert not cycle_ledger.record_heartbeat(conn, CYCLE.cycle_id, "one"), "what has ended otherwise stays so"
    cycle_ledger.write_running_cycle(conn, replace(CYCLE, run_id="two"))
    assert not cycle_ledger.record_heartbeat(conn, CYCLE.cycle_id, "one"), "another run has taken it up"


@pytest.mark.parametrize(
    ("scope", "running", "sr_ids", "is_at_it"),
    [
        (Scope.EVENTS, (7, 8), (8, 9), True),
        (Scope.EVENTS, (7, 8), (), True),
        (Scope.EVENTS, (7, 8), (9,), False),
        (Scope.FULL, (), (), True),
        (Scope.FULL, (), (1,), True),
    ],
)
def test_cycles_of_one_scope_overlap_unless_their_fixtures_are_disjoint(conn, scope, running, sr_ids, is_at_it):
    cycle = replace(CYCLE, scope=scope, sr_ids=running)
    cycle_ledger.write_running_cycle(conn, cycle)
    of_others = {Scope.EVENTS, Scope.KICKOFF, Scope.FULL} - {scope}
    assert [cycle_ledger.find_overlapping_cycle(conn, other, sr_ids, 30) for other in of_others] == [None, None]
    found = cycle_ledger.find_overlapping_cycle(conn, scope, sr_ids, 30)
    assert (found.cycle if found else None) == (cycle if is_at_it else None)


def test_a_cycle_that_is_over_does_not_overlap(opened):
    cycle_ledger.close_cycle(opened, result())
    assert cycle_ledger.find_overlapping_cycle(opened, Scope.EVENTS, (7,), 30) is None


def test_a_cycle_that_overlaps_is_not_opened_and_one_that_runs_is_opened_again(conn):
    assert cycle_ledger.open_unless_overlapping(conn, CYCLE, 30) is None
    assert cycle_ledger.open_unless_overlapping(conn, CYCLE, 30) is None, "its next stage"
    second, third = (replace(CYCLE, cycle_id=CYCLE.cycle_id + n, sr_ids=(7 + n,)) for n in (1, 2))
    at_it = cycle_ledger.open_unless_overlapping(conn, second, 30)
    assert at_it is not None
    assert at_it.cycle == CYCLE
    assert cycle_ledger.open_unless_overlapping(conn, third, 30) is None
    assert [b.cycle.sr_ids for b in cycle_ledger.read_running_cycles(conn)] == [(7, 8), (9,)]


def test_of_cycles_opened_at_the_same_instant_exactly_one_is(migrated_database_url):
    together = threading.Barrier(6)

    def opens(n: int) -> bool:
        with Database(migrated_database_url).connect() as mine:
            together.wait()
            return cycle_ledger.open_unless_overlapping(mine, replace(CYCLE, cycle_id=CYCLE.cycle_id + n), 30) is None

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(opens, range(6))) == 1
