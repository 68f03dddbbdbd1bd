"""Measure the offset of a host's clock from the pipeline's clock. No I/O.

Nothing is corrected with it: instants of answers are those of the pipeline's clock.
"""

from palimpsest_pipeline.domain.exchange import Answer

from .failures import parse_http_date, parse_whole_seconds


def measure_offset_s(answer: Answer) -> float | None:
    """Return the seconds by which the host's clock is ahead of the pipeline's, with an error of about 1 s.

    It is the header Date minus the midpoint between request and answer. None without Date, and if Age is not 0, because
    an edge cache sends the Date of its stored content.
    """
    host_time = parse_http_date(answer.headers.get("date"))
    if host_time is None or parse_whole_seconds(answer.headers.get("age", "0")) != 0:
        return None
    return (host_time - (answer.requested_at + (answer.received_at - answer.requested_at) / 2)).total_seconds()
