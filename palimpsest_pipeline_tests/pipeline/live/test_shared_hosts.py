"""Two countries of one brand on one host: both heed its pauses, and neither ends a pause of the other."""

from datetime import UTC, datetime
from typing import Final

import pytest

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import Platform, Scope, Trigger
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.live import stage
from palimpsest_pipeline.pipeline.live.ledger_writer import LedgerWriter
from palimpsest_pipeline.scrape.sinks import HostView
from palimpsest_pipeline.storage.ledger import host_state
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, SPORTYBET

GHANA: Final = Platform("sportybet-gh")
HOST: Final = "www.sportybet.com"
AT: Final = datetime(2026, 6, 26, 19, 5, tzinfo=UTC)
CYCLE: Final = Cycle(20260626190500000, Trigger.MANUAL, Scope.FULL, BETPAWA, AT.replace(minute=0), AT)
CLOSED: Final = HostView(0, 0, "closed")


def paused(for_s: float, reason: str) -> HostView:
    return HostView(0, 5, "open", reason, for_s)


@pytest.fixture
def pipeline(make_pipeline: MakePipeline) -> Pipeline:
    return make_pipeline(platforms="betpawa,sportybet,sportybet-gh")


def make_writer(pipeline: Pipeline) -> LedgerWriter:
    hosts = {platform: pipeline.find_host_name(platform) for platform in pipeline.platforms}
    assert [platform for platform, host in hosts.items() if host == HOST] == [SPORTYBET, GHANA]
    return LedgerWriter(pipeline.connect, CYCLE, 1000, hosts=hosts, clock=pipeline.clock)


def write(pipeline: Pipeline, writer: LedgerWriter, **changes: HostView) -> tuple[str, float] | None:
    """Have the writer write these changes; return reason and seconds, in tens, of the pause that others read."""
    for name, view in changes.items():
        writer.on_host_change(Platform(name.replace("_", "-")), view)
    with pipeline.connect() as conn:
        writer._write_host_states(conn)
        trouble = host_state.read_troubles(conn, [HOST], pipeline.clock.now()).get(HOST)
    return None if trouble is None else (trouble.reason, round(trouble.for_s, -1))


def test_each_platform_of_a_host_heeds_its_recorded_pause(pipeline: Pipeline) -> None:
    with pipeline.connect() as conn:
        host_state.block_host(conn, HOST, 1, "blocked 5 times in a row", pipeline.clock.now(), 900)
    holds = stage._read_host_holds(pipeline, 2, [GHANA])
    assert {platform: hold.reason for platform, hold in holds.items()} == dict.fromkeys(
        (SPORTYBET, GHANA), "blocked 5 times in a row"
    )
    own = stage._read_host_holds(pipeline, 1, [GHANA])
    assert {platform: hold.is_blocked for platform, hold in own.items()} == {SPORTYBET: True, GHANA: False}


def test_a_good_answer_for_one_platform_leaves_the_pause_of_the_other(pipeline: Pipeline) -> None:
    writer = make_writer(pipeline)
    assert write(pipeline, writer, sportybet=paused(900, "asked to wait 900 s")) == ("asked to wait 900 s", 900)
    assert write(pipeline, writer, sportybet_gh=paused(60, "blocked")) == ("asked to wait 900 s", 900)
    assert write(pipeline, writer, sportybet=CLOSED) == ("blocked", 60)
    assert write(pipeline, writer, sportybet_gh=CLOSED) is None


def test_of_two_changes_between_two_heartbeats_none_is_lost(pipeline: Pipeline) -> None:
    both = {"sportybet": paused(60, "blocked"), "sportybet_gh": paused(300, "asked")}
    assert write(pipeline, make_writer(pipeline), **both) == ("asked", 300)
    mixed = {"sportybet": paused(900, "blocked"), "sportybet_gh": CLOSED}
    assert write(pipeline, make_writer(pipeline), **mixed) == ("blocked", 900)


def test_a_pause_that_is_over_ends_with_a_good_answer_for_another_platform(pipeline: Pipeline) -> None:
    """A platform that this cycle has nothing to ask of never gets a good answer itself."""
    writer = make_writer(pipeline)
    over = {"sportybet": paused(0, "no answer"), "sportybet_gh": paused(0, "no answer")}
    assert write(pipeline, writer, **over) == ("no answer", 0)
    assert write(pipeline, writer, sportybet=CLOSED) is None
