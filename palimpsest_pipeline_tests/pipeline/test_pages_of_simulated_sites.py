"""Full cycles at sites that answer a book in several parts: every book is whole or failed, live and in the landing."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from palimpsest_pipeline.domain.enums import PayloadKind, Platform
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.write_core import ingest_cycle
from palimpsest_pipeline.scrape import rebuild_outcomes
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.landed import land_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.fixtures.platforms import SPORTYBET

BETWAY, SPORTPESA = Platform("betway"), Platform("sportpesa")
PAGED = (BETWAY, SPORTPESA)
SIZE = 24

Start = Callable[..., SimulatorProcess]


def scrape(start_simulator: Start, make_pipeline: MakePipeline, **fault: Any) -> tuple[Pipeline, int]:
    """A full cycle of these sites, ingested; returns its id."""
    platforms = (SPORTYBET, *PAGED)
    simulator = start_simulator(size=SIZE, platforms=platforms)
    if fault:
        for platform in PAGED:
            simulator.set_fault(platform, **fault)
    pipeline = make_pipeline(simulator, platforms=",".join(platforms), home_platform=SPORTYBET)
    cycle_id = land_cycle(pipeline)
    ingest_cycle(pipeline, cycle_id)
    return pipeline, cycle_id


def statuses(pipeline: Pipeline, cycle_id: int) -> dict[tuple[str, str], tuple[str, int]]:
    """Status and attempts by platform and listing, from the ledger."""
    query = "select platform, external_id, status, attempts from ops.event_scrape_status where cycle_id = %s"
    with pipeline.connect() as conn:
        return {(p, one): (status, n) for p, one, status, n in conn.execute(query, [cycle_id])}


def captured(pipeline: Pipeline) -> dict[tuple[str, str], int]:
    """Prices by platform and listing, from core."""
    query = "select platform, external_id, n_prices from core.captures join ops.listing_ids using (listing_id)"
    with pipeline.connect() as conn:
        return {(p, one): n_prices for p, one, n_prices in conn.execute(query)}


def check_cycle(pipeline: Pipeline, cycle_id: int) -> dict[tuple[str, str], tuple[str, int]]:
    """Check that core, the landing and the ledger agree; returns the ledger."""
    ledger = statuses(pipeline, cycle_id)
    completed = {listing for listing, (status, _) in ledger.items() if status == "completed"}
    assert captured(pipeline).keys() == completed
    manifest = pipeline.landing.read_manifest(cycle_id)
    outcomes, _ = rebuild_outcomes(pipeline.landing.read_landed_listings(cycle_id))
    assert {(o.platform, o.external_id) for o in outcomes if o.failure is None} == completed
    where = defaultdict(set)
    for n, frame in enumerate(pipeline.landing.read_segments(manifest, [PayloadKind.DETAIL], PAGED)):
        for row in frame.filter(pl.col("failure").is_null()).iter_rows(named=True):
            where[row["platform"], row["external_id"]].add(n)
    assert where.keys() == {listing for listing in completed if listing[0] in PAGED}
    assert all(len(segments) == 1 for segments in where.values())
    return ledger


def test_every_book_arrives_whole(start_simulator: Start, make_pipeline: MakePipeline) -> None:
    pipeline, cycle_id = scrape(start_simulator, make_pipeline)
    ledger = check_cycle(pipeline, cycle_id)
    assert {status for status, _ in ledger.values()} == {"completed"}
    attempts = {platform: [n for (p, _), (_, n) in ledger.items() if p == platform] for platform in PAGED}
    assert set(attempts[SPORTPESA]) == {2}
    assert min(attempts[BETWAY]) == 2
    assert max(attempts[BETWAY]) > 2, "large books have further pages"


@pytest.mark.parametrize("share", [0.6, pytest.param(0.2, marks=pytest.mark.slow)])
def test_a_book_with_a_failed_answer_fails_as_a_whole(
    start_simulator: Start, make_pipeline: MakePipeline, share: float
) -> None:
    pipeline, cycle_id = scrape(start_simulator, make_pipeline, mode="error", share=share, endpoint="detail")
    ledger = check_cycle(pipeline, cycle_id)
    by_status = defaultdict(int)
    for (platform, _), (status, _) in ledger.items():
        by_status[platform in PAGED, status] += 1
    assert by_status[True, "failed"] > 0
    assert by_status[False, "failed"] == 0
