"""Whether a host is asked at all: one breaker per host, told of every start and answer.

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
    """How a host is asked."""

    CLOSED = "closed"
    """As usual."""
    OPEN = "open"
    """Not at all, until the pause is over."""
    PROBING = "probing"
    """One thing, to see."""
    SHUT = "shut"
    """Never again in this scrape."""


class CircuitBreaker:
    """Opens when the host blocks, fails, hangs or asks for a pause; then probes, one request a round; shuts when that
    leads nowhere.

    A good answer closes it, also one that was under way when it opened. Only a pause that the host asked for is kept
    whatever comes in.
    """

    def __init__(self, rule: BreakerRule) -> None:
        self._rule = rule
        self._started_at_by_key: dict[int, float] = {}
        """Started when, oldest first."""
        self._last_answer_at = -inf
        self._held_until = -inf
        self._close()

    def _close(self) -> None:
        self.state = BreakerState.CLOSED
        self.reason = ""
        """Why it is not closed: what the host did. Other scrapes are told of it."""
        self._ending_reason = ""
        """Why this scrape asks no more, besides the reason."""
        self.is_blocked = False
        """Open because of blocks, or because of what others found."""
        self.is_held = False
        """Open because of what was found before this scrape began."""
        self.opened_at: float | None = None
        """When it left CLOSED."""
        self.until = -inf
        """End of the pause while OPEN; while SHUT, when another scrape may ask again."""
        self._recent_failures: deque[bool] = deque(maxlen=self._rule.window)
        self._keys_failed_since_good: set[int] = set()
        self._n_blocks_in_a_row = 0
        self._probe_key: int | None = None
        self._n_bad_probes = 0

    @property
    def full_reason(self) -> str:
        """Why nothing more is asked, in full: the reason, and why this scrape waits no longer."""
        return f"{self.reason}; {self._ending_reason}" if self._ending_reason else self.reason

    @property
    def wants_probe(self) -> bool:
        return self.state is BreakerState.PROBING and self._probe_key is None

    @property
    def _pause_s(self) -> float:
        return min(self._rule.pause_s * 2.0**self._n_bad_probes, self._rule.pause_max_s)

    def record_start(self, key: int, now: float) -> None:
        """A request is under way. While PROBING it is the probe."""
        self._started_at_by_key[key] = now
        if self.wants_probe:
            self._probe_key = key

    def record_answer(
        self, key: int, signal: HostSignal, retry_after_s: float | None, now: float, detail: str = ""
    ) -> None:
        """It is answered; `told_s` is the host's Retry-After, `detail` what was wrong with the answer, in words."""
        self._started_at_by_key.pop(key, None)
        self._last_answer_at = now
        self._recent_failures.append(signal is HostSignal.ERROR)
        probe = key == self._probe_key
        if probe:
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
                self._record_block(probe, now, detail)
            case HostSignal.PAUSE:
                self._record_pause_request(probe, retry_after_s, now)
            case HostSignal.ERROR if probe:
                self._record_failed_probe(now, detail)
            case HostSignal.ERROR:
                self._record_failure(key, now, detail)

    def _record_failure(self, key: int, now: float, detail: str) -> None:
        again = key in self._keys_failed_since_good
        self._keys_failed_since_good.add(key)
        if self.state is not BreakerState.CLOSED:
            return
        if (n := sum(self._recent_failures)) >= self._rule.max_failed_in_window:
            self._open(
                f"{n} of the last {len(self._recent_failures)} answers failed{_describe_last(detail)}",
                self._pause_s,
                now,
            )
        elif again:
            # Where little is asked at a time, the share would be noticed too late: the first requests would have used
            # up their tries.
            self._open(
                f"failed twice for one request, and answered no other meanwhile{_describe_last(detail)}",
                self._pause_s,
                now,
            )

    def _record_block(self, probe: bool, now: float, detail: str) -> None:
        self._n_blocks_in_a_row += 1
        if probe and self.is_blocked:
            self.shut(f"blocked, and still so when asked again{_describe_last(detail)}", now + self._rule.block_pause_s)
        elif self._n_blocks_in_a_row >= self._rule.blocks_in_a_row and not self.is_blocked:
            self.is_blocked = True
            self._open(
                f"blocked {self._n_blocks_in_a_row} times in a row{_describe_last(detail)}",
                self._rule.block_pause_s,
                now,
            )
        elif probe:
            self._record_failed_probe(now, detail)

    def _record_pause_request(self, probe: bool, retry_after_s: float | None, now: float) -> None:
        if retry_after_s and retry_after_s > self._rule.max_retry_after_s:
            self.shut(f"asked to wait {retry_after_s:g} s", now + retry_after_s)
        else:
            self._n_bad_probes += probe
            self._open(
                f"asked to wait {retry_after_s:g} s" if retry_after_s else "asked too often",
                retry_after_s or self._pause_s,
                now,
            )
            self._held_until = self.until

    def _record_failed_probe(self, now: float, detail: str = "") -> None:
        self._n_bad_probes += 1
        known = not detail or detail[:MAX_DETAIL_CHARS] in self.reason
        self._open(
            self.reason if known else f"failed when asked again: {detail[:MAX_DETAIL_CHARS]}", self._pause_s, now
        )

    def _open(self, reason: str, pause_s: float, now: float) -> None:
        self.opened_at = now if self.opened_at is None else self.opened_at
        self.state, self.reason, self._probe_key = BreakerState.OPEN, reason, None
        self.until = max(self.until, now + pause_s)

    def shut(self, reason: str, until: float = -inf, *, ending_reason: str = "") -> None:
        """Ask the host no more in this scrape.

        `ending`: why this scrape waits no longer; it is no fault of the host.
        """
        self.state, self.reason, self._ending_reason, self._probe_key = BreakerState.SHUT, reason, ending_reason, None
        self.until = max(self.until, until)

    def hold(self, reason: str, until: float, now: float, *, is_blocked: bool = True) -> None:
        """As another scrape found it, before anything is asked: left alone until then, one probe after that. Shut where
        that is longer than a host is waited for. `blocked`: it is not waited for when nothing else is left to do."""
        self.is_blocked, self.is_held, self.opened_at = is_blocked, True, now
        self.state, self.reason, self.until = BreakerState.OPEN if until > now else BreakerState.PROBING, reason, until
        if until - now > self._rule.max_retry_after_s:
            self.shut(reason)

    def tick(self, now: float) -> None:
        """Lets time take effect: a stall opens, the end of a pause probes, probes without success for too long shut."""
        if (stalls_at := self._find_stall_at()) is not None and stalls_at <= now:
            if self.state is BreakerState.PROBING:
                self._record_failed_probe(now)
            else:
                self._open(f"no answer for {self._rule.stall_s:g} s", self._pause_s, now)
        if (gives_up_at := self._find_give_up_at()) is not None and gives_up_at <= now:
            self.shut(
                self.reason,
                now + self._rule.pause_max_s,
                ending_reason=f"nothing better for {self._rule.give_up_s:g} s",
            )
        elif self.state is BreakerState.OPEN and self.until <= now:
            self.state = BreakerState.PROBING

    def find_next_tick_at(self) -> float | None:
        """When `tick` may do something; None: not by time alone."""
        ends_at = self.until if self.state is BreakerState.OPEN else None
        return min(
            (at for at in (self._find_stall_at(), self._find_give_up_at(), ends_at) if at is not None), default=None
        )

    def _find_stall_at(self) -> float | None:
        if self._probe_key is not None:
            return self._started_at_by_key[self._probe_key] + self._rule.stall_s
        if self.state is BreakerState.CLOSED and self._started_at_by_key:
            return max(next(iter(self._started_at_by_key.values())), self._last_answer_at) + self._rule.stall_s
        return None

    def _find_give_up_at(self) -> float | None:
        # Never before a probe has failed, however long the first pause: who is asked to wait is asked again once.
        waits = (
            self.state in (BreakerState.OPEN, BreakerState.PROBING) and self._probe_key is None and self._n_bad_probes
        )
        return self.opened_at + self._rule.give_up_s if waits and self.opened_at is not None else None


def _describe_last(detail: str) -> str:
    return f", the last one with: {detail[:MAX_DETAIL_CHARS]}" if detail else ""
