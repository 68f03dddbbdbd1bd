"""The circuit breaker of one host: decides from requests and answers whether the host is used.

No I/O. Times are seconds of one monotonic clock.
"""

from collections import deque
from enum import StrEnum
from math import inf

from palimpsest_pipeline.wire.retry_rules import HostSignal

from .host_budget import BreakerRule

MAX_DETAIL_CHARS = 120
"""Maximum number of characters of an answer's failure in a breaker's reason."""


class BreakerState(StrEnum):
    """The state of a circuit breaker."""

    CLOSED = "closed"
    """Requests are sent normally."""
    OPEN = "open"
    """No request is sent until the pause ends."""
    PROBING = "probing"
    """One test request (a probe) is sent."""
    SHUT = "shut"
    """No more requests are sent in this scrape."""


class CircuitBreaker:
    """The state machine of a host's circuit breaker.

    It opens after blocks, after failures, when the host stops answering (a stall), or when the host demands a pause.
    After the pause it sends probes, one request at a time. A good answer closes it, even one to a request that was sent
    before it opened; only a pause that the host demanded always lasts to its end. It shuts when probes keep failing.
    """

    def __init__(self, rule: BreakerRule) -> None:
        self._rule = rule
        self._started_at_by_key: dict[int, float] = {}
        """Start times of the requests in flight by key, oldest first."""
        self._last_answer_at = -inf
        self._held_until = -inf
        self._close()

    def _close(self) -> None:
        self.state = BreakerState.CLOSED
        self.reason = ""
        """Why the breaker is not CLOSED. Other scrapes read this reason."""
        self._ending_reason = ""
        """Why this scrape stopped waiting for the host, in addition to `reason`."""
        self.is_blocked = False
        """True when it opened because of blocks, or because another scrape reported a problem."""
        self.is_held = False
        """True when it opened because of a problem reported before this scrape started."""
        self.opened_at: float | None = None
        """When the breaker left the state CLOSED."""
        self.until = -inf
        """While OPEN, the end of the pause. While SHUT, the time when another scrape may send requests."""
        self._recent_failures: deque[bool] = deque(maxlen=self._rule.window)
        self._keys_failed_since_good: set[int] = set()
        self._n_blocks_in_a_row = 0
        self._probe_key: int | None = None
        self._n_bad_probes = 0

    @property
    def full_reason(self) -> str:
        """Return `reason`, followed by why this scrape stopped waiting."""
        return f"{self.reason}; {self._ending_reason}" if self._ending_reason else self.reason

    @property
    def wants_probe(self) -> bool:
        return self.state is BreakerState.PROBING and self._probe_key is None

    @property
    def _pause_s(self) -> float:
        return min(self._rule.pause_s * 2.0**self._n_bad_probes, self._rule.pause_max_s)

    def record_start(self, key: int, now: float) -> None:
        """Record that the request `key` was sent. In the state PROBING it is the probe."""
        self._started_at_by_key[key] = now
        if self.wants_probe:
            self._probe_key = key

    def record_answer(
        self, key: int, signal: HostSignal, retry_after_s: float | None, now: float, detail: str = ""
    ) -> None:
        """Record the answer to a request.

        `retry_after_s` is the host's Retry-After in seconds; `detail` is the text of the failure.
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
            # With few requests in flight, the window fills too slowly, and the first requests would use all their
            # attempts.
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

        `until` is the time when another scrape may send requests. `ending_reason` says why this scrape stops waiting,
        when the host is not the cause.
        """
        self.state, self.reason, self._ending_reason, self._probe_key = BreakerState.SHUT, reason, ending_reason, None
        self.until = max(self.until, until)

    def hold(self, reason: str, until: float, now: float, *, is_blocked: bool = True) -> None:
        """Open the breaker because another scrape reported a problem, before the first request.

        No request is sent to the host until `until`, then one probe. The breaker shuts at once when that is more than
        `max_retry_after_s` seconds away. With `is_blocked`, the scrape stops waiting for the host when all other work
        is done.
        """
        self.is_blocked, self.is_held, self.opened_at = is_blocked, True, now
        self.state, self.reason, self.until = BreakerState.OPEN if until > now else BreakerState.PROBING, reason, until
        if until - now > self._rule.max_retry_after_s:
            self.shut(reason)

    def tick(self, now: float) -> None:
        """Update the state for the time `now`.

        A stall opens the breaker. The end of a pause starts probing. `give_up_s` seconds without a good answer shut it.
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
        """Return the next time when `tick` may change the state; None when there is none."""
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
        # At least one probe must fail before the breaker gives up, even if the first pause was long.
        is_waiting = (
            self.state in (BreakerState.OPEN, BreakerState.PROBING) and self._probe_key is None and self._n_bad_probes
        )
        return self.opened_at + self._rule.give_up_s if is_waiting and self.opened_at is not None else None


def _describe_last(detail: str) -> str:
    return f", the last one with: {detail[:MAX_DETAIL_CHARS]}" if detail else ""
