"""What rules would have sent on a past day, worked out by hand: gaps and coverage."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import pytest

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.push import rules as push_rules
from palimpsest_pipeline.pipeline.push.enqueue import list_past_messages
from palimpsest_pipeline_tests.fixtures.kickoffs import put_kickoffs
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.storage.table_rows import insert

FIXTURE: Final = 1
HOME, OTHER = "betpawa", "sportybet"


def at(hour: int, minute: int = 0) -> datetime:
    """An instant of the day."""
    return datetime(2026, 5, 5, hour, minute, tzinfo=UTC)


KICKOFF: Final = at(20)
State = tuple[datetime, str]
"""From when on, and what the platform shows."""


@pytest.fixture
def pipeline(make_pipeline: MakePipeline) -> Pipeline:
    """A fixture that both platforms list from eight o'clock on."""
    pipeline = make_pipeline()
    push_rules.locate_rules(pipeline.settings).write_text(
        "".join(f'[rule.{source}]\nsource = "{source}"\nwebhook = "URL"\n' for source in ("gaps", "coverage"))
    )
    with pipeline.connect() as conn:
        put_kickoffs(conn, at(8), {FIXTURE: KICKOFF})
        for platform in (HOME, OTHER):
            show(conn, platform, "*", (at(8), "offered"))
    return pipeline


def show(conn: psycopg.Connection, platform: str, market: str, *states: State) -> None:
    """Availability of a market of the platform until kickoff: each state lasts until the next one."""
    ends = [*(begin for begin, _ in states[1:]), KICKOFF]
    rows: list[dict[str, Any]] = [
        {
            "sr_id": FIXTURE,
            "platform": platform,
            "market_key": market,
            "valid_from": begin,
            "valid_to": end,
            "last_confirmed_at": end,
            "state": state,
            "kickoff_date": KICKOFF.date(),
        }
        for (begin, state), end in zip(states, ends, strict=True)
    ]
    insert(conn, "mart.availability_interval", *rows)


def list_messages(pipeline: Pipeline, source: str) -> list[tuple[object, ...]]:
    with pipeline.connect() as conn:
        rules = push_rules.load_rules(pipeline) or ()
        messages = list_past_messages(pipeline, conn, rules, KICKOFF.date())
    return [
        (past.fires_at.hour, body["type"], body["market_key"], body["platforms"])
        for past in messages
        if past.rule == source
        for body in [json.loads(past.body)]
    ]


@pytest.mark.parametrize(
    ("home", "other", "expected"),
    [
        ("offered", "offered", None),
        ("suspended", "offered", "home_suspended_only"),
        ("no_price", "offered", "home_suspended_only"),
        ("withdrawn", "offered", "home_missing"),
        ("event_dropped", "offered", "home_missing"),
        ("offered", "suspended", "platform_suspended_only"),
        ("offered", "withdrawn", "platform_missing"),
        ("suspended", "no_price", "both"),
        ("suspended", "withdrawn", "both"),
        ("withdrawn", "suspended", "both"),
        ("withdrawn", "event_dropped", None),
        ("not_observed", "offered", None),
        ("suspended", "not_observed", None),
    ],
)
def test_the_type_of_a_past_gap(pipeline: Pipeline, home: str, other: str, expected: str | None) -> None:
    """At ten o'clock both change to these states. Until then both offer the market."""
    with pipeline.connect() as conn:
        for platform, state in ((HOME, home), (OTHER, other)):
            show(conn, platform, "match_result", (at(8), "offered"), (at(10), state))
    assert list_messages(pipeline, "gaps") == ([(10, expected, "match_result", [OTHER])] if expected else [])


def test_a_gap_that_changes_its_type_is_another_gap(pipeline: Pipeline) -> None:
    with pipeline.connect() as conn:
        show(conn, HOME, "match_result", (at(8), "offered"), (at(10), "suspended"), (at(13), "offered"))
        show(conn, OTHER, "match_result", (at(8), "offered"), (at(11), "suspended"), (at(12), "offered"))
    assert list_messages(pipeline, "gaps") == [
        (10, "home_suspended_only", "match_result", [OTHER]),
        (11, "both", "match_result", [OTHER]),
        (12, "home_suspended_only", "match_result", [OTHER]),
    ]


@pytest.mark.parametrize(("state", "expected"), [("offered", "platform_missing"), ("suspended", "both")])
def test_a_market_that_one_side_never_had_is_missing_there(pipeline: Pipeline, state: str, expected: str) -> None:
    with pipeline.connect() as conn:
        show(conn, HOME, "both_teams_to_score", (at(9), state))
    assert list_messages(pipeline, "gaps") == [(9, expected, "both_teams_to_score", [OTHER])]


def test_fixtures_that_one_side_lacks_are_shown_for_the_day_of_the_cycle(pipeline: Pipeline) -> None:
    """The fixture in core is home's alone, since eight o'clock."""
    with pipeline.connect() as conn:
        insert(
            conn,
            "mart.coverage_fixture",
            *(
                {
                    "cycle_id": n,
                    "sr_id": FIXTURE,
                    "as_of": at(hour),
                    "home_platform": HOME,
                    "platforms": [HOME],
                    "fixture_class": "home_only",
                    "effective_kickoff": KICKOFF,
                    "started": hour > KICKOFF.hour,
                }
                for n, hour in enumerate((9, 10, 21), start=1)
            ),
        )
    assert list_messages(pipeline, "coverage") == [(8, "home_only", None, [HOME])]
