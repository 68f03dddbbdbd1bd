"""Detail answers are decoded whole, or part by part when they are not as they should be: both ways read the same,
from good bodies and from bad.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.domain.enums import PayloadKind, Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import PayloadRejected
from palimpsest_pipeline.platforms.base import PlatformAdapter
from palimpsest_pipeline.platforms.bet9ja import book as bet9ja
from palimpsest_pipeline.platforms.betika import BetikaAdapter
from palimpsest_pipeline.platforms.betika import book as betika
from palimpsest_pipeline.platforms.betpawa import book as betpawa
from palimpsest_pipeline.platforms.msport import MsportAdapter
from palimpsest_pipeline.platforms.msport import book as msport
from palimpsest_pipeline.platforms.sportybet import book as sportybet
from palimpsest_pipeline_tests.fixtures.examples import count_examples
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET, build_adapters

from .pack_support import configure, load_pack_sample
from .support import answer, columns, sample, shuffle_all
from .test_damaged_answers import NUL, damage

MSPORT, BETIKA = Platform("msport"), Platform("betika")
ADAPTERS: dict[Platform, PlatformAdapter] = {
    **build_adapters(),
    MSPORT: MsportAdapter(configure("msport")),
    BETIKA: BetikaAdapter(configure("betika")),
}
BOOKS: dict[Platform, Any] = {BETPAWA: betpawa, SPORTYBET: sportybet, BET9JA: bet9ja, MSPORT: msport, BETIKA: betika}
DETAILS = [
    (BETPAWA, "detail_football_113_markets_v3_2026-06-26.json"),
    (BETPAWA, "detail_football_59_markets_v4_2026-08-21.json"),
    (SPORTYBET, "event_prematch_football_norway_france_974_markets.json"),
    (SPORTYBET, "event_prematch_football_360_markets.json"),
    (SPORTYBET, "event_prematch_tennis.json"),
    (BET9JA, "getevent_soccer_norway_france.json"),
    (BET9JA, "getevent_soccer_qatar_sudan_suspended_prices.json"),
    (BET9JA, "getevent_basketball.json"),
]
OTHERS = [
    (SPORTYBET, "event_inplay_product1_no_markets.json"),
    (SPORTYBET, "event_product1_before_kickoff_all_suspended.json"),
    (BET9JA, "getliveevent_soccer_all_suspended.json"),
]
PACK_DETAILS = [
    (MSPORT, "wc_nf.json"),
    (MSPORT, "prematch.json"),
    (MSPORT, "tennis.json"),
    (MSPORT, "basketball.json"),
    (BETIKA, "2026-08-09_match_72230652_football.json"),
    (BETIKA, "2026-08-09_match_68095974_basketball.json"),
    (BETIKA, "2026-08-09_match_73550032_tennis.json"),
]
PACK_IN_PLAY = [(MSPORT, "live.json"), (BETIKA, "2026-08-09_live_match_4921987_football.json")]
BETIKA_LISTS = [
    (PayloadKind.LISTING, "2026-08-09_matches_football_sort2_period9_p1.json"),
    (PayloadKind.TREE, "2026-08-09_sport_30_tree.json"),
]
ALL_DETAILS = pytest.mark.parametrize(("platform", "name"), [*DETAILS, *PACK_DETAILS])
UNBOUNDED = {
    "400 digits": "9" * 400,
    "5000 digits": "9" * 5000,
    "minus 400 digits": "-" + "9" * 400,
    **{
        text: text
        for text in (
            "1e308",
            "1e400",
            "0.1e-400",
            "1.0",
            "-0.0",
            '"1e999999"',
            '"9e99999"',
            '"\\ud800"',
            '"\\u0000"',
            '"NaN"',
        )
    },
}
"""Values that JSON can write and hardly anybody expects."""
MARK = "«here»"
KEYS = (
    "R",
    "D",
    "O",
    "MK",
    "ID",
    "bizCode",
    "data",
    "eventId",
    "markets",
    "id",
    "category",
    "meta",
    "odds",
    "parent_match_id",
)
"""Keys of all platforms' answers."""


@contextmanager
def part_by_part(platform: Platform) -> Iterator[None]:
    with patch.object(BOOKS[platform], "decode_whole", lambda *_: None):
        yield


def outcome(read: Callable[[Sequence[Answer]], Any], answers: Sequence[Answer]) -> Any:
    """What reading gives, or where and why it is refused."""
    try:
        return read(answers)
    except PayloadRejected as rejected:
        assert rejected.path.startswith("$")
        assert rejected.reason
        return rejected.path, rejected.reason


def any_json(*keys: str) -> st.SearchStrategy[Any]:
    """JSON values whose objects have some of these keys."""
    plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    return st.recursive(plain, lambda inside: st.lists(inside) | st.dictionaries(st.sampled_from(keys), inside))


def same_both_ways(platform: Platform, body: bytes) -> Any:
    """What both ways read, after seeing that it is the same."""
    given_answer = answer(platform, PayloadKind.DETAIL, body)
    ADAPTERS[platform].judge(given_answer)
    for read in (ADAPTERS[platform].read_listing, ADAPTERS[platform].read_detail):
        quick = outcome(read, [given_answer])
        with part_by_part(platform):
            assert outcome(read, [given_answer]) == quick
    return quick


def recorded(samples: Path, platform: Platform, name: str) -> bytes:
    """A recorded answer without the wrapper of its recording."""
    if (platform, name) in DETAILS or (platform, name) in OTHERS:
        return sample(samples, platform, name)
    return json.dumps(load_pack_sample(samples, platform, name)).encode()


@ALL_DETAILS
def test_a_captured_answer_is_read_whole_in_one_pass_and_alike_part_by_part(
    samples: Path, platform: Platform, name: str
) -> None:
    body = recorded(samples, platform, name)
    detail = same_both_ways(platform, body)
    assert detail.rejects == []
    assert len(detail.prices) == sum(detail.prices.n_outcomes)
    assert ADAPTERS[platform].judge(answer(platform, PayloadKind.DETAIL, body)) is None
    with patch.object(BOOKS[platform], "decode_in_parts", side_effect=AssertionError("a good answer needs one pass")):
        assert ADAPTERS[platform].read_detail([answer(platform, PayloadKind.DETAIL, body)]) == detail


@pytest.mark.parametrize(("platform", "name"), [*OTHERS, *PACK_IN_PLAY])
def test_an_answer_in_play_is_refused_alike_both_ways(samples: Path, platform: Platform, name: str) -> None:
    path, reason = same_both_ways(platform, recorded(samples, platform, name))
    assert path.startswith("$")
    assert reason.startswith("in play")


def shortened(samples: Path, platform: Platform, name: str) -> Any:
    return json.loads(_shortened(samples, platform, name))


@cache
def _shortened(samples: Path, platform: Platform, name: str) -> str:
    """A captured answer with some of its markets, so that many examples take little time and damage hits what is
    read.
    """
    body = json.loads(recorded(samples, platform, name))
    if platform == BET9JA:
        body["D"]["O"] = dict(list(body["D"]["O"].items())[:40])
        body["D"]["MK"] = body["D"]["MK"][:10]
        body["D"].pop("TRANS", None)
    elif platform == BETIKA:
        body["data"], body["market_groups"] = body["data"][:6], []
    else:
        event = body if platform == BETPAWA else body["data"]
        event["markets"] = event["markets"][:3] + event["markets"][-3:]
    return json.dumps(body)


@pytest.mark.parametrize(
    ("platform", "change", "path"),
    [
        (BETPAWA, {"startTime": "2026-08-21T09:30:00"}, "$.startTime"),
        (BETPAWA, {"startTime": "soon"}, "$.startTime"),
        (BETPAWA, {"startTime": None}, "$.startTime"),
        (BETPAWA, {"category": {"id": "457", "name": "Special Markets"}}, "$.category.id"),
        (BETPAWA, {"competition": {"name": "no id"}}, "$.competition"),
        (BETPAWA, {"participants": [{"id": "1"}, {"id": "2"}]}, "$.participants[0]"),
        (SPORTYBET, {"estimateStartTime": "tomorrow"}, "$.data.estimateStartTime"),
        (SPORTYBET, {"estimateStartTime": None}, "$.data.estimateStartTime"),
        (SPORTYBET, {"sport": {"id": "sr:sport:23", "category": {}}}, "$.data.sport.id"),
        (
            SPORTYBET,
            {"sport": {"id": "sr:sport:1", "category": {"id": "sr:category:1"}}},
            "$.data.sport.category.tournament.id",
        ),
        (SPORTYBET, {"homeTeamName": " "}, "$.data.homeTeamName"),
        (SPORTYBET, {"eventId": 5}, "$.data.eventId"),
        (MSPORT, {"startTime": "tomorrow"}, "$.data.startTime"),
        (MSPORT, {"sportId": "sr:sport:23"}, "$.data.sportId"),
        (MSPORT, {"tournamentId": None}, "$.data.tournamentId"),
        (MSPORT, {"homeTeam": " "}, "$.data.homeTeam"),
        (MSPORT, {"eventId": 5}, "$.data.eventId"),
        (BETIKA, {"start_time": "tomorrow"}, "$.meta.start_time"),
        (BETIKA, {"sport_id": None}, "$.meta.sport_id"),
        (BETIKA, {"competition_name": None}, "$.meta.competition_name"),
        (BETIKA, {"category": " "}, "$.meta.competition_name"),
        (BETIKA, {"home_team": " "}, "$.meta.home_team"),
        (BETIKA, {"parent_match_id": []}, "$.meta.parent_match_id"),
    ],
)
def test_an_event_that_lacks_what_a_listing_needs_is_rejected_by_path(
    samples: Path, platform: Platform, change: dict[str, Any], path: str
) -> None:
    name = next(name for known, name in [*DETAILS[1:], *PACK_DETAILS[1:]] if known == platform)
    body = shortened(samples, platform, name)
    root = path.split(".")[1] if platform != BETPAWA else ""
    (body[root] if root else body).update(change)
    assert same_both_ways(platform, json.dumps(body).encode())[0] == path


@ALL_DETAILS
def test_an_answer_about_another_event_is_refused(samples: Path, platform: Platform, name: str) -> None:
    body, adapter = recorded(samples, platform, name), ADAPTERS[platform]
    external_id = adapter.read_listing([answer(platform, PayloadKind.DETAIL, body)]).external_id
    for read in (adapter.read_listing, adapter.read_detail):
        assert read([answer(platform, PayloadKind.DETAIL, body, external_id=external_id)])
        with pytest.raises(PayloadRejected, match="asked was 1"):
            read([answer(platform, PayloadKind.DETAIL, body, external_id="1")])


@ALL_DETAILS
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_entries_changes_nothing(samples: Path, platform: Platform, name: str, seed: int) -> None:
    body, adapter, random = shortened(samples, platform, name), ADAPTERS[platform], Random(seed)
    known, found = (
        adapter.read_detail([answer(platform, PayloadKind.DETAIL, each)]) for each in (body, shuffle_all(body, random))
    )
    assert (columns(found), found.listing) == (columns(known), known.listing)


@ALL_DETAILS
@settings(max_examples=count_examples(80), deadline=None)
@given(random=st.randoms(use_true_random=False), n=st.integers(1, 4))
def test_damaged_answers_are_read_alike_both_ways(
    samples: Path, platform: Platform, name: str, random: Random, n: int
) -> None:
    body = shortened(samples, platform, name)
    for _ in range(n):
        damage(body, random)
    assert same_both_ways(platform, json.dumps(body).encode())


@ALL_DETAILS
@settings(max_examples=count_examples(40), deadline=None)
@given(random=st.randoms(use_true_random=False), value=st.sampled_from(list(UNBOUNDED)))
def test_values_out_of_all_bounds_are_read_over_or_rejected(
    samples: Path, platform: Platform, name: str, random: Random, value: str
) -> None:
    body = shortened(samples, platform, name)
    damage(body, random, [MARK])
    assert same_both_ways(
        platform, json.dumps(body, ensure_ascii=False).replace(f'"{MARK}"', UNBOUNDED[value]).encode()
    )


@ALL_DETAILS
@settings(max_examples=count_examples(20), deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_an_answer_cut_off_anywhere_is_rejected(samples: Path, platform: Platform, name: str, share: float) -> None:
    whole = recorded(samples, platform, name).strip()
    path, reason = same_both_ways(platform, whole[: int(share * len(whole))])
    assert path == "$"
    assert reason


@ALL_DETAILS
@settings(max_examples=count_examples(40), deadline=None)
@given(random=st.randoms(use_true_random=False), noise=st.binary(min_size=1, max_size=3))
def test_bytes_changed_anywhere_are_read_over_or_rejected(
    samples: Path, platform: Platform, name: str, random: Random, noise: bytes
) -> None:
    body = json.dumps(shortened(samples, platform, name)).encode()
    at = random.randrange(len(body))
    given_answer = answer(platform, PayloadKind.DETAIL, body[:at] + noise + body[at + len(noise) :])
    for read in (ADAPTERS[platform].read_listing, ADAPTERS[platform].read_detail):
        assert outcome(read, [given_answer])


@ALL_DETAILS
@settings(max_examples=count_examples(20), deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_no_reading_shows_a_nul(samples: Path, platform: Platform, name: str, random: Random) -> None:
    body = shortened(samples, platform, name)
    damage(body, random, NUL)
    assert "\\x00" not in repr(same_both_ways(platform, json.dumps(body).encode()))


@pytest.mark.parametrize(("kind", "name"), BETIKA_LISTS)
@settings(max_examples=count_examples(60), deadline=None)
@given(random=st.randoms(use_true_random=False), n=st.integers(1, 4))
def test_damaged_lists_and_trees_are_read_over_and_never_complete(
    samples: Path, kind: PayloadKind, name: str, random: Random, n: int
) -> None:
    body = load_pack_sample(samples, BETIKA, name)
    for _ in range(n):
        damage(body, random)
    adapter = ADAPTERS[BETIKA]
    damaged = answer(BETIKA, kind, body)
    adapter.judge(damaged)
    assert adapter.read_discovery([damaged], Sport.FOOTBALL).completeness != "complete"


@settings(max_examples=count_examples(200), deadline=None)
@given(
    platform=st.sampled_from(list(ADAPTERS)),
    body=any_json(*KEYS),
)
def test_any_json_is_rejected_with_a_path(platform: Platform, body: Any) -> None:
    path, reason = same_both_ways(platform, json.dumps(body).encode())
    assert path.startswith("$")
    assert reason
