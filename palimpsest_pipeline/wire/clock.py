"""How far a host's clock is off ours, by its answers. Pure; nothing is corrected by it: instants of answers are those of our own clock."""

from ..domain.exchange import Answer
from .failures import age_s, http_date


def offset_s(answer: Answer) -> float | None:
    """Seconds that the host's clock is ahead of ours: its Date less the middle of asking and answer, right to a second or so.

    None without a Date, and for content from an edge cache, whose Date is that of the content.
    """
    said = http_date(answer.headers.get("date"))
    if said is None or age_s(answer.headers.get("age")):
        return None
    return (said - (answer.requested_at + (answer.received_at - answer.requested_at) / 2)).total_seconds()
