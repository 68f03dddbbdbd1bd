"""Packs outside the checkout: installed, scraped, shown on the page, and removed again.

One has the dialect of MSport and is TOML and CSV only; one has a dialect of its own.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.operate.packs.new_pack import create_pack
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.commands import PALIMPSEST, environment, ours
from palimpsest_pipeline_tests.fixtures.outside_packs import install, list_search_path

pytestmark = pytest.mark.slow

KNOWN, OWN = Platform("tigerbet"), Platform("lionbet")
OUTSIDE = (KNOWN, OWN)
INSIDE = (Platform("betpawa"), Platform("sportybet"))
NOT_SOLD = "29"
"""A market of the shared keys (both teams to score) that a row of one of the packs removes."""
PRICES = """
    select platform, count(*), md5(string_agg(line, E'\\n' order by line))
    from (
        select i.platform, concat_ws('|', i.external_id, c.observed_at, c.line_id, c.state, c.odds_milli) as line
        from core.market_changes c join ops.listing_ids i using (listing_id)
    ) changes group by platform
"""
SOLD = """
    select distinct i.platform
    from core.current_markets c join ops.listing_ids i using (listing_id)
    join ops.market_lines l using (line_id) join core.markets m using (market_id)
    where m.market_key = 'both_teams_to_score'
"""
MARKS = "select cycle_id, product, parser_version, mapping_version, computed_at from core.cycle_products order by 1, 2"


@dataclass
class Installation:
    """A home folder, a simulated site of each platform, and the packages outside the checkout."""

    folder: Path
    site: Path
    simulator: SimulatorProcess
    with_packs: bool = True
    urls: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        platforms = (*INSIDE, *OUTSIDE) if self.with_packs else INSIDE
        settings = {
            f"PALIMPSEST_PLATFORM__{platform.upper()}__{name}": value
            for platform in platforms
            for name, value in (
                ("BASE_URL", self.simulator.base_urls[platform]),
                ("MIN_GAP_S", "0"),
                ("JITTER_S", "0"),
                ("MAX_IN_FLIGHT", "16"),
            )
        }
        settings["PALIMPSEST_PLATFORMS"] = ",".join(platforms)
        if self.with_packs:
            settings["PYTHONPATH"] = list_search_path(self.site)
        done = subprocess.run(
            [*PALIMPSEST, *words],
            cwd=self.folder,
            env=environment(self.folder, **settings),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert expect is None or done.returncode == expect, done.stdout + done.stderr
        return done

    def query(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.run("db", "url").stdout.strip()) as conn:
            return conn.execute(query.encode()).fetchall()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both packages, as an installer lays them out."""
    work, site = tmp_path_factory.mktemp("packages"), tmp_path_factory.mktemp("site")
    known = create_pack(KNOWN, work, like="msport", country=None)
    assert {file.suffix for file in known.files} == {".toml", ".csv", ".md"}
    triage = known.folder / f"palimpsest_{KNOWN}" / "vocabulary" / "triage.csv"
    triage.write_text(f"sport,external_market_id,status,reason\nfootball,{NOT_SOLD},ignored,not sold here\n")
    for pack in (known, create_pack(OWN, work, like=None, country="ke")):
        install(pack, site)
    return site


@pytest.fixture
def installation(
    site: Path, tmp_path: Path, start_simulator: Callable[..., SimulatorProcess], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    with monkeypatch.context() as patched:
        patched.setenv("PYTHONPATH", list_search_path(site))
        simulator = start_simulator(size=24, platforms=(*INSIDE, *OUTSIDE))
    installation = Installation(tmp_path, site, simulator)
    installation.run("db", "upgrade")  # starts the server for the test's own queries
    yield installation
    if ours(tmp_path):
        installation.run("down", expect=None)


def test_packs_of_other_packages_are_sound_and_listed(site: Path, tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        env = environment(tmp_path, PYTHONPATH=list_search_path(site))
        return subprocess.run([*PALIMPSEST, *words], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    checked = run("platforms", "check", *OUTSIDE, "--json")
    findings = {(found["pack"], found["check"]): found for found in json.loads(checked.stdout)}
    assert checked.returncode == 0, findings
    assert findings[OWN, "recorded answers"]["detail"].startswith("1 books, 2 of 2 lines mapped")
    assert "0 of" not in findings[OWN, "simulator"]["detail"]
    assert "prices of 12 books" in findings[KNOWN, "simulator"]["detail"]
    listed = json.loads(run("platforms", "list", "--json").stdout)
    rows = {row["platform"]: row for row in listed["platforms"]}
    assert rows[OWN]["distribution"] == "palimpsest-lionbet"
    assert (rows[OWN]["country"], rows[OWN]["is_active"], rows["betpawa"]["is_home"]) == ("ke", False, True)
    assert listed["problems"] == {}


def test_outside_packs_go_from_discovery_to_the_page_and_their_history_outlives_them(
    installation: Installation,
) -> None:
    scraped = json.loads(installation.run("scrape", "--json").stdout)
    by_platform = {row["platform"]: row for row in scraped["platforms"]}
    assert by_platform.keys() == {*INSIDE, *OUTSIDE}
    assert all(row["status"] == "completed" and row["fetched"] > 5 for row in by_platform.values())
    installation.run("report")
    page = (installation.folder / "home" / "report" / "coverage.html").read_text(encoding="utf-8")
    assert "Tigerbet" in page
    assert "Lionbet" in page

    prices = {row[0]: row[1:] for row in installation.query(PRICES)}
    assert prices.keys() == {*INSIDE, *OUTSIDE}
    assert all(count > 100 for count, _ in prices.values())
    assert {row[0] for row in installation.query(SOLD)} == {*INSIDE, OWN}, "a row of the pack's own took it away"
    compared = "select platform::text, count(*) from mart.price_comparison group by platform"
    assert dict(installation.query(compared)).keys() >= {"sportybet", *OUTSIDE}
    marks = installation.query(MARKS)

    installation.with_packs = False
    assert "nothing is due" in installation.run("backfill", "--stale", "--dry-run").stdout
    again = json.loads(installation.run("scrape", "--json").stdout)
    assert {row["platform"] for row in again["platforms"]} == {*INSIDE}
    kept = {row[0]: row[1:] for row in installation.query(PRICES)}
    assert {platform: kept[platform] for platform in OUTSIDE} == {platform: prices[platform] for platform in OUTSIDE}
    assert [mark for mark in installation.query(MARKS) if mark[0] == marks[0][0]] == marks
    assert installation.query("select count(*) from ops.platforms where platform = any('{tigerbet,lionbet}')") == [(2,)]
    sr_id = installation.query(
        "select l.fixture_sr_id from core.event_listings l join core.event_listings o using (fixture_sr_id)"
        " where l.platform = 'lionbet' and o.platform = 'betpawa' limit 1"
    )[0][0]
    shown = json.loads(installation.run("prices", str(sr_id), "--json").stdout)
    assert "lionbet" in json.dumps(shown)
    doctor = installation.run("doctor", "--json", expect=None)
    packs = next(found for found in json.loads(doctor.stdout) if found["name"] == "packs")
    assert packs["ok"]

    installation.with_packs = True
    assert "nothing is due" in installation.run("backfill", "--stale", "--dry-run").stdout
