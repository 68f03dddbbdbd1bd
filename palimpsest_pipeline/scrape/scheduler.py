"""Which request starts when: the heart of a scrape. Pure: no sockets, no clock, no asyncio; whoever drives it says what time it is."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import inf
from random import Random
from typing import Any, Final

from palimpsest_pipeline.domain.enums import FailureClass, Platform
from palimpsest_pipeline.wire.retry_rules import RULES, Bears, Rule, Wait

from .circuit_breaker import State
from .host_budget import PATIENCE, Budget
from .host_queue import Host
from .sinks import HostView

OUT_OF_TIME: Final = "the cycle's time was over"
"""Why something was not asked."""

Rank = tuple[Any, ...]
"""Smaller goes first. All ranks of one scheduler must be comparable."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to be made. `key` is never used twice in one scheduler."""

    key: int
    host: Platform


@dataclass(frozen=True, slots=True)
class Job:
    """Requests that belong together: all listings of a fixture, or one question of discovery. `key` is never used twice in one scheduler."""

    key: int
    rank: Rank
    asks: tuple[Ask, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """Send this ask now; then tell `answered`. `attempt` counts from 1."""

    ask: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Over:
    """There will be no (further) attempt; comes exactly once for each ask. `reason` is "" when the last answer is the verdict, else
    "not asked: ..."."""

    ask: int
    reason: str


Action = Start | Over


@dataclass(slots=True, eq=False)
class _Ask:
    key: int
    host: "_Host"
    job: "_Job"
    attempts: int = 0
    not_before: float = 0.0


@dataclass(slots=True, eq=False)
class _Job:
    key: int
    rank: Rank
    number: int
    """In order of arrival: decides among equal ranks."""
    asks: dict[int, _Ask] = field(default_factory=dict)
    """Not over yet."""
    waiting: dict[int, _Ask] = field(default_factory=dict)
    passes: int = 0
    """How often since its last start a later job took a slot or a turn of a host that this one waits for."""
    withdrawn: bool = False
    is_timed_out: bool = False
    """Withdrawn for want of time."""
    ticket: int = 0
    """Of its present place in a queue and among the sleeping; places with an older ticket are void."""


_Place = tuple[Rank, int, int, _Job]
_Host = Host["_Ask"]
_Need = tuple[tuple[_Host, int], ...]


class Scheduler:
    """Starts the requests of a job together, within the budget of every host, most important first; tries again; leaves out a host that fails.

    Times are seconds of one monotonic clock. After `add`, `extend`, `rerank`, `withdraw`, `answered` and at `wake_at`, call `due` and do what it
    says.

    - Waiting. A job has asks that wait, each not before some time (of a first try: none). Its gang is those that are due; it is due at the last
      of these times that lies within `together_s` of the first. A first start, a retry and a part that was left behind are thus the same thing:
      what failed together is tried again together, with the rank of its job.
    - Starting. A gang needs a slot for each of its asks (at most all slots of a host), and on each host a turn: the least gap since the last
      start, its jitter and the rate. It starts whole: all slots are taken, the first ask of each host starts at once, further ones of the same
      host have its next turns. A slot is held from there until `answered`; nothing is held while waiting for another try.
    - Order. By rank. A gang that finds no room is passed over; after `patience` passes its slots and turns are kept: later ones start only if
      they leave them. Jobs with equal needs are interchangeable but for their rank, so only the first of each need is ever looked at.
    - A host that is open is waited for, for at most `split_after_s` since it left closed; then it is left out, and jobs start on their other
      hosts. One that probes is sent one ask: of those with the fewest attempts, the best; what else waits of its job goes along if it finds room.
      One that is shut is asked nothing more.
    - A blocking host is not waited for: it is left out at once, and shut when nothing else is left to do. So is one that is held.
    - Where there is an end, nothing starts from then on: what waits is over. From half-way there on no job waits for room on one host to start on
      the others, so that a slow one costs the others nothing.
    """

    def __init__(
        self,
        budgets: Mapping[Platform, Budget],
        rules: Mapping[FailureClass, Rule] = RULES,
        *,
        patience: int = PATIENCE,
        together_s: float = 2.0,
        split_after_s: float = 5.0,
        rng: Random | None = None,
    ) -> None:
        self._hosts: dict[Platform, _Host] = {host: Host(budget) for host, budget in budgets.items()}
        self._rules = rules
        self._patience = patience
        self._together_s = together_s
        self._split_after_s = split_after_s
        self._rng = rng or Random()
        self._jobs: dict[int, _Job] = {}
        self._under_way: dict[int, _Ask] = {}
        self._ask_keys: set[int] = set()
        self._job_keys: set[int] = set()
        self._queues: dict[_Need, list[_Place]] = {}
        self._sleeping: list[tuple[float, int, _Job]] = []
        self._tickets = itertools.count(1)
        self._lacking: dict[_Host, int] | None = None
        """Of each host the least room that a gang there was in want of when all were last looked at: with less, no gang can start. None: something
        else has changed since."""
        self._actions: list[Action] = []
        self._now = 0.0
        self._split_at = self._ends_at = inf
        self._apart = False
        """Half-way to the end is over."""

    def end_at(self, ends_at: float, now: float) -> None:
        """Nothing starts at `ends_at` or later. What is under way then is the caller's to end; whatever is said of it bears nothing on its host."""
        self._split_at, self._ends_at = now + (ends_at - now) / 2, ends_at

    def hold(self, host: Platform, reason: str, until: float, now: float, *, blocked: bool = True) -> None:
        """Another scrape found this host in trouble: as `Breaker.hold`. Before the first job is added."""
        self._hosts[host].breaker.hold(reason, until, now, blocked=blocked)

    def add(self, job: Job, now: float) -> None:
        """Its asks wait from `now`. Raises ValueError for a job without asks, an unknown host, or a key used before."""
        self._check(job.asks)
        if job.key in self._job_keys:
            raise ValueError(f"a job needs asks, and keys that are new: {job}")
        self._now = now
        self._job_keys.add(job.key)
        known = self._jobs[job.key] = _Job(job.key, job.rank, len(self._job_keys))
        self._add_asks(known, job.asks, not_before=0.0)

    def extend(self, job: int, asks: Sequence[Ask], now: float) -> bool:
        """Add asks to a job that is not over. They start together with those of it that wait, or alone where none does.

        Return False, and add nothing, when the job is over or withdrawn. Raises ValueError as `add`.
        """
        self._check(asks)
        known = self._jobs.get(job)
        if known is None or known.withdrawn:
            return False
        self._now = now
        self._add_asks(known, asks, not_before=now)
        return True

    def _check(self, asks: Sequence[Ask]) -> None:
        """Raises ValueError where there is no ask, one of an unknown host, or a key that was used before."""
        keys = {ask.key for ask in asks}
        if not keys or len(keys) < len(asks) or keys & self._ask_keys:
            raise ValueError(f"a job needs asks, and keys that are new: {asks}")
        if unknown := {ask.host for ask in asks} - self._hosts.keys():
            raise ValueError(f"no budget for {', '.join(sorted(unknown))}")

    def _add_asks(self, job: _Job, asks: Sequence[Ask], *, not_before: float) -> None:
        for ask in asks:
            self._ask_keys.add(ask.key)
            job.asks[ask.key] = _Ask(ask.key, self._hosts[ask.host], job, not_before=not_before)
            self._wait(job.asks[ask.key])
        self._place(job)

    def rerank(self, job: int, rank: Rank) -> None:
        """A new place among those that wait. What has started is not touched; a job that is over is passed by."""
        known = self._jobs.get(job)
        if known and known.rank != rank:
            known.rank = rank
            self._place(known)

    def withdraw(self, job: int, reason: str, *, is_timed_out: bool = False) -> None:
        """Nothing of it starts any more: the next `due` says Over with "not asked: `reason`" for asks that have had no attempt, with "" for asks
        that waited for another. What is under way is answered as usual, and not tried again. A job that is over is passed by.

        `is_timed_out`: the caller ends what is under way, too; whatever is said of it bears nothing on its host."""
        if known := self._jobs.get(job):
            known.withdrawn, known.is_timed_out = True, is_timed_out
            for ask in [ask for ask in known.asks.values() if ask.key not in self._under_way]:
                self._give_up(ask, reason)

    def answered(self, ask: int, failure: FailureClass | None, told_s: float | None, now: float, detail: str = "") -> None:
        """The attempt is over and its slot free; `failure` None is a usable answer, `told_s` the host's Retry-After in seconds, `detail` the
        failure in words. The next `due` says Over if that was the last attempt. Raises ValueError for an ask that is not under way."""
        if ask not in self._under_way:
            raise ValueError(f"ask {ask} is not under way")
        self._now = now
        known = self._under_way.pop(ask)
        rule = self._rules[failure] if failure else None
        known.host.in_flight -= 1
        in_time = now < self._ends_at and not known.job.is_timed_out
        known.host.breaker.answered(ask, rule.bears if rule and in_time else Bears.NOTHING if rule else Bears.GOOD, told_s, now, detail)
        if rule and rule.tried_again and in_time and not known.job.withdrawn and known.attempts < known.host.budget.max_attempts:
            told = told_s if rule.wait is Wait.AS_TOLD else None
            known.not_before = now + (told or known.host.back_off_s(known.attempts, self._rng))
            self._wait(known)
            self._place(known.job)
        else:
            self._give_up(known, "")

    def due(self, now: float) -> list[Action]:
        """What happens now, in order. Each Start has taken its slot and its turn."""
        self._now = now
        for host in self._hosts.values():
            self._look_at(host)
        if not self._apart and self._split_at <= now:
            self._apart, self._lacking = True, None
        if self._ends_at <= now:
            self._end()
        while self._sleeping and self._sleeping[0][0] <= now:
            _, ticket, job = heappop(self._sleeping)
            if ticket == job.ticket:
                self._place(job)
        for host in self._hosts.values():
            self._follow(host)
            if host.breaker.wants_probe and host.free > 0 and host.turn_at <= now:
                self._probe(host)
        self._start_gangs()
        self._stop_waiting_for_blocking_hosts()
        actions, self._actions = self._actions, []
        return actions

    def wake_at(self) -> float | None:
        """When to call `due` again if nothing happens before; None: nothing waits for time. As of the last call."""
        while self._sleeping and self._sleeping[0][1] != self._sleeping[0][2].ticket:
            heappop(self._sleeping)
        times = [self._sleeping[0][0]] if self._sleeping else []
        for host in self._hosts.values():
            if (host.following or (host.waiting and host.free > 0)) and host.turn_at > self._now:
                times.append(host.turn_at)
            if host.waiting or host.in_flight:
                times.extend(at for at in (host.breaker.wake_at(), self._left_out_at(host)) if at is not None and at > self._now)
            if host.waiting or host.following:
                times.extend(at for at in (self._split_at, self._ends_at) if self._now < at < inf)
        return min(times, default=None)

    def host(self, host: Platform) -> HostView:
        """As of the last call."""
        it = self._hosts[host]
        rest_s = 0.0 if it.breaker.state is State.CLOSED else max(0.0, it.breaker.until - self._now)
        return HostView(it.in_flight, len(it.waiting) + len(it.following), it.breaker.state, it.breaker.reason, rest_s)

    @property
    def idle(self) -> bool:
        """Nothing waits, nothing is under way, and every Over has been said."""
        return not self._jobs and not self._actions

    # How hosts are asked

    def _left_out_at(self, host: _Host) -> float | None:
        opened_at = host.breaker.opened_at
        is_waited_for = not (host.breaker.blocked or host.breaker.is_held)
        return None if opened_at is None else opened_at + (self._split_after_s if is_waited_for else 0.0)

    def _look_at(self, host: _Host) -> None:
        """Lets time take effect on it, and draws the consequences."""
        host.breaker.tick(self._now)
        left_out_at = self._left_out_at(host)
        before = host.asked, host.left_out
        host.asked = host.breaker.state is State.CLOSED
        host.left_out = left_out_at is not None and left_out_at <= self._now
        if before != (host.asked, host.left_out):
            self._lacking = None
        if not host.asked:
            while host.following:
                ask = host.following.popleft()
                self._wait(ask)
                self._place(ask.job)
        if host.breaker.state is State.SHUT:
            for ask in list(host.waiting.values()):
                self._give_up(ask, host.breaker.words)

    def _probe(self, host: _Host) -> None:
        due = [ask for ask in host.waiting.values() if ask.not_before <= self._now]
        if due:
            ask = min(due, key=lambda ask: (ask.attempts, ask.job.rank, ask.job.number, ask.key))
            self._take([ask])
            self._place(ask.job)

    def _stop_waiting_for_blocking_hosts(self) -> None:
        if self._under_way:
            return
        waited_for = [host for host in self._hosts.values() if host.waiting or host.following]
        if all(host.breaker.blocked and host.breaker.state is State.OPEN for host in waited_for):
            for host in waited_for:
                host.breaker.shut(host.breaker.reason, ending="nothing else was left to do")
                self._look_at(host)

    def _end(self) -> None:
        for host in self._hosts.values():
            reason = OUT_OF_TIME if host.breaker.state is State.CLOSED else f"{host.breaker.reason}; {OUT_OF_TIME}"
            for ask in [*host.waiting.values(), *host.following]:
                self._give_up(ask, reason)

    # Waiting, starting, being over

    def _wait(self, ask: _Ask) -> None:
        ask.job.waiting[ask.key] = ask.host.waiting[ask.key] = ask

    def _place(self, job: _Job) -> None:
        """Puts it where it belongs by what of it waits: in the queue of its need, or to sleep until it is due, or, with parts to come, both."""
        job.ticket = next(self._tickets)
        times = [ask.not_before for ask in job.waiting.values()]
        latest = min(times, default=inf) + self._together_s
        due_at = max((at for at in times if at <= latest), default=inf)
        if due_at <= self._now:
            self._lacking = None
            n = Counter(ask.host for ask in job.waiting.values() if ask.not_before <= self._now)
            need = tuple((host, min(n[host], host.budget.max_in_flight)) for host in self._hosts.values() if host in n)
            heappush(self._queues.setdefault(need, []), (job.rank, job.number, job.ticket, job))
        if later := [at for at in times if at > self._now]:
            heappush(self._sleeping, (max(due_at, min(later)), job.ticket, job))

    def _start_gangs(self) -> None:
        for host in self._hosts.values():
            host.reckon_room(self._now, anew=True)
        if self._lacking is not None and all(host.room < n for host, n in self._lacking.items()):
            return
        lacking = self._lacking = {}  # Void again where what starts leaves a part that is due.
        heads = [(head, need) for need in self._queues if (head := self._head(need))]
        heapify(heads)
        passed: list[tuple[_Job, _Need]] = []
        while heads:
            (*_, job), whole = heappop(heads)
            need = tuple([part for part in whole if not part[0].left_out and (part[0].asked or not self._apart)])
            if not need or not all(host.asked for host, _ in need):
                continue  # It waits for a host, not for room: with room kept for it, one host that fails would hold up the others.
            if short := [part for part in need if part[0].room < part[1]]:
                for host, n in short if self._apart else short[:1]:
                    lacking[host] = min(n, lacking.get(host, n))
                ready = tuple([part for part in need if self._apart and part not in short])
                if not ready:
                    passed.append((job, need))
                    if job.passes >= self._patience:
                        self._keep(need)
                    continue
                need = ready
            self._start(job, need)
            job.passes = 0
            hosts = {host for host, _ in need}
            for other, others_need in passed:
                if any(host in hosts for host, _ in others_need):
                    other.passes += 1
                    if other.passes == self._patience:
                        self._keep(others_need)
            if head := self._head(whole):
                heappush(heads, (head, whole))

    def _keep(self, need: _Need) -> None:
        for host, n in need:
            host.keep(n, self._now)

    def _head(self, need: _Need) -> _Place | None:
        queue = self._queues[need]
        while queue and queue[0][2] != queue[0][3].ticket:
            heappop(queue)
        return queue[0] if queue else None

    def _start(self, job: _Job, need: _Need) -> None:
        for host, n in need:
            due = [ask for ask in job.waiting.values() if ask.host is host and ask.not_before <= self._now]
            self._take(due[:n])
            host.reckon_room(self._now)
        self._place(job)

    def _take(self, asks: list[_Ask]) -> None:
        """Gives asks of one host their slots, and as many as may the host's turns."""
        for ask in asks:
            del ask.job.waiting[ask.key], ask.host.waiting[ask.key]
            ask.host.following.append(ask)
        self._follow(asks[0].host)

    def _follow(self, host: _Host) -> None:
        while host.following and host.turn_at <= self._now:
            ask = host.following.popleft()
            ask.attempts += 1
            self._under_way[ask.key] = ask
            host.started(ask.key, self._now, self._rng)
            self._actions.append(Start(ask.key, ask.attempts))

    def _give_up(self, ask: _Ask, reason: str) -> None:
        job, host = ask.job, ask.host
        del job.asks[ask.key]
        if ask in host.following:
            host.following.remove(ask)
        elif job.waiting.pop(ask.key, None):
            del host.waiting[ask.key]
            self._place(job)
        if not job.asks:
            del self._jobs[job.key]
        self._actions.append(Over(ask.key, "" if ask.attempts else f"not asked: {reason}"))
