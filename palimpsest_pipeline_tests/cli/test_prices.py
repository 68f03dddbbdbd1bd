"""`palimpsest prices` as a user meets it."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.archive import Archive
from palimpsest_pipeline.storage.catalog.fixtures import UnknownFixtureError
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.odds import partitions
from palimpsest_pipeline_tests.fixtures.pipeline import NO_DAGSTER
from palimpsest_pipeline_tests.fixtures.postgres import migrated_database
from palimpsest_pipeline_tests.storage.history_worlds import DAYS, INGESTED_AT, Said, at, offered
from palimpsest_pipeline_tests.storage.layer_worlds import ingest_world

RESULT, TOTAL = (1, "", ""), (2, "total=2.5", "")
WORLD = [
    Said(1, at(0, 9), {RESULT: offered(2100, 3400, 3125), TOTAL: offered(1800, 2000)}),
    Said(1, at(0, 10), {RESULT: ("offered", 4, (2200, None, 3125))}),
    Said(2, at(0, 10), {RESULT: offered(2150, 3300, 3000)}),
    Said(4, at(0, 11), {RESULT: offered(9000, 9000, 9000)}),
]
"""Listing 4 is not the one that speaks for its platform."""


Prices = Callable[..., Any]


@pytest.fixture(scope="module")
def settings(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Of a database where the day is in Parquet only."""
    folder = tmp_path_factory.mktemp("home")
    with migrated_database(postgres) as url:
        with Database(url).connect() as conn:
            partitions.ensure_partitions(conn, DAYS)
            ingest_world(conn, WORLD)
        with Database(url).connect(autocommit=True) as conn:
            Archive(folder / "export").export(conn, DAYS[0], exported_at=INGESTED_AT)
        with Database(url).connect() as conn:
            partitions.drop_day(conn, DAYS[0])
        urls = {"DATABASE_URL": url, "DAGSTER_DATABASE_URL": NO_DAGSTER, "EXPORT_URL": str(folder / "export")}
        yield {"HOME_DIR": str(folder), **urls}


@pytest.fixture
def prices(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Prices:
    """`palimpsest prices` with these settings."""
    monkeypatch.chdir(tmp_path)
    for name, value in settings.items():
        monkeypatch.setenv(f"PALIMPSEST_{name}", value)
    return lambda *words: CliRunner().invoke(app, ["prices", *words])


def test_a_table_per_market_with_a_column_per_platform(prices: Prices) -> None:
    done = prices("7", "--at", "2026-03-01T12:00Z")
    assert done.exit_code == 0, done.stderr
    assert (
        "A - B  kickoff 2026-03-05 18:00 UTC\nas of 2026-03-01 12:00:00 UTC\nbetpawa: last answer 2026-03-01 10:00:00 UTC\n"
        in done.stdout
    )
    cells = [[cell.strip() for cell in line[1:-1].replace("┃", "│").split("│")] for line in done.stdout.splitlines()]
    assert ["outcome", "betpawa", "sportybet"] in cells
    assert ["1", "2.20", "2.15"] in cells
    assert ["X", "-", "3.30"] in cells
    assert ["2", "3.125*", "3.00"] in cells
    assert ["over", "withdrawn", ""] in cells
    assert "9.00" not in done.stdout


def test_a_market_is_found_by_its_name(prices: Prices) -> None:
    by_key, by_name = (
        prices("7", "--at", "2026-03-01T10:30:00+01:00", "--market", market, "--json")
        for market in ("match_result", "1x2")
    )
    assert by_name.exit_code == 0, by_name.output
    assert json.loads(by_name.stdout)["prices"] == json.loads(by_key.stdout)["prices"] != []


def test_prices_are_written_as_csv_and_for_excel(prices: Prices, tmp_path: Path) -> None:
    asked = ("7", "--at", "2026-03-01T10:30:00+01:00", "--market", "match_result")
    done = prices(*asked, "--csv", str(tmp_path / "p.csv"), "--xlsx", str(tmp_path / "p.xlsx"))
    assert (done.exit_code, done.stdout) == (0, ""), done.output
    told = json.loads(prices(*asked, "--json").stdout)["prices"]
    found = pl.read_csv(tmp_path / "p.csv")
    assert found.select("platform", "outcome_key", "odds").rows() == [
        (p["platform"], p["outcome_key"], p["odds"]) for p in told
    ]
    assert (tmp_path / "p.xlsx").stat().st_size > 0
    both = prices(*asked, "--json", "--csv", str(tmp_path / "both.csv"))
    assert json.loads(both.stdout)["prices"] == told
    assert (tmp_path / "both.csv").read_bytes() == (tmp_path / "p.csv").read_bytes()


def test_json_narrowed_to_a_market_and_a_platform(prices: Prices) -> None:
    done = prices(
        "7", "--at", "2026-03-01T10:30:00+01:00", "--market", "match_result", "--platform", "betpawa", "--json"
    )
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["sr_id"], told["home_team"], told["as_of"]) == (7, "A", "2026-03-01T09:30:00+00:00")
    rows = [(p["platform"], p["market_key"], p["outcome_key"], p["odds"], p["is_active"]) for p in told["prices"]]
    assert rows == [
        ("betpawa", "match_result", key, odds, True) for key, odds in (("1", 2.1), ("X", 3.4), ("2", 3.125))
    ]
    assert {datetime.fromisoformat(p["last_confirmed_at"]) for p in told["prices"]} == {at(0, 9)}


def test_without_an_answer_in_the_day_before_it_says_so(prices: Prices) -> None:
    done = prices("7")
    assert done.exit_code == 0, done.stderr
    assert "no prices: no answer in the 24 hours before" in done.stdout


def test_an_unknown_fixture_is_one_clear_line(prices: Prices) -> None:
    done = prices("404", "--json")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert isinstance(done.exception, UnknownFixtureError)
    assert str(done.exception) == (
        "no fixture with SportRadar id 404 is known: check the id, or run a full cycle first (`palimpsest scrape`)"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--at", "2026-03-01T12:00"), "has no time zone: write 2026-03-01T12:00:00Z"),
        (("--at", "yesterday"), "'yesterday' is not an instant"),
        (("--at", "2999-01-01T00:00Z"), "is in the future"),
        (("--market", "nonsense"), "nearest:"),
    ],
)
def test_wrong_words_are_wrong_usage(words: tuple[str, str], says: str, prices: Prices) -> None:
    done = prices("7", *words)
    assert done.exit_code == 2, done.stdout
    assert says in " ".join(done.stderr.replace("│", "").split())
