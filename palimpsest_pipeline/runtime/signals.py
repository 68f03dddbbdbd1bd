"""Ctrl-C and its like while something must not be torn apart. Knows nothing of what that is."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, Self

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Deferred:
    """Inside the block these signals do not raise wherever they happen to come: the first one cancels the task, and is raised when the block is left.

    An exception raised between any two instructions can be lost (an event loop only logs what a callback raises) or leave things half done. Who
    would have handled the signal handles it after the block. What is ignored stays ignored. Signals reach the main thread only: on another one
    this does nothing.
    """

    def __init__(self) -> None:
        self._arrived: list[int] = []
        self._task: asyncio.Task[Any] | None = None
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                if handler is not None and handler is not signal.SIG_IGN:
                    self._before[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for number in self._arrived[:1]:
            signal.raise_signal(number)

    @contextmanager
    def cancelling(self, task: asyncio.Task[Any] | None) -> Iterator[None]:
        """The task that is to end when a signal comes; at once, if one has come already."""
        self._task = task
        if self._arrived:
            self._cancel()
        try:
            yield
        finally:
            self._task = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._arrived.append(number)
        if len(self._arrived) == 1:
            self._cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task.get_loop().call_soon_threadsafe(lambda: None)  # wakes a loop that waits for the network
