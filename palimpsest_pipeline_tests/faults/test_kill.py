"""A cycle whose process is killed at any moment is closed or taken up again: what is landed stays, once, and no good
answer is asked for twice.
"""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest

from palimpsest_pipeline.domain.enums import PayloadKind, RunStatus
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.pipeline.live import live_cycle
from palimpsest_pipeline.pipeline.live.recovery import recover_dead_cycles
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.scrape import rebuild_outcomes
from palimpsest_pipeline.scrape.sinks import ObserverGroup
from palimpsest_pipeline.simulator.request_log import RequestLine
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.ledger import cycle_ledger
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines

from .live_cycle import FLUSH_AGE_S, begun
from .live_cycle import __name__ as program
from .running import Stage

POINTS = 20
WRITING_S = 2.0
"""More than a small segment takes to be hashed, written and synced, on a busy machine too."""


@dataclass(frozen=True)
class Killed:
    """A cycle's process that is gone: killed, unless it was quicker."""

    run_id: str
    cycle_id: int
    killed_at: float
    """Unix seconds."""
    finished: bool
    log: list[RequestLine]
    """What the simulator was asked until then."""


@pytest.fixture(scope="module")
def stage(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with (
        SimulatorProcess(40, latency={"*": (100, 150)}) as simulator,
        pipelines(postgres, tmp_path_factory.mktemp("killed")) as make,
    ):
        simulator.set_clock(0, stopped=True)
        few = {"max_in_flight": 4, "max_attempts": 3}
        pipeline = make(simulator, betpawa=few, sportybet=few, bet9ja=few, heartbeat_s=0.2, silent_after_s=600)
        yield Stage(simulator, pipeline, set())


def child(stage: Stage, run_id: str) -> tuple[subprocess.Popen[str], int, float]:
    """A process that has begun its cycle, the cycle, and when (monotonic seconds)."""
    stage.simulator.clear_log()
    process = subprocess.Popen(
        [sys.executable, "-m", program, run_id],
        env=stage.pipeline.settings.to_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline()), time.monotonic()


@pytest.fixture(scope="module")
def life_s(stage: Stage) -> float:
    """How long a cycle takes from its beginning to its process's end."""
    process, cycle_id, began_at = child(stage, "undisturbed")
    process.communicate()
    assert process.returncode == 0
    assert status(stage, cycle_id) is RunStatus.COMPLETED
    return time.monotonic() - began_at


def killed(stage: Stage, run_id: str, after_s: float) -> Killed:
    process, cycle_id, began_at = child(stage, run_id)
    try:
        process.wait(max(began_at + after_s - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        process.kill()
    killed_at = time.time()
    process.communicate()
    return Killed(run_id, cycle_id, killed_at, process.returncode == 0, stage.simulator.list_requests())


def status(stage: Stage, cycle_id: int) -> RunStatus:
    with stage.pipeline.connect() as conn:
        batch = cycle_ledger.read_cycle(conn, cycle_id)
    assert batch is not None
    return batch.status


def lines(stage: Stage, cycle_id: int) -> dict[tuple[str, str], tuple[str, int]]:
    """Status and attempts of each of the cycle's listings, as the ledger has them."""
    with stage.pipeline.connect() as conn:
        found = conn.execute(
            "select platform, external_id, status, attempts from ops.event_scrape_status where cycle_id = %s",
            [cycle_id],
        )
        return {(platform, external_id): (state, attempts) for platform, external_id, state, attempts in found}


def check_landing(stage: Stage, cycle_id: int) -> Manifest:
    """The cycle's manifest names every segment, each can be read, and no answer is there twice."""
    manifest = stage.pipeline.landing.read_manifest(cycle_id)
    answers = list(stage.pipeline.landing.iterate_answers(stage.pipeline.landing.read_answers(manifest)))
    twice = Counter((answer.request.key, answer.attempt, answer.requested_at) for answer in answers)
    assert set(twice.values()) <= {1}
    assert len(answers) == stage.pipeline.landing.read_landed_listings(cycle_id).height, (
        "what the manifest names is what there is"
    )
    return manifest


def check_nothing_old_is_lost(stage: Stage, dead: Killed) -> None:
    """Whatever was sent well before the kill is landed."""
    landed = stage.pipeline.landing.read_landed_listings(dead.cycle_id)
    details = landed.filter(landed["kind"] == PayloadKind.DETAIL)
    there = set(zip(details["platform"], details["external_id"], strict=True))
    sure = [
        line
        for line in dead.log
        if line.sent_at is not None and (dead.finished or line.sent_at < dead.killed_at - FLUSH_AGE_S - WRITING_S)
    ]
    assert {(line.platform, line.external_id) for line in sure if line.external_id} <= there
    assert sum(line.external_id is None for line in sure) <= landed.height - details.height


def instants(n: int) -> list[float]:
    """Where in a cycle's life, as a share of it: one at random in each of `n` equal parts."""
    rng = Random(4)
    return [(part + rng.random()) / n for part in range(n)]


@pytest.mark.slow
@pytest.mark.parametrize(("n", "share"), list(enumerate(instants(POINTS))))
def test_a_killed_cycle_is_closed_or_finished_with_all_that_had_landed(
    n: int, share: float, stage: Stage, life_s: float
) -> None:
    dead = killed(stage, f"run-{n}", share * life_s)
    check_nothing_old_is_lost(stage, dead)
    if n % 2:
        check_closed(stage, dead)
    else:
        check_taken_up(stage, dead)
    assert recover_dead_cycles(stage.pipeline, [dead.run_id]) == [], "closed once"


def landed_lines(stage: Stage, dead: Killed) -> dict[tuple[str, str], tuple[str, int]]:
    """As `lines`, as the landed answers have them."""
    told, _ = rebuild_outcomes(stage.pipeline.landing.read_landed_listings(dead.cycle_id))
    return {(str(one.platform), one.external_id): (str(one.status), one.attempts) for one in told}


def check_closed(stage: Stage, dead: Killed) -> None:
    closed = [cycle.cycle_id for cycle in recover_dead_cycles(stage.pipeline, [dead.run_id])]
    state = status(stage, dead.cycle_id)
    assert (closed, state) == (
        ([dead.cycle_id], RunStatus.INTERRUPTED) if not dead.finished and closed else ([], RunStatus.COMPLETED)
    )
    check_landing(stage, dead.cycle_id)
    proven = landed_lines(stage, dead)
    found = lines(stage, dead.cycle_id)
    assert proven.items() <= found.items()
    assert {state for listing, (state, _) in found.items() if listing not in proven} <= {RunStatus.INTERRUPTED}


def check_taken_up(stage: Stage, dead: Killed) -> None:
    stage.simulator.clear_log()
    good = {listing for listing, (state, _) in landed_lines(stage, dead).items() if state == RunStatus.COMPLETED}
    result = live_cycle.run_capture(
        stage.pipeline, begun(stage.pipeline, f"{dead.run_id} again", dead.run_id), ObserverGroup()
    )
    asked = {(line.platform, line.external_id) for line in stage.simulator.list_requests() if line.external_id}
    assert result.status is RunStatus.COMPLETED
    check_landing(stage, result.cycle.cycle_id)
    if result.cycle.cycle_id != dead.cycle_id:
        # Its discovery had not come to its end, or its capture had: then another cycle asks for what is known.
        assert status(stage, dead.cycle_id) in (
            {RunStatus.COMPLETED} if dead.finished else {RunStatus.COMPLETED, RunStatus.INTERRUPTED}
        )
        return
    assert status(stage, dead.cycle_id) is RunStatus.COMPLETED
    assert not asked & good, "what has been answered is not asked again"
    found = lines(stage, dead.cycle_id)
    assert found.keys() == asked | good
    assert {state for state, _ in found.values()} == {RunStatus.COMPLETED}
