"""Cycles in which a platform fails, each against the simulator: the ledger is exactly what the table of failures
makes of what was answered.
"""

import asyncio
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path

import pytest

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, RunStatus
from palimpsest_pipeline.platforms.betpawa import discovery as betpawa_discovery
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.loopback import Loopback
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS

from .expected import (
    GONE,
    IN_FLIGHT,
    ONCE,
    PAGE_MISSING,
    REAL_SIZED,
    RUNS,
    FaultRun,
    Listing,
    beyond_the_table,
    failure_of,
    ledger,
)
from .running import Seen, Stage, lasting

NOTHING = FaultRun("nothing", (), RunStatus.COMPLETED, on=())
MEGABYTE = 2**20
EACH_TIME = {
    "error now and then",
    "Retry-After 1 s for 1.5 s",
    "block, from the capture on",
    "hang",
    "redirect to another host",
}
"""Runs of each local test run, one for each class of failure; the others are slow."""


@contextmanager
def open_stage(postgres: EmbeddedPostgres, folder: Path, size: int) -> Iterator[Stage]:
    """A world that stands still, known to core from a cycle in which nothing failed.

    Each run switches its failures off again.
    """
    with SimulatorProcess(size, latency={"*": (5, 15)}) as simulator, pipelines(postgres, folder) as make:
        simulator.set_clock(0, stopped=True)
        stage = Stage(simulator, make(), lasting(simulator.fetch_truth()))
        seen = asyncio.run(stage.scraped(NOTHING))
        check(seen, NOTHING, stage.listed)
        assert stage.gone(seen) == []
        yield stage


@pytest.fixture(scope="module")
def stage(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_stage(postgres, tmp_path_factory.mktemp("faults"), 60) as small:
        yield small


@pytest.fixture(scope="module")
def stage_of_pages(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Large enough for a second page of every list."""
    with open_stage(postgres, tmp_path_factory.mktemp("faults"), 160) as large:
        yield large


@pytest.fixture
async def elsewhere() -> AsyncIterator[Loopback]:
    async with Loopback() as other:
        yield other


def check(seen: Seen, run: FaultRun, listed: set[Listing]) -> None:
    check_ledger(seen, run)
    check_runs(seen, run)
    check_others(seen, run, listed)
    check_landing(seen)


def check_ledger(seen: Seen, run: FaultRun) -> None:
    """Exactly the lines that follow from the simulator's log, and no request beyond the table."""
    assert seen.lines == ledger(seen.log, seen.lines, run.spared)
    assert beyond_the_table(seen.log, run.budget.max_attempts) == []
    again = {listing for listing, line in seen.lines.items() if line.attempts > 1}
    assert bool(again) == run.tried_again
    assert {platform for platform, _ in again} <= set(run.on)
    never = [line for line in seen.lines.values() if line.attempts == 0]
    assert bool(never) == (run.spared is not None)
    assert all(one.failure_detail.startswith("not asked") for one in seen.outcomes.values() if not one.attempts)


def check_runs(seen: Seen, run: FaultRun) -> None:
    """Status, counts and words of each platform's part, and of the whole."""
    for platform, part in seen.runs.items():
        mine = seen.log_of(platform)
        failures = Counter(str(failure) for line in mine if (failure := failure_of(line)))
        spared = sum(line.attempts == 0 for (of, _), line in seen.lines.items() if of == platform)
        failures.update({str(run.spared): spared} if spared else {})
        assert part.status is (run.run if platform in run.on else RunStatus.COMPLETED), part.message
        assert part.requests == len(mine)
        assert part.errors_by_class == failures
        assert part.fetched == sum(
            line.status is RunStatus.COMPLETED for (of, _), line in seen.lines.items() if of == platform
        )
        assert seen.scraped.discoveries[platform].completeness is (
            run.discovery if platform in run.on else Completeness.COMPLETE
        )
        assert part.clock_offset_s == pytest.approx(run.clock_offset_s if platform in run.on else 0, abs=2)
    for platform in run.on:
        assert run.says in seen.runs[platform].message
        befallen = [line for line in seen.log_of(platform) if line.faults]
        assert befallen
        assert run.befallen_at_most is None or len(befallen) <= run.befallen_at_most
    assert seen.scraped.result.status is (RunStatus.COMPLETED if run.run is RunStatus.COMPLETED else RunStatus.PARTIAL)


def check_others(seen: Seen, run: FaultRun, listed: set[Listing]) -> None:
    """The platforms that do not fail have every listing, asked for once."""
    mine = {listing: line for listing, line in seen.lines.items() if listing[0] not in run.on}
    assert {listing for listing in listed if listing[0] not in run.on} <= mine.keys()
    assert set(mine.values()) <= {ONCE}


def check_landing(seen: Seen) -> None:
    """Each answer that was sent is landed once, with what it was."""
    details = [row for row in seen.landed.iter_rows(named=True) if row["kind"] == PayloadKind.DETAIL and row["attempt"]]
    landed = {(row["platform"], row["external_id"], row["attempt"]): row for row in details}
    asked = {(line.platform, line.external_id, line.attempt): line for line in seen.log if line.external_id}
    assert len(landed) == len(details), "none twice"
    assert landed.keys() == asked.keys()
    for key, line in asked.items():
        assert landed[key]["failure"] == failure_of(line), line
        if line.sent_at is not None:
            assert landed[key]["status"] == line.status
        assert (landed[key]["n_bytes"] > 0) >= (failure_of(line) is None)
    for platform in PLATFORMS:
        rest = seen.landed.filter(
            seen.landed["platform"] == platform, seen.landed["external_id"].is_null(), seen.landed["attempt"] > 0
        )
        assert rest.height == sum(line.external_id is None for line in seen.log_of(platform))


@pytest.mark.parametrize(
    "run",
    [pytest.param(run, marks=[] if run.name in EACH_TIME else pytest.mark.slow, id=run.name) for run in RUNS],
)
async def test_whatever_fails_the_ledger_is_exact_and_nothing_else_is_lost(
    run: FaultRun, stage: Stage, elsewhere: Loopback
) -> None:
    seen = await stage.scraped(run, elsewhere.base_url)
    check(seen, run, stage.listed)
    assert elsewhere.requests == [], "no request leaves the platform's own host"
    assert stage.gone(seen) == []


@pytest.mark.slow
@pytest.mark.parametrize("run", REAL_SIZED, ids=attrgetter("name"))
async def test_failures_as_long_as_real_ones_are_sat_out(run: FaultRun, stage: Stage) -> None:
    check(await stage.scraped(run), run, stage.listed)


@pytest.mark.parametrize(
    "run", [pytest.param(run, marks=pytest.mark.slow if run in GONE[1:] else [], id=run.name) for run in GONE]
)
async def test_a_tournament_that_is_gone_from_tree_and_lists_is_no_proof_of_absence(
    run: FaultRun, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(betpawa_discovery, "EDGE_CACHE_S", 0.0)
    seen = await stage.scraped(run)
    check(seen, run, stage.listed)
    assert stage.gone(seen) == []


@pytest.mark.slow
@pytest.mark.parametrize("run", PAGE_MISSING, ids=attrgetter("name"))
async def test_a_missing_page_is_asked_for_once_more_and_is_no_proof_of_absence(
    run: FaultRun, stage_of_pages: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(betpawa_discovery, "EDGE_CACHE_S", 0.0)
    seen = await stage_of_pages.scraped(run)
    check(seen, run, stage_of_pages.listed)
    assert stage_of_pages.gone(seen) == []
    missed = Counter(line.question for line in seen.log if "page_missing" in line.faults)
    assert list(missed.values()) == [2]
    listed = {listing for listing in stage_of_pages.listed if listing[0] in run.on}
    assert 0 < len(listed & seen.lines.keys()) < len(listed), "what the others show is captured"


@pytest.mark.slow
@pytest.mark.parametrize("run", [run for run in RUNS if run.faults[0][0] in {"bomb", "huge"}], ids=attrgetter("name"))
async def test_bodies_over_the_cap_take_no_more_memory_than_the_cap(run: FaultRun, stage: Stage) -> None:
    tracemalloc.start()
    try:
        seen = await stage.scraped(run)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    over = [line for line in seen.log if failure_of(line)]
    assert len(over) > 1
    assert peak < 2 * IN_FLIGHT * run.max_body_bytes + 20 * MEGABYTE
