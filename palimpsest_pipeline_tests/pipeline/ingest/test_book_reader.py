"""The books of a landed cycle: read ahead while it is scraped, and read later, in any mixture."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import PayloadKind, Platform, RunStatus, Scope, Trigger
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Detail, Listing
from palimpsest_pipeline.landing import Segment
from palimpsest_pipeline.landing.reader import LandingReader
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest import book_reader
from palimpsest_pipeline.pipeline.ingest.book_reader import MAX_KEPT_BYTES, BookReader, PackedBooks
from palimpsest_pipeline.pipeline.ingest.books import (
    Books,
    ListingCache,
    concat_books,
)
from palimpsest_pipeline.pipeline.ingest.write_core import ingest_cycle
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline_tests.fixtures.content import content_hashes, drop_derived
from palimpsest_pipeline_tests.fixtures.landed import land_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, replace_adapters
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET
from palimpsest_pipeline_tests.pipeline.ingest.test_books import ADAPTERS, assert_same, given_answer, read

AT = datetime(2026, 6, 26, 10, tzinfo=UTC)
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

    def read_listing(self, given: Sequence[Answer]) -> Listing:
        self.listings[given[0].request.external_id] += 1
        return self.own.read_listing(given)

    def read_detail(self, given: Sequence[Answer]) -> Detail:
        self.details[given[0].request.external_id] += 1
        return self.own.read_detail(given)


def counted(pipeline: Pipeline) -> list[Counting]:
    """The adapters of the pipeline, which count from now on."""
    counting = {platform: Counting(adapter) for platform, adapter in pipeline.adapters.items()}
    replace_adapters(pipeline, counting)
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


def test_where_there_is_no_room_the_landing_is_read(start_simulator, make_pipeline: MakePipeline) -> None:
    simulator = start_simulator(24, 3)
    small = make_pipeline(simulator)
    small.__dict__["book_reader"] = BookReader(
        lambda: small.landing, small.get_adapter, lambda: small.vocabulary, max_bytes=1
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
    return Cycle(1, Trigger.MANUAL, scope, BETPAWA, AT, AT)


@dataclass
class LandedAnswers:
    """A fake landing: the answers by segment name, and the names of the segments that were read."""

    by_segment: dict[str, Sequence[Answer]] = field(default_factory=dict)
    read_names: list[str] = field(default_factory=list)
    before_reading: Callable[[Segment], None] = lambda segment: None

    def land_and_offer(
        self, reader: BookReader, number: int, answers: Sequence[Answer], scope: Scope = Scope.FULL
    ) -> None:
        """Land a segment with these answers of one platform, and offer it."""
        segment = segment_of(answers[0].request.platform, number)
        self.by_segment[segment.name] = answers
        reader.offer(cycle_of(scope), segment)

    def iterate_segment(self, cycle: Cycle, segment: Segment, kinds: Collection[PayloadKind]) -> Iterator[Answer]:
        assert kinds == [PayloadKind.DETAIL]
        self.read_names.append(segment.name)
        self.before_reading(segment)
        return iter(self.by_segment[segment.name])

    def make_reader(self, max_bytes: int = MAX_KEPT_BYTES) -> BookReader:
        return BookReader(
            lambda: cast("LandingReader", self), ADAPTERS.__getitem__, load_installed_vocabulary, max_bytes=max_bytes
        )


def test_books_of_landed_segments_are_those_that_reading_them_gives(
    samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_reader, "ANSWERS_PER_PART", 2)
    landed = LandedAnswers()
    reader = landed.make_reader()
    answers = [given_answer(samples), given_answer(samples, 1), given_answer(samples)]
    for number, each in enumerate(answers):
        landed.land_and_offer(reader, number, [each])
    landed.land_and_offer(reader, 0, [given_answer(samples, 5)])
    found = reader.find_parts(1, BETPAWA)
    assert [part.segments for part in found] == [
        tuple(segment_of(BETPAWA, n) for n in numbers) for numbers in ((0, 1), (2,))
    ]
    for part, given in zip(found, (answers[:2], answers[2:]), strict=True):
        assert part.books is not None
        assert_same(part.books.unpack(), read(BETPAWA, given))
    assert reader.find_parts(2, BETPAWA) == reader.find_parts(1, SPORTYBET) == []
    assert reader.take_parts(1, SPORTYBET) == []
    assert reader.take_parts(1, BETPAWA) == found
    assert reader.find_parts(1, BETPAWA) == []
    assert len(reader.find_parts(1, BET9JA)) == 1


def test_packed_books_take_a_fraction_of_the_memory_and_are_the_same(samples: Path) -> None:
    books = read(BETPAWA, [given_answer(samples), given_answer(samples, 1)])
    packed = PackedBooks.pack(books)
    assert_same(packed.unpack(), books)
    assert len(packed.rows) < 0.3 * books.rows.to_arrow().nbytes


def test_recorded_answers_are_not_read_before_anybody_derives_them(samples: Path) -> None:
    landed = LandedAnswers()
    reader = landed.make_reader()
    landed.land_and_offer(reader, 0, [given_answer(samples)], Scope.RECORDED)
    assert reader.find_parts(1, BETPAWA) == landed.read_names == []


def test_nothing_is_read_into_a_full_cache_until_its_books_are_taken(
    samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_reader, "ANSWERS_PER_PART", 2)
    landed, given, other = LandedAnswers(), given_answer(samples), given_answer(samples, 5)
    reader = landed.make_reader(PackedBooks.pack(read(BETPAWA, [given, given])).size_bytes)
    landed.land_and_offer(reader, 0, [other])
    for number in range(2):
        landed.land_and_offer(reader, number, [given, given])  # the second part finds the cache full
    landed.land_and_offer(reader, 1, [other])  # ends the open part of the other platform
    landed.land_and_offer(reader, 2, [given, given])
    home, others = ([segment_of(p, number) for number in range(4)] for p in (BETPAWA, BET9JA))
    assert [part.segments for part in reader.take_parts(1, BETPAWA)] == [(home[0],)]
    assert landed.read_names == [others[0].name, home[0].name, home[1].name]
    landed.land_and_offer(reader, 3, [given, given])
    assert [part.segments for part in reader.find_parts(1, BETPAWA)] == [(home[3],)]


def test_at_the_end_of_a_run_nothing_waits_and_nothing_stays(samples: Path) -> None:
    reading_started, go_on, landed = threading.Event(), threading.Event(), LandedAnswers()

    def wait(segment: Segment) -> None:
        reading_started.set()
        assert go_on.wait(PATIENCE_S)

    landed.before_reading = wait
    reader = landed.make_reader()
    landed.land_and_offer(reader, 0, [given_answer(samples)])
    assert reading_started.wait(PATIENCE_S)
    landed.land_and_offer(reader, 1, [given_answer(samples, 1)])
    reader.drop_all()
    landed.land_and_offer(reader, 2, [given_answer(samples)])
    go_on.set()
    first, _, third = (segment_of(BETPAWA, number) for number in range(3))
    assert [part.segments for part in reader.find_parts(1, BETPAWA)] == [(third,)]
    assert landed.read_names == [first.name, third.name]


def test_a_segment_that_cannot_be_read_is_left_out_and_ends_a_part(samples: Path) -> None:
    landed = LandedAnswers()

    def fail(segment: Segment) -> None:
        if segment == segment_of(BETPAWA, 1):
            raise RuntimeError("a defect")

    landed.before_reading = fail
    reader = landed.make_reader()
    for number in range(3):
        landed.land_and_offer(reader, number, [given_answer(samples)])
    assert [part.segments for part in reader.find_parts(1, BETPAWA)] == [
        (segment_of(BETPAWA, 0),),
        (segment_of(BETPAWA, 2),),
    ]


@dataclass
class FailsOnce:
    """An adapter that cannot read one answer the first time."""

    own: Any
    answer: Answer
    has_failed: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)

    def read_detail(self, given: Sequence[Answer]) -> Detail:
        if list(given) == [self.answer] and not self.has_failed:
            self.has_failed = True
            raise RuntimeError("a defect")
        return cast("Detail", self.own.read_detail(given))


def test_cached_books_and_other_answers_come_in_order_of_arrival(
    samples: Path, make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_reader, "ANSWERS_PER_PART", 1)
    pipeline = make_pipeline()
    answers = [
        replace(given_answer(samples, n % 2), observed_at=AT + timedelta(seconds=n), received_at=AT) for n in range(3)
    ]
    home = FailsOnce(pipeline.adapters[BETPAWA], answers[1])
    replace_adapters(pipeline, {**pipeline.adapters, BETPAWA: home})
    writer = pipeline.landing.open_writer(cycle_of())
    for each in answers:
        writer.append(each)
        writer.flush()
    manifest, reader = writer.close(RunStatus.COMPLETED, AT), pipeline.book_reader
    first, _, last = manifest.segments
    assert [part.segments for part in reader.find_parts(1, BETPAWA)] == [(first,), (last,)]
    is_cached = [isinstance(part, Books) for part in reader.iterate_parts(manifest, BETPAWA)]
    assert (is_cached, home.has_failed) == ([True, False, True], True)
    books = list(reader.read_books(manifest, BETPAWA, 64))
    assert_same(concat_books(books), read(BETPAWA, answers))
    assert reader.find_parts(1, BETPAWA) == []
