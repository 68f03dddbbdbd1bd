"""What occurrences and recoveries make of alerts, and what is still to be told."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.domain.alerts import (
    AlertKind,
    Occurrence,
    PendingNotices,
    PipelineAlert,
    Recovery,
    apply_events,
    mark_notified,
    select_notices,
)
from palimpsest_pipeline.domain.enums import Severity

NOON = datetime(2026, 6, 26, 12, tzinfo=UTC)
SETTLE = timedelta(minutes=5)
MINUTE = timedelta(minutes=1)
CHANNELS = ("log", "webhook")


def failed(
    minute: float,
    error: str = "Broken",
    subject: str = "replay",
    partition: str | None = None,
    severity: Severity = Severity.ERROR,
    lasts: bool = False,
) -> Occurrence:
    return Occurrence(AlertKind.RUN, subject, error, severity, f"at {minute}", NOON + minute * MINUTE, partition, lasts)


def succeeded(minute: float, subject: str = "replay", partition: str | None = None) -> Recovery:
    return Recovery(AlertKind.RUN, subject, NOON + minute * MINUTE, partition)


def after(*events: Occurrence | Recovery, known: list[PipelineAlert] | None = None) -> dict[str, PipelineAlert]:
    return {alert.alert_key: alert for alert in apply_events(known or [], events, SETTLE)}


def test_the_same_failure_again_is_one_alert_with_the_last_words():
    found = after(failed(1), failed(3))["run/replay/Broken"]
    assert (found.n_seen, found.opened_at, found.last_seen_at, found.message) == (
        2,
        NOON + MINUTE,
        NOON + 3 * MINUTE,
        "at 3",
    )
    assert found.closed_at is None


def test_a_success_of_the_job_ends_all_its_alerts_and_no_other_jobs():
    found = after(failed(1), failed(2, "Other"), failed(2, subject="export"), succeeded(4))
    assert {key: alert.closed_at for key, alert in found.items()} == {
        "run/replay/Broken": NOON + 4 * MINUTE,
        "run/replay/Other": NOON + 4 * MINUTE,
        "run/export/Broken": None,
    }


def test_the_next_success_ends_what_does_not_last_whatever_its_partition():
    open_ = after(failed(1, partition="2026-06-26"), failed(2, partition="2026-06-25"))
    assert open_["run/replay/Broken"].partition_key == "2026-06-25", "the latest that had it"
    over = after(succeeded(3), known=list(open_.values()))
    assert over["run/replay/Broken"].closed_at == NOON + 3 * MINUTE


def test_a_partition_that_lasts_is_ended_by_its_own_success_and_by_no_other():
    failing = after(
        failed(1, partition="2026-06-24", lasts=True),
        succeeded(2, partition="2026-06-26"),
        succeeded(3, partition="2026-06-23, 2026-06-25"),
    )
    assert failing["run/replay/Broken"].closed_at is None
    for own in (succeeded(4, partition="2026-06-24"), succeeded(4, partition="2026-06-23, 2026-06-24"), succeeded(4)):
        assert after(own, known=list(failing.values()))["run/replay/Broken"].closed_at == NOON + 4 * MINUTE


def test_cycles_are_over_one_by_one():
    def cycles(minute: float, ids: str, n_seen: int = 1) -> Occurrence:
        return replace(failed(minute, partition=ids, lasts=True), n_seen=n_seen)

    def left(found: dict[str, PipelineAlert]) -> list[str]:
        return found["run/replay/Broken"].partition_keys

    open_ = after(cycles(1, "9, 10", 2), cycles(2, "7"), cycles(3, "9"), succeeded(4, partition="8, 10"))
    assert (left(open_), open_["run/replay/Broken"].n_seen) == (["7", "9"], 4)
    open_ = after(succeeded(5, partition="9"), known=list(open_.values()))
    assert (left(open_), open_["run/replay/Broken"].closed_at) == (["7"], None)
    assert (
        after(succeeded(6, partition="7"), known=list(open_.values()))["run/replay/Broken"].closed_at
        == NOON + 6 * MINUTE
    )


def test_an_alert_says_in_words_where_it_is():
    places = {
        None: "",
        "2026-06-26": "2026-06-26",
        "7": "cycle 7",
        "7, 10": "cycles 7, 10",
        "1, 2, 3, 4, 5, 6, 7": "cycles 1, 2, 3, 4, 5 and 2 more",
    }
    assert {key: PipelineAlert.from_occurrence(failed(1, partition=key)).partition_label for key in places} == places


def test_what_comes_back_soon_goes_on_and_what_comes_back_late_or_was_told_to_be_over_is_new():
    (flapping,) = apply_events([], [failed(0), succeeded(1), failed(5), succeeded(6), failed(7)], SETTLE)
    assert (flapping.n_seen, flapping.closed_at) == (3, None)
    first, second = sorted(apply_events([], [failed(0), succeeded(1), failed(7)], SETTLE), key=lambda a: a.opened_at)
    assert (first.closed_at, second.opened_at, second.n_seen) == (NOON + MINUTE, NOON + 7 * MINUTE, 1)
    (over,) = apply_events([], [failed(0), succeeded(1)], SETTLE)
    (anew,) = apply_events([mark_notified(over, "log", CHANNELS, NOON, is_closing=True)], [failed(2)], SETTLE)
    assert anew.opened_at == NOON + 2 * MINUTE


def test_what_becomes_worse_is_told_anew_and_what_becomes_better_is_not():
    (mild,) = apply_events([], [failed(0, severity=Severity.WARN)], SETTLE)
    mild = mark_notified(mild, "log", ("log",), NOON, is_closing=False)
    (bad,) = apply_events([mild], [failed(1)], SETTLE)
    assert (bad.severity, bad.told_at, bad.told_by) == (Severity.ERROR, None, ())
    bad = mark_notified(bad, "log", ("log",), NOON + MINUTE, is_closing=False)
    (better,) = apply_events([bad], [failed(2, severity=Severity.WARN)], SETTLE)
    assert (better.severity, better.told_at) == (Severity.ERROR, NOON + MINUTE)


subjects = st.sampled_from(["full_cycle", "replay"])
partitions = st.sampled_from([None, "7", "10", "7, 10", "2026-06-25", "2026-06-26"])
minutes = st.integers(0, 40)
events = st.lists(
    st.one_of(
        st.builds(
            failed,
            minutes,
            st.sampled_from(["Broken", "Other"]),
            subjects,
            partitions,
            st.sampled_from(Severity),
            st.booleans(),
        ),
        st.builds(succeeded, minutes, subjects, partitions),
    ),
    max_size=12,
    unique_by=lambda event: event.at,
)


def newest(alerts: list[PipelineAlert]) -> dict[str, PipelineAlert]:
    found: dict[str, PipelineAlert] = {}
    for alert in sorted(alerts, key=lambda a: a.opened_at):
        found[alert.alert_key] = alert
    return found


@given(events, st.randoms(use_true_random=False), st.integers(0, 12))
def test_order_of_arrival_and_looking_twice_change_nothing_and_at_most_one_alert_a_key_is_open(
    events, shuffler: random.Random, cut: int
):
    whole = apply_events([], events, SETTLE)
    shuffled = list(events)
    shuffler.shuffle(shuffled)
    assert sorted(apply_events([], shuffled, SETTLE), key=lambda a: a.identity) == sorted(
        whole, key=lambda a: a.identity
    )
    latest = newest(whole)
    assert apply_events(list(latest.values()), events, SETTLE) == []
    assert all(alert.closed_at is not None for alert in whole if latest[alert.alert_key] != alert)
    # Two looks that overlap come to the same as one.
    ordered = sorted(events, key=lambda event: event.at)
    first = newest(apply_events([], ordered[:cut], SETTLE))
    second = newest([*first.values(), *apply_events(list(first.values()), ordered[max(cut - 3, 0) :], SETTLE)])
    assert second == latest


def due_of(alert: PipelineAlert, channel: str, minute: float, least: Severity = Severity.WARN) -> PendingNotices:
    return select_notices([alert], channel, NOON + minute * MINUTE, SETTLE, least)


def test_a_begin_is_told_at_once_an_end_when_it_has_lasted_and_each_once_by_each_channel():
    (alert,) = apply_events([], [failed(0)], SETTLE)
    assert due_of(alert, "log", 0).openings == (alert,)
    alert = mark_notified(alert, "log", CHANNELS, NOON, is_closing=False)
    assert not due_of(alert, "log", 1)
    assert due_of(alert, "webhook", 1).openings == (alert,)
    assert alert.told_at is None
    alert = mark_notified(alert, "webhook", CHANNELS, NOON + MINUTE, is_closing=False)
    assert alert.told_at == NOON + MINUTE
    (alert,) = apply_events([alert], [succeeded(2)], SETTLE)
    assert not due_of(alert, "log", 6)
    assert due_of(alert, "log", 7).closings == (alert,)
    alert = mark_notified(alert, "log", CHANNELS, NOON, is_closing=True)
    assert not due_of(alert, "log", 8)
    assert due_of(alert, "webhook", 8).closings == (alert,)
    assert (
        mark_notified(alert, "webhook", CHANNELS, NOON + 8 * MINUTE, is_closing=True).closing_told_at
        == NOON + 8 * MINUTE
    )


def test_what_was_over_before_it_could_be_told_is_told_as_over_only_and_after_a_day_not_at_all():
    (alert,) = apply_events([], [failed(0), succeeded(2)], SETTLE)
    assert due_of(alert, "webhook", 3).openings == (alert,)
    assert due_of(alert, "webhook", 30) == PendingNotices(closings=(alert,))
    assert not due_of(alert, "webhook", 24 * 60 + 3)
    ended = mark_notified(alert, "webhook", ("webhook",), NOON, is_closing=True)
    assert not due_of(ended, "webhook", 31)
    assert ended.told_at is not None


def test_what_is_below_the_least_severity_is_not_told():
    (mild,) = apply_events([], [failed(0, severity=Severity.WARN)], SETTLE)
    assert not due_of(mild, "log", 0, Severity.ERROR)
    assert due_of(mild, "log", 0, Severity.WARN)
