"""Ctrl-C and its like while something must not be torn apart. Knows nothing of what that is."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, Self

DEFERRED_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DeferredSignals:
    """Inside the block these signals do not raise wherever they happen to come: the first one cancels the task, and is
    raised when the block is left.

    An exception raised between any two instructions can be lost (an event loop only logs what a callback raises) or
    leave things half done. Who would have handled the signal handles it after the block. What is ignored stays ignored.
    Signals reach the main thread only: on another one this does nothing.
    """

    def __init__(self) -> None:
        self._arrived_signals: list[int] = []
        self._task: asyncio.Task[Any] | None = None
        self._previous_handlers: dict[int, Callable[[int, FrameType | None], Any] | int] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in DEFERRED_SIGNALS:
                handler = signal.getsignal(number)
                if handler is not None and handler is not signal.SIG_IGN:
                    self._previous_handlers[number] = handler
                    signal.signal(number, self._record_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        for number in self._arrived_signals[:1]:
            signal.raise_signal(number)

    @contextmanager
    def cancel_on_signal(self, task: asyncio.Task[Any] | None) -> Iterator[None]:
        """The task that is to end when a signal comes; at once, if one has come already."""
        self._task = task
        if self._arrived_signals:
            self._cancel_task()
        try:
            yield
        finally:
            self._task = None

    def _record_signal(self, number: int, frame: FrameType | None) -> None:
        self._arrived_signals.append(number)
        if len(self._arrived_signals) == 1:
            self._cancel_task()

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task.get_loop().call_soon_threadsafe(lambda: None)  # wakes a loop that waits for the network
