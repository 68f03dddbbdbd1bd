"""Signals that come while something must not be torn apart: they end the task, wait for the end of the block, and
are raised then.
"""

import asyncio
import signal
from collections.abc import Iterator

import pytest

from palimpsest_pipeline.runtime.signals import DeferredSignals


@pytest.fixture
def terminated() -> Iterator[list[int]]:
    """Handles SIGTERM by noting it down."""
    noted: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: noted.append(number))
    yield noted
    signal.signal(signal.SIGTERM, before)


def test_signals_in_the_block_are_raised_once_when_it_is_left(terminated: list[int]) -> None:
    with DeferredSignals():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert terminated == []
    assert terminated == [signal.SIGTERM]
    signal.raise_signal(signal.SIGTERM)
    assert len(terminated) == 2


@pytest.mark.parametrize("before_it_begins", [True, False])
def test_the_task_is_cancelled_also_by_a_signal_that_came_before_it(
    before_it_begins: bool, terminated: list[int]
) -> None:
    async def work(signals: DeferredSignals) -> None:
        with signals.cancel_on_signal(asyncio.current_task()):
            if not before_it_begins:
                asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
            await asyncio.Event().wait()

    with DeferredSignals() as signals:
        if before_it_begins:
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(work(signals))
        signal.raise_signal(signal.SIGTERM)  # the loop is closed by now
    assert terminated == [signal.SIGTERM]


def test_what_is_ignored_stays_ignored(terminated: list[int]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with DeferredSignals():
        signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    assert terminated == []
