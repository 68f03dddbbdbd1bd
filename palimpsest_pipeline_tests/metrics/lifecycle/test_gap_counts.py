"""Markets that home and a competitor offered before kickoff, counted by hand, and against a walk through the
intervals.
"""

from collections import Counter
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from palimpsest_pipeline.metrics.lifecycle.availability import AVAILABILITY_SCHEMA, build_availability_intervals
from palimpsest_pipeline.metrics.lifecycle.gap_counts import GAP_COUNT_KEY, GAP_COUNT_SCHEMA, HOURS_BEFORE, count_gaps
from palimpsest_pipeline.metrics.lifecycle_frames import TOURNAMENT_KEYS_SCHEMA
from palimpsest_pipeline.tables.lifecycle import GapCount
from palimpsest_pipeline_tests.fixtures.examples import count_examples

from ..life_worlds import (
    DOUBLE,
    HOLDERS,
    RESULT,
    SCORER_ANN,
    SCORER_BEA,
    TOTAL,
    Life,
    Looked,
    absent,
    at,
    disordered,
    failed,
    make_answer,
    priced,
    random_lives,
    suspended,
)

STAMPS: Final = {"kickoff_date", "home_platform", "as_of", "mapping_version", "computed_at"}
"""Columns that the caller adds."""
KICKOFF: Final = at(5, 18)
AFTERWARDS: Final = at(6, 0)
SILENCE: Final = timedelta(minutes=90)
HOME, THEM = 11, 12
ON: Final = {RESULT: priced(2000, 3400, 3600), TOTAL: priced(1900, 1900)}


def counts(*looks: Looked, as_of: datetime = AFTERWARDS) -> dict[int, dict[str, int]]:
    """By hours before kickoff, what is not nought, of home and SportyBet on one fixture."""
    life = Life(looks, {1: [(at(1, 0), KICKOFF)]}, {HOME: HOLDERS[HOME], THEM: HOLDERS[THEM]})
    frames = life.frames()
    intervals = build_availability_intervals(**frames, as_of=as_of, silence_limit=SILENCE)
    rows = count_gaps(intervals, frames["listings"], frames["kickoffs"], tournaments(life), as_of=as_of)
    assert set(rows["platform"]) <= {"sportybet"}
    return {
        row["hours_before"]: {name.removeprefix("n_"): n for name, n in row.items() if name.startswith("n_") and n}
        for row in rows.to_dicts()
    }


def tournaments(life: Life) -> pl.DataFrame:
    return pl.DataFrame([(sr_id, f"t{sr_id}") for sr_id in life.kickoffs], schema=TOURNAMENT_KEYS_SCHEMA, orient="row")


def test_the_columns_are_those_of_the_table() -> None:
    assert set(GAP_COUNT_SCHEMA) == {column.name for column in GapCount.__table__.columns} - STAMPS
    assert {column.name for column in GapCount.__table__.primary_key} == set(GAP_COUNT_KEY)


def test_each_market_is_counted_for_what_it_is_on_both() -> None:
    home = {RESULT: priced(2000, 3400, 3600), TOTAL: suspended(1900, 1900), SCORER_ANN: priced(2500)}
    theirs = {
        RESULT: priced(2000, 3400, 3600),
        TOTAL: priced(1900, 1900),
        SCORER_BEA: suspended(2500),
        DOUBLE: priced(1300, 1300, 1300),
    }
    found = counts(make_answer(1, at(5, 16, 30), home), make_answer(2, at(5, 16, 40), theirs, THEM))
    assert found[1] == {"both": 1, "home_suspended": 1, "home_missing": 1, "platform_suspended": 1}


def test_while_one_was_not_observed_what_the_other_offered_is_unknown_also_what_the_one_never_had() -> None:
    looks = (
        make_answer(1, at(5, 15), {RESULT: ON[RESULT]}),
        failed(2, at(5, 16, 30)),
        make_answer(3, at(5, 16, 45), ON, THEM),
    )
    assert counts(*looks)[1] == {"unknown": 2}


def test_a_dropped_listing_lacks_everything() -> None:
    assert counts(
        make_answer(1, at(5, 16), ON), make_answer(2, at(5, 16), ON, THEM), absent(3, at(5, 16, 30), "", THEM)
    )[1] == {"platform_missing": 2}


def test_what_changes_at_the_instant_comes_after_it() -> None:
    looks = (
        make_answer(1, at(5, 16), ON),
        make_answer(2, at(5, 16, 30), ON, THEM),
        make_answer(3, at(5, 17), {}),
        make_answer(4, at(5, 17, 59), ON, THEM),
    )
    assert counts(*looks) == {1: {"both": 2}, 0: {"home_missing": 2}}


def test_hours_that_are_to_come_and_those_before_both_were_listed_have_no_row() -> None:
    looks = make_answer(1, at(2, 17), ON), make_answer(2, at(4, 17, 30), ON, THEM)
    assert list(counts(*looks)) == [24, 1, 0][::-1]
    assert list(counts(*looks, as_of=at(4, 18))) == [24]
    assert list(counts(*looks, as_of=at(4, 17, 59))) == []
    assert list(counts(*looks, as_of=KICKOFF)) == [0, 1, 24]


def test_a_fixture_without_a_tournament_is_refused() -> None:
    frames = Life([make_answer(1, at(5, 16), ON)], {1: [(at(1, 0), KICKOFF)]}).frames()
    with pytest.raises(ValueError, match="1 fixtures have no tournament, first sr_id 1"):
        count_gaps(
            pl.DataFrame(schema=AVAILABILITY_SCHEMA),
            frames["listings"],
            frames["kickoffs"],
            pl.DataFrame(schema=TOURNAMENT_KEYS_SCHEMA),
            as_of=AFTERWARDS,
        )


# --- against a walk through the intervals


def walked(intervals: pl.DataFrame, life: Life, as_of: datetime) -> list[dict[str, Any]]:
    def states(sr_id: int, platform: str, instant: datetime) -> dict[tuple[str, str], str]:
        return {
            (row["market_key"], row["specifier"]): row["state"]
            for row in intervals.filter(sr_id=sr_id, platform=platform).iter_rows(named=True)
            if row["valid_from"] < instant and (row["valid_to"] is None or instant <= row["valid_to"])
        }

    kinds = {
        "offered": "O",
        "suspended": "S",
        "no_price": "S",
        "withdrawn": "L",
        "event_dropped": "L",
        "not_observed": "U",
    }
    names = {
        "OO": "both",
        "LO": "home_missing",
        "OL": "platform_missing",
        "SO": "home_suspended",
        "OS": "platform_suspended",
        "OU": "unknown",
        "UO": "unknown",
    }
    rows = []
    for sr_id, platform in sorted(life.holders.values()):
        for hours in sorted(HOURS_BEFORE):
            instant = life.kickoffs[sr_id][-1][1] - timedelta(hours=hours)
            home, theirs = states(sr_id, "betpawa", instant), states(sr_id, platform, instant)
            if platform == "betpawa" or instant > as_of or not home or not theirs:
                continue
            lacks = ["not_observed" if "not_observed" in there.values() else "withdrawn" for there in (home, theirs)]
            pairs = [
                (home.get(key, lacks[0]), theirs.get(key, lacks[1])) for key in {*home, *theirs} if key != ("*", "")
            ]
            found = Counter(names.get(kinds[one] + kinds[other]) for one, other in pairs)
            row = {"sr_id": sr_id, "platform": platform, "hours_before": hours, "tournament_key": f"t{sr_id}"}
            rows.append(
                row | {name: found[name.removeprefix("n_")] for name in GAP_COUNT_SCHEMA if name.startswith("n_")}
            )
    return rows


@settings(max_examples=count_examples(40))
@given(random_lives(), st.integers(0, 6000), st.randoms(use_true_random=False))
def test_the_table_is_that_of_a_walk_whatever_the_order_and_repetition_of_rows(
    life: Life, minutes: int, random: Random
) -> None:
    as_of = max(look.at for look in life.looks) + timedelta(minutes=minutes)
    frames = life.frames()
    intervals = build_availability_intervals(**frames, as_of=as_of, silence_limit=SILENCE)
    given_ = {
        "intervals": intervals,
        "tournaments": tournaments(life),
        "listings": frames["listings"],
        "kickoffs": frames["kickoffs"],
    }
    found = count_gaps(**disordered(given_, random), as_of=as_of)
    assert_frame_equal(found, pl.DataFrame(walked(intervals, life, as_of), schema=GAP_COUNT_SCHEMA), check_exact=True)
