"""Who may start next: slots per host, given to gangs that need one on each of several hosts at once. Knows nothing of what they do with them."""

import asyncio
import heapq
import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ..domain.words import Platform

Hosts = frozenset[Platform]


@dataclass(slots=True)
class _Queue:
    """Waiting gangs that need the same hosts: interchangeable but for their priority, so only the first one is ever looked at."""

    waiting: list[tuple[int, int]] = field(default_factory=list)
    passed_over: int = 0
    """How often a gang of lower priority took a slot that the first one here waits for."""


class GangQueue:
    """The decisions, without any waiting: pure and deterministic.

    A gang starts when every host that it needs has a free slot, then takes one on each. The lower its priority number, the sooner it is
    looked at; one that does not need a busy host goes past one that does. A gang that was gone past `patience` times has slots kept for it as
    they come free, so it starts in the end.
    """

    def __init__(self, budgets: Mapping[Platform, int], patience: int = 32) -> None:
        if any(n < 1 for n in budgets.values()):
            raise ValueError(f"every host needs at least one slot: {dict(budgets)}")
        self._budgets = dict(budgets)
        self._free = dict(budgets)
        self._patience = patience
        self._queues: dict[Hosts, _Queue] = {}
        self._ticket = itertools.count()

    def ask(self, hosts: Collection[Platform], priority: int) -> int:
        """Joins the queue; returns a ticket. Raises ValueError for no host or an unknown one."""
        if not hosts or not set(hosts) <= self._budgets.keys():
            raise ValueError(f"a gang needs known hosts, not {sorted(hosts)}")
        ticket = next(self._ticket)
        heapq.heappush(self._queues.setdefault(frozenset(hosts), _Queue()).waiting, (priority, ticket))
        return ticket

    def withdraw(self, ticket: int) -> None:
        """Leaves the queue without having started."""
        for queue in self._queues.values():
            if any(waiting[1] == ticket for waiting in queue.waiting):
                queue.waiting = [waiting for waiting in queue.waiting if waiting[1] != ticket]
                heapq.heapify(queue.waiting)

    def release(self, host: Platform) -> None:
        """Gives one slot of `host` back. Raises ValueError when none is out."""
        if self._free[host] >= self._budgets[host]:
            raise ValueError(f"no slot of {host} is out")
        self._free[host] += 1

    def grants(self) -> list[int]:
        """Tickets that start now, first things first; their slots are taken."""
        granted = []
        while (ticket := self._grant_one()) is not None:
            granted.append(ticket)
        return granted

    def _grant_one(self) -> int | None:
        open_slots = dict(self._free)
        passed: list[tuple[Hosts, _Queue]] = []
        for hosts, queue in sorted(((h, q) for h, q in self._queues.items() if q.waiting), key=lambda item: item[1].waiting[0]):
            if all(open_slots[host] > 0 for host in hosts):
                ticket = heapq.heappop(queue.waiting)[1]
                queue.passed_over = 0
                for host in hosts:
                    self._free[host] -= 1
                for other_hosts, other in passed:
                    other.passed_over += not hosts.isdisjoint(other_hosts)
                return ticket
            if queue.passed_over >= self._patience:
                for host in hosts:
                    open_slots[host] -= 1
            passed.append((hosts, queue))
        return None


class Slots:
    """The waiting round a GangQueue."""

    def __init__(self, budgets: Mapping[Platform, int]) -> None:
        self._queue = GangQueue(budgets)
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def acquire(self, hosts: Collection[Platform], priority: int) -> None:
        """Waits until every one of `hosts` has a free slot, and takes one on each. Each is given back by `release`."""
        ticket = self._queue.ask(hosts, priority)
        granted = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        self._start_those_that_can()
        try:
            await granted
        except asyncio.CancelledError:
            if self._waiting.pop(ticket, None) is None:
                # Given its slots and cancelled in the same turn of the loop, in whichever order: they go back.
                self.release(hosts)
            else:
                self._queue.withdraw(ticket)
            raise

    def release(self, hosts: Iterable[Platform]) -> None:
        for host in set(hosts):
            self._queue.release(host)
        self._start_those_that_can()

    def _start_those_that_can(self) -> None:
        for ticket in self._queue.grants():
            granted = self._waiting.pop(ticket)
            if not granted.done():
                granted.set_result(None)
