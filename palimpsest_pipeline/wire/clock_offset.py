"""The offset of a host's clock from ours, measured by its answers.

Pure. Nothing is corrected by it: instants of answers are those of our own clock.
"""

from palimpsest_pipeline.domain.exchange import Answer

from .failures import parse_http_date, parse_whole_seconds


def measure_offset_s(answer: Answer) -> float | None:
    """Return the seconds by which the host's clock is ahead of ours, accurate to about a second.

    It is the answer's Date less the midpoint between request and answer. None without a Date, and with any Age but 0:
    content from an edge cache carries the Date of the content.
    """
    host_time = parse_http_date(answer.headers.get("date"))
    if host_time is None or parse_whole_seconds(answer.headers.get("age", "0")) != 0:
        return None
    return (host_time - (answer.requested_at + (answer.received_at - answer.requested_at) / 2)).total_seconds()
