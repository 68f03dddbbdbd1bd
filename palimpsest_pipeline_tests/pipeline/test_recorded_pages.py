"""A book recorded in several answers, from the import to one fixture on four platforms."""

import json
from pathlib import Path
from typing import Any

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.core_products import ingest_cycle
from palimpsest_pipeline_tests.fixtures.five_books import write_betway_book, write_first_three
from palimpsest_pipeline_tests.fixtures.landed import import_recorded
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.platforms.betway import support as betway

PLATFORMS = "betpawa,sportybet,bet9ja,betway"
NO_MARKET_OF_OURS = "1601xup=3~"


def ingest(pipeline: Pipeline, folder: Path, entries: list[dict[str, Any]]) -> None:
    (folder / "manifest.json").write_text(json.dumps(entries))
    for manifest in import_recorded(pipeline, folder):
        ingest_cycle(pipeline, manifest.cycle_id)


def rows(pipeline: Pipeline, query: str) -> list[tuple[Any, ...]]:
    with pipeline.connect() as conn:
        return conn.execute(query.encode()).fetchall()


COUNTS = "select i.platform, c.n_prices, c.observed_at from core.captures c join ops.listing_ids i using (listing_id)"


def test_one_fixture_has_the_prices_of_all_its_platforms(
    samples: Path, tmp_path: Path, make_pipeline: MakePipeline
) -> None:
    pipeline = make_pipeline(platforms=PLATFORMS)
    ingest(pipeline, tmp_path, write_first_three(samples, tmp_path) + write_betway_book(samples, tmp_path))
    assert rows(pipeline, "select sr_id from core.fixtures") == [(66457014,)]
    counts = {platform: (n_prices, observed_at) for platform, n_prices, observed_at in rows(pipeline, COUNTS)}
    assert set(counts) == set(PLATFORMS.split(","))
    body = betway.with_event(samples, "wc_nf.json")
    priced = [p for p in body["prices"] if p["priceDecimal"] > 1 and NO_MARKET_OF_OURS not in p["outcomeId"]]
    n_prices, observed_at = counts["betway"]
    assert n_prices == len(priced) == 1444
    assert observed_at.isoformat() == "2026-06-26T10:20:00+00:00"
    assert not rows(pipeline, "select 1 from core.rejects")


def test_a_recorded_book_without_one_page_is_refused_and_its_match_known(
    samples: Path, tmp_path: Path, make_pipeline: MakePipeline
) -> None:
    pipeline = make_pipeline(platforms=PLATFORMS)
    entries = [entry for entry in write_betway_book(samples, tmp_path) if entry["params"].get("skip") != "99"]
    ingest(pipeline, tmp_path, entries)
    assert rows(pipeline, COUNTS) == []
    ((reason,),) = rows(pipeline, "select reason from core.rejects")
    assert reason == "the markets from 99 on are missing"
    assert rows(pipeline, "select sr_id from core.fixtures") == [(66457014,)]
