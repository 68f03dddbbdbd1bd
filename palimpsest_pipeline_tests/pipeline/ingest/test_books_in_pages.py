"""Books of several answers are read from the landing as they arrived, in any layout of the landing."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind, Platform, RunStatus, Scope, Trigger
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.landing import Landing, Manifest
from palimpsest_pipeline.landing.writer import CycleWriter
from palimpsest_pipeline.pipeline.ingest.book_reader import BookReader
from palimpsest_pipeline.pipeline.ingest.books import (
    FRAME_FIELDS,
    Books,
    decode_books,
    group_details,
    normalise_books,
    read_observed_listings,
)
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline.platforms.betway import BetwayAdapter
from palimpsest_pipeline_tests.platforms.betway import support as betway

HOUR = datetime(2026, 6, 26, 10, tzinfo=UTC)
PLATFORM = Platform("betpawa")
"""The landing takes any platform's answers; the dialect is Betway's."""
ADAPTER: Any = BetwayAdapter(replace(betway.CONFIG, platform=PLATFORM))
N_LISTINGS = 30
CYCLE = Cycle(20260626100500000, Trigger.MANUAL, Scope.FULL, PLATFORM, HOUR, HOUR)


@pytest.fixture(scope="module")
def attempts(samples: Path) -> list[list[Answer]]:
    """The answers about many matches, each with two pages; the instants are those of their requests."""
    few = betway.shortened(betway.with_event(samples, "wc_nf.json"), range(0, 233, 2))
    text = json.dumps(few)
    found = []
    for n in range(N_LISTINGS):
        number = str(66457014 + n)
        answers = betway.list_answers(json.loads(text.replace(betway.MATCH, number)), number)
        found.append(
            [
                replace(
                    one,
                    request=replace(one.request, platform=PLATFORM),
                    observed_at=one.observed_at + timedelta(minutes=n),
                )
                for one in answers
            ]
        )
    return found


def land(root: Path, attempts: Sequence[Sequence[Answer]]) -> tuple[Landing, Manifest]:
    """Land the attempts, a failed try before each."""
    landing = Landing(root)
    writer = CycleWriter(landing, CYCLE, flush_answers=7, flush_age_s=86_400)
    for answers in attempts:
        writer.append(replace(answers[-1], failure=FailureClass.TRANSIENT, failure_detail="HTTP 503", body=None))
        writer.append_together(answers)
    return landing, writer.close(RunStatus.COMPLETED, HOUR + timedelta(minutes=9))


def iterate_landed(landing: Landing, manifest: Manifest) -> Iterator[Answer]:
    for frame in landing.read_segments(manifest, [PayloadKind.DETAIL]):
        yield from (answer for answer in landing.iterate_answers(frame) if answer.ok)


def read_books(answers: Iterable[Answer]) -> Books:
    return normalise_books([decode_books(group_details(answers, ADAPTER), ADAPTER)], load_installed_vocabulary())


def assert_same(left: Books, right: Books) -> None:
    for name in FRAME_FIELDS:
        assert_frame_equal(getattr(left, name), getattr(right, name))
    assert (left.refused, left.without_price) == (right.refused, right.without_price)


def test_books_from_the_landing_are_those_of_the_answers_as_they_came(
    tmp_path: Path, attempts: list[list[Answer]]
) -> None:
    came = read_books(one for answers in attempts for one in answers)
    assert came.answers.height == N_LISTINGS
    assert came.refused == ()
    earliest = [min(one.observed_at for one in answers) for answers in attempts]
    assert came.answers["observed_at"].to_list() == earliest
    landing, manifest = land(tmp_path, attempts)
    assert_same(read_books(iterate_landed(landing, manifest)), came)
    listings = read_observed_listings(group_details(iterate_landed(landing, manifest), ADAPTER), ADAPTER)
    assert [shown.observed_at for shown in listings] == earliest


def test_each_segment_holds_whole_books(tmp_path: Path, attempts: list[list[Answer]]) -> None:
    landing, manifest = land(tmp_path, attempts)
    assert len(manifest.segments) > 5
    reader = BookReader(lambda: landing, {PLATFORM: ADAPTER}.__getitem__, load_installed_vocabulary)
    for segment in manifest.segments:
        reader.offer(CYCLE, segment)
    parts = [part.books for part in reader.find_parts(CYCLE.cycle_id, PLATFORM)]
    books = [part.unpack() for part in parts if part is not None]
    assert len(books) == len(parts)
    assert sum(part.answers.height for part in books) == N_LISTINGS
    assert all(part.refused == () for part in books)


def test_answers_are_grouped_once(tmp_path: Path, attempts: list[list[Answer]]) -> None:
    grouped: list[str] = []

    class Counting(BetwayAdapter):
        def list_detail_requests(
            self, external_id: str, sr_id: int | None, answers: Sequence[Answer]
        ) -> Sequence[Request]:
            grouped.append(external_id)
            return super().list_detail_requests(external_id, sr_id, answers)

    adapter = Counting(replace(betway.CONFIG, platform=PLATFORM))
    landing, manifest = land(tmp_path, attempts)
    reader = BookReader(lambda: landing, {PLATFORM: adapter}.__getitem__, load_installed_vocabulary)
    books = list(reader.read_books(manifest, PLATFORM, 8))
    assert sum(part.answers.height for part in books) == N_LISTINGS
    assert len(grouped) == sum(map(len, attempts))


def test_a_book_that_lacks_an_answer_is_refused_and_the_others_are_read(attempts: list[list[Answer]]) -> None:
    broken = [answers[:place] + answers[place + 1 :] for place, answers in enumerate(attempts[:3])]
    answers = [one for group in (broken[0], attempts[3], broken[1], broken[2], attempts[4]) for one in group]
    books = read_books(answers)
    assert books.answers["external_id"].to_list() == [str(66457014 + n) for n in (3, 4)]
    assert {(entry.external_id, whole) for _, entry, whole in books.refused} == {
        (str(66457014 + n), True) for n in range(3)
    }
    assert all("missing" in entry.reason for _, entry, _ in books.refused)
