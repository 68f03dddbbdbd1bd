"""How often and how long after: tenacity's terms for the table of failures. No I/O of its own."""

from collections.abc import Awaitable, Callable

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt, wait_exponential, wait_random_exponential

from ..domain.exchange import Answer
from .config import HostLimits
from .failures import retry_after_s
from .rules import RULES, Wait


def is_tried_again(answer: Answer) -> bool:
    return answer.failure is not None and RULES[answer.failure].tried_again


def retrying(limits: HostLimits, sleep: Callable[[float], Awaitable[None]], is_closed: Callable[[], bool]) -> AsyncRetrying:
    """Retry by failure class while the host is not closed; the last answer is returned, whatever it is. Exceptions are bugs and not retried."""
    return AsyncRetrying(
        retry=retry_if_result(lambda answer: is_tried_again(answer) and not is_closed()),
        stop=stop_after_attempt(limits.max_attempts),
        wait=_wait(limits),
        sleep=sleep,
        retry_error_callback=_last_answer,
    )


def _wait(limits: HostLimits) -> Callable[[RetryCallState], float]:
    draw = wait_random_exponential if limits.jitter else wait_exponential
    backoff = draw(multiplier=limits.backoff_initial_s, max=limits.backoff_max_s)

    def wait_s(state: RetryCallState) -> float:
        answer = _last_answer(state)
        told_s = retry_after_s(answer.headers, answer.received_at)
        if answer.failure is not None and RULES[answer.failure].wait is Wait.AS_TOLD and told_s is not None:
            return told_s
        return backoff(state)

    return wait_s


def _last_answer(state: RetryCallState) -> Answer:
    assert state.outcome is not None
    answer: Answer = state.outcome.result()
    return answer
