"""Slots of the kickoff cadence: those due by the kickoffs known at the time, compared with the requests."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.domain.schemas import ASKED_SLOTS, KNOWN_KICKOFFS
from palimpsest_pipeline.metrics.coverage import slot_results
from palimpsest_pipeline.scrape.kickoff_cadence import Cadence
from palimpsest_pipeline_tests.fixtures.examples import count_examples

NOON = datetime(2026, 6, 26, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TIERS = {40: 5, 12: 1}
RequestedSlots = dict[tuple[int, datetime], bool]
"""The slots at which fixtures were requested, and whether a platform answered. Bet9ja never does."""
Versions = dict[int, list[tuple[datetime, datetime | None]]]


def m(minutes: float) -> datetime:
    return NOON + MINUTE * minutes


def known_frame(versions: Versions) -> pl.DataFrame:
    """Return stored rows: the interval in which each kickoff was known, without intervals without a listing."""
    rows = []
    for sr_id, steps in versions.items():
        ends = [known_from for known_from, _ in steps[1:]] + [None]
        rows += [
            (sr_id, begin, end, kickoff_at)
            for (begin, kickoff_at), end in zip(steps, ends, strict=True)
            if kickoff_at is not None
        ]
    return pl.DataFrame(rows, schema=KNOWN_KICKOFFS, orient="row")


def build_requests_frame(requested: RequestedSlots) -> pl.DataFrame:
    rows = [
        (*key, answered, ["bet9ja"] if answered else ["bet9ja", "betpawa"])
        for key, answered in sorted(requested.items())
    ]
    return pl.DataFrame(rows, schema=ASKED_SLOTS, orient="row")


def list_slots(
    versions: Versions, requested: RequestedSlots, begin: datetime, end: datetime
) -> list[tuple[object, ...]]:
    return slot_results.list_due_slots(known_frame(versions), build_requests_frame(requested), TIERS, begin, end).rows()


def count_slots_by_minute(
    versions: Versions, requested: RequestedSlots, begin: datetime, end: datetime
) -> list[tuple[object, ...]]:
    """Return each minute that is due by the kickoff known at its begin and by the one known at its end."""
    cadence, rows = Cadence(TIERS, 5), []

    def known_at(steps: list[tuple[datetime, datetime | None]], at: datetime) -> datetime | None:
        return next((kickoff_at for known_from, kickoff_at in reversed(steps) if known_from <= at), None)

    for sr_id, steps in sorted(versions.items()):
        at = begin.replace(second=0, microsecond=0)
        at += MINUTE if at < begin else timedelta(0)
        while at < end:
            kickoffs = [known_at(steps, at), known_at(steps, at + MINUTE - timedelta(microseconds=1))]
            if all(kickoff_at is not None and cadence.is_due(kickoff_at, at) for kickoff_at in kickoffs):
                answered = requested.get((sr_id, at))
                silent = [] if answered is None else ["bet9ja"] if answered else ["bet9ja", "betpawa"]
                rows.append((sr_id, at, kickoffs[-1], answered is not None, bool(answered), silent))
            at += MINUTE
    return rows


seconds = st.integers(-60 * 60, 60 * 60).map(lambda s: NOON + timedelta(seconds=s))


def sort_steps(steps: list[tuple[datetime, datetime | None]]) -> list[tuple[datetime, datetime | None]]:
    return sorted(steps, key=lambda step: step[0])


steps = st.lists(st.tuples(seconds, st.none() | seconds), min_size=1, max_size=4, unique_by=lambda step: step[0]).map(
    sort_steps
)
worlds = st.dictionaries(st.integers(1, 3), steps, max_size=3)
request_worlds = st.dictionaries(st.tuples(st.integers(1, 3), st.integers(-60, 60).map(m)), st.booleans(), max_size=40)


@settings(max_examples=count_examples(50))
@given(worlds, request_worlds, seconds, st.integers(0, 90 * 60))
def test_slots_equal_those_of_a_count_minute_by_minute(versions, requested, begin, length_s):
    end = begin + timedelta(seconds=length_s)
    assert list_slots(versions, requested, begin, end) == count_slots_by_minute(versions, requested, begin, end)


@settings(max_examples=count_examples(50))
@given(worlds, request_worlds, st.integers(-60, 60), st.integers(0, 60), st.integers(0, 60))
def test_two_adjacent_windows_have_the_slots_of_their_union(versions, requested, begin, first, second):
    parts = [
        list_slots(versions, requested, m(begin), m(begin + first)),
        list_slots(versions, requested, m(begin + first), m(begin + first + second)),
    ]
    assert sorted(parts[0] + parts[1]) == list_slots(versions, requested, m(begin), m(begin + first + second))


@settings(max_examples=count_examples(50))
@given(worlds, request_worlds)
def test_stretches_hold_each_lost_slot_once_and_no_kept_one(versions, requested):
    every = slot_results.list_due_slots(known_frame(versions), build_requests_frame(requested), TIERS, m(-60), m(60))
    lost, stretches = slot_results.select_lost_slots(every), slot_results.group_lost_stretches(every)
    assert stretches["n_slots"].sum() == lost.height
    for sr_id, first, last, n_slots, _, n_asked, silent in stretches.iter_rows():
        inside = every.filter(pl.col("sr_id") == sr_id, pl.col("slot_at").is_between(first, last))
        assert inside.height == n_slots
        assert not inside["answered"].any()
        assert inside["asked"].sum() == n_asked
        assert silent == (["bet9ja", "betpawa"] if n_asked else [])


@settings(max_examples=count_examples(50))
@given(worlds, request_worlds)
def test_outages_hold_each_lost_slot_once_newest_first_and_between_two_of_them_lies_a_minute_without_loss(
    versions, requested
):
    every = slot_results.list_due_slots(known_frame(versions), build_requests_frame(requested), TIERS, m(-60), m(60))
    lost, outages = slot_results.select_lost_slots(every), slot_results.group_outages(every)
    assert outages["n_slots"].sum() == lost.height
    for first, last, n_slots, n_fixtures in outages.iter_rows():
        inside = lost.filter(pl.col("slot_at").is_between(first, last))
        assert (inside.height, inside["sr_id"].n_unique()) == (n_slots, n_fixtures)
        assert set(every.filter(pl.col("slot_at").is_between(first, last))["slot_at"]) == set(inside["slot_at"])
    begins, ends = outages["first_slot_at"].to_list(), outages["last_slot_at"].to_list()
    for begin, end_before in zip(begins, ends[1:], strict=False):
        assert set(every.filter(pl.col("slot_at") > end_before, pl.col("slot_at") < begin)["slot_at"]) - set(
            lost["slot_at"]
        )


def list_lost_slots(versions: Versions, requested: RequestedSlots, begin: int = -60, end: int = 60) -> list[datetime]:
    every = slot_results.list_due_slots(known_frame(versions), build_requests_frame(requested), TIERS, m(begin), m(end))
    return slot_results.select_lost_slots(every)["slot_at"].to_list()


def test_slots_at_the_begin_of_the_window_can_be_lost():
    kept = {(1, m(minutes)): True for minutes in range(-11, 0)}
    assert list_lost_slots({1: [(m(-600), m(0))]}, kept, begin=-30) == [m(-30), m(-25), m(-20), m(-15), m(-12)]


def test_a_requested_slot_without_an_answer_is_lost_and_one_answer_keeps_it():
    requested = {(1, m(minutes)): minutes != -2 for minutes in range(-4, 0)}
    versions = {1: [(m(-600), m(0))]}
    assert list_lost_slots(versions, requested, begin=-4) == [m(-2)]
    every = slot_results.list_due_slots(known_frame(versions), build_requests_frame(requested), TIERS, m(-4), m(0))
    assert slot_results.count_silences(every) == {"bet9ja": 3}
    assert slot_results.group_lost_stretches(every).rows() == [(1, m(-2), m(-2), 1, m(0), 1, ["bet9ja", "betpawa"])]


def test_a_fixture_first_seen_late_is_not_expected_before_it_was_known():
    assert list_lost_slots({1: [(m(-4.5), m(0))]}, {}) == [m(-4), m(-3), m(-2), m(-1)]


def test_a_postponed_fixture_has_its_old_slots_until_then_and_new_ones_after():
    versions = {1: [(m(-600), m(0)), (m(-2.5), m(30))]}
    assert list_lost_slots(versions, {(1, m(minutes)): True for minutes in range(-12, -3)}, begin=-12, end=15) == [
        m(0),
        m(5),
        m(10),
    ]
    # The fixture was postponed before the end of minute -3.
    assert list_lost_slots(versions, {}, begin=-4, end=1) == [m(-4), m(0)]


def test_a_fixture_moved_to_an_earlier_kickoff_has_its_old_slots_until_that_was_known():
    assert list_lost_slots({1: [(m(-600), m(45)), (m(-3.5), m(1))]}, {}, begin=-12) == [
        m(minutes) for minutes in (-3, -2, -1, 0)
    ]


def test_a_fixture_that_nobody_lists_has_no_slots():
    assert list_lost_slots({1: [(m(-600), m(0)), (m(-20), None), (m(-2), m(0))]}, {}, begin=-30) == [
        m(-30),
        m(-25),
        m(-2),
        m(-1),
    ]
