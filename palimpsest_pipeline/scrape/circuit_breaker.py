"""Whether a host is asked at all: one breaker per host, told of every start and answer. Pure; times in seconds of one monotonic clock."""

from collections import deque
from enum import StrEnum
from math import inf

from palimpsest_pipeline.wire.retry_rules import Bears

from .host_budget import BreakerRule

MAX_DETAIL = 120
"""Characters of one answer's failure that a reason repeats."""


class State(StrEnum):
    """How a host is asked."""

    CLOSED = "closed"
    """As usual."""
    OPEN = "open"
    """Not at all, until the pause is over."""
    PROBING = "probing"
    """One thing, to see."""
    SHUT = "shut"
    """Never again in this scrape."""


class Breaker:
    """Opens when the host blocks, fails, hangs or asks for a pause; then probes, one request a round; shuts when that leads nowhere.

    A good answer closes it, also one that was under way when it opened. Only a pause that the host asked for is kept whatever comes in.
    """

    def __init__(self, rule: BreakerRule) -> None:
        self._rule = rule
        self._under_way: dict[int, float] = {}
        """Started when, oldest first."""
        self._heard_at = -inf
        self._held_until = -inf
        self._close()

    def _close(self) -> None:
        self.state = State.CLOSED
        self.reason = ""
        """Why it is not closed: what the host did. Other scrapes are told of it."""
        self._ending = ""
        """Why this scrape asks no more, besides the reason."""
        self.blocked = False
        """Open because of blocks, or because of what others found."""
        self.is_held = False
        """Open because of what was found before this scrape began."""
        self.opened_at: float | None = None
        """When it left CLOSED."""
        self.until = -inf
        """End of the pause while OPEN; while SHUT, when another scrape may ask again."""
        self._failed: deque[bool] = deque(maxlen=self._rule.window)
        self._failed_since_good: set[int] = set()
        self._blocks = 0
        self._probe: int | None = None
        self._bad_probes = 0

    @property
    def words(self) -> str:
        """Why nothing more is asked, in full: the reason, and why this scrape waits no longer."""
        return f"{self.reason}; {self._ending}" if self._ending else self.reason

    @property
    def wants_probe(self) -> bool:
        return self.state is State.PROBING and self._probe is None

    @property
    def _pause_s(self) -> float:
        return min(self._rule.pause_s * 2.0**self._bad_probes, self._rule.pause_max_s)

    def started(self, key: int, now: float) -> None:
        """A request is under way. While PROBING it is the probe."""
        self._under_way[key] = now
        if self.wants_probe:
            self._probe = key

    def answered(self, key: int, bears: Bears, told_s: float | None, now: float, detail: str = "") -> None:
        """It is answered; `told_s` is the host's Retry-After, `detail` what was wrong with the answer, in words."""
        self._under_way.pop(key, None)
        self._heard_at = now
        self._failed.append(bears is Bears.ERROR)
        probe = key == self._probe
        if probe:
            self._probe = None
        match bears:
            case _ if self.state is State.SHUT:
                pass
            case Bears.GOOD:
                self._blocks = 0
                self._failed_since_good.clear()
                if self.state is not State.CLOSED and now >= self._held_until:
                    self._close()
            case Bears.BLOCK:
                self._blocked(probe, now, detail)
            case Bears.PAUSE:
                self._asked_to_pause(probe, told_s, now)
            case Bears.ERROR if probe:
                self._probed_in_vain(now, detail)
            case Bears.ERROR:
                self._failed_once_more(key, now, detail)

    def _failed_once_more(self, key: int, now: float, detail: str) -> None:
        again = key in self._failed_since_good
        self._failed_since_good.add(key)
        if self.state is not State.CLOSED:
            return
        if (n := sum(self._failed)) >= self._rule.failed_of_window:
            self._open(f"{n} of the last {len(self._failed)} answers failed{_last(detail)}", self._pause_s, now)
        elif again:
            # Where little is asked at a time, the share would be noticed too late: the first requests would have used up their tries.
            self._open(f"failed twice for one request, and answered no other meanwhile{_last(detail)}", self._pause_s, now)

    def _blocked(self, probe: bool, now: float, detail: str) -> None:
        self._blocks += 1
        if probe and self.blocked:
            self.shut(f"blocked, and still so when asked again{_last(detail)}", now + self._rule.block_pause_s)
        elif self._blocks >= self._rule.blocks_in_a_row and not self.blocked:
            self.blocked = True
            self._open(f"blocked {self._blocks} times in a row{_last(detail)}", self._rule.block_pause_s, now)
        elif probe:
            self._probed_in_vain(now, detail)

    def _asked_to_pause(self, probe: bool, told_s: float | None, now: float) -> None:
        if told_s and told_s > self._rule.longest_told_s:
            self.shut(f"asked to wait {told_s:g} s", now + told_s)
        else:
            self._bad_probes += probe
            self._open(f"asked to wait {told_s:g} s" if told_s else "asked too often", told_s or self._pause_s, now)
            self._held_until = self.until

    def _probed_in_vain(self, now: float, detail: str = "") -> None:
        self._bad_probes += 1
        known = not detail or detail[:MAX_DETAIL] in self.reason
        self._open(self.reason if known else f"failed when asked again: {detail[:MAX_DETAIL]}", self._pause_s, now)

    def _open(self, reason: str, pause_s: float, now: float) -> None:
        self.opened_at = now if self.opened_at is None else self.opened_at
        self.state, self.reason, self._probe = State.OPEN, reason, None
        self.until = max(self.until, now + pause_s)

    def shut(self, reason: str, until: float = -inf, *, ending: str = "") -> None:
        """Ask the host no more in this scrape. `ending`: why this scrape waits no longer; it is no fault of the host."""
        self.state, self.reason, self._ending, self._probe = State.SHUT, reason, ending, None
        self.until = max(self.until, until)

    def hold(self, reason: str, until: float, now: float, *, blocked: bool = True) -> None:
        """As another scrape found it, before anything is asked: left alone until then, one probe after that. Shut where that is longer than a host is
        waited for. `blocked`: it is not waited for when nothing else is left to do."""
        self.blocked, self.is_held, self.opened_at = blocked, True, now
        self.state, self.reason, self.until = State.OPEN if until > now else State.PROBING, reason, until
        if until - now > self._rule.longest_told_s:
            self.shut(reason)

    def tick(self, now: float) -> None:
        """Lets time take effect: a stall opens, the end of a pause probes, probes without success for too long shut."""
        if (stalls_at := self._stalls_at()) is not None and stalls_at <= now:
            if self.state is State.PROBING:
                self._probed_in_vain(now)
            else:
                self._open(f"no answer for {self._rule.stall_s:g} s", self._pause_s, now)
        if (gives_up_at := self._gives_up_at()) is not None and gives_up_at <= now:
            self.shut(self.reason, now + self._rule.pause_max_s, ending=f"nothing better for {self._rule.give_up_s:g} s")
        elif self.state is State.OPEN and self.until <= now:
            self.state = State.PROBING

    def wake_at(self) -> float | None:
        """When `tick` may do something; None: not by time alone."""
        ends_at = self.until if self.state is State.OPEN else None
        return min((at for at in (self._stalls_at(), self._gives_up_at(), ends_at) if at is not None), default=None)

    def _stalls_at(self) -> float | None:
        if self._probe is not None:
            return self._under_way[self._probe] + self._rule.stall_s
        if self.state is State.CLOSED and self._under_way:
            return max(next(iter(self._under_way.values())), self._heard_at) + self._rule.stall_s
        return None

    def _gives_up_at(self) -> float | None:
        # Never before a probe has failed, however long the first pause: who is asked to wait is asked again once.
        waits = self.state in (State.OPEN, State.PROBING) and self._probe is None and self._bad_probes
        return self.opened_at + self._rule.give_up_s if waits and self.opened_at is not None else None


def _last(detail: str) -> str:
    return f", the last one with: {detail[:MAX_DETAIL]}" if detail else ""
