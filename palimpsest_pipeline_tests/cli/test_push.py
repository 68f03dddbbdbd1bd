"""Rules and messages as a user meets them: `palimpsest odds-alerts rules`, `test-rules`, `retry`, and `doctor`."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import make_url
from typer.testing import CliRunner

from palimpsest_pipeline.cli import __main__ as main
from palimpsest_pipeline.cli import console
from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.domain.push_rules import PushRulesError
from palimpsest_pipeline.operate.databases import SenderLoginFailed, open_sender_database
from palimpsest_pipeline.operate.doctor.stores import check_push
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.settings import load_settings
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.db.revisions import SchemaOutOfDate
from palimpsest_pipeline_tests.fixtures.commands import free_port
from palimpsest_pipeline_tests.fixtures.pipeline import NO_DAGSTER
from palimpsest_pipeline_tests.pipeline.push.outboxes import open_outbox, put_messages
from palimpsest_pipeline_tests.storage.table_rows import insert

RULES = """
[rule.moves]
source = "odds_alerts"
webhook = "TRADERS_URL"
"""
DAY = datetime(2026, 5, 1, tzinfo=UTC)
Command = Callable[..., Any]


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[Database]:
    with open_outbox(postgres) as database:
        yield database


@pytest.fixture
def command(database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """`palimpsest odds-alerts` in a home folder with a file of rules."""
    monkeypatch.setattr(console.out, "width", 200)
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "HOME_DIR": str(tmp_path),
        "DATABASE_URL": database.url,
        "DAGSTER_DATABASE_URL": "postgresql://unused/dagster",
    }.items():
        monkeypatch.setenv(f"PALIMPSEST_{name}", value)
    (tmp_path / "push.toml").write_text(RULES)
    return lambda *words, **options: CliRunner().invoke(app, ["odds-alerts", *words], **options)


def test_rules_are_put_in_force_and_shown_with_their_messages(command: Command, database: Database):
    assert "moves" in command("rules").stdout
    put_messages(database, "moves", [1, 2])
    with database.connect() as conn:
        conn.execute(
            "update ops.push_outbox set state = 'failed', last_error = 'HTTP 410' where message_id = 'moves-1'"
        )
    shown = json.loads(command("rules", "--json").stdout)
    (rule,) = shown["rules"]
    assert (rule["rule"], rule["webhook"]) == ("moves", "TRADERS_URL")
    assert (rule["n_pending"], rule["n_failed"], rule["n_delivered"]) == (1, 1, 0)
    assert rule["last_error"] == "HTTP 410"
    assert shown["sender_is_running"] is False
    assert "1 messages of moves are pending again" in command("retry", "moves").stdout
    assert json.loads(command("rules", "--json").stdout)["rules"][0]["n_pending"] == 2


def test_a_bad_rule_is_an_error_with_its_place(command: Command, tmp_path: Path):
    (tmp_path / "push.toml").write_text(RULES + "size = 1\n")
    with pytest.raises(PushRulesError, match=r"push.toml:5: rule.moves.size: this field is not known"):
        command("rules", catch_exceptions=False)


def test_a_past_day_is_shown_as_table_and_json(command: Command, database: Database):
    at = DAY + timedelta(hours=9)
    with database.connect() as conn:
        insert(
            conn,
            "core.fixtures",
            {"sr_id": 1, "home_team": "Norway", "away_team": "France", "effective_kickoff": DAY + timedelta(hours=18)},
        )
        insert(
            conn,
            "mart.odds_alert",
            {
                "alert_id": 5,
                "sr_id": 1,
                "alert_type": "price_move",
                "opened_at": at,
                "peak_at": at,
                "market_key": "match_result",
            },
        )
    result = command("test-rules", "2026-05-01")
    assert result.exit_code == 0, result.output
    assert "09:00:00" in result.stdout
    assert "Norway - France" in result.stdout
    assert "moves=1" in result.stdout
    content = json.loads(command("test-rules", "2026-05-01", "--json").stdout)
    assert content["counts"] == {"moves": 1}
    assert content["messages"][0]["sr_id"] == 1
    assert "moves=0" in command("test-rules", "2026-05-02").stdout
    assert command("test-rules", "2026-05-01", "--rule", "other").exit_code == 1
    with database.connect() as conn:
        assert conn.execute("select count(*) from ops.push_outbox").fetchone() == (0,)


def test_the_doctor_names_refused_and_late_messages(command: Command, database: Database):
    assert "moves" in command("rules").stdout
    settings = load_settings()
    assert check_push(settings).ok
    put_messages(database, "moves", [1, 2])
    assert check_push(settings).ok
    with database.connect() as conn:
        conn.execute(
            "update ops.push_outbox set created_at = now() - interval '6 minutes' where message_id = 'moves-2'"
        )
        conn.execute(
            "update ops.push_outbox set state = 'failed', last_error = 'HTTP 410' where message_id = 'moves-1'"
        )
    finding = check_push(settings)
    assert not finding.ok
    assert "1 messages were refused and are not sent again (HTTP 410)" in finding.detail
    assert "palimpsest odds-alerts retry moves" in finding.detail
    assert "1 messages wait since" in finding.detail
    assert "no sender runs" in finding.detail
    Path("push.toml").write_text("[rule.x]\n")
    assert "push.toml:1: rule.x: source is missing" in check_push(settings).detail


def test_a_removed_rule_is_shown_with_its_cancelled_messages_and_is_no_fault(command: Command, database: Database):
    command("rules")
    put_messages(database, "moves", [1, 2])
    with database.connect() as conn:
        conn.execute("update ops.push_outbox set created_at = now() - interval '6 minutes'")
        conn.execute("update ops.push_outbox set state = 'failed' where message_id = 'moves-1'")
    assert not check_push(load_settings()).ok
    Path("push.toml").write_text("")
    (rule,) = json.loads(command("rules", "--json").stdout)["rules"]
    assert (rule["n_pending"], rule["n_failed"], rule["n_cancelled"]) == (0, 0, 2)
    assert check_push(load_settings()).ok
    assert "0 messages of moves are pending again" in command("retry", "moves").stdout
    shown = command("rules").stdout
    assert "cancelled" in shown and "no longer in the file" in shown


@pytest.fixture
def start_up(command: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[Result, bool]]:
    """Runs `palimpsest up` without Dagster; returns its result, and whether it would start a sender."""

    def run() -> tuple[Result, bool]:
        started: list[bool] = []
        monkeypatch.setattr(main, "serve_until_stopped", lambda *_, has_sender: started.append(has_sender))
        result = CliRunner().invoke(app, ["up", "--port", str(free_port())])
        assert result.exit_code == 0, result.output
        return result, started[0]

    return run


def test_up_starts_with_a_bad_file_and_sends_for_the_rules_in_force(
    command: Command, start_up: Callable[[], tuple[Result, bool]]
):
    Path("push.toml").write_text(RULES + "max_minutes_to_kickoff = inf\n")
    result, has_sender = start_up()
    assert "push.toml:5: rule.moves.max_minutes_to_kickoff: expected `float` <= 525600" in result.stderr
    assert not has_sender
    Path("push.toml").write_text(RULES)
    command("rules")
    Path("push.toml").write_text(RULES + "other = 1\n")
    result, has_sender = start_up()
    assert "push.toml:5: rule.moves.other" in result.stderr
    assert has_sender


def test_up_starts_a_sender_for_rules_in_force_though_it_has_no_file(
    command: Command, start_up: Callable[[], tuple[Result, bool]]
):
    Path("push.toml").unlink()
    assert not start_up()[1]
    Path("push.toml").write_text(RULES)
    command("rules")
    Path("push.toml").unlink()
    assert start_up()[1]
    Path("push.toml").write_text("")
    assert not start_up()[1]


def test_the_sender_opens_the_database_without_the_owner_s_login(database: Database, tmp_path: Path):
    def open_as(user: str) -> AbstractContextManager[Database]:
        url = make_url(database.url).set(username=user).render_as_string(hide_password=False)
        return open_sender_database(load_settings(home_dir=tmp_path, database_url=url, dagster_database_url=NO_DAGSTER))

    with open_as("nobody_has_made_it") as opened, opened.connect() as conn:
        assert conn.execute("select current_user").fetchone() == ("palimpsest_sender",)
    with database.connect() as conn:
        conn.execute("revoke select on ops.push_outbox from palimpsest_sender")
    with pytest.raises(SenderLoginFailed, match="may not read the outbox: run `palimpsest db roles`"), open_as("x"):
        pass
    with database.connect() as conn:
        conn.execute("drop table ops.push_outbox")
    with pytest.raises(SchemaOutOfDate, match="palimpsest db upgrade"), open_as("x"):
        pass
