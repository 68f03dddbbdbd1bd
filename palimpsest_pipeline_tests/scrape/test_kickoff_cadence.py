"""The kickoff cadence: which minutes are due for a kickoff."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.scrape.kickoff_cadence import Cadence

CADENCE = Cadence({120: 5, 30: 1}, 5)
NOON = datetime(2026, 6, 26, 12, tzinfo=UTC)
kickoffs = st.integers(0, 48 * 60 * 2).map(lambda halves: NOON + timedelta(seconds=30 * halves))


def test_a_fixture_is_due_every_five_minutes_from_two_hours_before_and_each_minute_of_the_last_half_hour():
    due = list(CADENCE.iterate_due_instants(NOON, NOON - timedelta(hours=4), NOON + timedelta(hours=1)))
    assert due == [NOON - timedelta(minutes=m) for m in [*range(120, 30, -5), *range(30, 0, -1)]]


def test_an_odd_kickoff_has_its_slots_on_the_same_minutes_as_all_others():
    kickoff = NOON + timedelta(minutes=2)
    due = list(CADENCE.iterate_due_instants(kickoff, NOON - timedelta(hours=4), NOON + timedelta(hours=1)))
    assert due[:3] == [NOON - timedelta(minutes=m) for m in (115, 110, 105)]
    assert due[-30:] == [kickoff - timedelta(minutes=m) for m in range(30, 0, -1)]


@given(kickoffs)
def test_slots_cover_every_due_minute_once(kickoff):
    begin = CADENCE.find_slot_start(kickoff - timedelta(hours=3))
    slots = [begin + CADENCE.slot_length * n for n in range(60)]
    found = [at for slot_at in slots for at in CADENCE.list_instants(slot_at) if CADENCE.is_due(kickoff, at)]
    assert found == list(CADENCE.iterate_due_instants(kickoff, begin, slots[-1] + CADENCE.slot_length))
    assert all(at < kickoff for at in found)
    assert all(CADENCE.find_slot_start(at) == slot_at for slot_at in slots for at in CADENCE.list_instants(slot_at))


@given(kickoffs, st.integers(1, 36 * 60))
def test_a_kickoff_that_moves_takes_its_slots_with_it(kickoff, minutes):
    window = NOON - timedelta(days=1), NOON + timedelta(days=12)
    before = list(CADENCE.iterate_due_instants(kickoff, *window))
    after = list(CADENCE.iterate_due_instants(kickoff + timedelta(minutes=5 * minutes), *window))
    assert [at + timedelta(minutes=5 * minutes) for at in before] == after


def test_tiers_of_any_width_are_kept():
    cadence = Cadence({7 * 24 * 60: 60, 120: 5}, 5)
    due = list(cadence.iterate_due_instants(NOON, NOON - timedelta(days=8), NOON))
    assert len(due) == (7 * 24 - 2) + 24
    assert due[0] == NOON - timedelta(days=7)
