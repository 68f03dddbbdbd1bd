"""How far a host's clock is off ours, by its answers.

Pure; nothing is corrected by it: instants of answers are those of our own clock.
"""

from palimpsest_pipeline.domain.exchange import Answer

from .failures import parse_http_date, parse_whole_seconds


def measure_offset_s(answer: Answer) -> float | None:
    """Seconds that the host's clock is ahead of ours: its Date less the middle of asking and answer, right to a second
    or so.

    None without a Date, and with any Age but 0: content from an edge cache comes with the Date of the content.
    """
    said = parse_http_date(answer.headers.get("date"))
    if said is None or parse_whole_seconds(answer.headers.get("age", "0")) != 0:
        return None
    return (said - (answer.requested_at + (answer.received_at - answer.requested_at) / 2)).total_seconds()
