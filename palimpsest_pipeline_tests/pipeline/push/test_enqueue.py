"""Messages are written with the rows of their events: in one transaction, once, and nothing old."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.metrics.alerts.find_odds_alerts import ODDS_ALERTS_SCHEMA
from palimpsest_pipeline.metrics.prices.price_leads import PRICE_LEADS_SCHEMA
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import derive_odds_alerts
from palimpsest_pipeline.pipeline.marts.fixture_batches import NotDerived
from palimpsest_pipeline.pipeline.push import rules as push_rules
from palimpsest_pipeline.pipeline.push.enqueue import list_past_messages
from palimpsest_pipeline_tests.fixtures.kickoffs import put_kickoffs
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, run_here
from palimpsest_pipeline_tests.storage.table_rows import insert

SOON: Final = 1
MINUTE: Final = timedelta(minutes=1)
RULES: Final = """
[rule.moves]
source = "odds_alerts"
webhook = "TRADERS_URL"
types = ["price_move"]
cooldown_minutes = 30
"""
PLAIN: Final[dict[str, Any]] = {
    "alert_id": 1,
    "alert_type": "price_move",
    "severity": "high",
    "platform": "betpawa",
    "sr_id": SOON,
    "market_key": "match_result",
    "specifier": "",
    "outcome_key": "home",
    "baseline_odds": 2.0,
    "current_odds": 2.5,
    "change_rel": 0.25,
    "peak_change_rel": 0.25,
    "window_minutes": 60.0,
    "minutes_to_kickoff": 60.0,
}

LEAD: Final[dict[str, Any]] = {
    "sr_id": SOON,
    "lead_type": "move",
    "market_key": "match_result",
    "specifier": "",
    "leader": "sportybet",
    "follower": "betpawa",
    "outcome_key": "home",
    "leader_probability_before": 0.40,
    "leader_probability": 0.45,
    "follower_probability_before": 0.40,
    "follower_probability": 0.44,
    "lag_s": 300.0,
    "lag_min_s": 240.0,
    "lag_max_s": 360.0,
    "lag_limited_by": "polling",
}
SUSPENDED: Final[dict[str, Any]] = {
    **dict.fromkeys(name for name in LEAD if "probability" in name),
    "lead_type": "suspension",
    "outcome_key": "",
}


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def pipeline(make_pipeline: MakePipeline, now: datetime) -> Pipeline:
    """A fixture that kicks off in an hour, a full cycle that has just been, and a rule from an hour ago."""
    pipeline = make_pipeline()
    write_rules(pipeline, RULES)
    with pipeline.connect() as conn:
        put_kickoffs(conn, now, {SOON: now + 60 * MINUTE})
        cycle_id = int(now.strftime("%Y%m%d%H%M%S")) * 1000
        insert(conn, "core.cycles", {"cycle_id": cycle_id, "scope": "full", "as_of": now})
        insert(conn, "core.cycle_products", {"cycle_id": cycle_id, "product": "matched_events"})
        push_rules.apply_rules(pipeline, conn)
        conn.execute("update ops.push_rules set since = %s", [now - 60 * MINUTE])
    return pipeline


def write_rules(pipeline: Pipeline, text: str) -> None:
    push_rules.locate_rules(pipeline.settings).write_text(text)


Derive = Callable[..., None]


@pytest.fixture
def derive(pipeline: Pipeline, now: datetime, monkeypatch: pytest.MonkeyPatch) -> Derive:
    """Derives the fixture's alerts and price leads, which are those given."""

    def derive_these(*alerts: dict[str, Any], leads: Sequence[dict[str, Any]] = ()) -> None:
        plain = {**PLAIN, "kickoff_date": (now + 60 * MINUTE).date(), "opened_at": now, "peak_at": now, "as_of": now}
        frame = pl.DataFrame(
            [{name: {**plain, **alert}.get(name) for name in ODDS_ALERTS_SCHEMA} for alert in alerts],
            schema=ODDS_ALERTS_SCHEMA,
        )
        day = (now + 60 * MINUTE).date()
        lead_frame = pl.DataFrame(
            [{name: {**LEAD, "kickoff_date": day, **lead}.get(name) for name in PRICE_LEADS_SCHEMA} for lead in leads],
            schema=PRICE_LEADS_SCHEMA,
        )
        rows = (frame, lead_frame)
        monkeypatch.setattr(derive_odds_alerts, "_compute_rows", lambda *_: iter([rows]))
        with pipeline.connect() as conn:
            conn.execute(
                "insert into mart.dirty_fixtures values ('odds_alerts', %s, clock_timestamp()) on conflict do nothing",
                [SOON],
            )
        derive_odds_alerts.derive_alerts(pipeline)

    return derive_these


def read_messages(pipeline: Pipeline) -> list[dict[str, Any]]:
    with pipeline.connect() as conn:
        rows = conn.execute("select body from ops.push_outbox order by message_seq").fetchall()
    return [json.loads(body) for (body,) in rows]


def test_an_alert_becomes_a_message_once(pipeline: Pipeline, derive: Derive):
    derive({})
    derive({})
    (message,) = read_messages(pipeline)
    assert (message["rule"], message["type"], message["sr_id"]) == ("moves", "price_move", SOON)
    assert (message["odds_before"], message["odds_now"], message["size"]) == (2.0, 2.5, 0.1)
    assert message["text"].startswith("price move betpawa: A - B | ")


def test_alerts_that_do_not_match_or_are_too_old_become_none(pipeline: Pipeline, derive: Derive, now: datetime):
    """Two hours is the largest age unless the rule says another; this rule is an hour old."""
    derive(
        {"alert_id": 1, "alert_type": "home_outlier"},
        {"alert_id": 2, "opened_at": now - 61 * MINUTE},
        {"alert_id": 3, "opened_at": now - 61 * MINUTE, "peak_at": now - 61 * MINUTE},
    )
    assert read_messages(pipeline) == []
    with pipeline.connect() as conn:
        conn.execute("update ops.push_rules set since = %s", [now - 300 * MINUTE])
    derive(
        {"alert_id": 3, "opened_at": now - 150 * MINUTE, "peak_at": now - 121 * MINUTE, "market_key": "totals"},
        {"alert_id": 4, "opened_at": now - 150 * MINUTE, "peak_at": now - 119 * MINUTE},
    )
    assert len(read_messages(pipeline)) == 1


def test_a_new_rule_sends_nothing_older_than_itself(pipeline: Pipeline, derive: Derive, now: datetime):
    write_rules(pipeline, RULES + '\n[rule.every]\nsource = "odds_alerts"\nwebhook = "TRADERS_URL"\n')
    derive({"opened_at": now - MINUTE, "peak_at": now - MINUTE})
    assert [message["rule"] for message in read_messages(pipeline)] == ["moves"]
    later = datetime.now(UTC) + MINUTE
    derive(
        {"opened_at": now - MINUTE, "peak_at": now - MINUTE},
        {"alert_id": 2, "opened_at": later, "peak_at": later, "market_key": "totals"},
    )
    assert [message["rule"] for message in read_messages(pipeline)] == ["moves", "every", "moves"]


def test_the_cooldown_holds_over_derivations(pipeline: Pipeline, derive: Derive, now: datetime):
    first, cooling, other_market, later = (
        {"alert_id": 1, "opened_at": now - 40 * MINUTE, "peak_at": now - 40 * MINUTE},
        {"alert_id": 2, "opened_at": now - 20 * MINUTE, "peak_at": now - 20 * MINUTE},
        {"alert_id": 3, "opened_at": now - 20 * MINUTE, "peak_at": now - 20 * MINUTE, "market_key": "totals"},
        {"alert_id": 4, "opened_at": now - 10 * MINUTE, "peak_at": now - 10 * MINUTE},
    )
    derive(first)
    derive(first, cooling, other_market)
    derive(first, cooling, other_market, later)
    fired = [message["fires_at"] for message in read_messages(pipeline)]
    assert fired == [f"{now - n * MINUTE:%Y-%m-%dT%H:%M:%SZ}" for n in (40, 20, 10)]


def test_rows_and_messages_are_written_together_or_not_at_all(
    pipeline: Pipeline, derive: Derive, monkeypatch: pytest.MonkeyPatch
):
    real = derive_odds_alerts.enqueue_events

    def enqueue_and_fail(*arguments: Any) -> int:
        assert real(*arguments) == 1
        raise RuntimeError("after the message")

    monkeypatch.setattr(derive_odds_alerts, "enqueue_events", enqueue_and_fail)
    with pytest.raises(NotDerived):
        derive({})
    assert read_messages(pipeline) == []
    with pipeline.connect() as conn:
        assert conn.execute("select count(*) from mart.odds_alert").fetchone() == (0,)
    monkeypatch.setattr(derive_odds_alerts, "enqueue_events", real)
    derive({})
    assert len(read_messages(pipeline)) == 1


def test_a_bad_file_stops_no_derivation_and_the_rules_in_force_stay(
    pipeline: Pipeline, derive: Derive, caplog: pytest.LogCaptureFixture
):
    write_rules(pipeline, RULES.replace("price_move", "moves"))
    derive({})
    assert len(read_messages(pipeline)) == 1
    assert "push.toml:5: rule.moves.types: 'moves' is no type" in caplog.text


def test_without_a_file_the_rules_in_force_stay_and_with_an_empty_one_they_end(pipeline: Pipeline, derive: Derive):
    push_rules.locate_rules(pipeline.settings).unlink()
    derive({})
    assert len(read_messages(pipeline)) == 1
    write_rules(pipeline, "")
    derive({"alert_id": 2, "market_key": "totals"})
    assert len(read_messages(pipeline)) == 1


def test_a_past_day_is_tested_without_sending(pipeline: Pipeline, derive: Derive, now: datetime):
    derive({}, {"alert_id": 2, "alert_type": "home_outlier"})
    with pipeline.connect() as conn:
        conn.execute("truncate ops.push_outbox")
        rules = push_rules.load_rules(pipeline) or ()
        messages = list_past_messages(pipeline, conn, rules, now.date())
        assert [(message.rule, message.fires_at) for message in messages] == [("moves", now)]
        assert list_past_messages(pipeline, conn, rules, now.date() - timedelta(days=1)) == []
    assert read_messages(pipeline) == []


@pytest.mark.slow
def test_gaps_and_coverage_of_real_cycles_become_messages(start_simulator, make_pipeline: MakePipeline):
    """A first cycle on simulated sites: everything in it is new, so each event of the marts is a message."""
    simulator = start_simulator(40, 3)
    simulator.set_clock(0, stopped=True)
    pipeline = make_pipeline(simulator)
    rules = "".join(
        f'[rule.{source}]\nsource = "{source}"\nwebhook = "URL"\nmax_age_minutes = 1440\n'
        for source in ("gaps", "coverage")
    )
    write_rules(pipeline, rules)
    with pipeline.connect() as conn:
        push_rules.apply_rules(pipeline, conn)
        conn.execute("update ops.push_rules set since = now() - interval '1 hour'")
    outcome = run_here(pipeline, "full_cycle")
    assert outcome.success, outcome.error
    with pipeline.connect() as conn:
        counts = dict(conn.execute("select rule, count(*) from ops.push_outbox group by rule").fetchall())
        expected = {
            "gaps": conn.execute("select count(*) from palimpsest.gaps where gap_open_since is not null"),
            "coverage": conn.execute(
                "select count(*) from palimpsest.coverage_events where availability in ('competitor_only', 'home_only') and not started"
            ),
        }
        assert counts == {rule: cursor.fetchone()[0] for rule, cursor in expected.items()}
        assert min(counts.values()) > 0
        last_seq = conn.execute("select max(message_seq) from ops.push_outbox").fetchone()
    with pipeline.connect() as conn:
        sr_ids = [sr_id for (sr_id,) in conn.execute("select sr_id from core.fixtures")]
        mark_fixtures(conn, sr_ids)
    outcome = run_here(pipeline, "full_cycle")
    assert outcome.success, outcome.error
    with pipeline.connect() as conn:
        again = conn.execute("select count(*) from ops.push_outbox where message_seq > %s and rule = 'gaps'", last_seq)
        assert again.fetchone() == (0,)


def mark_fixtures(conn: psycopg.Connection, sr_ids: list[int]) -> None:
    """Mark fixtures so that their prices are derived again."""
    conn.execute(
        "insert into mart.dirty_fixtures select 'prices', unnest(%s::bigint[]), clock_timestamp() on conflict do nothing",
        [sr_ids],
    )


def make_lead(at: datetime, **values: Any) -> dict[str, Any]:
    """A pair whose leader was seen to have moved at the instant, and its follower five minutes later."""
    return {
        "leader_after": at - MINUTE,
        "leader_at": at,
        "follower_after": at + 4 * MINUTE,
        "follower_at": at + 5 * MINUTE,
        **values,
    }


def test_price_leads_and_steam_become_messages_once(pipeline: Pipeline, derive: Derive, now: datetime):
    write_rules(pipeline, '[rule.leads]\nsource = "price_lead"\nwebhook = "TRADERS_URL"\nmin_size = 0.03\n')
    with pipeline.connect() as conn:
        push_rules.apply_rules(pipeline, conn)
        conn.execute("update ops.push_rules set since = %s", [now - 60 * MINUTE])
    leads = [
        make_lead(now - 10 * MINUTE, steam_at=now - 10 * MINUTE, steam_platforms=2),
        make_lead(now - 20 * MINUTE, follower_probability=0.42),
        make_lead(now - 61 * MINUTE),
        make_lead(now - 30 * MINUTE, **SUSPENDED),
    ]
    derive(leads=leads)
    derive(leads=leads)
    messages = {message["type"]: message for message in read_messages(pipeline)}
    assert sorted(messages) == ["move", "steam"] and len(read_messages(pipeline)) == 2
    assert messages["move"]["platforms"] == ["sportybet", "betpawa"]
    assert messages["move"]["size"] == pytest.approx(0.04)
    assert messages["move"]["began_at"] == f"{now - 10 * MINUTE:%Y-%m-%dT%H:%M:%SZ}"
    assert messages["move"]["fires_at"] == f"{now - 5 * MINUTE:%Y-%m-%dT%H:%M:%SZ}"
    assert messages["move"]["text"].startswith("move sportybet/betpawa: A - B | ")
    assert messages["steam"]["size"] == pytest.approx(0.045)
    with pipeline.connect() as conn:
        rules = push_rules.load_rules(pipeline) or ()
        shown = [
            past
            for day in {now.date(), (now - 20 * MINUTE).date()}
            for past in list_past_messages(pipeline, conn, rules, day)
        ]
    assert {"move", "steam"} == {json.loads(past.body)["type"] for past in shown}


def test_a_suspension_that_another_platform_made_first_becomes_a_message(
    pipeline: Pipeline, derive: Derive, now: datetime
):
    write_rules(pipeline, '[rule.first]\nsource = "price_lead"\nwebhook = "TRADERS_URL"\ntypes = ["suspension"]\n')
    with pipeline.connect() as conn:
        push_rules.apply_rules(pipeline, conn)
        conn.execute("update ops.push_rules set since = %s", [now - 60 * MINUTE])
    derive(leads=[make_lead(now - 9 * MINUTE, **SUSPENDED), make_lead(now)])
    (message,) = read_messages(pipeline)
    assert (message["type"], message["size"], message["outcome"]) == ("suspension", None, None)


def test_the_setting_names_another_file(make_pipeline: MakePipeline, tmp_path: Path):
    file = tmp_path / "other.toml"
    pipeline = make_pipeline(push_rules_file=file)
    with pytest.raises(push_rules.PushRulesError, match="there is no such file"):
        push_rules.load_rules(pipeline)
    file.write_text(RULES)
    assert [rule.name for rule in push_rules.load_rules(pipeline) or ()] == ["moves"]
