"""Detail answers are decoded once in a live cycle, beside the scrape; and what is derived does not depend on it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.pipeline.ingest.books import (
    EMPTY_BOOKS,
    FRAME_FIELDS,
    Books,
    DecodedAnswers,
    ListingCache,
    concat_books,
    decode_books,
    frame_listings,
    group_details,
    normalise_books,
    read_observed_listings,
)
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET, build_adapters
from palimpsest_pipeline_tests.platforms.support import answer, loaded
from palimpsest_pipeline_tests.platforms.test_damaged_answers import damage
from palimpsest_pipeline_tests.platforms.test_details_in_two_ways import DETAILS, OTHERS

AT = datetime(2026, 6, 26, 10, tzinfo=UTC)
ADAPTERS = build_adapters()


def test_failed_answers_tell_nothing(samples: Path) -> None:
    good = given_answer(samples)
    failed = replace(good, body=None, status=None, failure=FailureClass.BLOCKED)
    assert_same(read(BETPAWA, [failed, good]), read(BETPAWA, [good]))
    listings = read_observed_listings(group_details([failed, good], ADAPTERS[BETPAWA]), ADAPTERS[BETPAWA])
    assert [each.listing.external_id for each in listings] == [read(BETPAWA, [good]).listings["external_id"].item()]


def given_answer(samples: Path, n: int = 0) -> Answer:
    platform, name = DETAILS[n]
    return answer(platform, PayloadKind.DETAIL, loaded(samples, platform, name))


def decode(platform: Platform, answers: Iterable[Answer]) -> DecodedAnswers:
    return decode_books(group_details(answers, ADAPTERS[platform]), ADAPTERS[platform])


def normalise(parts: Sequence[DecodedAnswers]) -> Books:
    return normalise_books(parts, load_installed_vocabulary())


def read(platform: Platform, answers: Iterable[Answer]) -> Books:
    return normalise([decode(platform, answers)])


def assert_same(left: Books, right: Books) -> None:
    for name in FRAME_FIELDS:
        assert_frame_equal(getattr(left, name), getattr(right, name))
    assert (left.refused, left.without_price) == (right.refused, right.without_price)


@pytest.mark.parametrize(("platform", "name"), DETAILS + OTHERS)
def test_a_book_tells_its_listing_as_the_listing_alone_is_read(samples: Path, platform: Platform, name: str) -> None:
    whole = json.dumps(loaded(samples, platform, name))
    answers = [answer(platform, PayloadKind.DETAIL, whole.encode())]
    for seed in range(20):
        random, body = Random(f"{name} {seed}"), json.loads(whole)
        damage(body, random)
        answers.append(answer(platform, PayloadKind.DETAIL, body))
    listings = read_observed_listings(group_details(answers, ADAPTERS[platform]), ADAPTERS[platform])
    assert_frame_equal(read(platform, answers).listings, frame_listings(listings))


def test_books_put_together_are_those_of_one_batch(samples: Path) -> None:
    answers = [
        answer(platform, PayloadKind.DETAIL, loaded(samples, platform, name))
        for platform, name in (*DETAILS[2:5], *OTHERS[:2])
    ]
    parts = [answers[:2], answers[2:]]
    whole = read(SPORTYBET, answers)
    assert_same(normalise([decode(SPORTYBET, part) for part in parts]), whole)
    assert_same(concat_books([read(SPORTYBET, part) for part in parts]), whole)
    assert len(whole.refused) == 2


def test_no_books_have_the_columns_of_books(samples: Path) -> None:
    found = read(BETPAWA, [given_answer(samples)])
    assert {field.name for field in fields(Books)} - set(FRAME_FIELDS) == {"refused", "without_price"}
    for name in FRAME_FIELDS:
        assert getattr(EMPTY_BOOKS, name).schema == getattr(found, name).schema, name


def test_seen_listings_are_taken_once_and_the_oldest_go_first() -> None:
    seen = pl.DataFrame({"platform": ["betpawa", "bet9ja", "bet9ja"], "external_id": ["1", "2", "3"]})
    kept = ListingCache(max_rows=4)
    kept.keep(1, "a", PLATFORMS, seen)
    kept.keep(2, "b", PLATFORMS, seen)
    assert kept.take(1, "a", [BETPAWA]) is None
    assert kept.take(2, "a", [BET9JA]) is None, "its landed content has changed since"
    found = kept.take(2, "b", [BET9JA, SPORTYBET])
    assert found is not None
    assert found["external_id"].to_list() == ["2", "3"]
    assert kept.take(2, "b", [BET9JA]) is None
