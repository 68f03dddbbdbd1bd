"""The JSON of a message and the text that people see."""

import json
from typing import Any

from palimpsest_pipeline.metrics.push.messages import build_body
from palimpsest_pipeline.metrics.push.select_events import select_events

from .events import GAPS, MOVES, after, make_events, make_rule


def read_body(terms: Any = MOVES, **row: Any) -> dict[str, Any]:
    rule = make_rule()
    (event,) = select_events(make_events(row), rule, terms, since=None, now=None).iter_rows(named=True)
    return json.loads(build_body(rule, terms, event))


def test_a_message_says_what_happened_in_one_line_and_in_fields():
    body = read_body(odds_before=2.0, odds_now=2.4, outcome="Home", reached_at=after(30))
    assert body["text"] == (
        "price move betpawa: Norway - France | 1X2 Home, 2.00 to 2.40, "
        "kickoff 2026-05-01 17:00 UTC (270 min later), International, World Cup"
    )
    assert (body["rule"], body["source"], body["type"], body["sr_id"]) == ("r", "odds_alerts", "price_move", 7)
    assert (body["fires_at"], body["kickoff"]) == ("2026-05-01T12:30:00Z", "2026-05-01T17:00:00Z")
    assert (body["odds_now"], body["size"], body["size_unit"], body["platforms"]) == (
        2.4,
        0.1,
        "probability",
        ["betpawa"],
    )
    assert len(body["id"]) == 32


def test_a_state_tells_its_age_and_a_fixture_without_names_its_id():
    body = read_body(GAPS, type="home_missing", home_team=None, market=None, market_key=None, tournament=None)
    assert body["text"] == (
        "home missing betpawa: fixture 7, for 60 min, kickoff 2026-05-01 17:00 UTC (300 min later), International"
    )


def test_names_cannot_call_everybody_in_a_chat_or_break_the_line():
    body = read_body(home_team="<!channel> & co\n*x*", odds_before=None)
    assert "&lt;!channel&gt; &amp; co *x* - France" in body["text"]
    assert body["home_team"] == "<!channel> & co\n*x*"
