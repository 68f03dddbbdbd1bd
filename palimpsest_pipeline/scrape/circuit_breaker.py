"""The circuit breaker of one host: decides from every start and answer whether the host is used.

Pure; times in seconds of one monotonic clock.
"""

from collections import deque
from enum import StrEnum
from math import inf

from palimpsest_pipeline.wire.retry_rules import HostSignal

from .host_budget import BreakerRule

MAX_DETAIL_CHARS = 120
"""Characters of one answer's failure that a reason repeats."""


class BreakerState(StrEnum):
    """The state of a breaker: how its host is used."""

    CLOSED = "closed"
    """Requests are sent as usual."""
    OPEN = "open"
    """No request is sent until the pause ends."""
    PROBING = "probing"
    """One request is sent as a test."""
    SHUT = "shut"
    """No request is sent any more in this scrape."""


class CircuitBreaker:
    """Opens on blocks, failures, a stall or a demanded pause; then probes; shuts when probes keep failing.

    A probe is one request at a time. A good answer closes the breaker, even an answer to a request that was in flight
    when it opened. Only a pause that the host demanded lasts to its end in any case.
    """

    def __init__(self, rule: BreakerRule) -> None:
        self._rule = rule
        self._started_at_by_key: dict[int, float] = {}
        """Start of each request in flight, oldest first."""
        self._last_answer_at = -inf
        self._held_until = -inf
        self._close()

    def _close(self) -> None:
        self.state = BreakerState.CLOSED
        self.reason = ""
        """The cause of the current state when it is not CLOSED. Other scrapes receive it."""
        self._ending_reason = ""
        """The cause for which this scrape stopped waiting, in addition to the reason."""
        self.is_blocked = False
        """Open because of blocks, or because another scrape reported a problem of the host."""
        self.is_held = False
        """Open because of a problem that was reported before this scrape started."""
        self.opened_at: float | None = None
        """When the breaker left CLOSED."""
        self.until = -inf
        """While OPEN the end of the pause; while SHUT the time from which another scrape may send requests."""
        self._recent_failures: deque[bool] = deque(maxlen=self._rule.window)
        self._keys_failed_since_good: set[int] = set()
        self._n_blocks_in_a_row = 0
        self._probe_key: int | None = None
        self._n_bad_probes = 0

    @property
    def full_reason(self) -> str:
        """Return the reason together with the cause for which this scrape stopped waiting."""
        return f"{self.reason}; {self._ending_reason}" if self._ending_reason else self.reason

    @property
    def wants_probe(self) -> bool:
        return self.state is BreakerState.PROBING and self._probe_key is None

    @property
    def _pause_s(self) -> float:
        return min(self._rule.pause_s * 2.0**self._n_bad_probes, self._rule.pause_max_s)

    def record_start(self, key: int, now: float) -> None:
        """Record that a request is in flight. While PROBING it is the probe."""
        self._started_at_by_key[key] = now
        if self.wants_probe:
            self._probe_key = key

    def record_answer(
        self, key: int, signal: HostSignal, retry_after_s: float | None, now: float, detail: str = ""
    ) -> None:
        """Record the answer to a request.

        `retry_after_s` is the host's Retry-After; `detail` describes the failure in words.
        """
        self._started_at_by_key.pop(key, None)
        self._last_answer_at = now
        self._recent_failures.append(signal is HostSignal.ERROR)
        is_probe = key == self._probe_key
        if is_probe:
            self._probe_key = None
        match signal:
            case _ if self.state is BreakerState.SHUT:
                pass
            case HostSignal.GOOD:
                self._n_blocks_in_a_row = 0
                self._keys_failed_since_good.clear()
                if self.state is not BreakerState.CLOSED and now >= self._held_until:
                    self._close()
            case HostSignal.BLOCK:
                self._record_block(is_probe, now, detail)
            case HostSignal.PAUSE:
                self._record_pause_request(is_probe, retry_after_s, now)
            case HostSignal.ERROR if is_probe:
                self._record_failed_probe(now, detail)
            case HostSignal.ERROR:
                self._record_failure(key, now, detail)

    def _record_failure(self, key: int, now: float, detail: str) -> None:
        is_repeated = key in self._keys_failed_since_good
        self._keys_failed_since_good.add(key)
        if self.state is not BreakerState.CLOSED:
            return
        if (n_failed := sum(self._recent_failures)) >= self._rule.max_failed_in_window:
            self._open(
                f"{n_failed} of the last {len(self._recent_failures)} answers failed{_describe_last(detail)}",
                self._pause_s,
                now,
            )
        elif is_repeated:
            # With few requests in flight the window fills too late: the first requests would use up their attempts.
            self._open(
                f"failed twice for one request, and answered no other meanwhile{_describe_last(detail)}",
                self._pause_s,
                now,
            )

    def _record_block(self, is_probe: bool, now: float, detail: str) -> None:
        self._n_blocks_in_a_row += 1
        if is_probe and self.is_blocked:
            self.shut(
                f"blocked, and still blocked in a test request{_describe_last(detail)}", now + self._rule.block_pause_s
            )
        elif self._n_blocks_in_a_row >= self._rule.blocks_in_a_row and not self.is_blocked:
            self.is_blocked = True
            self._open(
                f"blocked {self._n_blocks_in_a_row} times in a row{_describe_last(detail)}",
                self._rule.block_pause_s,
                now,
            )
        elif is_probe:
            self._record_failed_probe(now, detail)

    def _record_pause_request(self, is_probe: bool, retry_after_s: float | None, now: float) -> None:
        if retry_after_s and retry_after_s > self._rule.max_retry_after_s:
            self.shut(f"asked to wait {retry_after_s:g} s", now + retry_after_s)
        else:
            self._n_bad_probes += is_probe
            self._open(
                f"asked to wait {retry_after_s:g} s" if retry_after_s else "too many requests",
                retry_after_s or self._pause_s,
                now,
            )
            self._held_until = self.until

    def _record_failed_probe(self, now: float, detail: str = "") -> None:
        self._n_bad_probes += 1
        is_known = not detail or detail[:MAX_DETAIL_CHARS] in self.reason
        self._open(self.reason if is_known else f"test request failed: {detail[:MAX_DETAIL_CHARS]}", self._pause_s, now)

    def _open(self, reason: str, pause_s: float, now: float) -> None:
        self.opened_at = now if self.opened_at is None else self.opened_at
        self.state, self.reason, self._probe_key = BreakerState.OPEN, reason, None
        self.until = max(self.until, now + pause_s)

    def shut(self, reason: str, until: float = -inf, *, ending_reason: str = "") -> None:
        """Stop all requests to the host in this scrape.

        `ending_reason`: the cause for which this scrape stops waiting, when it is no fault of the host.
        """
        self.state, self.reason, self._ending_reason, self._probe_key = BreakerState.SHUT, reason, ending_reason, None
        self.until = max(self.until, until)

    def hold(self, reason: str, until: float, now: float, *, is_blocked: bool = True) -> None:
        """Apply a problem that another scrape reported, before any request.

        No request is sent to the host until `until`; one probe follows. The breaker shuts at once when that time
        exceeds `max_retry_after_s`. With `is_blocked` the scrape does not wait for the host once all other work is
        done.
        """
        self.is_blocked, self.is_held, self.opened_at = is_blocked, True, now
        self.state, self.reason, self.until = BreakerState.OPEN if until > now else BreakerState.PROBING, reason, until
        if until - now > self._rule.max_retry_after_s:
            self.shut(reason)

    def tick(self, now: float) -> None:
        """Apply the passage of time.

        A stall opens the breaker, the end of a pause starts probing, and too long a time without a good answer shuts
        it.
        """
        if (stalls_at := self._find_stall_at()) is not None and stalls_at <= now:
            if self.state is BreakerState.PROBING:
                self._record_failed_probe(now)
            else:
                self._open(f"no answer for {self._rule.stall_s:g} s", self._pause_s, now)
        if (gives_up_at := self._find_give_up_at()) is not None and gives_up_at <= now:
            self.shut(
                self.reason,
                now + self._rule.pause_max_s,
                ending_reason=f"no good answer for {self._rule.give_up_s:g} s",
            )
        elif self.state is BreakerState.OPEN and self.until <= now:
            self.state = BreakerState.PROBING

    def find_next_tick_at(self) -> float | None:
        """Return when `tick` may change the state; None when time alone changes nothing."""
        ends_at = self.until if self.state is BreakerState.OPEN else None
        return min(
            (tick_at for tick_at in (self._find_stall_at(), self._find_give_up_at(), ends_at) if tick_at is not None),
            default=None,
        )

    def _find_stall_at(self) -> float | None:
        if self._probe_key is not None:
            return self._started_at_by_key[self._probe_key] + self._rule.stall_s
        if self.state is BreakerState.CLOSED and self._started_at_by_key:
            return max(next(iter(self._started_at_by_key.values())), self._last_answer_at) + self._rule.stall_s
        return None

    def _find_give_up_at(self) -> float | None:
        # A probe must fail first, even after a long first pause: every open host gets at least one probe.
        is_waiting = (
            self.state in (BreakerState.OPEN, BreakerState.PROBING) and self._probe_key is None and self._n_bad_probes
        )
        return self.opened_at + self._rule.give_up_s if is_waiting and self.opened_at is not None else None


def _describe_last(detail: str) -> str:
    return f", the last one with: {detail[:MAX_DETAIL_CHARS]}" if detail else ""
