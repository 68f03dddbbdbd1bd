"""A parser that reads the landing otherwise than the last one: what it no longer says is gone from every table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import pytest

from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Detail, Discovery, Listing, PayloadRejected
from palimpsest_pipeline.operate.backfill.backfill import derive_due_fixtures
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline_tests.fixtures.content import content_hashes, drop_derived
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, replace_adapters, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA

TABLES = ("core.captures", "core.market_changes", "core.current_markets")

REMEMBERING = {"core.tournament_listings", "core.cycle_products"}
"""When a tournament was first and last seen by any parser, and how many rows stood when it was derived: these depend
on what was there before.
"""


@dataclass
class Stricter:
    """An adapter that refuses what `refuses` names: whole listings, and with `no_book` every book."""

    own: Any
    refuses: set[str]
    no_book: bool = False
    parser_version: str = "stricter"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)

    def read_discovery(self, answers: Sequence[Answer], sport: Sport) -> Discovery:
        found = self.own.read_discovery(answers, sport)
        return replace(found, listings=[x for x in found.listings if x.external_id not in self.refuses])

    def read_listing(self, answers: Sequence[Answer]) -> Listing:
        if answers[0].request.external_id in self.refuses:
            raise PayloadRejected(answers[0].request.platform, "$", "refused")
        return self.own.read_listing(answers)

    def read_detail(self, answers: Sequence[Answer]) -> Detail:
        # The first answer of some listings is refused, the second believed: history begins later for them.
        if (
            self.no_book
            or answers[0].request.external_id in self.refuses
            or (answers[0].received_at.microsecond % 3 == 0)
        ):
            raise PayloadRejected(answers[0].request.platform, "$", "refused")
        return self.own.read_detail(answers)


def counts(pipeline: Pipeline, platform: Platform) -> dict[str, int]:
    with pipeline.connect() as conn:
        query = "select count(*) from {} t join ops.listing_ids i using (listing_id) where i.platform = %s"
        return {table: conn.execute(query.format(table), [platform]).fetchone()[0] for table in TABLES}


def replayed(pipeline: Pipeline) -> dict[str, tuple[int, str]]:
    for day in sorted({m.partition_hour.date() for m in pipeline.landing.list_cycles()}):
        outcome = run_here(pipeline, "replay", day)
        assert outcome.success, outcome.error
    with dg.DagsterInstance.ephemeral() as instance:
        assert derive_due_fixtures(pipeline, instance, print) is None
    return {table: content for table, content in content_hashes(pipeline).items() if table not in REMEMBERING}


@pytest.mark.slow
def test_a_new_parser_leaves_nothing_of_the_old_one_behind(start_simulator, make_pipeline: MakePipeline) -> None:
    simulator = start_simulator(24, 3, clock_offset_s=-600)
    for offset_s in (-600, 0):
        simulator.set_clock(offset_s)
        old = make_pipeline(simulator, clock_offset_s=offset_s)
        outcome = run_here(old, "full_cycle")
        assert outcome.success, outcome.error
    assert all(counts(old, BET9JA).values())
    with old.connect() as conn:
        refused = {
            x
            for (x,) in conn.execute(
                "select external_id from core.event_listings where platform = 'betpawa' order by 1 limit 3"
            )
        }
        assert conn.execute("select 1 from core.unmapped_markets where platform = 'bet9ja'").fetchone()

    new = make_pipeline(simulator)
    replace_adapters(
        new, {p: Stricter(a, refused if p == BETPAWA else set(), p == BET9JA) for p, a in old.adapters.items()}
    )
    found = replayed(new)
    assert not any(counts(new, BET9JA).values())
    with new.connect() as conn:
        assert conn.execute("select 1 from core.unmapped_markets where platform = 'bet9ja'").fetchone() is None
        assert (
            conn.execute("select 1 from core.event_listings where external_id = any(%s)", [list(refused)]).fetchone()
            is None
        )
    drop_derived(new)
    assert replayed(new) == found
