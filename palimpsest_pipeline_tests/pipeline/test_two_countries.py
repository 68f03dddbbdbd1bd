"""Two countries of one brand in one instance: one line of settings, from the scrape to the page."""

import base64
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.settings import load_settings
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET

GHANA: Final = Platform("sportybet-gh")
ACTIVE: Final = (BETPAWA, SPORTYBET, BET9JA, GHANA)
BY_TRUST: Final = (BETPAWA, SPORTYBET, GHANA, BET9JA)
ONE_LINE: Final = "PALIMPSEST_PLATFORMS"


@pytest.fixture(scope="module")
def world(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Pipeline, SimulatorProcess]]:
    """A full cycle of SportyBet in Nigeria and in Ghana beside two other brands. The tests only read it."""
    with (
        SimulatorProcess(30, 5, platforms=ACTIVE) as simulator,
        pipelines(postgres, tmp_path_factory.mktemp("two_countries")) as make,
    ):
        simulator.set_clock(0, stopped=True)
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv(ONE_LINE, ",".join(ACTIVE))
            pipeline = make(simulator)
        outcome = run_here(pipeline, "full_cycle")
        assert outcome.success, outcome.error
        yield pipeline, simulator


@pytest.fixture
def pipeline(world: tuple[Pipeline, SimulatorProcess]) -> Pipeline:
    return world[0]


def rows(pipeline: Pipeline, query: str) -> list[tuple[Any, ...]]:
    with pipeline.connect() as conn:
        return conn.execute(query.encode()).fetchall()


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


def test_marts_compare_home_with_each_country(pipeline: Pipeline) -> None:
    query = """
        select platform, count(*), count(*) filter (where comparable) from palimpsest.price_comparison
        where platform like 'sportybet%' group by 1 order by 1
    """
    (nigeria, ghana) = rows(pipeline, query)
    assert nigeria[1] == ghana[1] > ghana[2] / 2 > 100
    same = """
        select count(*) from palimpsest.price_comparison g join palimpsest.price_comparison n
        using (sr_id, market_key, specifier, outcome_key)
        where g.platform = 'sportybet-gh' and n.platform = 'sportybet' and g.platform_odds is distinct from n.platform_odds
    """
    assert rows(pipeline, same) == [(0,)]
    rates = rows(
        pipeline,
        """
        select platform, n_listings, n_fixtures, n_matched_fixtures, completeness from mart.match_rate_platform
        where platform like 'sportybet%' and not include_started order by 1
        """,
    )
    assert rates[0][1:] == rates[1][1:]
    assert rates[1][-1] == "complete"


def test_views_have_a_row_per_country(pipeline: Pipeline) -> None:
    for view in ("best_price_platforms", "coverage_tournament_platforms"):
        found = {platform for (platform,) in rows(pipeline, f"select distinct platform from palimpsest.{view}")}
        assert found == set(ACTIVE)


def test_the_page_has_a_column_per_country(pipeline: Pipeline) -> None:
    text = pipeline.settings.report_path.read_text()
    blob = re.search(r'<script type="application/octet-stream"[^>]*>([^<]*)<', text)
    assert blob is not None
    data = json.loads(zlib.decompress(base64.b64decode(blob[1])))
    names = [platform["name"] for platform in data["platforms"]]
    assert names == ["BetPawa", "SportyBet", "SportyBet GH", "Bet9ja"]
    assert data["fixtures"]["markets"][1] == data["fixtures"]["markets"][2]


def test_the_command_line_shows_both(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in pipeline.settings.to_environment().items():
        monkeypatch.setenv(name, value)
    query = "select sr_id from palimpsest.matched_events where 'sportybet-gh' = any (platforms) limit 1"
    ((sr_id,),) = rows(pipeline, query)
    for words in (["compare", str(sr_id), "--market", "match_result"], ["coverage"]):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        assert "sportybet-gh" in done.stdout
