"""`palimpsest odds-alerts` as a user meets it."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pytest
from typer.testing import CliRunner

from palimpsest_pipeline.cli import console
from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.runtime import terminal
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline_tests.fixtures.postgres import create_database, drop_database, upgrade_with_platforms
from palimpsest_pipeline_tests.storage.table_rows import AT, insert

TO_COME = datetime(2096, 5, 1, 18, tzinfo=UTC)
MOVED, OUTLYING, DROPPED, OVER = 10, 11, 12, 13
PRICES = {"baseline_odds": 2.0, "current_odds": 2.4, "peak_change_rel": 0.2}
ROWS = [
    {
        "alert_id": MOVED,
        "alert_type": "price_move",
        "severity": "high",
        "market_key": "match_result",
        "outcome_key": "home",
        **PRICES,
    },
    {
        "alert_id": OUTLYING,
        "alert_type": "home_outlier",
        "severity": "low",
        "market_key": "correct_score",
        "outcome_key": "3-3",
        **PRICES,
    },
    {"alert_id": DROPPED, "alert_type": "event_dropped", "severity": "high", "platform": "bet9ja", "market_key": "*"},
    {
        "alert_id": OVER,
        "alert_type": "market_disappeared",
        "severity": "medium",
        "market_key": "match_result",
        "status": "closed",
        "closed_at": AT,
    },
]

Alerts = Callable[..., Any]


@pytest.fixture(scope="module")
def database(postgres: EmbeddedPostgres) -> Iterator[str]:
    name = f"odds_alerts_{uuid4().hex[:12]}"
    create_database(postgres, name)
    upgrade_with_platforms(postgres.build_url(name))
    yield postgres.build_url(name)
    drop_database(postgres, name)


@pytest.fixture
def alerts(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Alerts:
    """`palimpsest odds-alerts` on these four."""
    monkeypatch.setattr(
        console.out, "width", terminal.PIPE_WIDTH_COLUMNS
    )  # else as wide as the terminal of whoever runs the tests
    with Database(database).connect() as conn:
        conn.execute("truncate mart.odds_alert, ops.acknowledged_odds_alerts, core.fixtures cascade")
        insert(
            conn,
            "core.fixtures",
            {"sr_id": 1, "home_team": "Norway", "away_team": "France [W]", "effective_kickoff": TO_COME},
        )
        insert(conn, "mart.odds_alert", *({"sr_id": 1, "status": "open", **row} for row in ROWS))
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "HOME_DIR": str(tmp_path),
        "DATABASE_URL": database,
        "DAGSTER_DATABASE_URL": "postgresql://unused/dagster",
    }.items():
        monkeypatch.setenv(f"PALIMPSEST_{name}", value)
    return lambda *words: CliRunner().invoke(app, ["odds-alerts", *words])


def ids(alerts: Alerts, *words: str) -> list[int]:
    told = alerts("--json", *words)
    assert told.exit_code == 0, told.output
    return [row["alert_id"] for row in json.loads(told.output)["alerts"]]


def test_it_lists_them_with_names_and_what_happened(alerts: Alerts):
    told = alerts()
    assert told.exit_code == 0
    for text in (
        "4 of 4 alerts",
        "Norway - France [W]",
        "+20.0% (2.00 to 2.40)",
        "event_dropped bet9ja",
        "match_result home",
        "closed 05-01",
    ):
        assert text in told.output


def test_what_is_asked_for_narrows_the_list(alerts: Alerts):
    assert ids(alerts) == [MOVED, OUTLYING, DROPPED, OVER]
    assert ids(alerts, "--open") == [MOVED, OUTLYING, DROPPED]
    assert ids(alerts, "--severity", "high") == [MOVED, DROPPED]
    assert ids(alerts, "--main") == [MOVED, DROPPED, OVER]
    assert ids(alerts, "--fixture", "2") == []
    assert ids(alerts, "--limit", "1") == [MOVED]
    assert alerts("--open", "--fixture", "2").output.strip() == "no open alerts"


def test_one_that_is_acknowledged_is_open_no_more_and_says_who_has_seen_it(alerts: Alerts):
    assert alerts("ack", str(MOVED), "--by", " Ada ").output.strip() == f"{MOVED} acknowledged by Ada"
    assert ids(alerts, "--open") == [OUTLYING, DROPPED]
    row = json.loads(alerts("--json").output)["alerts"][0]
    assert (row["status"], row["acknowledged_by"], row["peak_change_rel"]) == ("acknowledged", "Ada", 0.2)
    assert alerts("ack", str(OVER), "--by", "Ada").exit_code == 0
    assert ids(alerts, "--severity", "medium")[-1] == OVER


def test_with_the_kickoff_none_is_open_though_no_cycle_has_seen_it_yet(alerts: Alerts, database: str):
    assert alerts("ack", str(MOVED), "--by", "Ada").exit_code == 0
    with Database(database).connect() as conn:
        (kickoff,) = (
            conn.execute("update core.fixtures set effective_kickoff = now() returning effective_kickoff").fetchone()
            or ()
        )
    assert ids(alerts, "--open") == []
    told = json.loads(alerts("--json").output)["alerts"]
    assert {row["status"] for row in told} == {"closed"}
    assert {datetime.fromisoformat(row["closed_at"]) for row in told if row["alert_id"] != OVER} == {kickoff}


def test_what_cannot_be_acknowledged_is_refused_in_words(alerts: Alerts):
    unknown, nobody = alerts("ack", "99", "--by", "Ada"), alerts("ack", str(MOVED), "--by", " ")
    assert unknown.exit_code == 1
    assert "no alert 99" in unknown.output
    assert nobody.exit_code == 2
    assert "give your name" in nobody.output


def test_all_alerts_are_written_as_csv_and_for_excel(alerts: Alerts, tmp_path: Path) -> None:
    done = alerts("--csv", str(tmp_path / "alerts.csv"), "--xlsx", str(tmp_path / "alerts.xlsx"))
    assert (done.exit_code, done.stdout) == (0, ""), done.output
    found = pl.read_csv(tmp_path / "alerts.csv")
    assert sorted(found["alert_id"]) == [MOVED, OUTLYING, DROPPED, OVER]
    assert set(found["away_team"]) == {"France [W]"}
    assert (tmp_path / "alerts.xlsx").stat().st_size > 0
    both = alerts("--json", "--csv", str(tmp_path / "both.csv"))
    assert {row["alert_id"] for row in json.loads(both.stdout)["alerts"]} == set(found["alert_id"])
    assert (tmp_path / "both.csv").read_bytes() == (tmp_path / "alerts.csv").read_bytes()
    assert alerts("--fixture", "2", "--csv", str(tmp_path / "none.csv")).exit_code == 0
    assert pl.read_csv(tmp_path / "none.csv").columns == found.columns
