"""Each way in and out of each state of a breaker. Times in seconds."""

import pytest

from palimpsest_pipeline.scrape.circuit_breaker import BreakerState, CircuitBreaker
from palimpsest_pipeline.scrape.host_budget import BreakerRule
from palimpsest_pipeline.wire.retry_rules import HostSignal

RULE = BreakerRule()


class Host:
    """A breaker and its requests, by number."""

    def __init__(self, rule: BreakerRule = RULE) -> None:
        self.breaker = CircuitBreaker(rule)
        self.key = 0

    def start(self, now: float) -> int:
        self.key += 1
        self.breaker.record_start(self.key, now)
        return self.key

    def answer(
        self, bears: HostSignal, now: float, told_s: float | None = None, key: int | None = None
    ) -> BreakerState:
        """Of a request under way, or of a new one."""
        self.breaker.record_answer(self.start(now) if key is None else key, bears, told_s, now)
        return self.breaker.state

    def at(self, now: float) -> BreakerState:
        self.breaker.tick(now)
        return self.breaker.state


def failed(now: float = 0.0) -> Host:
    """Open after transient failures."""
    host = Host()
    for _ in range(RULE.max_failed_in_window):
        host.answer(HostSignal.ERROR, now)
    assert host.breaker.state is BreakerState.OPEN
    return host


def blocked(now: float = 0.0) -> Host:
    host = Host()
    for _ in range(RULE.blocks_in_a_row):
        host.answer(HostSignal.BLOCK, now)
    assert host.breaker.state is BreakerState.OPEN
    return host


def test_good_answers_and_those_that_say_nothing_of_the_host_leave_it_closed() -> None:
    host = Host()
    assert {host.answer(bears, 1.0) for bears in (HostSignal.GOOD, HostSignal.NOTHING) * 30} == {BreakerState.CLOSED}
    assert (host.breaker.reason, host.breaker.opened_at, host.breaker.find_next_tick_at()) == ("", None, None)


def test_errors_open_it_by_their_share_of_the_last_answers() -> None:
    host = Host()
    states = [host.answer(HostSignal.ERROR if n % 20 < 11 else HostSignal.GOOD, 0.0) for n in range(200)]
    assert set(states) == {BreakerState.CLOSED}
    host = Host()
    assert [host.answer(HostSignal.ERROR, 0.0) for _ in range(12)] == [BreakerState.CLOSED] * 11 + [BreakerState.OPEN]
    assert host.breaker.reason == "12 of the last 12 answers failed"


def test_a_request_that_fails_twice_opens_it_unless_another_went_well_meanwhile() -> None:
    host = Host()
    host.answer(HostSignal.ERROR, 0.0)
    host.answer(HostSignal.GOOD, 0.5)
    host.breaker.record_start(1, 1.0)
    assert host.answer(HostSignal.ERROR, 1.0, key=1) is BreakerState.CLOSED
    host.answer(HostSignal.ERROR, 1.5)
    host.breaker.record_start(1, 2.0)
    assert host.answer(HostSignal.ERROR, 2.0, key=1) is BreakerState.OPEN


def test_blocks_open_it_in_a_row_only_and_for_long() -> None:
    host = Host()
    assert {host.answer(b, 0.0) for b in (HostSignal.BLOCK, HostSignal.BLOCK, HostSignal.GOOD) * 5} == {
        BreakerState.CLOSED
    }
    assert [
        host.answer(b, 1.0) for b in (HostSignal.BLOCK, HostSignal.NOTHING, HostSignal.BLOCK, HostSignal.BLOCK)
    ] == [BreakerState.CLOSED] * 3 + [BreakerState.OPEN]
    assert host.breaker.is_blocked
    assert host.breaker.find_next_tick_at() == 61.0
    assert host.at(60.9) is BreakerState.OPEN
    assert host.at(61.0) is BreakerState.PROBING


def test_a_request_without_any_answer_for_long_opens_it() -> None:
    host = Host()
    host.start(0.0)
    late = host.start(1.0)
    assert host.breaker.find_next_tick_at() == 10.0
    host.answer(HostSignal.GOOD, 4.0, key=late)
    assert host.breaker.find_next_tick_at() == 14.0
    assert host.at(13.9) is BreakerState.CLOSED
    assert host.at(14.0) is BreakerState.OPEN
    assert host.breaker.reason == "no answer for 10 s"


def test_after_the_pause_one_probe_decides() -> None:
    host = failed()
    assert not host.breaker.wants_probe
    assert host.at(2.0) is BreakerState.PROBING
    assert host.breaker.wants_probe
    probe = host.start(2.0)
    assert not host.breaker.wants_probe
    assert host.answer(HostSignal.GOOD, 2.5, key=probe) is BreakerState.CLOSED
    assert host.answer(HostSignal.ERROR, 3.0) is BreakerState.CLOSED, "starts afresh"


def test_each_bad_probe_doubles_the_pause_up_to_the_longest() -> None:
    host, now, pauses = failed(), 0.0, []
    for _ in range(5):
        assert host.breaker.until is not None
        pauses.append(host.breaker.until - now)
        now = host.breaker.until
        assert host.at(now) is BreakerState.PROBING
        assert host.answer(HostSignal.ERROR, now) is BreakerState.OPEN
    assert pauses == [2.0, 4.0, 8.0, 8.0, 8.0]


def test_a_probe_that_says_nothing_of_the_host_is_followed_by_another() -> None:
    host = failed()
    host.at(2.0)
    assert host.answer(HostSignal.NOTHING, 2.0) is BreakerState.PROBING
    assert host.breaker.wants_probe


def test_a_probe_that_hangs_is_a_bad_one() -> None:
    host = failed()
    host.at(2.0)
    probe = host.start(2.0)
    assert host.breaker.find_next_tick_at() == 12.0
    assert host.at(12.0) is BreakerState.OPEN
    assert host.breaker.until == 16.0
    assert host.answer(HostSignal.GOOD, 13.0, key=probe) is BreakerState.CLOSED, "late, but good"


def test_a_blocked_probe_shuts_it() -> None:
    host = blocked()
    host.at(60.0)
    assert host.answer(HostSignal.BLOCK, 60.0) is BreakerState.SHUT


def test_a_probe_that_is_the_first_block_is_a_bad_one() -> None:
    host = failed()
    host.at(2.0)
    assert host.answer(HostSignal.BLOCK, 2.0) is BreakerState.OPEN
    assert (host.breaker.until, host.breaker.is_blocked) == (6.0, False)
    host.at(6.0)
    assert host.answer(HostSignal.GOOD, 6.0) is BreakerState.CLOSED


def test_probes_that_are_blocked_in_a_row_are_blocks_like_others() -> None:
    host = failed()
    for now, until in ((2.0, 6.0), (6.0, 14.0), (14.0, 74.0)):
        host.at(now)
        assert host.answer(HostSignal.BLOCK, now) is BreakerState.OPEN
        assert host.breaker.until == until
    assert (host.breaker.is_blocked, host.breaker.reason) == (True, "blocked 3 times in a row")
    assert host.at(60.0) is BreakerState.SHUT, "open for so long without one good answer"


def test_a_good_answer_that_was_under_way_closes_it() -> None:
    host = Host()
    early = host.start(0.0)
    for _ in range(3):
        host.answer(HostSignal.BLOCK, 0.0)
    assert host.answer(HostSignal.GOOD, 0.5, key=early) is BreakerState.CLOSED


def test_other_answers_that_were_under_way_change_nothing_when_it_is_open() -> None:
    host = Host()
    early = [host.start(0.0) for _ in range(20)]
    for _ in range(12):
        host.answer(HostSignal.ERROR, 0.0)
    for key in early:
        host.answer(HostSignal.ERROR, 1.0, key=key)
    assert (host.breaker.state, host.breaker.until) == (BreakerState.OPEN, 2.0)
    host = Host()
    early = [host.start(0.0) for _ in range(20)]
    for key in early:
        host.answer(HostSignal.BLOCK, 0.01 * key, key=key)
    assert (host.breaker.state, host.breaker.until) == (BreakerState.OPEN, 60.03)


@pytest.mark.parametrize(("told_s", "until"), [(7.0, 8.0), (None, 3.0), (0.0, 3.0), (60.0, 61.0)])
def test_asked_to_pause_it_opens_at_once_for_as_long_as_told(told_s: float | None, until: float) -> None:
    host = Host()
    early = host.start(0.0)
    assert host.answer(HostSignal.PAUSE, 1.0, told_s) is BreakerState.OPEN
    assert host.breaker.until == until
    assert host.answer(HostSignal.GOOD, 1.5, key=early) is BreakerState.OPEN, "a pause that was asked for is kept"
    assert host.at(until) is BreakerState.PROBING
    assert host.answer(HostSignal.GOOD, until) is BreakerState.CLOSED


def test_asked_again_and_again_it_sends_one_probe_a_round() -> None:
    host = Host()
    host.answer(HostSignal.PAUSE, 0.0, 2.0)
    for now in (2.0, 4.0, 6.0):
        assert host.at(now) is BreakerState.PROBING
        assert host.answer(HostSignal.PAUSE, now, 2.0) is BreakerState.OPEN
        assert host.breaker.until == now + 2.0
    assert host.at(8.0) is BreakerState.PROBING
    assert host.answer(HostSignal.PAUSE, 8.0) is BreakerState.OPEN
    assert host.breaker.until == 16.0, "without a time told, longer after each probe in vain"


def test_asked_to_wait_too_long_it_is_shut() -> None:
    host = Host()
    assert host.answer(HostSignal.PAUSE, 0.0, 61.0) is BreakerState.SHUT
    assert host.breaker.reason == "asked to wait 61 s"


def test_open_for_too_long_it_is_shut_with_its_reason() -> None:
    host, now = failed(), 0.0
    while host.at(now) is not BreakerState.SHUT:
        if host.breaker.wants_probe:
            host.answer(HostSignal.ERROR, now)
        wakes_at = host.breaker.find_next_tick_at()
        assert wakes_at is not None and wakes_at > now
        now = wakes_at
    assert now == 60.0
    assert host.breaker.full_reason == "12 of the last 12 answers failed; no good answer for 60 s"
    assert host.breaker.reason == "12 of the last 12 answers failed"


def test_a_first_pause_as_long_as_the_patience_still_ends_in_a_probe() -> None:
    host = blocked()
    assert host.at(60.0) is BreakerState.PROBING
    assert host.at(70.0) is BreakerState.PROBING
    assert host.breaker.find_next_tick_at() is None
    assert host.answer(HostSignal.GOOD, 70.0) is BreakerState.CLOSED


def test_shut_is_for_good() -> None:
    host = Host()
    early = [host.start(0.0) for _ in range(4)]
    host.breaker.shut("told so")
    for key, bears in zip(early, (HostSignal.GOOD, HostSignal.ERROR, HostSignal.BLOCK, HostSignal.PAUSE), strict=True):
        assert host.answer(bears, 1.0, 2.0, key=key) is BreakerState.SHUT
    assert host.at(1e9) is BreakerState.SHUT
    assert (host.breaker.reason, host.breaker.find_next_tick_at()) == ("told so", None)
