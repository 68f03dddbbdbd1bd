"""Lines of prices: what could be backed, what the last price was while it could not, and holes where nobody looked."""

import base64
import json
import zlib
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.report.price_lines import (
    PriceHistories,
    append_current,
    compute_turning_points,
    rank_main_lines,
)
from palimpsest_pipeline_tests.fixtures.examples import count_examples

from .frame_schemas import CURRENT_PRICES_SCHEMA, STATES_SCHEMA, STRETCHES_SCHEMA
from .worlds import AS_OF

BEGIN = AS_OF - timedelta(hours=10)
SINCE = AS_OF - timedelta(days=7)
OFFER = (1, "match_result", "", "betpawa")


def at(hours: float | None) -> datetime | None:
    return None if hours is None else BEGIN + timedelta(hours=hours)


def stretches(*rows: tuple[str, float, float | None, int], offer: tuple[Any, ...] = OFFER) -> pl.DataFrame:
    """Rows (outcome, begin, end, odds x 1000), in hours."""
    return pl.DataFrame(
        [(*offer, o, at(a), at(b), odds) for o, a, b, odds in rows], schema=STRETCHES_SCHEMA, orient="row"
    )


def states(*rows: tuple[str, float, float | None, float | None], offer: tuple[Any, ...] = OFFER) -> pl.DataFrame:
    """Rows (state, begin, end, last look), in hours."""
    return pl.DataFrame(
        [(*offer, at(a), at(b), state, at(look)) for state, a, b, look in rows], schema=STATES_SCHEMA, orient="row"
    )


def current(
    *rows: tuple[str, int | None, float],
    state: str = "offered",
    state_since: float = 0,
    look: float,
    offer: tuple[Any, ...] = OFFER,
) -> pl.DataFrame:
    """Rows (outcome, odds x 1000, since when), in hours."""
    told = [(*offer, outcome, odds, at(since), state, at(state_since), at(look)) for outcome, odds, since in rows]
    return pl.DataFrame(told, schema=CURRENT_PRICES_SCHEMA, orient="row")


def lines(priced: pl.DataFrame, known: pl.DataFrame, now: pl.DataFrame) -> list[tuple[float, list[int]]]:
    return walked(compute_turning_points(*append_current(priced, known, now), ["1", "2"], SINCE))


def test_what_stands_now_goes_on_from_a_history_that_is_older():
    priced, known = stretches(("1", 0, None, 2100), ("2", 0, None, 3000)), states(("offered", 0, None, 2))
    assert lines(priced, known, current(("1", 2200, 3), ("2", 3000, 0), look=3)) == [
        (0, [2100, 3000]),
        (3, [2200, 3000]),
    ]
    off = current(("1", None, 3), ("2", None, 3), state="suspended", state_since=3, look=4)
    assert lines(priced, known, off) == [(0, [2100, 3000]), (3, [-2100, -3000]), (4, [-2100, -3000])]
    assert lines(priced, known, current(("1", 2100, 0), ("2", 3000, 0), look=3)) == [
        (0, [2100, 3000]),
        (3, [2100, 3000]),
    ]
    gap = states(("offered", 0, 2, 2), ("not_observed", 2, None, None))
    assert lines(priced, gap, current(("1", 2100, 0), ("2", 3000, 0), look=5)) == [
        (0, [2100, 3000]),
        (2, [0, 0]),
        (5, [2100, 3000]),
    ]


def test_what_stands_now_is_all_there_is_of_an_offer_without_a_history():
    nothing, unknown = stretches(), states()
    assert lines(nothing, unknown, current(("1", 2200, 3), ("2", None, 3), state_since=3, look=4)) == [
        (3, [2200, 0]),
        (4, [2200, 0]),
    ]
    assert lines(nothing, unknown, current(look=4)) == []


def test_a_history_that_rests_on_the_last_look_stays_as_it_is():
    priced, known = stretches(("1", 0, 1, 2100), ("1", 1, None, 2200)), states(("offered", 0, None, 3))
    continued = append_current(priced, known, current(("1", 9999, 1), look=3))
    assert (continued[0].equals(priced), continued[1].equals(known)) == (True, True)


def walked(found: pl.DataFrame) -> list[tuple[float, list[int]]]:
    return [((row["at"] - BEGIN) / timedelta(hours=1), row["values"]) for row in found.iter_rows(named=True)]


def test_a_line_is_solid_then_off_then_a_hole_then_solid_again():
    priced = stretches(("1", 0, 2, 2100), ("2", 0, 2, 3000), ("1", 2, 3, 2200), ("2", 2, 3, 3000), ("1", 6, None, 2300))
    known = states(
        ("offered", 0, 3, 2.5), ("suspended", 3, 4, 3.5), ("not_observed", 4, 6, None), ("offered", 6, None, 8)
    )
    assert walked(compute_turning_points(priced, known, ["1", "2"], SINCE)) == [
        (0, [2100, 3000]),
        (2, [2200, 3000]),
        (3, [-2200, -3000]),  # suspended: the last prices
        (4, [0, 0]),  # nobody looked
        (6, [2300, -3000]),  # the second outcome is not back
        (8, [2300, -3000]),  # the last look: here the line ends
    ]


def test_what_is_withdrawn_is_not_what_nobody_looked_at():
    priced = stretches(("1", 0, 1, 2100))
    assert walked(
        compute_turning_points(priced, states(("offered", 0, 1, 0.5), ("withdrawn", 1, None, 5)), ["1"], SINCE)
    ) == [
        (0, [2100]),
        (1, [-2100]),
        (5, [-2100]),
    ]
    assert walked(
        compute_turning_points(priced, states(("offered", 0, 1, 0.5), ("not_observed", 1, None, None)), ["1"], SINCE)
    ) == [
        (0, [2100]),
        (1, [0]),
    ]


def test_an_outcome_that_was_never_priced_has_no_line_before_its_first_price():
    priced = stretches(("1", 0, None, 2100), ("2", 2, None, 3000))
    assert walked(compute_turning_points(priced, states(("offered", 0, None, 3)), ["1", "2"], SINCE)) == [
        (0, [2100, 0]),
        (2, [2100, 3000]),
        (3, [2100, 3000]),
    ]


def test_what_stood_before_the_first_day_shown_begins_there():
    since = BEGIN + timedelta(hours=1)
    found = compute_turning_points(
        stretches(("1", 0, 2, 2100), ("1", 2, None, 2200)), states(("offered", 0, None, 3)), ["1"], since
    )
    assert walked(found) == [(1, [2100]), (2, [2200]), (3, [2200])]


def test_the_last_price_before_the_first_day_shown_is_known_there_though_it_could_not_be_backed():
    since = BEGIN + timedelta(hours=3)
    known = states(("offered", 0, 2, 1.5), ("suspended", 2, 5, 4.5), ("offered", 5, None, 6))
    priced = stretches(("1", 0, 2, 2100), ("2", 0, 1, 3000), ("1", 5, None, 2300))
    assert walked(compute_turning_points(priced, known, ["1", "2"], since)) == [
        (3, [-2100, -3000]),
        (5, [2300, -3000]),
        (6, [2300, -3000]),
    ]


def test_what_was_priced_before_the_first_day_shown_only_makes_no_line():
    since = BEGIN + timedelta(hours=3)
    priced, known = stretches(("1", 0, 2, 2100)), states(("offered", 0, 2, 1.5), ("withdrawn", 2, None, 5))
    assert compute_turning_points(priced, known, ["1"], since).is_empty()
    made = PriceHistories(budget_bytes=1000, since=since, platforms=["betpawa"])
    made.add("match_result", priced, known, ["1"])
    assert made.index == {}


def test_a_fixture_seen_once_has_one_turn():
    assert walked(
        compute_turning_points(stretches(("1", 0, None, 2100)), states(("offered", 0, None, 0)), ["1"], SINCE)
    ) == [(0, [2100])]


def test_without_stretches_there_is_no_line():
    assert compute_turning_points(stretches(), states(("suspended", 0, None, 1)), ["1", "2"], SINCE).is_empty()
    assert compute_turning_points(stretches(), states(), ["1"], SINCE).is_empty()


@st.composite
def lives(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame]:
    """States without hole or overlap of some offers, and stretches of two outcomes within those in which the market
    was offered.
    """
    priced, known = [stretches()], [states()]
    for platform in draw(st.lists(st.sampled_from(["betpawa", "sportybet", "bet9ja"]), max_size=3, unique=True)):
        offer = (draw(st.sampled_from([1, 2])), "match_result", draw(st.sampled_from(["", "total=2.5"])), platform)
        edges = sorted(draw(st.sets(st.integers(0, 19), min_size=2, max_size=6)))
        for n, (begin, end) in enumerate(pairwise(edges)):
            state = draw(st.sampled_from(["offered", "offered", "suspended", "withdrawn", "not_observed"]))
            is_open = n == len(edges) - 2 and state != "not_observed" and draw(st.booleans())
            known.append(states((state, begin, None if is_open else end, end), offer=offer))
            if state == "offered":
                backed = draw(st.lists(st.sampled_from(["1", "2"]), unique=True))
                priced += [
                    stretches((outcome, begin, None if is_open else end, draw(st.integers(1010, 9000))), offer=offer)
                    for outcome in backed
                ]
    return pl.concat(priced), pl.concat(known)


def expected(priced: pl.DataFrame, known: pl.DataFrame, offer: dict[str, Any], outcome: str, instant: datetime) -> int:
    """The value at an instant, straight from the definition."""
    mine = [r for r in known.iter_rows(named=True) if all(r[name] == offer[name] for name in offer)]
    state = next(
        (r["state"] for r in mine if r["begins_at"] <= instant and (r["ends_at"] is None or instant < r["ends_at"])),
        None,
    )
    if state is None:  # after the last interval's end its state is what was known last
        state = max((r for r in mine if r["begins_at"] <= instant), key=lambda r: r["begins_at"])["state"]
    prices = [
        r
        for r in priced.iter_rows(named=True)
        if all(r[name] == offer[name] for name in offer) and r["outcome_key"] == outcome
    ]
    begun = sorted((r for r in prices if r["begins_at"] <= instant), key=lambda r: r["begins_at"])
    if state == "not_observed" or not begun:
        return 0
    last = begun[-1]
    return last["odds_milli"] if last["ends_at"] is None or instant < last["ends_at"] else -last["odds_milli"]


@settings(max_examples=count_examples(40))
@given(lives(), st.integers(-1, 12))
def test_at_every_instant_a_line_is_what_the_definition_says(world: tuple[pl.DataFrame, pl.DataFrame], begin: int):
    priced, known = world
    since = BEGIN + timedelta(hours=begin)
    found = compute_turning_points(priced, known, ["1", "2"], since)
    assert found.filter(pl.col("at") < since).is_empty()
    for (sr_id, specifier, platform), line in found.group_by("sr_id", "specifier", "platform"):
        offer = {"sr_id": sr_id, "specifier": specifier, "platform": platform}
        rows = line.sort("at")
        for half_hours in range(40):
            instant = BEGIN + timedelta(minutes=30 * half_hours)
            if rows["at"][0] <= instant <= rows["at"][-1]:
                values = rows.filter(pl.col("at") <= instant)["values"][-1].to_list()
                assert values == [expected(priced, known, offer, outcome, instant) for outcome in ("1", "2")], (
                    offer,
                    half_hours,
                )


@settings(max_examples=count_examples(40))
@given(lives(), st.randoms(use_true_random=False))
def test_neither_order_nor_duplicates_nor_other_fixtures_change_a_line(
    world: tuple[pl.DataFrame, pl.DataFrame], draw: Any
):
    priced, known = world
    found = compute_turning_points(priced, known, ["1", "2"], SINCE)
    shuffled = [
        pl.concat([frame, frame]).sample(fraction=1, shuffle=True, seed=draw.randrange(1000)) for frame in world
    ]
    assert compute_turning_points(*shuffled, ["1", "2"], SINCE).equals(found)
    alone = compute_turning_points(*(frame.filter(pl.col("sr_id") == 1) for frame in world), ["1", "2"], SINCE)
    assert alone.equals(found.filter(pl.col("sr_id") == 1))


def test_of_many_lines_those_are_shown_that_most_platforms_price_and_first_what_is_nearest_to_even():
    def line(specifier: str, platforms: tuple[str, ...], over: int, under: int) -> list[pl.DataFrame]:
        return [
            stretches(("over", 0, None, over), ("under", 0, None, under), offer=(1, "total_goals", specifier, p))
            for p in platforms
        ]

    both, one = ("betpawa", "bet9ja"), ("betpawa",)
    rows = pl.concat(
        [
            *line("total=0.5", both, 1050, 9000),
            *line("total=2.5", both, 1900, 1950),
            *line("total=2.25", one, 1900, 1900),
            *line("total=3.5", both, 3000, 1400),
        ]
    )
    assert rank_main_lines(rows)["specifier"].to_list() == ["total=2.5", "total=3.5", "total=0.5"]
    assert rank_main_lines(rows.reverse()).equals(rank_main_lines(rows))


def unpacked(text: str) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(text)))


def test_histories_are_packed_until_there_is_no_room_and_say_who_was_left_out():
    made = PriceHistories(budget_bytes=1, since=SINCE, platforms=["betpawa"])
    made.add("match_result", stretches(("1", 0, 2, 2100), ("1", 2, None, 2200)), states(("offered", 0, None, 3)), ["1"])
    made.add("match_result", stretches(), states(), ["1"])
    assert made.is_full
    made.record_left_out("match_result", 100)
    made.record_left_out("match_result", 7)
    assert made.index == {"match_result": {1: 0}}
    assert made.left_out_counts == {"match_result": 107}
    assert made.last_confirmed_at == at(3)
    (shard,) = made.shards
    begin = int(BEGIN.timestamp())
    assert unpacked(shard) == {"1": [["", 0, [begin, 7200, 3600], [[2100, 2200, 2200]]]]}


def test_a_platform_that_is_not_on_the_page_has_no_line():
    gone = (*OFFER[:3], "msport")
    priced = pl.concat([stretches(("1", 0, None, 2100)), stretches(("1", 0, None, 2300), offer=gone)])
    known = pl.concat([states(("offered", 0, None, 3)), states(("offered", 0, None, 4), offer=gone)])
    made = PriceHistories(budget_bytes=1000, since=SINCE, platforms=["betpawa"])
    made.add("match_result", priced, known, ["1"])
    (shard,) = made.shards
    assert [place for _, place, *_ in unpacked(shard)["1"]] == [0]
    assert made.last_confirmed_at == at(3)
