"""Detail answers of MSport and Betika, good and bad: read whole or part by part alike."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.domain.enums import PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import PayloadRejected
from palimpsest_pipeline.platforms.betika import BetikaAdapter
from palimpsest_pipeline.platforms.betika import book as betika_book
from palimpsest_pipeline.platforms.msport import MsportAdapter
from palimpsest_pipeline.platforms.msport import book as msport_book
from palimpsest_pipeline_tests.fixtures.examples import count_examples

from .pack_support import configure, load_pack_sample
from .support import answer
from .test_damaged_answers import NUL, damage
from .test_details_in_two_ways import MARK, UNBOUNDED

ADAPTERS: dict[str, Any] = {"msport": MsportAdapter(configure("msport")), "betika": BetikaAdapter(configure("betika"))}
BOOKS: dict[str, ModuleType] = {"msport": msport_book, "betika": betika_book}
DETAILS = [
    ("msport", "wc_nf.json"),
    ("msport", "prematch.json"),
    ("msport", "tennis.json"),
    ("msport", "basketball.json"),
    ("betika", "2026-08-09_match_72230652_football.json"),
    ("betika", "2026-08-09_match_68095974_basketball.json"),
    ("betika", "2026-08-09_match_73550032_tennis.json"),
]
IN_PLAY = [("msport", "live.json"), ("betika", "2026-08-09_live_match_4921987_football.json")]
OTHERS = [
    ("betika", PayloadKind.LISTING, "2026-08-09_matches_football_sort2_period9_p1.json"),
    ("betika", PayloadKind.TREE, "2026-08-09_sport_30_tree.json"),
]


@contextmanager
def part_by_part(pack: str) -> Iterator[None]:
    with patch.object(BOOKS[pack], "decode_whole", lambda *_: None):
        yield


def outcome(read: Callable[[list[Answer]], Any], given_answer: Answer) -> Any:
    """What reading gives, or where and why it is refused."""
    try:
        return read([given_answer])
    except PayloadRejected as rejected:
        assert rejected.path.startswith("$")
        assert rejected.reason
        return rejected.path, rejected.reason


def same_both_ways(pack: str, body: bytes) -> Any:
    """What both ways read, after seeing that it is the same."""
    adapter = ADAPTERS[pack]
    given_answer = answer(adapter.platform, PayloadKind.DETAIL, body)
    adapter.judge(given_answer)
    for read in (adapter.read_listing, adapter.read_detail):
        quick = outcome(read, given_answer)
        with part_by_part(pack):
            assert outcome(read, given_answer) == quick
    return quick


def recorded(samples: Path, pack: str, name: str) -> bytes:
    return json.dumps(load_pack_sample(samples, pack, name)).encode()


@pytest.mark.parametrize(("pack", "name"), DETAILS)
def test_a_recorded_answer_is_read_whole_in_one_pass_and_alike_part_by_part(
    samples: Path, pack: str, name: str
) -> None:
    body = recorded(samples, pack, name)
    detail = same_both_ways(pack, body)
    assert detail.rejects == []
    assert len(detail.prices) == sum(detail.prices.n_outcomes)
    with patch.object(BOOKS[pack], "decode_in_parts", side_effect=AssertionError("a good answer needs one pass")):
        adapter = ADAPTERS[pack]
        assert adapter.read_detail([answer(adapter.platform, PayloadKind.DETAIL, body)]) == detail


@pytest.mark.parametrize(("pack", "name"), IN_PLAY)
def test_an_answer_in_play_is_refused_alike_both_ways(samples: Path, pack: str, name: str) -> None:
    path, reason = same_both_ways(pack, recorded(samples, pack, name))
    assert path.startswith("$")
    assert reason.startswith("in play")


@cache
def _shorten(samples: Path, pack: str, name: str) -> str:
    """A recorded answer with some of its markets, so that many examples take little time."""
    body = load_pack_sample(samples, pack, name)
    if pack == "msport":
        body["data"]["markets"] = body["data"]["markets"][:3] + body["data"]["markets"][-3:]
    else:
        body["data"], body["market_groups"] = body["data"][:6], []
    return json.dumps(body)


@pytest.mark.parametrize(("pack", "name"), DETAILS)
@settings(max_examples=count_examples(60), deadline=None)
@given(random=st.randoms(use_true_random=False), n=st.integers(1, 4))
def test_damaged_answers_are_read_alike_both_ways(samples: Path, pack: str, name: str, random: Random, n: int) -> None:
    body = json.loads(_shorten(samples, pack, name))
    for _ in range(n):
        damage(body, random)
    assert same_both_ways(pack, json.dumps(body).encode())


@pytest.mark.parametrize(("pack", "name"), DETAILS)
@settings(max_examples=count_examples(30), deadline=None)
@given(random=st.randoms(use_true_random=False), value=st.sampled_from(list(UNBOUNDED)))
def test_values_out_of_all_bounds_are_read_over_or_rejected(
    samples: Path, pack: str, name: str, random: Random, value: str
) -> None:
    body = json.loads(_shorten(samples, pack, name))
    damage(body, random, [MARK])
    text = json.dumps(body, ensure_ascii=False).replace(f'"{MARK}"', UNBOUNDED[value])
    assert same_both_ways(pack, text.encode())


@pytest.mark.parametrize(("pack", "name"), DETAILS)
@settings(max_examples=count_examples(15), deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_an_answer_cut_off_anywhere_is_rejected(samples: Path, pack: str, name: str, share: float) -> None:
    whole = _shorten(samples, pack, name).encode()
    path, reason = same_both_ways(pack, whole[: int(share * len(whole))])
    assert path == "$"
    assert reason


@pytest.mark.parametrize(("pack", "name"), DETAILS)
@settings(max_examples=count_examples(20), deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_no_reading_shows_a_nul(samples: Path, pack: str, name: str, random: Random) -> None:
    body = json.loads(_shorten(samples, pack, name))
    damage(body, random, NUL)
    assert "\\x00" not in repr(same_both_ways(pack, json.dumps(body).encode()))


@pytest.mark.parametrize(("pack", "kind", "name"), OTHERS)
@settings(max_examples=count_examples(60), deadline=None)
@given(random=st.randoms(use_true_random=False), n=st.integers(1, 4))
def test_damaged_lists_and_trees_are_read_over_and_never_complete(
    samples: Path, pack: str, kind: PayloadKind, name: str, random: Random, n: int
) -> None:
    body = load_pack_sample(samples, pack, name)
    for _ in range(n):
        damage(body, random)
    adapter = ADAPTERS[pack]
    damaged = answer(adapter.platform, kind, body)
    adapter.judge(damaged)
    assert adapter.read_discovery([damaged], Sport.FOOTBALL).completeness != "complete"


@settings(max_examples=count_examples(150), deadline=None)
@given(
    pack=st.sampled_from(sorted(ADAPTERS)),
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inside: (
            st.lists(inside)
            | st.dictionaries(
                st.sampled_from(["bizCode", "data", "meta", "eventId", "markets", "odds", "parent_match_id", "id"]),
                inside,
            )
        ),
    ),
)
def test_any_json_is_rejected_with_a_path(pack: str, body: Any) -> None:
    path, reason = same_both_ways(pack, json.dumps(body).encode())
    assert path.startswith("$")
    assert reason
