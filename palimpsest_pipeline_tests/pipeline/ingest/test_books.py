"""Detail answers are decoded once in a live cycle, beside the scrape; and what is derived does not depend on it."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, cast

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind, Platform, Scope, Trigger
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Detail, Listing
from palimpsest_pipeline.landing import Segment
from palimpsest_pipeline.landing.reader import LandingReader
from palimpsest_pipeline.markets import load_vocabulary
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest import book_reader
from palimpsest_pipeline.pipeline.ingest.book_reader import MAX_KEPT_BYTES, BookReader
from palimpsest_pipeline.pipeline.ingest.books import (
    EMPTY_BOOKS,
    FRAME_FIELDS,
    Books,
    DecodedAnswers,
    ListingCache,
    concat_books,
    decode_books,
    frame_listings,
    normalise_books,
    read_listings,
)
from palimpsest_pipeline.pipeline.ingest.core_products import ingest_cycle
from palimpsest_pipeline.platforms.registry import build_adapters
from palimpsest_pipeline_tests.fixtures.content import content_hashes, drop_derived
from palimpsest_pipeline_tests.fixtures.landed import land_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.platforms.support import answer, loaded
from palimpsest_pipeline_tests.platforms.test_damaged_answers import damage
from palimpsest_pipeline_tests.platforms.test_details_in_two_ways import DETAILS, OTHERS

AT = datetime(2026, 6, 26, 10, tzinfo=UTC)
ADAPTERS = build_adapters()
PATIENCE_S = 60
"""For what comes in milliseconds: past it something hangs."""


@dataclass
class Counting:
    """An adapter that counts how often each detail answer is read, of its listing alone or whole."""

    own: Any
    listings: Counter[str | None] = field(default_factory=Counter)
    details: Counter[str | None] = field(default_factory=Counter)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)

    def read_listing(self, given: Answer) -> Listing:
        self.listings[given.request.external_id] += 1
        return self.own.read_listing(given)

    def read_detail(self, given: Answer) -> Detail:
        self.details[given.request.external_id] += 1
        return self.own.read_detail(given)


def counted(pipeline: Pipeline) -> list[Counting]:
    """The adapters of the pipeline, which count from now on."""
    counting = {platform: Counting(adapter) for platform, adapter in pipeline.adapters.items()}
    pipeline.__dict__["adapters"] = counting
    return list(counting.values())


def kept_bytes(pipeline: Pipeline) -> int:
    return pipeline.book_reader._bytes


def test_a_live_cycle_decodes_each_detail_once_and_a_replay_gives_the_same_rows(
    start_simulator, make_pipeline: MakePipeline
) -> None:
    live = make_pipeline(start_simulator(24, 3))
    counting = counted(live)
    cycle_id = land_cycle(live)
    ingest_cycle(live, cycle_id)
    assert all(each.details and set(each.details.values()) == {1} for each in counting)
    assert not any(each.listings for each in counting)
    assert kept_bytes(live) == 0, "what is written is let go of"
    derived = content_hashes(live)

    drop_derived(live)
    replay = make_pipeline()
    counting = counted(replay)
    ingest_cycle(replay, cycle_id)
    assert all(set(each.details.values()) == {1} == set(each.listings.values()) for each in counting)
    assert content_hashes(replay) == derived


def test_failed_answers_tell_nothing(samples: Path) -> None:
    good = given_answer(samples)
    failed = replace(good, body=None, status=None, failure=FailureClass.BLOCKED)
    assert_same(read(Platform.BETPAWA, [failed, good]), read(Platform.BETPAWA, [good]))
    assert read_listings([failed, good], ADAPTERS[Platform.BETPAWA]) == read_listings(
        [good], ADAPTERS[Platform.BETPAWA]
    )


def test_where_there_is_no_room_the_landing_is_read(start_simulator, make_pipeline: MakePipeline) -> None:
    simulator = start_simulator(24, 3)
    small = make_pipeline(simulator)
    small.__dict__["book_reader"] = BookReader(
        lambda: small.landing, small.adapters, lambda: small.vocabulary, max_bytes=1
    )
    small.__dict__["seen_listings"] = ListingCache(max_rows=1)
    cycle_id = land_cycle(small)
    ingest_cycle(small, cycle_id)
    derived = content_hashes(small)
    assert derived["core.market_changes"][0] > 0
    drop_derived(small)
    ingest_cycle(make_pipeline(), cycle_id)
    assert content_hashes(small) == derived


def segment_of(platform: Platform, number: int) -> Segment:
    return Segment(name=f"platform={platform}/seg-{number:04d}-ab.parquet", platform=platform, rows=1, bytes=1, sha="")


def cycle_of(scope: Scope = Scope.FULL) -> Cycle:
    return Cycle(1, Trigger.MANUAL, scope, Platform.BETPAWA, AT, AT)


def given_answer(samples: Path, n: int = 0) -> Answer:
    platform, name = DETAILS[n]
    return answer(platform, PayloadKind.DETAIL, loaded(samples, platform, name))


def decode(platform: Platform, answers: Iterable[Answer]) -> DecodedAnswers:
    return decode_books(answers, ADAPTERS[platform])


def normalise(parts: Sequence[DecodedAnswers]) -> Books:
    return normalise_books(parts, load_vocabulary())


def read(platform: Platform, answers: Iterable[Answer]) -> Books:
    return normalise([decode(platform, answers)])


@dataclass
class LandedAnswers:
    """A fake landing: the answers by segment name, and the names of the segments that were read."""

    by_segment: dict[str, Sequence[Answer]] = field(default_factory=dict)
    read_names: list[str] = field(default_factory=list)
    before_reading: Callable[[Segment], None] = lambda segment: None

    def land_and_offer(
        self, early: BookReader, number: int, answers: Sequence[Answer], scope: Scope = Scope.FULL
    ) -> None:
        """Land a segment with these answers of one platform, and offer it."""
        segment = segment_of(answers[0].request.platform, number)
        self.by_segment[segment.name] = answers
        early.offer(cycle_of(scope), segment)

    def iterate_segment(self, cycle: Cycle, segment: Segment, kinds: Collection[PayloadKind]) -> Iterator[Answer]:
        assert kinds == [PayloadKind.DETAIL]
        self.read_names.append(segment.name)
        self.before_reading(segment)
        return iter(self.by_segment[segment.name])

    def make_reader(self, max_bytes: int = MAX_KEPT_BYTES) -> BookReader:
        return BookReader(lambda: cast("LandingReader", self), ADAPTERS, load_vocabulary, max_bytes=max_bytes)


def assert_same(left: Books, right: Books) -> None:
    for name in FRAME_FIELDS:
        assert_frame_equal(getattr(left, name), getattr(right, name))
    assert (left.refused, left.without_price) == (right.refused, right.without_price)


def test_books_of_landed_segments_are_those_that_reading_them_gives(
    samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_reader, "ANSWERS_PER_PART", 2)
    landed = LandedAnswers()
    early = landed.make_reader()
    answers = [given_answer(samples), given_answer(samples, 1), given_answer(samples)]
    for number, each in enumerate(answers):
        landed.land_and_offer(early, number, [each])
    landed.land_and_offer(early, 0, [given_answer(samples, 5)])
    found = early.find_parts(1, Platform.BETPAWA)
    assert [part.segments for part in found] == [
        tuple(segment_of(Platform.BETPAWA, n) for n in numbers) for numbers in ((0, 1), (2,))
    ]
    for part, given in zip(found, (answers[:2], answers[2:]), strict=True):
        assert part.books is not None
        assert_same(part.books, read(Platform.BETPAWA, given))
    assert early.find_parts(2, Platform.BETPAWA) == early.find_parts(1, Platform.SPORTYBET) == []
    assert early.take_parts(1, Platform.SPORTYBET) == []
    assert early.take_parts(1, Platform.BETPAWA) == found
    assert early.find_parts(1, Platform.BETPAWA) == []
    assert len(early.find_parts(1, Platform.BET9JA)) == 1


def test_recorded_answers_are_not_read_before_anybody_derives_them(samples: Path) -> None:
    landed = LandedAnswers()
    early = landed.make_reader()
    landed.land_and_offer(early, 0, [given_answer(samples)], Scope.RECORDED)
    assert early.find_parts(1, Platform.BETPAWA) == landed.read_names == []


def test_nothing_is_read_into_a_full_cache_until_its_books_are_taken(
    samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_reader, "ANSWERS_PER_PART", 1)
    landed, given = LandedAnswers(), given_answer(samples)
    room = normalise([decode(Platform.BETPAWA, [given])]).size_bytes
    early = landed.make_reader(room)
    for number in range(4):
        landed.land_and_offer(early, number, [given])
    first, second, *others = (segment_of(Platform.BETPAWA, number) for number in range(5))
    assert [part.segments for part in early.take_parts(1, Platform.BETPAWA)] == [(first,)]
    assert landed.read_names == [first.name, second.name], "the second one found the cache full"
    landed.land_and_offer(early, 4, [given])
    assert [part.segments for part in early.find_parts(1, Platform.BETPAWA)] == [(others[-1],)]


def test_segments_that_wait_when_a_run_ends_are_not_read(samples: Path) -> None:
    reading_started, go_on, landed = threading.Event(), threading.Event(), LandedAnswers()

    def wait(segment: Segment) -> None:
        reading_started.set()
        assert go_on.wait(PATIENCE_S)

    landed.before_reading = wait
    early = landed.make_reader()
    landed.land_and_offer(early, 0, [given_answer(samples)])
    assert reading_started.wait(PATIENCE_S)
    landed.land_and_offer(early, 1, [given_answer(samples, 1)])
    early.drop_queue()
    landed.land_and_offer(early, 2, [given_answer(samples)])
    go_on.set()
    first, second, third = (segment_of(Platform.BETPAWA, number) for number in range(3))
    assert [part.segments for part in early.find_parts(1, Platform.BETPAWA)] == [(first,), (third,)]
    assert landed.read_names == [first.name, third.name] and second.name in landed.by_segment


def test_a_segment_that_cannot_be_read_is_left_out_and_ends_a_part(samples: Path) -> None:
    landed = LandedAnswers()

    def fail(segment: Segment) -> None:
        if segment == segment_of(Platform.BETPAWA, 1):
            raise RuntimeError("a defect")

    landed.before_reading = fail
    early = landed.make_reader()
    for number in range(3):
        landed.land_and_offer(early, number, [given_answer(samples)])
    assert [part.segments for part in early.find_parts(1, Platform.BETPAWA)] == [
        (segment_of(Platform.BETPAWA, 0),),
        (segment_of(Platform.BETPAWA, 2),),
    ]


@pytest.mark.parametrize(("platform", "name"), DETAILS + OTHERS)
def test_a_book_tells_its_listing_as_the_listing_alone_is_read(samples: Path, platform: Platform, name: str) -> None:
    whole = json.dumps(loaded(samples, platform, name))
    answers = [answer(platform, PayloadKind.DETAIL, whole.encode())]
    for seed in range(20):
        random, body = Random(f"{name} {seed}"), json.loads(whole)
        damage(body, random)
        answers.append(answer(platform, PayloadKind.DETAIL, body))
    assert_frame_equal(read(platform, answers).listings, frame_listings(read_listings(answers, ADAPTERS[platform])))


def test_books_put_together_are_those_of_one_batch(samples: Path) -> None:
    answers = [
        answer(platform, PayloadKind.DETAIL, loaded(samples, platform, name))
        for platform, name in (*DETAILS[2:5], *OTHERS[:2])
    ]
    parts = [answers[:2], answers[2:]]
    whole = read(Platform.SPORTYBET, answers)
    assert_same(normalise([decode(Platform.SPORTYBET, part) for part in parts]), whole)
    assert_same(concat_books([read(Platform.SPORTYBET, part) for part in parts]), whole)
    assert len(whole.refused) == 2


def test_no_books_have_the_columns_of_books(samples: Path) -> None:
    found = read(Platform.BETPAWA, [given_answer(samples)])
    assert {field.name for field in fields(Books)} - set(FRAME_FIELDS) == {"refused", "without_price"}
    for name in FRAME_FIELDS:
        assert getattr(EMPTY_BOOKS, name).schema == getattr(found, name).schema, name


def test_seen_listings_are_taken_once_and_the_oldest_go_first() -> None:
    seen = pl.DataFrame({"platform": ["betpawa", "bet9ja", "bet9ja"], "external_id": ["1", "2", "3"]})
    kept = ListingCache(max_rows=4)
    kept.keep(1, "a", Platform, seen)
    kept.keep(2, "b", Platform, seen)
    assert kept.take(1, "a", [Platform.BETPAWA]) is None
    assert kept.take(2, "a", [Platform.BET9JA]) is None, "its landed content has changed since"
    found = kept.take(2, "b", [Platform.BET9JA, Platform.SPORTYBET])
    assert found is not None
    assert found["external_id"].to_list() == ["2", "3"]
    assert kept.take(2, "b", [Platform.BET9JA]) is None
