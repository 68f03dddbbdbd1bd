"""Intervals of what was offered, worked out by hand, and against a walk through the looks themselves that knows no
history rows.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from palimpsest_pipeline.domain.enums import AvailabilityState
from palimpsest_pipeline.metrics.lifecycle import availability
from palimpsest_pipeline.metrics.lifecycle.availability import AVAILABILITY_SCHEMA, build_availability_intervals
from palimpsest_pipeline.tables.lifecycle import AvailabilityInterval
from palimpsest_pipeline_tests.matching.world import random_worlds

from .. import availability_oracle
from ..laws import find_holes, find_overlaps
from ..life_worlds import (
    HOLDERS,
    PAWA,
    RESULT,
    SCORER_ANN,
    SCORER_BEA,
    TOTAL,
    Book,
    Life,
    Looked,
    absent,
    at,
    disordered,
    failed,
    listed,
    make_answer,
    no_price,
    priced,
    random_lives,
    suspended,
    unknown,
)

KICKOFF: Final = at(5, 8)
AFTERWARDS: Final = at(5, 9)
SILENCE: Final = timedelta(minutes=90)
STAMPS: Final = {"kickoff_date", "as_of", "mapping_version", "computed_at"}
"""Columns that the caller adds."""
BOTH: Final[Book] = {RESULT: priced(2100, 3400, 3500, off=2), TOTAL: priced(1800, 2000)}
ONE: Final[Book] = {RESULT: priced(2000, 3400, 3600)}
STORY: Final = (
    listed(1, at(4, 21)),
    make_answer(2, at(4, 21, 30), {RESULT: priced(2000, 3400, 3600), TOTAL: priced(1900, 1900)}),
    make_answer(3, at(4, 22), {RESULT: priced(2100, 3400, 3500, off=2), TOTAL: suspended(1900, 1900)}),
    failed(4, at(4, 22, 30), "HTTP 500"),
    make_answer(5, at(4, 23), {RESULT: priced(2100, 3400, 3500, off=2), TOTAL: no_price(2), SCORER_ANN: priced(2500)}),
    make_answer(
        6,
        at(4, 23, 30),
        {RESULT: priced(2100, 3400, 3500, off=2), SCORER_ANN: priced(2500), SCORER_BEA: suspended(2600)},
    ),
    make_answer(7, at(5, 0), BOTH),
    unknown(8, at(5, 0, 30), "page 2 is missing"),
    make_answer(9, at(5, 1), BOTH),
    absent(10, at(5, 1, 30)),
    absent(11, at(5, 2)),
    listed(12, at(5, 2, 30)),
    make_answer(13, at(5, 3), BOTH),
    make_answer(14, at(5, 6), BOTH),
    make_answer(15, at(5, 6, 30), {}),
    make_answer(16, at(5, 7), {RESULT: suspended(2100, 3400, None)}),
    make_answer(17, at(5, 7, 30), ONE),
    absent(18, at(5, 8, 5)),
)
FAILED: Final = (4, 4, 1, at(4, 22, 30), "no usable answer: HTTP 500")
PARTIAL: Final = (8, 8, 1, at(5, 0, 30), "discovery failed: page 2 is missing")
GONE: Final = (10, 11, 2, at(5, 2), "not in a complete discovery")
BACK: Final = (12, 12, 1, at(5, 2, 30), "listed again, not yet requested")
SILENT: Final = (None, None, 0, None, "no look for 90 minutes")
NOBODY: Final = (None, None, 0, None, "kickoff")


def once(cycle: int, when: datetime) -> tuple[int, int, int, datetime, str]:
    return (cycle, cycle, 1, when, "")


TABLE: Final = {
    "*": [
        (at(4, 21), "not_observed", None, None, 1, 1, 1, at(4, 21), "listed, not yet requested"),
        (at(4, 21, 30), "offered", None, None, 2, 3, 2, at(4, 22), ""),
        (at(4, 22, 30), "not_observed", None, None, *FAILED),
        (at(4, 23), "offered", None, None, 5, 7, 3, at(5, 0), ""),
        (at(5, 0, 30), "not_observed", None, None, *PARTIAL),
        (at(5, 1), "offered", None, None, *once(9, at(5, 1))),
        (at(5, 1, 30), "event_dropped", None, None, *GONE),
        (at(5, 2, 30), "not_observed", None, None, *BACK),
        (at(5, 3), "offered", None, None, *once(13, at(5, 3))),
        (at(5, 4, 30), "not_observed", None, None, *SILENT),
        (at(5, 6), "offered", None, None, *once(14, at(5, 6))),
        (at(5, 6, 30), "no_price", None, None, *once(15, at(5, 6, 30))),
        (at(5, 7), "suspended", None, None, *once(16, at(5, 7))),
        (at(5, 7, 30), "offered", None, None, *once(17, at(5, 7, 30))),
        (at(5, 8), "closed_at_kickoff", None, None, *NOBODY),
    ],
    "match_result": [
        (at(4, 21, 30), "offered", 3, 3, 2, 3, 2, at(4, 22), ""),
        (at(4, 22, 30), "not_observed", None, None, *FAILED),
        (at(4, 23), "offered", 2, 3, 5, 7, 3, at(5, 0), ""),
        (at(5, 0, 30), "not_observed", None, None, *PARTIAL),
        (at(5, 1), "offered", 2, 3, *once(9, at(5, 1))),
        (at(5, 1, 30), "event_dropped", None, None, *GONE),
        (at(5, 2, 30), "not_observed", None, None, *BACK),
        (at(5, 3), "offered", 2, 3, *once(13, at(5, 3))),
        (at(5, 4, 30), "not_observed", None, None, *SILENT),
        (at(5, 6), "offered", 2, 3, *once(14, at(5, 6))),
        (at(5, 6, 30), "withdrawn", 0, 0, *once(15, at(5, 6, 30))),
        (at(5, 7), "suspended", 0, 2, *once(16, at(5, 7))),
        (at(5, 7, 30), "offered", 3, 3, *once(17, at(5, 7, 30))),
        (at(5, 8), "closed_at_kickoff", None, None, *NOBODY),
    ],
    "total_goals": [
        (at(4, 21, 30), "offered", 2, 2, *once(2, at(4, 21, 30))),
        (at(4, 22), "suspended", 0, 2, *once(3, at(4, 22))),
        (at(4, 22, 30), "not_observed", None, None, *FAILED),
        (at(4, 23), "no_price", 0, 0, *once(5, at(4, 23))),
        (at(4, 23, 30), "withdrawn", 0, 0, *once(6, at(4, 23, 30))),
        (at(5, 0), "offered", 2, 2, *once(7, at(5, 0))),
        (at(5, 0, 30), "not_observed", None, None, *PARTIAL),
        (at(5, 1), "offered", 2, 2, *once(9, at(5, 1))),
        (at(5, 1, 30), "event_dropped", None, None, *GONE),
        (at(5, 2, 30), "not_observed", None, None, *BACK),
        (at(5, 3), "offered", 2, 2, *once(13, at(5, 3))),
        (at(5, 4, 30), "not_observed", None, None, *SILENT),
        (at(5, 6), "offered", 2, 2, *once(14, at(5, 6))),
        (at(5, 6, 30), "withdrawn", 0, 0, 15, 17, 3, at(5, 7, 30), ""),
    ],
    "anytime_goalscorer": [
        (at(4, 23), "offered", 1, 1, 5, 6, 2, at(4, 23, 30), ""),
        (at(5, 0), "withdrawn", 0, 0, *once(7, at(5, 0))),
        (at(5, 0, 30), "not_observed", None, None, *PARTIAL),
        (at(5, 1), "withdrawn", 0, 0, *once(9, at(5, 1))),
        (at(5, 1, 30), "event_dropped", None, None, *GONE),
        (at(5, 2, 30), "not_observed", None, None, *BACK),
        (at(5, 3), "withdrawn", 0, 0, *once(13, at(5, 3))),
        (at(5, 4, 30), "not_observed", None, None, *SILENT),
        (at(5, 6), "withdrawn", 0, 0, 14, 17, 4, at(5, 7, 30), ""),
    ],
}
"""Each interval of the story without its end, which is the begin of the next one."""


def life(*looks: Looked, kickoff: datetime = KICKOFF) -> Life:
    return Life(looks, {1: [(at(1, 0), kickoff)]})


def told(world: Life, as_of: datetime = AFTERWARDS) -> pl.DataFrame:
    found = build_availability_intervals(**world.frames(), as_of=as_of, silence_limit=SILENCE)
    lawful(found)
    return found


def lawful(found: pl.DataFrame) -> None:
    assert find_overlaps(found).is_empty()
    assert find_holes(found).is_empty()


def states(found: pl.DataFrame, market_key: str) -> list[tuple[datetime, str]]:
    return found.filter(pl.col("market_key") == market_key).select("valid_from", "state").rows()


def test_a_story_of_eighteen_cycles_gives_the_exact_table() -> None:
    found = told(life(*STORY))
    assert found.select("sr_id", "platform").unique().rows() == [(1, "betpawa")]
    columns = [
        "valid_from",
        "state",
        "n_outcomes_active",
        "n_outcomes",
        "first_cycle",
        "last_cycle",
        "n_confirmations",
        "last_confirmed_at",
    ]
    for market_key, rows in TABLE.items():
        of_market = found.filter(pl.col("market_key") == market_key)
        assert of_market.select(*columns, "reason_detail").rows() == rows, market_key
        assert of_market["valid_to"].to_list() == [begin for begin, *_ in rows[1:]] + [None]
        assert of_market["minutes_to_kickoff_at_start"].to_list() == [
            (KICKOFF - begin).total_seconds() / 60 for begin, *_ in rows
        ]
        assert set(of_market["specifier"]) == {"total=2.5" if market_key == "total_goals" else ""}
    assert set(found["market_key"]) == set(TABLE)
    assert set(found["state"]) == set(AvailabilityState)


def test_columns_and_types_are_those_of_the_table_but_for_the_stamps() -> None:
    found = told(life(*STORY))
    assert dict(found.schema) == {
        name: kind() if isinstance(kind, type) else kind for name, kind in AVAILABILITY_SCHEMA.items()
    }
    assert set(AVAILABILITY_SCHEMA) == {column.name for column in AvailabilityInterval.__table__.columns} - STAMPS
    required = [
        column.name
        for column in AvailabilityInterval.__table__.columns
        if not column.nullable and column.name not in STAMPS
    ]
    assert found.select(required).null_count().row(0) == (0,) * len(required)


def test_discovery_keeps_the_listing_known_but_is_no_news_of_its_markets() -> None:
    found = told(
        life(
            make_answer(1, at(5, 1), ONE),
            listed(2, at(5, 2)),
            listed(3, at(5, 3)),
            failed(4, at(5, 4)),
            listed(5, at(5, 4, 30)),
        ),
        at(5, 5),
    )
    assert states(found, "match_result") == [(at(5, 1), "offered"), (at(5, 2, 30), "not_observed")]
    assert states(found, "*") == [(at(5, 1), "offered"), (at(5, 4), "not_observed"), (at(5, 4, 30), "offered")]
    whole = found.filter(pl.col("market_key") == "*")
    assert whole["n_confirmations"].to_list() == [3, 1, 1]
    assert whole["reason_detail"].to_list() == ["", "no usable answer", "still listed, not requested again"]


def test_a_drop_lasts_over_the_kickoff_unless_the_listing_came_back() -> None:
    dropped = (make_answer(1, at(5, 6), ONE), absent(2, at(5, 6, 30)))
    assert states(told(life(*dropped)), "*") == [(at(5, 6), "offered"), (at(5, 6, 30), "event_dropped")]
    unsure = told(life(*dropped, unknown(3, at(5, 7))))
    assert states(unsure, "match_result")[1:] == [
        (at(5, 6, 30), "event_dropped"),
        (at(5, 7), "not_observed"),
        (KICKOFF, "event_dropped"),
    ]
    assert unsure["reason_detail"].to_list()[-1] == "dropped before the kickoff"
    back = told(life(*dropped, listed(3, at(5, 7))))
    assert states(back, "match_result")[2:] == [(at(5, 7), "not_observed"), (KICKOFF, "closed_at_kickoff")]


def test_a_market_withdrawn_before_the_kickoff_is_not_closed_by_it() -> None:
    found = told(
        life(
            make_answer(1, at(5, 6), ONE),
            make_answer(2, at(5, 6, 30), {TOTAL: priced(1900, 1900)}),
            failed(3, at(5, 7)),
        )
    )
    assert states(found, "match_result")[1:] == [
        (at(5, 6, 30), "withdrawn"),
        (at(5, 7), "not_observed"),
        (KICKOFF, "withdrawn"),
    ]
    last = found.filter(pl.col("market_key") == "match_result").row(-1, named=True)
    assert (last["reason_detail"], last["n_confirmations"], last["first_cycle"]) == (
        "not in the last answer before the kickoff",
        0,
        None,
    )
    assert states(found, "total_goals")[-1] == (KICKOFF, "closed_at_kickoff")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"as_of": datetime(2026, 5, 5)}, "naive datetime"),  # noqa: DTZ001
        ({"silence_limit": timedelta(0)}, "must be positive"),
        ({"kickoffs": life(*STORY).frames()["kickoffs"].clear()}, "1 fixtures have no kickoff"),
        ({"looks": life(*STORY[2:]).frames()["looks"]}, "2 changes have no answer among the looks"),
        (
            {"looks": life(*STORY).frames()["looks"].with_columns(n_markets_priced=pl.lit(None, pl.Int32))},
            "answers without n_markets_priced",
        ),
        (
            {
                "listings": pl.concat(
                    [life(*STORY).frames()["listings"].with_columns(listing_id=pl.lit(n, pl.Int32)) for n in (PAWA, 99)]
                )
            },
            "2 primary listings of one platform on one fixture",
        ),
        (
            {
                "listings": pl.concat(
                    [life(*STORY).frames()["listings"].with_columns(sr_id=pl.lit(n, pl.Int64)) for n in (1, 99)]
                )
            },
            "2 rows of one listing",
        ),
    ],
)
def test_bad_input_is_refused_in_words(change: dict[str, Any], message: str) -> None:
    given_frames: dict[str, Any] = {**life(*STORY).frames(), "as_of": AFTERWARDS, "silence_limit": SILENCE}
    with pytest.raises(ValueError, match=message):
        build_availability_intervals(**{**given_frames, **change})


instants = st.integers(0, 96).map(lambda hours: at(1, 20) + timedelta(hours=hours))


@random_worlds
@given(world=random_lives(), as_of=instants, random=st.randoms(use_true_random=False))
def test_a_walk_through_the_looks_comes_to_the_same_intervals_whatever_the_order_of_rows(
    world: Life, as_of: datetime, random: Random
) -> None:
    found = build_availability_intervals(**disordered(world.frames(), random), as_of=as_of, silence_limit=SILENCE)
    lawful(found)
    assert found.drop("minutes_to_kickoff_at_start", "reason_detail").rows() == availability_oracle.intervals(
        world, as_of, SILENCE
    )
    unsaid = found.filter(
        pl.col("state").is_in(["not_observed", "event_dropped", "closed_at_kickoff"]), pl.col("reason_detail") == ""
    )
    assert unsaid.is_empty()


def test_working_on_few_listings_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    kickoffs = {1: [(at(1, 0), KICKOFF)], 2: [(at(1, 0), at(5, 5))]}
    world = Life([replace(look, listing_id=holder) for holder in HOLDERS for look in STORY], kickoffs, HOLDERS)
    at_once = told(world)
    assert at_once["platform"].unique().sort().to_list() == ["betpawa", "sportybet"]
    assert at_once.equals(at_once.sort("sr_id", "platform", "market_key", "specifier", "valid_from"))
    monkeypatch.setattr(availability, "AVAILABILITY_LISTINGS_AT_ONCE", 2)
    assert_frame_equal(told(world), at_once)
