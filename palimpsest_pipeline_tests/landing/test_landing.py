"""The raw store: what is appended comes back byte for byte, and readers see a cycle whole or not at all."""

import os
import random
import threading
import tracemalloc
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import msgspec
import polars as pl
import pytest
from botocore.exceptions import EndpointConnectionError
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind, Platform, RunStatus, Scope, Trigger
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.landing import (
    ANSWER_SCHEMA,
    CycleWriter,
    Landing,
    LandingError,
    LandingIncomplete,
    LandingUnreadable,
    Segment,
)
from palimpsest_pipeline.landing.manifest import build_manifest
from palimpsest_pipeline.landing.schema import LISTING_COLUMNS, build_answers, build_frame
from palimpsest_pipeline.landing.writer import PENDING_SEGMENTS
from palimpsest_pipeline_tests.fixtures.examples import count_examples
from palimpsest_pipeline_tests.fixtures.object_store import s3_bucket
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET

HOUR = datetime(2026, 6, 26, 10, tzinfo=UTC)
RECEIVED = datetime(2026, 6, 26, 10, 25, 3, 123456, tzinfo=UTC)

PATIENCE_S = 60
"""For what comes in milliseconds: past it something hangs."""


def cycle(cycle_id: int = 20260626102500000, hour: datetime = HOUR) -> Cycle:
    return Cycle(cycle_id, Trigger.SCHEDULED, Scope.FULL, BETPAWA, hour, hour + timedelta(minutes=25), "run-1", ())


def answer(
    number: int,
    platform: Platform = BETPAWA,
    kind: PayloadKind = PayloadKind.DETAIL,
    body: bytes | None = b"{}",
    attempt: int = 1,
) -> Answer:
    ids = {"external_id": str(number), "sr_id": 7_000_000 + number}
    request = Request(platform, kind, f"/event/{number}", {"b": "2", "a": "ü"}, **ids)
    received_at = RECEIVED + timedelta(seconds=number)
    times = received_at - timedelta(seconds=attempt), received_at, received_at - timedelta(seconds=9)
    return Answer(request, attempt, *times, 200, {"age": "9"}, body)


def kill(landing: Landing, numbers: Iterable[int], flush_answers: int, attempt: int = 1) -> None:
    """A writer whose process dies when its whole segments are written and the rest is still in memory."""
    writer = CycleWriter(landing, cycle(), flush_answers=flush_answers, flush_age_s=86_400)
    for number in numbers:
        writer.append(answer(number, attempt=attempt))
    with writer._changed:
        assert writer._changed.wait_for(lambda: not writer._pending and not writer._busy, PATIENCE_S)
        writer._waiting_answers.clear()
        writer._closing = True
        writer._changed.notify_all()


def land(landing: Landing, *answers: Answer, of: Cycle | None = None, stages: tuple[str, ...] = ("capture",)) -> None:
    writer = landing.open_writer(of or cycle())
    for one in answers:
        writer.append(one)
    writer.close(RunStatus.COMPLETED, RECEIVED + timedelta(minutes=5), stages)


instants = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
texts = st.text(st.characters(codec="utf-8"), max_size=20)
requests = st.builds(
    Request,
    platform=st.sampled_from(PLATFORMS),
    kind=st.sampled_from(PayloadKind),
    path=texts,
    params=st.dictionaries(texts, texts, max_size=3),
    method=st.sampled_from(["GET", "POST"]),
    json_body=st.none() | texts.map(str.encode),
    external_id=st.none() | texts,
    tournament_external_id=st.none() | texts,
    sr_id=st.none() | st.integers(0, 2**53),
)
answers = st.builds(
    Answer,
    request=requests,
    attempt=st.integers(1, 9),
    requested_at=instants,
    received_at=instants,
    observed_at=instants,
    status=st.none() | st.integers(100, 599),
    headers=st.dictionaries(texts, texts, max_size=3),
    body=st.none() | st.binary(max_size=200),
    failure=st.none() | st.sampled_from(FailureClass),
    failure_detail=texts,
)


@settings(max_examples=count_examples(40), deadline=None)
@given(st.lists(answers, max_size=5))
def test_any_answer_survives_the_frame_unchanged(given_answers: list[Answer]) -> None:
    frame = build_frame(20260626102500000, given_answers)
    assert dict(frame.schema) == ANSWER_SCHEMA
    assert list(build_answers(frame)) == given_answers


def test_answers_come_back_byte_for_byte_with_null_bodies_and_failures(tmp_path: Path) -> None:
    sent = {"method": "POST", "json_body": b'{"g": 1}', "tournament_external_id": "170880"}
    failure = FailureClass.TRANSIENT, "read timed out"
    request = Request(BET9JA, PayloadKind.LISTING, "/group", **sent)
    refused = Answer(request, 3, RECEIVED, RECEIVED, RECEIVED, None, {}, None, *failure)
    bodies = (b'{"caf\xc3\xa9": 1.10}', b"", b"\x00\xff not text")
    given_answers = [*(answer(n, body=body) for n, body in enumerate(bodies, 1)), refused]
    landing = Landing(str(tmp_path / "landing"))
    land(landing, *given_answers)
    [manifest] = landing.list_cycles()
    frame = landing.read_answers(manifest)
    assert dict(frame.schema) == ANSWER_SCHEMA
    assert sorted(landing.iterate_answers(frame), key=lambda a: a.request.key) == sorted(
        given_answers, key=lambda a: a.request.key
    )
    empty, none = frame.filter(frame["external_id"] == "2"), frame.filter(frame["platform"] == "bet9ja")
    assert empty["body_hash"].item() is not None
    assert none["body"].null_count() == none["body_hash"].null_count() == 1


class AwayFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """A store whose package raises an error of its own, which repeats the endpoint's address, as S3's does."""

    protocol = "away"

    def _fail(self, *_: object, **__: object) -> Any:
        raise EndpointConnectionError(endpoint_url=os.environ["AWS_ENDPOINT_URL"].replace("http://", "to "))

    ls = info = exists = isdir = cat_file = open = pipe_file = put_file = get_file = rm = _fail


LANDING_CALLS: dict[str, Callable[[Landing], object]] = {
    "hours": Landing.list_hours,
    "cycles": Landing.list_cycles,
    "manifest": lambda landing: landing.read_manifest(7),
    "manifest of an hour": lambda landing: landing.read_manifest(7, RECEIVED),
    "reread": lambda landing: landing.reread_manifest(
        build_manifest(cycle(), RunStatus.COMPLETED, RECEIVED, (), (), ())
    ),
    "writer": lambda landing: landing.open_writer(cycle()),
    "put": lambda landing: landing._replace_file(landing.root / "file", b""),
    "remove": lambda landing: landing._remove(landing.root / "file"),
    "examine": lambda landing: landing._examine_segment(landing.root, BET9JA, "file"),
    "segment": lambda landing: list(
        landing.iterate_segment(cycle(), Segment("seg", BET9JA, 1, 1, "sha"), [PayloadKind.DETAIL])
    ),
}


@pytest.mark.parametrize("call", LANDING_CALLS.values(), ids=LANDING_CALLS)
def test_whatever_a_store_raises_is_an_error_of_the_landing_that_shows_no_password(
    call: Callable[[Landing], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio:mar-ker@minio:9000")
    fsspec.register_implementation("away", AwayFileSystem, clobber=True)
    with pytest.raises(LandingError, match="Could not connect") as caught:
        call(Landing("away://landing"))
    assert "mar-ker" not in str(caught.value)


def test_readers_see_nothing_of_a_cycle_before_its_manifest(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    writer = landing.open_writer(cycle())
    writer.append(answer(1))
    writer.flush()
    assert list(tmp_path.rglob("seg-*.parquet"))
    assert landing.list_cycles() == []
    assert landing.list_unclosed_cycles() == [cycle().cycle_id]
    with pytest.raises(LandingError, match="no closed cycle 20260626102500000"):
        landing.read_manifest(cycle().cycle_id)
    manifest = writer.close(RunStatus.COMPLETED, RECEIVED, ("capture",))
    assert landing.list_cycles() == [manifest] == [landing.read_manifest(manifest.cycle_id)]
    assert landing.read_manifest(manifest.cycle_id, manifest.partition_hour) == manifest
    with pytest.raises(LandingIncomplete, match="no closed cycle"):
        landing.read_manifest(manifest.cycle_id, manifest.partition_hour - timedelta(hours=1))
    assert landing.list_unclosed_cycles() == []
    assert manifest.cycle == cycle()


def test_an_interrupted_cycle_keeps_the_segments_that_were_written(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    kill(landing, range(5), flush_answers=2)
    unfinished = next(tmp_path.rglob("platform=betpawa")) / ".seg-0002-0a.parquet.99.tmp"
    unfinished.write_bytes(b"half")
    manifest = landing.close_interrupted(cycle(), RECEIVED)
    assert manifest.status is RunStatus.INTERRUPTED
    assert [segment.name.rpartition("-")[0] for segment in manifest.segments] == [
        "platform=betpawa/seg-0000",
        "platform=betpawa/seg-0001",
    ]
    assert landing.read_answers(landing.read_manifest(manifest.cycle_id))["external_id"].to_list() == [
        "0",
        "1",
        "2",
        "3",
    ]


def test_a_capture_that_died_keeps_the_stages_before_it(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    land(landing, answer(1, kind=PayloadKind.TREE), stages=("discovery",))
    kill(landing, range(2, 4), flush_answers=1)
    manifest = landing.close_interrupted(cycle(), RECEIVED)
    assert (manifest.status, manifest.stages, manifest.rows) == (RunStatus.INTERRUPTED, ("discovery",), 3)


@settings(max_examples=count_examples(15), deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.integers(1, 3), st.booleans())
def test_a_cycle_that_is_resumed_however_often_has_every_landed_answer_once(
    parts: list[int], flush_answers: int, closed_between: bool
) -> None:
    """Each writer dies with what it had not written; the next one asks for that again, at another instant."""
    landing = Landing(f"memory://{uuid.uuid4().hex}/landing")
    wanted = {str(number) for number in range(sum(parts))}
    begin = 0
    for attempt, size in enumerate(parts, start=1):
        kill(landing, range(begin, begin + size), flush_answers=flush_answers, attempt=attempt)
        begin += size
        if closed_between:
            landing.close_interrupted(cycle(), RECEIVED)
    before = landing.read_landed_listings(cycle().cycle_id)
    missing = wanted - set(before["external_id"])
    land(landing, *(answer(int(number), attempt=9) for number in sorted(missing)))
    manifest = landing.read_manifest(cycle().cycle_id)
    found = [
        (one.request.key, one.attempt, one.requested_at)
        for one in landing.iterate_answers(landing.read_answers(manifest))
    ]
    assert len(found) == len(set(found)) == len(wanted)
    listed = landing.read_landed_listings(cycle().cycle_id)
    assert sorted(listed["external_id"]) == sorted(wanted)
    assert set(before.rows()) <= set(listed.rows())


@pytest.mark.parametrize("left", [0, 3, 0.2, 0.9, -8, -1])
def test_a_torn_segment_is_named_and_takes_no_other_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, left: float
) -> None:
    landing = Landing(tmp_path)
    kill(landing, range(3), flush_answers=1)
    path = next(tmp_path.rglob("seg-0001-*.parquet"))
    content = path.read_bytes()
    path.write_bytes(content[: left if isinstance(left, int) else int(left * len(content))])
    assert landing.read_landed_listings(cycle().cycle_id)["external_id"].to_list() == ["0", "2"]
    assert f"{path.name} cannot be read" in caplog.text
    manifest = landing.close_interrupted(cycle(), RECEIVED)
    assert manifest.torn == (f"platform=betpawa/{path.name}",)
    assert landing.read_manifest(manifest.cycle_id) == manifest
    assert landing.read_answers(manifest)["external_id"].to_list() == ["0", "2"]


def test_what_is_landed_is_listed_without_bodies_while_the_cycle_runs(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    assert landing.read_landed_listings(cycle().cycle_id).is_empty()
    land(landing, answer(1, BET9JA, PayloadKind.TREE), stages=("discovery",))
    writer = landing.open_writer(cycle())
    failed = {"failure": FailureClass.BLOCKED, "failure_detail": "HTML", "status": None}
    good, bad = answer(2, body=b"{...}"), replace(answer(3, body=None), **failed)
    writer.append(good)
    writer.append(bad)
    writer.flush()
    listed = landing.read_landed_listings(cycle().cycle_id)
    assert dict(listed.schema) == {name: ANSWER_SCHEMA[source] for name, source in LISTING_COLUMNS.items()}
    assert listed.columns == [
        "platform",
        "kind",
        "path",
        "params",
        "external_id",
        "sr_id",
        "attempt",
        "status",
        "failure",
        "failure_detail",
        "requested_at",
        "received_at",
        "observed_at",
        "n_bytes",
    ]
    good_at, bad_at = ((one.requested_at, one.received_at, one.observed_at) for one in (good, bad))
    assert listed.drop("path", "params").sort("external_id").rows()[1:] == [
        ("betpawa", "detail", "2", 7_000_002, 1, 200, None, "", *good_at, 5),
        ("betpawa", "detail", "3", 7_000_003, 1, None, "blocked", "HTML", *bad_at, 0),
    ]
    writer.close(RunStatus.COMPLETED, RECEIVED, ("capture",))
    assert landing.read_landed_listings(cycle().cycle_id).equals(listed)


def test_an_answer_that_has_waited_long_enough_is_written_though_no_other_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = Landing(tmp_path)
    written, threads, put = threading.Event(), [], landing._create

    def noted(path: UPath, content: bytes) -> None:
        put(path, content)
        threads.append(threading.current_thread().name)
        written.set()

    monkeypatch.setattr(landing, "_create", noted)
    writer = CycleWriter(landing, cycle(), flush_age_s=0.01)
    writer.append(answer(1))
    assert written.wait(PATIENCE_S)
    assert landing.read_landed_listings(cycle().cycle_id)["external_id"].to_list() == ["1"]
    assert threads == ["landing"]
    assert writer.close(RunStatus.COMPLETED, RECEIVED).rows == 1


def test_on_a_slow_store_append_waits_and_no_more_than_two_segments_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = Landing(tmp_path)
    writer = CycleWriter(landing, cycle(), flush_answers=1)
    total, put = 10, landing._create
    appended, kept, pending = [0], [0], []

    def slow(path: UPath, content: bytes) -> None:
        """Goes on only when as many wait as ever will."""
        with writer._changed:
            assert writer._changed.wait_for(lambda: len(writer._pending) == min(2, total - 1 - kept[0]), PATIENCE_S)
            pending.append(len(writer._pending))
            assert (
                appended[0] - kept[0] <= 3
            )  # the one being written and those that wait; a further one is still in `append`
        put(path, content)
        kept[0] += 1

    monkeypatch.setattr(landing, "_create", slow)
    for number in range(total):
        writer.append(answer(number))
        appended[0] += 1
    writer.flush()
    assert pending == [2] * 8 + [1, 0]
    monkeypatch.setattr(landing, "_create", put)
    assert writer.close(RunStatus.COMPLETED, RECEIVED).rows == total


def test_a_segment_that_cannot_be_written_ends_the_scrape_and_leaves_the_others_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = Landing(tmp_path)
    put = landing._create

    def full(path: UPath, content: bytes) -> None:
        if path.name.startswith("seg-0001"):
            raise LandingError("no space left on device")
        put(path, content)

    monkeypatch.setattr(landing, "_create", full)
    writer = CycleWriter(landing, cycle(), flush_answers=1)
    for number in range(2):
        writer.append(answer(number))
    for _ in range(2):
        with pytest.raises(LandingError, match="no space"):
            writer.flush()
    with pytest.raises(LandingError, match="no space"):
        writer.append(answer(2))
    with pytest.raises(LandingError, match="no space"):
        writer.close(RunStatus.FAILED, RECEIVED, ("capture",))
    [manifest] = landing.list_cycles()
    assert (manifest.status, manifest.stages) == (RunStatus.FAILED, ("capture",))
    assert landing.read_answers(manifest)["external_id"].to_list() == ["0"]


def test_a_panic_on_the_writers_thread_is_raised_and_nobody_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Panic(BaseException):
        """As Polars' own: no Exception."""

    def panic(path: UPath, content: bytes) -> None:
        raise Panic

    writer = CycleWriter(Landing(tmp_path), cycle(), flush_answers=1)
    monkeypatch.setattr(writer, "_write", panic)
    raised = 0
    for number in range(PENDING_SEGMENTS + 3):
        try:
            writer.append(answer(number))
        except Panic:
            raised += 1
        with writer._changed:
            assert writer._changed.wait_for(lambda: not writer._pending and not writer._busy, PATIENCE_S)
    assert raised == PENDING_SEGMENTS + 2
    with pytest.raises(Panic):
        writer.close(RunStatus.FAILED, RECEIVED)


def test_memory_does_not_grow_with_the_cycle(tmp_path: Path) -> None:
    size, flush_bytes = 20_000, 200_000
    noise = random.Random(1)

    def peak(count: int, name: str) -> int:
        writer = CycleWriter(Landing(tmp_path / name), cycle(), flush_bytes=flush_bytes)
        tracemalloc.start()
        for number in range(count):
            writer.append(answer(number, list(PLATFORMS)[number % 3], body=noise.randbytes(size)))
        writer.flush()
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert writer.close(RunStatus.COMPLETED, RECEIVED).rows == count
        return highest

    # A segment in the making per platform, two that wait, one being written and its file.
    bound = (len(PLATFORMS) + 2 + 1 + 1) * flush_bytes + 500_000
    assert max(peak(150, "short"), peak(600, "long")) < bound < 150 * size


def test_capture_extends_the_manifest_of_discovery_and_changes_the_digest(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    land(landing, answer(1, kind=PayloadKind.TREE), stages=("discovery",))
    discovered = landing.read_manifest(cycle().cycle_id)
    land(landing, answer(2), answer(3, SPORTYBET), stages=("capture",))
    captured = landing.read_manifest(cycle().cycle_id)
    assert captured.stages == ("discovery", "capture")
    assert set(discovered.segments) < set(captured.segments)
    assert captured.rows == 3
    assert captured.digest != discovered.digest
    assert landing.list_cycles() == [captured]


def test_late_platforms_of_a_stage_stay_in_the_manifest(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    writer = landing.open_writer(cycle())
    writer.append(answer(1, kind=PayloadKind.TREE))
    writer.close(RunStatus.PARTIAL, RECEIVED, ("discovery",), [SPORTYBET])
    landing.close_interrupted(cycle(), RECEIVED)
    land(landing, answer(2), stages=("capture",))
    assert landing.read_manifest(cycle().cycle_id).late == (SPORTYBET,)


def test_the_digest_speaks_of_the_content_only(tmp_path: Path) -> None:
    one, other = Landing(tmp_path / "one"), Landing(tmp_path / "other")
    land(one, answer(1), answer(2), stages=("capture",))
    land(other, answer(1), answer(2), stages=("something else",))
    assert one.list_cycles()[0].digest == other.list_cycles()[0].digest
    assert one.list_cycles() != other.list_cycles()


def test_a_segment_is_written_when_enough_answers_or_bytes_wait_and_none_is_ever_overwritten(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    by_count = CycleWriter(landing, cycle(), flush_answers=3)
    for number in range(7):
        by_count.append(answer(number))
    assert [segment.rows for segment in by_count.close(RunStatus.COMPLETED, RECEIVED).segments] == [3, 3, 1]
    written = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    by_bytes = CycleWriter(landing, cycle(), flush_bytes=10)
    for number in range(3):
        by_bytes.append(answer(number, body=b"12345678"))
    assert [segment.rows for segment in by_bytes.close(RunStatus.COMPLETED, RECEIVED).segments] == [3, 3, 1, 2, 1]
    assert written == {path: path.read_bytes() for path in written}


def test_a_missing_or_changed_segment_is_named_and_nothing_is_read(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    land(landing, answer(1), answer(2, SPORTYBET), answer(3, BET9JA))
    [manifest] = landing.list_cycles()
    next(tmp_path.rglob("platform=sportybet/seg-0000-*.parquet")).unlink()
    with pytest.raises(LandingIncomplete, match=r"missing .*platform=sportybet/seg-0000-[0-9a-f]{8}\.parquet$"):
        landing.read_segments(manifest)
    with pytest.raises(LandingIncomplete):
        landing.read_answers(manifest)
    assert landing.read_answers(manifest, platforms=[BETPAWA])["external_id"].to_list() == ["1"]
    path = next(tmp_path.rglob("platform=bet9ja/seg-0000-*.parquet"))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LandingIncomplete, match=rf"{path.name} .* not as it was written"):
        landing.read_answers(manifest, platforms=[BET9JA])


def test_reading_selects_kinds_and_platforms(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    land(landing, answer(1, kind=PayloadKind.TREE), answer(2), answer(3, BET9JA))
    [manifest] = landing.list_cycles()
    assert landing.read_answers(manifest, kinds=[PayloadKind.DETAIL])["external_id"].sort().to_list() == ["2", "3"]
    assert landing.read_answers(manifest, kinds=[PayloadKind.DETAIL], platforms=[BET9JA])["external_id"].to_list() == [
        "3"
    ]
    assert landing.read_answers(manifest, kinds=[PayloadKind.LISTING]).height == 0


def test_copies_of_segments_under_the_names_of_another_writer_are_read(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    for number in range(2):
        land(landing, answer(number))
    manifest = landing.read_manifest(cycle().cycle_id)
    expected = landing.read_answers(manifest, kinds=[PayloadKind.DETAIL])
    folder = next(tmp_path.rglob("manifest.json")).parent
    renamed = []
    for segment in manifest.segments:
        name = f"{segment.name.rpartition('-')[0]}-00c0ffee.parquet"
        (folder / segment.name).rename(folder / name)
        renamed.append(msgspec.structs.replace(segment, name=name))
    copies = msgspec.structs.replace(manifest, segments=tuple(renamed))
    assert copies.digest == manifest.digest
    assert landing.read_answers(copies, kinds=[PayloadKind.DETAIL]).equals(expected)
    assert expected["external_id"].to_list() == ["0", "1"]


def test_columns_that_do_not_stay_in_memory_are_read_from_the_segments(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    land(landing, answer(1, kind=PayloadKind.TREE), stages=("discovery",))
    land(landing, answer(2), answer(3, BET9JA))
    manifest = landing.read_manifest(cycle().cycle_id)
    details = landing.read_answers(manifest, kinds=[PayloadKind.DETAIL])
    for name in ANSWER_SCHEMA:
        assert landing.read_answers(manifest, kinds=[PayloadKind.DETAIL], columns=[name]).equals(details.select(name))


def test_one_segment_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    landing = Landing(tmp_path)
    for number in range(2):
        land(landing, answer(number))
    manifest = landing.read_manifest(cycle().cycle_id)
    landing.read_answers(manifest, columns=["kind"])
    names: list[str] = []
    read_segment = landing._read_segment

    def count(folder: UPath, cycle_id: int, segment: Segment, *args: Any) -> pl.DataFrame | None:
        names.append(segment.name)
        return read_segment(folder, cycle_id, segment, *args)

    monkeypatch.setattr(landing, "_read_segment", count)
    for segment in manifest.segments:
        part = msgspec.structs.replace(manifest, segments=(segment,))
        assert landing.read_answers(part, kinds=[PayloadKind.DETAIL]).height == 1
    assert names == [segment.name for segment in manifest.segments]
    landing.read_answers(manifest, columns=["kind"])
    assert len(names) == 2, "the columns of the whole cycle have stayed in memory"


def test_a_segment_can_be_read_as_soon_as_it_is_landed(tmp_path: Path) -> None:
    found: list[Answer] = []
    segments: list[Segment] = []

    def read(landed_cycle: Cycle, segment: Segment) -> None:
        segments.append(segment)
        found.extend(landing.iterate_segment(landed_cycle, segment, [PayloadKind.DETAIL]))

    landing = Landing(tmp_path, read)
    answers = [answer(1), answer(2, kind=PayloadKind.LISTING), answer(3)]
    writer = landing.open_writer(cycle())
    for each in answers:
        writer.append(each)
    writer.flush()
    assert found == [answers[0], answers[2]]
    writer.close(RunStatus.COMPLETED, RECEIVED)
    path = next(tmp_path.rglob("seg-*.parquet"))
    path.write_bytes(path.read_bytes() + b"?")
    with pytest.raises(LandingIncomplete, match="not as it was written"):
        list(landing.iterate_segment(cycle(), segments[0], [PayloadKind.DETAIL]))
    path.unlink()
    with pytest.raises(LandingIncomplete, match="missing"):
        list(landing.iterate_segment(cycle(), segments[0], [PayloadKind.DETAIL]))


def test_cycles_are_listed_by_hour_and_by_window(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    for offset in (-1, 0, 1):
        land(landing, answer(1), of=cycle(20260626102500000 + offset, HOUR + timedelta(hours=offset)))
    ids = [manifest.cycle_id for manifest in landing.list_cycles()]
    assert ids == sorted(ids)
    assert [m.cycle_id for m in landing.list_cycles(hour=HOUR + timedelta(minutes=59))] == [ids[1]]
    assert [m.cycle_id for m in landing.list_cycles(start=HOUR, end=HOUR + timedelta(hours=1))] == [ids[1]]
    assert [m.cycle_id for m in landing.list_cycles(start=HOUR)] == ids[1:]
    assert [m.cycle_id for m in landing.list_cycles(end=HOUR)] == ids[:1]
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.parquet")) == sum(
        m.bytes for m in landing.list_cycles()
    )
    assert landing.measure_usage().rows() == [
        (m.partition_hour, m.cycle_id, "full", "betpawa", 1, m.bytes) for m in landing.list_cycles()
    ]
    assert landing.measure_usage(end=HOUR).height == 1


def test_a_landing_that_cannot_be_written_says_what_to_do_before_an_answer_comes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(
        LandingError, match=r"cannot write to the landing at .*: Not a directory .*another folder or URL"
    ):
        Landing(tmp_path / "file" / "landing").open_writer(cycle())


@pytest.fixture(params=["folder", "object store"])
def stored_landing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Landing]:
    """A landing in each kind of store."""
    with ExitStack() as stack:
        is_folder = request.param == "folder"
        root = str(tmp_path) if is_folder else stack.enter_context(s3_bucket(f"landing-{uuid.uuid4().hex}"))
        yield Landing(f"{root}/landing")


def test_two_writers_of_one_cycle_lose_no_answer(stored_landing: Landing) -> None:
    """They write several segments of one platform by turns, and close."""
    writers = [CycleWriter(stored_landing, cycle(), flush_answers=1) for _ in range(2)]
    for number in range(6):
        writers[number % 2].append(answer(number))
        writers[number % 2].flush()
    for writer in writers:
        writer.close(RunStatus.COMPLETED, RECEIVED, ("capture",))
    found = stored_landing.read_answers(stored_landing.read_manifest(cycle().cycle_id))
    assert sorted(found["external_id"]) == [str(number) for number in range(6)]


def test_a_segment_is_never_replaced(stored_landing: Landing) -> None:
    writers = [CycleWriter(stored_landing, cycle(), flush_answers=1) for _ in range(2)]
    writers[1]._tag = writers[0]._tag
    writers[0].append(answer(1))
    writers[0].flush()
    writers[1].append(answer(2))
    with pytest.raises(LandingError, match="cannot write to the landing"):
        writers[1].flush()
    manifest = writers[0].close(RunStatus.COMPLETED, RECEIVED, ("capture",))
    assert stored_landing.read_answers(manifest)["external_id"].to_list() == ["1"]


def test_a_manifest_written_meanwhile_loses_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer lands and closes between the moment in which the first one lists the folder and the one in
    which it writes its manifest.
    """
    landing = Landing(tmp_path)
    first, second = (CycleWriter(landing, cycle(), flush_answers=1) for _ in range(2))
    first.append(answer(1))
    first.flush()
    put, closed = landing._replace_file, []

    def put_late(path: UPath, content: bytes) -> None:
        if not closed:
            closed.append(True)
            second.append(answer(2))
            second.close(RunStatus.COMPLETED, RECEIVED, ("capture",))
        put(path, content)

    monkeypatch.setattr(landing, "_replace_file", put_late)
    manifest = first.close(RunStatus.COMPLETED, RECEIVED, ("capture",))
    assert sorted(landing.read_answers(landing.reread_manifest(manifest))["external_id"]) == ["1", "2"]


def test_names_of_segments_outlive_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every folder that has a new name in it is synced after the name was given."""
    synced: list[Path] = []
    fsync = os.fsync

    def noted(opened: int) -> None:
        synced.append(Path(f"/proc/self/fd/{opened}").readlink())
        fsync(opened)

    monkeypatch.setattr(os, "fsync", noted)
    landing = Landing(tmp_path / "landing")
    land(landing, answer(1))
    folders = {path.parent for path in (tmp_path / "landing").rglob("*")} | {tmp_path}
    assert folders <= set(synced)


def test_a_manifest_that_cannot_be_read_costs_its_own_cycle_only(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    hours = [HOUR + timedelta(hours=n) for n in range(4)]
    for n, hour in enumerate(hours):
        land(landing, answer(n), of=cycle(n + 1, hour))
    broken, folder = (
        tmp_path.joinpath(f"date={hours[n]:%Y-%m-%d}", f"hour={hours[n]:%H}", f"cycle={n + 1}", "manifest.json")
        for n in (1, 2)
    )
    broken.write_text("{")
    folder.unlink()
    folder.mkdir()  # what the disk refuses to read, also to root
    landed = landing.list_readable_cycles()
    assert [manifest.cycle_id for manifest in landed.manifests] == [1, 4]
    assert [(cycle.hour, cycle.cycle_id) for cycle in landed.unreadable] == [(hours[1], 2), (hours[2], 3)]
    assert f"{broken} is not a manifest" in landed.unreadable[0].sentence
    assert (
        f"{folder} cannot be read: Is a directory. Make it readable, or restore it from a copy."
        in landed.unreadable[1].sentence
    )
    only = landing.list_readable_cycles(hours[2], hours[3])
    assert (only.manifests, [cycle.cycle_id for cycle in only.unreadable]) == ([], [3])
    with pytest.raises(LandingUnreadable):
        landing.measure_usage()


def test_a_store_that_answers_nothing_is_no_cycle_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio:9000")
    fsspec.register_implementation("away", AwayFileSystem, clobber=True)
    with pytest.raises(LandingError, match="Could not connect"):
        Landing("away://landing").list_readable_cycles()
    with pytest.raises(LandingError) as raised:
        Landing("away://landing")._read_manifest_in(UPath("away://landing/date=2026-06-26/hour=10/cycle=1"))
    assert not isinstance(raised.value, LandingUnreadable)


def test_what_fails_beside_the_landing_costs_no_answer(tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    landing = Landing(tmp_path, fail)
    writer = CycleWriter(landing, cycle(), flush_answers=2, flush_age_s=86_400)
    for number in range(5):
        writer.append(answer(number))
    manifest = writer.close(RunStatus.COMPLETED, RECEIVED)
    assert landing.read_answers(manifest).height == 5


@settings(max_examples=count_examples(40), deadline=None)
@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=12), flush_answers=st.integers(1, 5))
def test_answers_that_belong_together_are_side_by_side_in_one_segment(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], flush_answers: int
) -> None:
    landing = Landing(tmp_path_factory.mktemp("landing"))
    writer = CycleWriter(landing, cycle(), flush_answers=flush_answers, flush_age_s=86_400)
    groups = [[answer(n, attempt=place + 1) for place in range(size)] for n, size in enumerate(sizes)]
    for group in groups:
        writer.append_together(group)
    manifest = writer.close(RunStatus.COMPLETED, RECEIVED + timedelta(minutes=5))
    frames = list(landing.read_segments(manifest))
    landed = [(row["external_id"], row["attempt"]) for frame in frames for row in frame.iter_rows(named=True)]
    assert landed == [(str(n), place + 1) for n, size in enumerate(sizes) for place in range(size)]
    for n, size in enumerate(sizes):
        assert [frame.filter(external_id=str(n)).height for frame in frames].count(size) == 1
