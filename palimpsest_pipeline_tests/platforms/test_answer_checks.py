"""What no platform's answer may be: refused, empty, HTML, another format, cut off."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind, Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import PayloadRejected
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET, build_adapters

from .support import AT, HTML, answer

ADAPTERS = build_adapters()
EVERY = [(platform, kind) for platform in PLATFORMS for kind in PayloadKind]


@pytest.mark.parametrize(("platform", "kind"), EVERY)
@pytest.mark.parametrize(
    ("sent", "failure"),
    [
        ((202, {}, b""), FailureClass.BLOCKED),
        ((403, HTML, b"<html><body>403 Forbidden</body></html>"), FailureClass.BLOCKED),
        ((200, HTML, b"<html><head><title>Just a moment...</title></head></html>"), FailureClass.BLOCKED),
        ((200, {}, b"\n  <!doctype html><html>blocked</html>"), FailureClass.BLOCKED),
        ((429, {}, b""), FailureClass.RATE_LIMITED),
        ((500, HTML, b"<html>oops</html>"), FailureClass.TRANSIENT),
        ((502, HTML, b"<html>502 Bad Gateway</html>"), FailureClass.TRANSIENT),
        ((503, {}, b""), FailureClass.TRANSIENT),
        ((408, {}, b""), FailureClass.TRANSIENT),
        ((301, {}, b""), FailureClass.CONTRACT_BROKEN),
        ((304, {}, b""), FailureClass.CONTRACT_BROKEN),
        ((400, {}, b'{"serverMessage": "no"}'), FailureClass.PERMANENT),
        ((401, {}, b""), FailureClass.PERMANENT),
        ((200, {}, b""), FailureClass.CONTRACT_BROKEN),
        (
            (200, {"content-type": "application/x-protobuf;charset=UTF-8"}, b"\x0a\x07\x08\x96\x01"),
            FailureClass.CONTRACT_BROKEN,
        ),
        ((200, {}, b"hello"), FailureClass.CONTRACT_BROKEN),
        ((200, {}, b"[1, 2]"), FailureClass.CONTRACT_BROKEN),
        ((200, {}, b'{"unknown": "object"}'), FailureClass.CONTRACT_BROKEN),
        ((200, {}, b'{"id": "1", "bizCode": 10000, "data": {"eventId": "sr:mat'), FailureClass.TRANSIENT),
    ],
)
def test_what_is_no_answer_is_judged_alike_everywhere(
    platform: Platform, kind: PayloadKind, sent: tuple[int, dict[str, str], bytes], failure: FailureClass
) -> None:
    status, headers, body = sent
    verdict = ADAPTERS[platform].judge(answer(platform, kind, body, status, headers))
    assert verdict is not None
    assert verdict[0] is failure
    assert verdict[1]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_answer_that_failed_before_keeps_its_failure(platform: Platform) -> None:
    request = Request(platform, PayloadKind.DETAIL, "/recorded")
    failed = Answer(request, 1, AT, AT, AT, None, {}, None, FailureClass.TRANSIENT, "timed out")
    assert ADAPTERS[platform].judge(failed) == (FailureClass.TRANSIENT, "timed out")
    for read in (ADAPTERS[platform].read_listing, ADAPTERS[platform].read_detail):
        with pytest.raises(PayloadRejected, match="timed out"):
            read([failed])


@pytest.mark.parametrize("platform", PLATFORMS)
def test_discovery_without_any_answer_is_failed_in_words(platform: Platform) -> None:
    discovery = ADAPTERS[platform].read_discovery([], Sport.FOOTBALL)
    assert discovery.completeness == "failed"
    assert discovery.reason
    assert not discovery.listings


ENVELOPES = {
    BETPAWA: b'{"id": "1", "startTime": "%s", "category": {"id": "2"}, "competition": {"id": "1"}}',
    SPORTYBET: b'{"bizCode": 10000, "data": {"eventId": "sr:match:1", "homeTeamName": "%s"}}',
    BET9JA: b'{"R": "OK", "D": {"ID": 1, "DS": "%s"}}',
}
LISTS = {
    BETPAWA: b'{"responses": [{"responses": [%s]}]}',
    SPORTYBET: b'{"bizCode": 10000, "data": {"totalNum": 1, "tournaments": [{"events": [%s]}]}}',
    BET9JA: b'{"R": "OK", "D": {"E": [%s]}}',
}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", [b"\xff\xfe", b"\xc3"])
def test_text_that_is_not_utf8_is_a_rejection_and_no_crash(platform: Platform, name: bytes) -> None:
    adapter = ADAPTERS[platform]
    event = ENVELOPES[platform] % name
    with pytest.raises(PayloadRejected):
        adapter.read_listing([answer(platform, PayloadKind.DETAIL, event)])
    assert (
        adapter.judge(
            answer(platform, PayloadKind.DETAIL, b'{"bizCode": "%s", "R": "%s", "id": "%s"}' % (name, name, name))
        )
        is not None
    )
    inner = b'{"eventId": "x", "ID": 1, "DS": "%s", "id": "%s", "homeTeamName": "%s"}' % (name, name, name)
    discovery = adapter.read_discovery([answer(platform, PayloadKind.LISTING, LISTS[platform] % inner)], Sport.FOOTBALL)
    assert len(discovery.rejects) == 1
    assert not discovery.listings


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("kind", PayloadKind)
def test_json_nested_without_end_is_judged_and_no_crash(platform: Platform, kind: PayloadKind) -> None:
    nested = b'{"id": %s, "bizCode": %s, "R": %s, "D": 1}' % ((b"[" * 5000 + b"]" * 5000,) * 3)
    assert ADAPTERS[platform].judge(answer(platform, kind, nested)) is not None


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_reason_shows_no_nul(platform: Platform) -> None:
    for status, body in (
        (500, b"\0 out of order \0"),
        (200, b"\0"),
        (200, b'{"a": "\0"}'),
        (200, b'{"error": "\\u0000", "innerMsg": "\\u0000", "R": "\\u0000"}'),
    ):
        verdict = ADAPTERS[platform].judge(answer(platform, PayloadKind.TREE, body, status))
        assert verdict is not None
        assert "\0" not in verdict[1]


WHOLE = {
    BETPAWA: b'{"id": "1", "startTime": "2026-06-26T19:00:00Z", "odds": [1.5e3, -2, true, null], "name": "%s"}',
    SPORTYBET: b'{"bizCode": 10000, "data": {"eventId": "sr:match:1", "odds": [1.5e3, -2, true, null], "homeTeamName": "%s"}}',
    BET9JA: b'{"R": "OK", "D": {"ID": 1, "odds": [1.5e3, -2, true, null], "DS": "%s"}}',
}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    "name",
    [b"\\ud83d", b"\\ud83d x", b"\\ude00", b"\\ud83d\\u0041", b"\\ud83d\\n", b'say "hello" to', b"tab\there", b"\\x41"],
)
def test_a_name_that_is_malformed_for_good_is_not_asked_for_again(platform: Platform, name: bytes) -> None:
    """Half of a surrogate pair, an escape that JSON does not have: the same answer would come again, and the host is
    not at fault.
    """
    verdict = ADAPTERS[platform].judge(answer(platform, PayloadKind.DETAIL, WHOLE[platform] % name))
    assert verdict is not None
    assert verdict[0] is FailureClass.CONTRACT_BROKEN
    assert verdict[1].startswith("malformed JSON: ")


@pytest.mark.parametrize("platform", PLATFORMS)
@given(data=st.data())
def test_an_answer_that_is_cut_off_anywhere_is_worth_another_try(platform: Platform, data: st.DataObject) -> None:
    names = st.text(st.characters(codec="utf-8"), max_size=6)
    body = WHOLE[platform] % json.dumps(data.draw(names), ensure_ascii=data.draw(st.booleans()))[1:-1].encode()
    cut = body[: data.draw(st.integers(1, len(body) - 1))]
    verdict = ADAPTERS[platform].judge(answer(platform, PayloadKind.DETAIL, cut))
    assert verdict is not None
    assert verdict[0] is FailureClass.TRANSIENT, verdict
