"""Contain errors of platform adapters: an exception becomes a failure of that platform only."""

import logging
from collections.abc import Callable

from palimpsest_pipeline.domain.enums import FailureClass
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.printable_text import escape_controls
from palimpsest_pipeline.platforms.base import PlatformAdapter

log = logging.getLogger(__name__)


def describe_error(error: BaseException) -> str:
    """Return an exception as one line of text."""
    return escape_controls(f"{type(error).__name__}: {error}".rstrip(": "), kept_characters="\n")


def guard_judge(adapter: PlatformAdapter) -> Callable[[Answer], tuple[FailureClass, str] | None]:
    """Return a wrapper of the adapter's `judge` that converts exceptions to the failure `contract_broken`."""

    def judge(answer: Answer) -> tuple[FailureClass, str] | None:
        try:
            return adapter.judge(answer)
        except Exception as error:
            log.exception("%s: %s could not be judged", adapter.platform, answer.request.path)
            return FailureClass.CONTRACT_BROKEN, f"could not be judged: {describe_error(error)}"

    return judge
