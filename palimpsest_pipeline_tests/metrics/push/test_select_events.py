"""Which events a rule sends, when they fire, and the laws of the cooldown."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.domain.enums import OddsAlertLevel
from palimpsest_pipeline.domain.push_rules import PushRule
from palimpsest_pipeline.metrics.push.select_events import drop_cooling, select_events

from .events import GAPS, MOVES, NOON, after, make_events, make_rule


def selected_keys(rule: PushRule, *rows: dict[str, Any], **bounds: Any) -> list[str]:
    limits = {"since": None, "now": None, **bounds}
    return select_events(make_events(*rows), rule, MOVES, **limits)["event_key"].to_list()


@pytest.mark.parametrize(
    ("fields", "row", "is_selected"),
    [
        ({}, {}, True),
        ({}, {"kickoff": None}, False),
        ({"types": ("price_move",)}, {}, True),
        ({"types": ("event_dropped",)}, {}, False),
        ({"severity": OddsAlertLevel.MEDIUM}, {"severity": "low"}, False),
        ({"severity": OddsAlertLevel.MEDIUM}, {"severity": "high"}, True),
        ({"platforms": ("sportybet",)}, {}, False),
        ({"platforms": ("sportybet",)}, {"platforms": ["betpawa", "sportybet"]}, True),
        ({"markets": ("totals",)}, {}, False),
        ({"tournaments": ("world cup",)}, {}, True),
        ({"tournaments": ("t:1",)}, {"tournament": None}, True),
        ({"tournaments": ("Eredivisie",)}, {}, False),
        ({"countries": ("International",)}, {"country": None}, False),
        ({"min_size": 0.1}, {"size": -0.1}, True),
        ({"min_size": 0.1}, {"size": 0.0999}, False),
        ({"min_size": 0.1}, {"size": None}, False),
        ({"max_minutes_to_kickoff": 300}, {}, True),
        ({"max_minutes_to_kickoff": 299}, {}, False),
        ({"max_minutes_to_kickoff": 299}, {"reached_at": after(1)}, True),
        ({"min_minutes_to_kickoff": 301}, {}, False),
    ],
)
def test_a_filter_selects(fields: dict[str, Any], row: dict[str, Any], is_selected: bool):
    assert selected_keys(make_rule(**fields), row) == (["0"] if is_selected else [])


def test_nothing_older_than_the_rule_or_than_its_largest_age_is_selected():
    rows = [{"began_at": after(-1)}, {"began_at": NOON}, {"began_at": after(-1), "reached_at": after(5)}]
    assert selected_keys(make_rule(), *rows, since=NOON) == ["1"]
    assert selected_keys(make_rule(max_age_minutes=60), *rows, now=after(60)) == ["1", "2"]
    assert selected_keys(make_rule(max_age_minutes=60), *rows, now=after(61)) == ["2"]


@pytest.mark.parametrize(
    ("fields", "fires_after"),
    [
        ({}, 0),
        ({"min_size": 20}, 20),
        ({"min_size": 61}, None),
        ({"max_minutes_to_kickoff": 270}, 30),
        ({"max_minutes_to_kickoff": 230}, None),
        ({"max_minutes_to_kickoff": 270, "min_size": 40}, 40),
    ],
)
def test_a_state_fires_when_it_has_lasted_long_enough_and_the_kickoff_is_near(
    fields: dict[str, Any], fires_after: float | None
):
    """The state began at noon and was seen an hour later; the kickoff is five hours after noon."""
    events = make_events({"type": "home_missing", "size": None})
    fired = select_events(events, make_rule(**fields), GAPS, since=None, now=None)
    assert fired["fires_at"].to_list() == ([] if fires_after is None else [after(fires_after)])
    assert fired["size"].to_list() == ([] if fires_after is None else [60.0])


def test_an_old_state_is_not_older_than_the_rule_when_the_kickoff_comes_near_later():
    events, rule = make_events({"began_at": after(-600)}), make_rule(max_minutes_to_kickoff=270)
    assert select_events(events, rule, GAPS, since=after(29), now=after(60)).height == 1
    assert select_events(events, rule, GAPS, since=after(31), now=after(60)).height == 0
    assert select_events(events, make_rule(), GAPS, since=after(29), now=after(60)).height == 0


def test_ids_are_the_same_in_every_derivation_and_differ_between_rules():
    events = make_events({})
    first, again, other = (
        select_events(events, rule, MOVES, since=None, now=None)["message_id"].item()
        for rule in (make_rule(), make_rule(min_size=0.05, webhook="OTHER"), make_rule(name="other"))
    )
    assert first == again != other
    assert len(first) == 32


def test_the_cooldown_per_market_holds_for_a_market_and_line_of_the_fixture_on_any_platforms():
    events = make_events(
        {"platforms": ["betpawa", "sportybet"]},
        {"platforms": ["bet9ja"]},
        {"platforms": None},
        {"specifier": "total=2.5"},
        {"market_key": "totals"},
        {"sr_id": 8},
    )
    markets = select_events(events, make_rule(), MOVES, since=None, now=None)["subject"].to_list()
    assert markets[0] == markets[1] == markets[2]
    assert len(set(markets)) == 4
    fixtures = select_events(events, make_rule(cooldown_per="fixture"), MOVES, since=None, now=None)["subject"]
    assert fixtures.to_list() == ["7"] * 5 + ["8"]


SUBJECTS = st.sampled_from(["a", "b"])
FIRED = st.lists(st.tuples(SUBJECTS, st.integers(0, 300)), max_size=25)


def make_fired(rows: list[tuple[str, int]]) -> pl.DataFrame:
    return pl.DataFrame(
        [{"subject": subject, "fires_at": after(minute)} for subject, minute in rows],
        schema={"subject": pl.String, "fires_at": pl.Datetime("us", "UTC")},
    ).sort("fires_at", "subject")


@given(FIRED, st.integers(1, 90))
def test_a_subject_s_messages_are_a_cooldown_apart_and_none_is_dropped_without_a_reason(
    rows: list[tuple[str, int]], cooldown: int
):
    fired = make_fired(rows)
    sent = drop_cooling(fired, cooldown)
    pause = timedelta(minutes=cooldown)
    for (subject,), group in sent.group_by("subject"):
        instants = group["fires_at"].to_list()
        assert all(b - a >= pause for a, b in pairwise(instants))
        every_instant = fired.filter(pl.col("subject") == subject)["fires_at"].to_list()
        assert all(any(timedelta(0) <= t - kept < pause for kept in instants) for t in every_instant)
    assert set(sent["subject"]) == set(fired["subject"])


@given(FIRED, st.integers(1, 90), st.integers(0, 300))
def test_the_cooldown_does_not_depend_on_how_the_events_are_split_into_derivations(
    rows: list[tuple[str, int]], cooldown: int, split_minute: int
):
    fired = make_fired(rows)
    first = drop_cooling(fired.filter(pl.col("fires_at") < after(split_minute)), cooldown)
    second = drop_cooling(fired.filter(pl.col("fires_at") >= after(split_minute)), cooldown, first.rows())
    assert pl.concat([first, second]).equals(drop_cooling(fired, cooldown))


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "severity": st.sampled_from(["low", "medium", "high"]),
            "size": st.none() | st.floats(-0.5, 0.5),
            "began_at": st.integers(-200, 200).map(after),
            "kickoff": st.none() | st.integers(0, 400).map(after),
        }
    ),
    max_size=12,
)


@given(ROWS, st.randoms(), st.floats(0, 0.3), st.integers(-200, 200))
def test_the_order_and_repetition_of_rows_changes_nothing_and_a_stricter_rule_selects_fewer(
    rows: list[dict[str, Any]], random: Any, min_size: float, since_minute: int
):
    events = make_events(*rows)
    shuffled = pl.concat([events, events]).with_row_index("n")
    order = list(range(shuffled.height))
    random.shuffle(order)
    rule, stricter = make_rule(), make_rule(min_size=min_size)
    chosen = select_events(events, rule, MOVES, since=None, now=None)
    again = select_events(shuffled[order].drop("n"), rule, MOVES, since=None, now=None)
    assert again.equals(chosen)
    fewer = select_events(events, stricter, MOVES, since=after(since_minute), now=None)
    assert set(fewer["event_key"]) <= set(chosen["event_key"])
    assert all(began >= after(since_minute) for began in fewer["began_at"])
