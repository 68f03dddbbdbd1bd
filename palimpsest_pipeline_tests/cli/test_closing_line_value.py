"""`palimpsest closing-line-value` as a user meets it."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.pipeline.judged_prices import PriceListError
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.odds.history_reader import OddsHistoryReader
from palimpsest_pipeline_tests.fixtures.pipeline import NO_DAGSTER
from palimpsest_pipeline_tests.fixtures.postgres import migrated_database
from palimpsest_pipeline_tests.storage.table_rows import insert

KICKOFF = datetime(2026, 5, 1, 18, tzinfo=UTC)
LATER = datetime(2096, 5, 1, 18, tzinfo=UTC)
CLOSES = {"betpawa": (2.0, 1.9), "bet9ja": (1.95, 1.95)}
HEADER = "sr_id,market_key,outcome_key,odds,taken_at"
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def settings(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Of a database with a fixture that is over and one that has not begun."""
    with migrated_database(postgres) as url:
        with Database(url).connect() as conn:
            insert(conn, "core.cycles", {"cycle_id": 1, "home_platform": "betpawa"})
            insert(
                conn,
                "core.markets",
                {
                    "market_id": 3,
                    "market_key": "both_teams_to_score",
                    "name": "BTTS",
                    "fair_sum": "1",
                    "line_kind": "none",
                },
            )
            names = {"home_team": "A", "away_team": "B"}
            insert(
                conn,
                "core.fixtures",
                {"sr_id": 7, "effective_kickoff": KICKOFF, **names},
                {"sr_id": 8, "effective_kickoff": LATER, **names},
            )
            for platform, odds in CLOSES.items():
                margin = sum(1 / price for price in odds) - 1
                close = {
                    "sr_id": 7,
                    "platform": platform,
                    "market_key": "both_teams_to_score",
                    "effective_kickoff": KICKOFF,
                }
                figures = {"close_quality": "exact", "close_margin": margin, "close_lag_s": 60.0}
                rows = [
                    {**close, **figures, "outcome_key": key, "close_odds": price}
                    for key, price in zip(("yes", "no"), odds, strict=True)
                ]
                insert(conn, "mart.open_close", *rows)
        urls = {"DATABASE_URL": url, "DAGSTER_DATABASE_URL": NO_DAGSTER}
        yield {"HOME_DIR": str(tmp_path_factory.mktemp("home")), **urls}


@pytest.fixture
def judge(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The command with a file of these lines."""
    monkeypatch.chdir(tmp_path)
    for name, value in settings.items():
        monkeypatch.setenv(f"PALIMPSEST_{name}", value)

    def run(lines: list[str], *words: str) -> Any:
        (tmp_path / "bets.csv").write_text("\n".join([HEADER, *lines]))
        return CliRunner().invoke(app, ["closing-line-value", "bets.csv", *words])

    return run


BETS = [
    "7,both_teams_to_score,yes,2.10,2026-05-01T12:00Z",
    "7,both_teams_to_score,no,1.80,",
    f"7,both_teams_to_score,no,1.80,{(KICKOFF + timedelta(minutes=5)).isoformat()}",
    "8,both_teams_to_score,no,1.80,",
]


def test_every_price_is_judged_by_every_close(judge: Run) -> None:
    done = judge(BETS, "--json")
    assert done.exit_code == 0, done.stderr
    rows = [(row["line"], row["status"], row["close_platform"], row["clv"]) for row in json.loads(done.stdout)]
    assert rows == [
        (2, "valued", "bet9ja", pytest.approx(2.10 / 1.95 - 1)),
        (2, "valued", "betpawa", pytest.approx(0.05)),
        (3, "valued", "bet9ja", pytest.approx(1.80 / 1.95 - 1)),
        (3, "valued", "betpawa", pytest.approx(1.80 / 1.90 - 1)),
        (4, "in_play", None, None),
        (5, "not_begun", None, None),
    ]
    fair = {row["line"]: row["clv_multiplicative"] for row in json.loads(done.stdout) if row["is_home"]}
    assert fair == {2: pytest.approx(0.023077, abs=1e-6), 3: pytest.approx(-0.076923, abs=1e-6)}


def test_people_get_the_means_by_platform(judge: Run) -> None:
    done = judge(BETS)
    assert done.stdout.startswith("valued: 2, ")
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in done.stdout.splitlines()]
    assert ["betpawa", "2", "+50.00%", "-0.13%"] in [row[:4] for row in cells]


def test_one_platform_and_a_file(judge: Run, tmp_path: Path) -> None:
    done = judge(BETS, "--platform", "bet9ja", "--csv", "values.csv")
    assert done.exit_code == 0, done.stderr
    found = pl.read_csv(tmp_path / "values.csv")
    assert found.select("line", "close_platform").rows() == [(2, "bet9ja"), (3, "bet9ja"), (4, None), (5, None)]


def test_a_bad_value_is_named_and_nothing_is_judged(judge: Run) -> None:
    done = judge([BETS[0], "7,both_teams_to_score,maybe,1.80,"])
    assert done.exit_code == 1
    told = done.stderr or str(done.exception)
    assert "line 3, outcome_key: 'maybe' is not an outcome of both_teams_to_score" in told
    assert done.exception is None or isinstance(done.exception, SystemExit | PriceListError)


@pytest.mark.parametrize(
    "words", [[], ["--at", "2026-05-01T12:00Z"], ["--fixture", "7"]], ids=["none", "at", "fixture"]
)
def test_either_a_file_or_an_instant_with_fixtures_is_needed(judge: Run, words: list[str]) -> None:
    judge([])
    done = CliRunner().invoke(app, ["closing-line-value", *words])
    assert done.exit_code == 2
    assert "give a FILE, or --at with at least one --fixture" in done.stderr


def test_home_prices_at_an_instant_are_judged(judge: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The instant is shortly after midnight, home's last answer shortly before it."""

    def read_prices_as_of(_: Any, instant: datetime, *, sr_ids: list[int], max_age: timedelta) -> pl.DataFrame:
        assert (instant, sr_ids, max_age) == (datetime(2026, 5, 1, 0, 5, tzinfo=UTC), [7], timedelta(hours=24))
        row = {"sr_id": 7, "platform": "betpawa", "market_key": "both_teams_to_score", "specifier": "", "odds": 2.1}
        plain = {"outcome_key": "yes", "is_primary": True, "is_active": True}
        others = [{"platform": "bet9ja"}, {"is_primary": False}, {"is_active": False}, {"odds": None}]
        return pl.DataFrame([{**row, **plain, **other} for other in [{}, *others]])

    monkeypatch.setattr(OddsHistoryReader, "read_prices_as_of", read_prices_as_of)
    judge([])
    done = CliRunner().invoke(app, ["closing-line-value", "--at", "2026-05-01T00:05Z", "--fixture", "7", "--json"])
    assert done.exit_code == 0, done.stderr
    rows = [(row["status"], row["close_platform"], row["clv"]) for row in json.loads(done.stdout)]
    assert rows == [
        ("valued", "bet9ja", pytest.approx(2.10 / 1.95 - 1)),
        ("valued", "betpawa", pytest.approx(0.05)),
    ]
