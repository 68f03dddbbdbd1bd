"""Two countries of one brand in one instance: one line of settings, from the scrape to core."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.write_core import ingest_cycle
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.settings import load_settings
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.landed import land_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines, rows
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET

GHANA: Final = Platform("sportybet-gh")
ACTIVE: Final = (BETPAWA, SPORTYBET, BET9JA, GHANA)
BY_TRUST: Final = (BETPAWA, SPORTYBET, GHANA, BET9JA)
ONE_LINE: Final = "PALIMPSEST_PLATFORMS"


@pytest.fixture(scope="module")
def world(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Pipeline, SimulatorProcess]]:
    """A cycle of SportyBet in Nigeria and in Ghana beside two other brands. The tests only read it."""
    with (
        SimulatorProcess(30, 5, platforms=ACTIVE) as simulator,
        pipelines(postgres, tmp_path_factory.mktemp("two_countries")) as make,
    ):
        simulator.set_clock(0, stopped=True)
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv(ONE_LINE, ",".join(ACTIVE))
            pipeline = make(simulator)
        ingest_cycle(pipeline, land_cycle(pipeline))
        yield pipeline, simulator


@pytest.fixture
def pipeline(world: tuple[Pipeline, SimulatorProcess]) -> Pipeline:
    return world[0]


def test_one_line_of_settings_adds_a_country(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("PALIMPSEST_PLATFORMS=betpawa,sportybet,bet9ja,sportybet-gh\n")
    pipeline = Pipeline(load_settings())
    assert tuple(pipeline.platforms) == BY_TRUST
    adapter = pipeline.adapters[GHANA]
    (request,) = adapter.list_detail_requests("sr:match:1", 1, ())
    assert (request.platform, request.path) == (GHANA, "/api/gh/factsCenter/event")
    assert pipeline.settings.get_platform(GHANA).base_url == "https://www.sportybet.com"
    assert next(adapter.discover(Sport.FOOTBALL))[0].path.startswith("/api/gh/")


def test_each_country_is_requested_at_its_own_path(world: tuple[Pipeline, SimulatorProcess]) -> None:
    requests = world[1].fetch_log()["requests"]
    details = {platform: requests[f"{platform}.detail"] for platform in ACTIVE}
    assert details[GHANA] == details[SPORTYBET] > 10


def test_a_fixture_that_both_list_is_one_matched_event(pipeline: Pipeline) -> None:
    events = rows(pipeline, "select sr_id, platforms, external_ids from palimpsest.matched_events")
    on_both = [one for one in events if GHANA in one[1]]
    assert len(on_both) > 10
    assert len({sr_id for sr_id, *_ in events}) == len(events)
    for _, platforms, external_ids in on_both:
        assert platforms == [platform for platform in BY_TRUST if platform in platforms]
        assert external_ids[GHANA] == external_ids[SPORTYBET]
    assert all((GHANA in platforms) == (SPORTYBET in platforms) for _, platforms, _ in events)


def test_core_has_the_prices_of_both(pipeline: Pipeline) -> None:
    query = """
        select e.platform, count(*), sum(c.n_prices) from core.captures c join core.event_listings e using (listing_id)
        where e.platform like 'sportybet%' group by 1 order by 1
    """
    (nigeria, ghana) = rows(pipeline, query)
    assert (nigeria[0], ghana[0]) == (SPORTYBET, GHANA)
    assert nigeria[1:] == ghana[1:]
    assert ghana[2] > 1000
    assert rows(pipeline, "select name from ops.platforms where platform = 'sportybet-gh'") == [("SportyBet GH",)]
