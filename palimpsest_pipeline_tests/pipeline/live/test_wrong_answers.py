"""Cycles that fetch nothing that can be used: no platform answers, or the answers are about something else."""

import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from itertools import count

import dagster as dg
import pytest

from palimpsest_pipeline.cli import __main__
from palimpsest_pipeline.defs.check_results import find_last_evaluation
from palimpsest_pipeline.domain.cycles import CycleResult, Target
from palimpsest_pipeline.domain.enums import RunStatus, Scope
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.live import live_cycle
from palimpsest_pipeline.scrape import capture_targets
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.ledger import cycle_ledger
from palimpsest_pipeline_tests.fixtures.in_process import CommandHere
from palimpsest_pipeline_tests.fixtures.ledger import read_latest_cycles
from palimpsest_pipeline_tests.fixtures.loopback import answering
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET
from palimpsest_pipeline_tests.fixtures.proxies import repeating_proxy, rewriting_proxy
from palimpsest_pipeline_tests.scrape.world import NOW, cycle, open_world

Start = Callable[..., SimulatorProcess]
READABLE = dg.AssetCheckKey(dg.AssetKey(["core", "odds_snapshots"]), "answers_are_readable")


def newest_batch(pipeline: Pipeline) -> cycle_ledger.CycleRecord:
    with pipeline.connect() as conn:
        return read_latest_cycles(conn)[0]


@pytest.mark.parametrize("endpoint", ["*", pytest.param("detail", marks=pytest.mark.slow)])
def test_a_cycle_that_no_platform_answered_fails_its_run_and_is_closed_as_failed(
    endpoint: str,
    start_simulator: Start,
    make_pipeline: MakePipeline,
    command_here: CommandHere,
    instance: dg.DagsterInstance,
) -> None:
    simulator = start_simulator(10, 3)
    pipeline = make_pipeline(simulator, **{platform: {"give_up_s": 0.5} for platform in PLATFORMS})
    for platform in PLATFORMS:
        simulator.set_fault(platform, "down", endpoint=endpoint)
    scraped = command_here(pipeline, "scrape")
    assert scraped.exit_code == 1
    batch = newest_batch(pipeline)
    assert batch.status is RunStatus.FAILED
    assert f"no platform answered in cycle {batch.cycle.cycle_id} (betpawa: " in scraped.stderr
    assert "HTTP 503" in scraped.stderr
    assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.FAILURE]


async def of_details(n_fixtures: int, *there: str) -> CycleResult:
    """A capture of `n_fixtures` that all platforms list, in which every listing but `there` (like betpawa-1) is
    answered with 404.
    """
    async with open_world() as world:
        wanted = [
            Target(n, NOW + timedelta(hours=3), {platform: (f"{platform}-{n}",) for platform in PLATFORMS})
            for n in range(1, n_fixtures + 1)
        ]
        for platform, (external_id,) in (
            (platform, ids) for target in wanted for platform, ids in target.listings.items()
        ):
            world.hosts[platform].script(
                f"/detail/{external_id}", answering() if external_id in there else answering(404)
            )
        async with world.engine() as engine:
            return await capture_targets(cycle(Scope.EVENTS), wanted, world.adapters, engine, clock=world.clock)


async def test_a_cycle_in_which_every_platform_says_404_of_all_fixtures_has_no_answer() -> None:
    with pytest.raises(live_cycle.NoPlatformAnswered, match=r"betpawa: .*404"):
        live_cycle.require_answers(await of_details(40))


async def test_that_the_only_fixture_asked_for_is_gone_is_an_answer_and_so_is_one_book_among_many_that_are_gone() -> (
    None
):
    for result in (await of_details(1), await of_details(3, "bet9ja-2")):
        assert live_cycle.require_answers(result) is result


def test_a_cycle_whose_answers_are_nearly_all_refused_is_no_success(
    start_simulator: Start, make_pipeline: MakePipeline, command_here: CommandHere, instance: dg.DagsterInstance
) -> None:
    simulator = start_simulator(30, 3)
    with repeating_proxy(simulator.base_urls[BETPAWA]) as url:
        pipeline = make_pipeline(simulator, betpawa={"base_url": url})
        scraped = command_here(pipeline, "scrape", "--json")
    assert scraped.exit_code == __main__.EXIT_PARTIAL, scraped.stderr
    runs = {run["platform"]: run for run in json.loads(scraped.stdout)["platforms"]}
    betpawa = runs.pop("betpawa")
    assert {run["status"] for run in runs.values()} == {"completed"}
    assert (betpawa["status"], betpawa["refused"]) == ("failed", betpawa["fetched"] - 1)
    refusal = f"{betpawa['refused']} of {betpawa['fetched']} answers were refused, e.g. $.id: the answer is about "
    assert betpawa["message"].startswith(refusal)
    batch = newest_batch(pipeline)
    assert batch.status is RunStatus.PARTIAL
    verdict = find_last_evaluation(instance, READABLE, str(batch.cycle.partition_hour.date()))
    assert verdict is not None
    assert verdict.event is not None
    assert verdict.event.dagster_event is not None
    evaluation = verdict.event.dagster_event.asset_check_evaluation_data
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert f"cycle {batch.cycle.cycle_id}: betpawa: {refusal}" in str(evaluation.description)
    assert next(iter(instance.get_runs())).status is dg.DagsterRunStatus.SUCCESS, (
        "the other platforms' answers are derived"
    )


def with_commas(body: bytes) -> bytes:
    """A Bet9ja book with prices as `1,85`; whole numbers stay as they are."""
    return re.sub(rb'(?<=[0-9])[.](?=[0-9]+")', b",", body)


def with_renamed_prices(body: bytes) -> bytes:
    """A BetPawa book with its prices in a field that nobody knows."""
    return re.sub(rb'"(odds|price)":', b'"quote":', body)


def in_play(body: bytes) -> bytes:
    """A SportyBet book that says that the match has begun."""
    return re.sub(rb'("productStatus": ?"0#0".*?"status": ?)0', rb"\g<1>1", body, count=1)


@pytest.mark.slow
def test_a_platform_none_of_whose_books_can_be_used_any_more_has_failed_and_says_why(
    start_simulator: Start, make_pipeline: MakePipeline, command_here: CommandHere, instance: dg.DagsterInstance
) -> None:
    simulator = start_simulator(30, 3)
    rewrite = {BETPAWA: with_renamed_prices, SPORTYBET: in_play, BET9JA: with_commas}
    with ExitStack() as proxies:
        urls = {
            p: {"base_url": proxies.enter_context(rewriting_proxy(simulator.base_urls[p], rewrite[p]))} for p in rewrite
        }
        pipeline = make_pipeline(simulator, **urls)
        scraped = command_here(pipeline, "scrape", "--json")
    runs = {run["platform"]: run for run in json.loads(scraped.stdout)["platforms"]}
    reasons = {
        "betpawa": "$: the book has outcomes and no price",
        "sportybet": "$.data: in play: status 1, or the live product's book",
        "bet9ja": "$.D.O: ",
    }
    for platform, reason in reasons.items():
        run = runs[platform]
        assert run["status"] == "failed", run
        assert run["refused"] >= 0.95 * run["fetched"] > 0
        assert f" answers were refused, e.g. {reason}" in run["message"]
    assert " prices cannot be read, e.g. '" in runs["bet9ja"]["message"]
    batch = newest_batch(pipeline)
    assert batch.status is RunStatus.FAILED
    verdict = find_last_evaluation(instance, READABLE, str(batch.cycle.partition_hour.date()))
    assert verdict is not None
    assert verdict.event is not None
    assert verdict.event.dagster_event is not None
    assert verdict.event.dagster_event.asset_check_evaluation_data.passed is False


@pytest.mark.slow
def test_single_matches_that_began_early_are_no_refusals(
    start_simulator: Start, make_pipeline: MakePipeline, command_here: CommandHere
) -> None:
    simulator = start_simulator(10, 3)
    number = count()

    def some_in_play(body: bytes) -> bytes:
        return in_play(body) if next(number) < 2 else body

    with rewriting_proxy(simulator.base_urls[SPORTYBET], some_in_play) as url:
        pipeline = make_pipeline(simulator, sportybet={"base_url": url})
        scraped = command_here(pipeline, "scrape", "--json")
    run = next(run for run in json.loads(scraped.stdout)["platforms"] if run["platform"] == "sportybet")
    assert (run["status"], run["refused"]) == ("completed", 0)
    with pipeline.connect() as conn:
        assert conn.execute(
            "select sum(occurrences) from core.rejects where whole_answer and starts_with(reason, 'in play')"
        ).fetchone() == (2,)
