"""Clocks of hosts: how far off they are, and that no wait is reckoned across two clocks."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.scrape import stage_tally
from palimpsest_pipeline.wire import failures
from palimpsest_pipeline_tests.fixtures.loopback import Loopback, answering

from .asking import client, request, send_request

AT = datetime(2026, 6, 26, 19, 0, tzinfo=UTC)


def with_headers(**headers: str) -> Answer:
    """An answer that took four seconds."""
    end = AT + timedelta(seconds=4)
    return Answer(request(), 1, AT, end, end, 200, headers, b"{}")


def written(instant: datetime) -> str:
    return format_datetime(instant, usegmt=True)


@pytest.mark.parametrize("offset_s", [-3600, -2, 0, 3600])
def test_the_offset_is_from_the_middle_of_asking_and_answer(offset_s: int) -> None:
    assert stage_tally.measure_offset_s(with_headers(date=written(AT + timedelta(seconds=2 + offset_s)))) == offset_s
    assert (
        stage_tally.measure_offset_s(with_headers(date=written(AT + timedelta(seconds=2 + offset_s)), age="0"))
        == offset_s
    )


@pytest.mark.parametrize(
    "headers", [{}, {"date": "yesterday"}, {"date": written(AT), "age": "3"}, {"date": written(AT), "age": "9000"}]
)
def test_without_a_date_of_its_own_an_answer_says_nothing_of_the_clock(headers: dict[str, str]) -> None:
    assert stage_tally.measure_offset_s(with_headers(**headers)) is None


@pytest.mark.parametrize("off_s", [-3600, 0, 3600])
@pytest.mark.parametrize("age_s", [0, 5])
def test_a_date_to_wait_for_is_read_by_the_clock_that_wrote_it(off_s: int, age_s: int) -> None:
    theirs = AT + timedelta(seconds=off_s)
    headers = {
        "date": written(theirs - timedelta(seconds=age_s)),
        "age": str(age_s),
        "retry-after": written(theirs + timedelta(seconds=2)),
    }
    assert failures.parse_retry_after_s(headers, AT) == 2
    headers["retry-after"] = written(theirs - timedelta(seconds=2))
    assert failures.parse_retry_after_s(headers, AT) == 0


@given(value=st.text(max_size=40) | st.integers().map(str) | st.datetimes(timezones=st.just(UTC)).map(written))
def test_whatever_a_host_writes_into_its_headers_can_be_reckoned_with(value: str) -> None:
    told_s = failures.parse_retry_after_s({"retry-after": value, "date": value, "age": value}, AT)
    assert told_s is None or 0 <= told_s < float("inf")
    assert AT - timedelta(seconds=failures.parse_age_s(value)) <= AT
    assert isinstance(stage_tally.measure_offset_s(with_headers(date=value)), float | None)


@pytest.mark.parametrize(("age", "believed_s"), [("3600", 3600), ("3601", 0), ("999999999", 0), ("-5", 0), ("soon", 0)])
async def test_an_age_above_an_hour_does_not_move_the_instant_of_an_answer(age: str, believed_s: int) -> None:
    async with Loopback() as host:
        host.script("/events", answering(Age=age))
        async with client(host.base_url) as asking:
            answer = await send_request(asking)
    assert answer.received_at - answer.observed_at == timedelta(seconds=believed_s)


async def test_an_absurd_age_is_no_reason_to_fail() -> None:
    async with Loopback() as host:
        host.script("/events", answering(Age="9" * 30))
        async with client(host.base_url) as asking:
            answer = await send_request(asking)
    assert answer.ok
    assert answer.observed_at == answer.received_at
