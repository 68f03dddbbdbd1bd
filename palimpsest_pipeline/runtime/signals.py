"""Defer Ctrl-C and similar signals during work that must not be interrupted at any point."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, Self

DEFERRED_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DeferredSignals:
    """Defers signals until the end of the block; the first signal cancels the task meanwhile.

    The task is the one of `cancel_on_signal`. A signal that raised an exception at any instruction could be lost (an
    event loop only logs exceptions of callbacks) or leave work half done. After the block, the previous handler gets
    the signal. Ignored signals stay ignored. In a thread other than the main thread this does nothing, because Python
    delivers signals only to the main thread.
    """

    def __init__(self) -> None:
        self._arrived_signals: list[int] = []
        self._task: asyncio.Task[Any] | None = None
        self._previous_handlers: dict[int, Callable[[int, FrameType | None], Any] | int] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for signal_number in DEFERRED_SIGNALS:
                handler = signal.getsignal(signal_number)
                if handler is not None and handler is not signal.SIG_IGN:
                    self._previous_handlers[signal_number] = handler
                    signal.signal(signal_number, self._record_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signal_number, handler in self._previous_handlers.items():
            signal.signal(signal_number, handler)
        for signal_number in self._arrived_signals[:1]:
            signal.raise_signal(signal_number)

    @contextmanager
    def cancel_on_signal(self, task: asyncio.Task[Any] | None) -> Iterator[None]:
        """Cancel `task` when a signal arrives in this block, or at once if a signal has already arrived."""
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
            self._task.get_loop().call_soon_threadsafe(lambda: None)  # wakes the event loop if it waits for the network
