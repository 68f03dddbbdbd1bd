"""Gang start: in a simulated hour of asks and releases, for any mix of gangs, budgets and durations."""

import asyncio
import heapq
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.domain.words import Platform
from palimpsest_pipeline.scrape.slots import GangQueue, Slots

A, B, C = Platform.BETPAWA, Platform.SPORTYBET, Platform.BET9JA


@dataclass
class Ask:
    """A gang: when it asks, and how long it holds each of its hosts."""

    at: int
    durations: dict[Platform, int]


asks = st.builds(Ask, st.integers(0, 20), st.dictionaries(st.sampled_from([A, B, C]), st.integers(1, 9), min_size=1))
budgets = st.fixed_dictionaries({A: st.integers(1, 4), B: st.integers(1, 4), C: st.integers(1, 4)})


def play(gangs: list[Ask], slots: dict[Platform, int], patience: int) -> tuple[list[int], dict[int, int]]:
    """Runs all gangs on a simulated clock; priority is the place in the list. Checks every decision; returns order of start and how often
    each was gone past on one of its hosts by a gang of lower priority."""
    queue = GangQueue(slots, patience)
    free = dict(slots)
    waiting: dict[int, int] = {}
    order: list[int] = []
    gone_past = dict.fromkeys(range(len(gangs)), 0)
    events: list[tuple[int, int, str]] = [(gang.at, n, "") for n, gang in enumerate(gangs)]
    heapq.heapify(events)
    while events:
        now, n, released = heapq.heappop(events)
        if released:
            queue.release(Platform(released))
            free[Platform(released)] += 1
        else:
            waiting[queue.ask(gangs[n].durations, n)] = n
        for ticket in queue.grants():
            starting = waiting.pop(ticket)
            order.append(starting)
            for host, duration in gangs[starting].durations.items():
                free[host] -= 1
                assert free[host] >= 0, "over budget"
                heapq.heappush(events, (now + duration, starting, host))
            for other in waiting.values():
                if other < starting and gangs[other].durations.keys() & gangs[starting].durations.keys():
                    gone_past[other] += 1
        if patience > len(gangs):
            idle = [other for other in waiting.values() if all(free[host] > 0 for host in gangs[other].durations)]
            assert not idle, "a gang waits though all its hosts have a free slot"
    assert free == slots
    return order, gone_past


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(asks, max_size=40), budgets)
def test_gangs_start_whole_within_budget_and_no_slot_idles_that_a_waiting_gang_could_use(gangs: list[Ask], slots: dict[Platform, int]) -> None:
    order, _ = play(gangs, slots, patience=1000)
    assert sorted(order) == list(range(len(gangs)))


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(asks, max_size=40), budgets, st.integers(0, 3))
def test_with_little_patience_every_gang_still_starts_within_budget(gangs: list[Ask], slots: dict[Platform, int], patience: int) -> None:
    order, _ = play(gangs, slots, patience)
    assert sorted(order) == list(range(len(gangs)))


@pytest.mark.parametrize("patience", [0, 5])
def test_a_gang_is_not_starved_by_a_stream_of_small_ones(patience: int) -> None:
    # Two hosts that are never free at the same moment by chance: one listing after the other, out of step.
    stream = [Ask(n, {A: 3} if n % 2 else {B: 3}) for n in range(200)]
    gangs = [Ask(1, {A: 1, B: 1}), *stream]
    order, gone_past = play(gangs, {A: 1, B: 1, C: 1}, patience)
    assert gone_past[0] <= patience
    assert order.index(0) <= patience + 2


def test_equal_needs_start_by_priority_and_a_free_host_is_not_kept_idle_by_a_busy_one() -> None:
    queue = GangQueue({A: 1, B: 1, C: 1})
    both, only_b, later_a, sooner_a = queue.ask([A, B], 2), queue.ask([B], 5), queue.ask([A], 4), queue.ask([A], 1)
    assert queue.grants() == [sooner_a, only_b]
    queue.release(A)
    assert queue.grants() == [later_a]
    queue.release(A)
    queue.release(B)
    assert queue.grants() == [both]


@pytest.mark.parametrize("hosts", [[], ["nowhere"]])
def test_a_gang_without_known_hosts_is_refused(hosts: list[Platform]) -> None:
    with pytest.raises(ValueError, match="known hosts"):
        GangQueue({A: 1}).ask(hosts, 0)


def test_a_slot_that_nobody_took_cannot_be_given_back() -> None:
    with pytest.raises(ValueError, match="no slot"):
        GangQueue({A: 1}).release(A)


async def test_a_cancelled_wait_leaves_its_place_and_its_slots_to_others() -> None:
    slots = Slots({A: 1, B: 1})
    await slots.acquire([A], 0)
    gives_up = asyncio.create_task(slots.acquire([A, B], 1))
    waits_on = asyncio.create_task(slots.acquire([A, B], 2))
    await asyncio.sleep(0)
    gives_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gives_up
    slots.release([A])
    waits_on.cancel()  # granted in this very turn, and cancelled before it could know
    with pytest.raises(asyncio.CancelledError):
        await waits_on
    async with asyncio.timeout(5):
        await slots.acquire([A, B], 3)


async def test_slots_that_come_free_for_one_who_has_just_given_up_are_not_lost() -> None:
    slots = Slots({A: 1})
    await slots.acquire([A], 0)
    gives_up = asyncio.create_task(slots.acquire([A], 1))
    await asyncio.sleep(0)
    gives_up.cancel()
    slots.release([A])  # before the one who gave up has noticed
    with pytest.raises(asyncio.CancelledError):
        await gives_up
    async with asyncio.timeout(5):
        await slots.acquire([A], 2)
