"""Kickoffs refused for several cycles, of listings beside others of the same platform for the same match: from
captured answers to the marts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.write_core import ingest_cycle
from palimpsest_pipeline.pipeline.marts import derive_lifecycle, derive_prices
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline_tests.fixtures.content import content_hashes, drop_derived
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, pipelines
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA
from palimpsest_pipeline_tests.storage.table_rows import read_table

from .test_derive_prices import rows as present_rows
from .test_derive_prices import same
from .test_primary_listing import COPY, MAIN, NEW, OLD, POSTPONED, SUSPENDED, betpawa, land, sportybet

RELISTED, COPIED = POSTPONED, SUSPENDED
"""SportRadar ids: of a match that BetPawa lists anew, as NEW, and of one that it lists twice, as MAIN and as its
smaller COPY.
"""
ABSURD: Final = (datetime(2099, 12, 31, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC))
AT: Final = tuple(timedelta(minutes=minutes) for minutes in (-180, -75, -30, -5))
"""When the cycles are, from now. NEW claims ABSURD in all of its cycles, MAIN in the second and the third."""
KICKOFF, KICKOFF_OF_COPY = timedelta(hours=5), timedelta(hours=5, minutes=10)
NOTHING: Final[Any] = (BETPAWA, "505", {})
"""An answer that is no book."""
IN_CI: Final = ((0, 1, 2, 3), (3, 2, 1, 0), (0, 2, 1, 3), (2, 0, 3, 1))
ORDERS: Final = ((1, 3, 0, 2), *(pytest.param(order, marks=pytest.mark.slow) for order in IN_CI))


def cycles_of(samples: Path, now: datetime, *, relisted: bool) -> list[list[Any]]:
    """The answers of each cycle, with those about NEW or with NOTHING at the same second."""
    kickoff, of_copy = now + KICKOFF, now + KICKOFF_OF_COPY
    old, copy = betpawa(samples, OLD, RELISTED, kickoff, 10), betpawa(samples, COPY, COPIED, of_copy, 6, by=0.8)
    anew = (
        [betpawa(samples, NEW, RELISTED, absurd, 30, by=1.5) for absurd in ABSURD] if relisted else [NOTHING, NOTHING]
    )
    main, *refused = (betpawa(samples, MAIN, COPIED, claimed, 30) for claimed in (kickoff, *ABSURD))
    others = [sportybet(samples, RELISTED, kickoff), sportybet(samples, COPIED, kickoff)]
    return [
        [old, main, copy, *others],
        [old, refused[0], copy, *others, anew[0]],
        [refused[1], copy, *others, anew[1]],
        [main, copy, *others, anew[0]],
    ]


def derive(pipeline: Pipeline, cycles: Sequence[int], days: Sequence[date]) -> None:
    for cycle in cycles:
        ingest_cycle(pipeline, cycle)
    derive_prices.derive_prices(pipeline)
    for day in days:
        derive_lifecycle.derive_kickoff_date(pipeline, day)


def life_rows(pipeline: Pipeline, days: Sequence[date]) -> dict[str, pl.DataFrame]:
    """Rows of the life tables, without ids that the database chose, and without when they were derived and up to
    when anybody had looked.
    """
    own = ("listing_id", "listing_ids", "line_id", "computed_at", "as_of")
    with pipeline.connect() as conn:
        found = {
            table: pl.concat([read_table(conn, table, day) for day in days]).drop(own, strict=False)
            for table in derive_lifecycle.TABLES
        }
    return {
        table: frame.sort(*(name for name, dtype in frame.schema.items() if not dtype.is_nested()))
        for table, frame in found.items()
    }


@dataclass(frozen=True)
class World:
    """The cycles, landed, and what they come to."""

    pipeline: Pipeline
    now: datetime
    days: list[date]
    cycles: list[int]
    kept: list[dict[str, pl.DataFrame]]
    """Present prices and gaps after each cycle, as they came one after the other."""
    hashes: dict[str, tuple[int, str]]
    """Content of every derived table after all of them."""

    def primaries(self) -> dict[int, str]:
        with self.pipeline.connect() as conn:
            sql = "select fixture_sr_id, external_id from core.event_listings where platform = 'betpawa' and is_primary"
            return dict(conn.execute(sql).fetchall())


@pytest.fixture(scope="module")
def world(samples: Path, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    now = datetime.now(UTC).replace(microsecond=0)
    days = sorted({(now + kickoff).date() for kickoff in (KICKOFF, KICKOFF_OF_COPY)})
    with pipelines(postgres, tmp_path_factory.mktemp("refused")) as make:
        pipeline, kept = make(), []
        landed = [
            land(pipeline, now + at, bodies)
            for at, bodies in zip(AT, cycles_of(samples, now, relisted=True), strict=True)
        ]
        for cycle in landed:
            derive(pipeline, [cycle], days)
            kept.append(present_rows(pipeline))
        yield World(pipeline, now, days, landed, kept, content_hashes(pipeline))


@pytest.fixture
def good(world: World, samples: Path, make_pipeline: MakePipeline) -> dict[str, pl.DataFrame]:
    """Rows of the life tables of the same cycles without NEW."""
    pipeline = make_pipeline()
    cycles = zip(AT, cycles_of(samples, world.now, relisted=False), strict=True)
    derive(pipeline, [land(pipeline, world.now + at, bodies) for at, bodies in cycles], world.days)
    return life_rows(pipeline, world.days)


@pytest.fixture(scope="module", params=ORDERS, ids=str)
def reordered(world: World, request: pytest.FixtureRequest) -> World:
    """The world with nothing derived but core, from its cycles in an order of their own."""
    drop_derived(world.pipeline)
    for n in request.param:
        ingest_cycle(world.pipeline, world.cycles[n])
    return world


@pytest.mark.slow
def test_a_match_listed_anew_with_refused_kickoffs_has_the_life_of_the_good_claims_in_any_order(
    reordered: World, good: dict[str, pl.DataFrame]
) -> None:
    world = reordered
    derive(world.pipeline, [], world.days)
    for table, rows in life_rows(world.pipeline, world.days).items():
        assert_frame_equal(rows, good[table])
    after = content_hashes(world.pipeline)
    assert {table for table in after if after[table] != world.hashes[table]} == set()
    with world.pipeline.connect() as conn:
        fixtures = dict(conn.execute("select sr_id, effective_kickoff from core.fixtures").fetchall())
        for table in derive_lifecycle.TABLES:
            if table != "mart.gap_count":  # of hours before kickoff that are to come
                (n,) = conn.execute(f"select count(*) from {table} where true".encode()).fetchone() or (0,)
                assert n > 0, table
        seen = conn.execute(
            "select external_id, count(*), count(kickoff_at) from core.listing_observations o join ops.listing_ids using (listing_id)"
            " join core.listing_claims c using (listing_id, claim_hash) where external_id in (%s, %s) group by 1 order by 1",
            [NEW, MAIN],
        ).fetchall()
    assert fixtures == {RELISTED: world.now + KICKOFF, COPIED: world.now + KICKOFF}
    assert seen == [(NEW, 3, 0), (MAIN, 4, 2)], "refused claims cost no listing its being seen"
    assert world.primaries() == {RELISTED: OLD, COPIED: MAIN}


def test_prices_as_of_each_cycle_are_those_of_the_listing_whose_last_claim_was_good(reordered: World) -> None:
    world, markets = reordered, []
    for n, at in enumerate(AT):
        then = derive_prices.compute_prices_as_of(
            world.pipeline, [RELISTED, COPIED], world.now + at + timedelta(minutes=1)
        )
        same(world.kept[n], {table: frame.drop("computed_at") for table, frame in then.items()})
        offered = then["mart.price_comparison"].filter(pl.col("sr_id") == COPIED, pl.col("home_odds").is_not_null())
        markets.append(offered.select("market_key", "specifier").n_unique())
    main, copied, still_copied, again = markets
    assert main == again > copied == still_copied > 0, (
        "MAIN has more markets than its COPY, which speaks while MAIN's claim is refused"
    )
