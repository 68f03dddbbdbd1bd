"""Books that come in several answers: whole or refused, whatever part of them is there and however it is damaged."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.domain.enums import PayloadKind
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.pipeline.ingest.books import group_details
from palimpsest_pipeline_tests.fixtures.examples import count_examples

from .betway import support as betway
from .sportpesa import support as sportpesa
from .support import answer, columns
from .test_damaged_answers import NUL, damage
from .test_details_in_two_ways import MARK, UNBOUNDED, any_json, outcome

ADAPTERS: dict[str, Any] = {"betway": betway.ADAPTER, "sportpesa": sportpesa.ADAPTER}
PACKS = pytest.mark.parametrize("pack", sorted(ADAPTERS))


def whole_book(samples: Path, pack: str) -> list[Answer]:
    if pack == "betway":
        body = betway.with_event(samples, "wc_nf.json")
        few = betway.shortened(body, [*range(0, 233, 2)])
        return betway.list_answers(few)
    return sportpesa.list_answers(sportpesa.game_of(samples), sportpesa.book_of(samples))


def rewrite(given: Answer, body: bytes) -> Answer:
    return replace(given, body=body)


@PACKS
@settings(max_examples=count_examples(80), deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_any_answers_in_any_order_are_the_whole_book_or_refused(samples: Path, pack: str, random: Random) -> None:
    adapter, answers = ADAPTERS[pack], whole_book(samples, pack)
    known = adapter.read_detail(answers)
    chosen = random.sample(answers, random.randint(1, len(answers)))
    chosen += random.choices(chosen, k=random.randint(0, 3))
    random.shuffle(chosen)
    missing = adapter.list_detail_requests(answers[0].request.external_id, None, chosen)
    read = outcome(adapter.read_detail, chosen)
    if {given.request.key for given in chosen} == {given.request.key for given in answers}:
        assert missing == []
        assert (columns(read), read.listing) == (columns(known), known.listing)
    else:
        assert missing
        assert "missing" in read[1]
        assert not {request.key for request in missing} & {given.request.key for given in chosen}


@PACKS
@settings(max_examples=count_examples(60), deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_attempts_of_many_listings_are_separated_and_incomplete_ones_stay_alone(
    samples: Path, pack: str, random: Random
) -> None:
    """The answers of an attempt are side by side, as in the landing; some attempts lack answers."""
    adapter, answers = ADAPTERS[pack], whole_book(samples, pack)
    attempts = []
    for _ in range(random.randint(1, 5)):
        parts = random.sample(answers, len(answers) if random.random() < 0.6 else random.randint(1, len(answers) - 1))
        attempts.append(parts)
    found = list(group_details([given for parts in attempts for given in parts], adapter))
    assert [given for attempt in found for given in attempt] == [given for parts in attempts for given in parts]
    known = columns(adapter.read_detail(answers))
    for attempt in found:
        read = outcome(adapter.read_detail, attempt)
        assert isinstance(read, tuple) or columns(read) == known
    n_whole = sum(len(parts) == len(answers) for parts in attempts)
    assert sum(not isinstance(outcome(adapter.read_detail, attempt), tuple) for attempt in found) <= n_whole + sum(
        len(parts) < len(answers) for parts in attempts
    )
    if n_whole == len(attempts):
        assert found == attempts


@PACKS
@settings(max_examples=count_examples(80), deadline=None)
@given(random=st.randoms(use_true_random=False), n=st.integers(1, 4))
def test_damaged_answers_are_read_over_or_rejected(samples: Path, pack: str, random: Random, n: int) -> None:
    adapter, answers = ADAPTERS[pack], whole_book(samples, pack)
    place = random.randrange(len(answers))
    body = json.loads(answers[place].body or b"")
    for _ in range(n):
        damage(body, random)
    answers[place] = rewrite(answers[place], json.dumps(body).encode())
    adapter.judge(answers[place])
    outcome(lambda given: adapter.list_detail_requests("1", None, given), answers)
    for read in (adapter.read_listing, adapter.read_detail):
        assert outcome(read, answers)


@PACKS
@settings(max_examples=count_examples(40), deadline=None)
@given(random=st.randoms(use_true_random=False), value=st.sampled_from(list(UNBOUNDED)))
def test_values_out_of_all_bounds_are_read_over_or_rejected(
    samples: Path, pack: str, random: Random, value: str
) -> None:
    adapter, answers = ADAPTERS[pack], whole_book(samples, pack)
    place = random.randrange(len(answers))
    body = json.loads(answers[place].body or b"")
    damage(body, random, [MARK])
    text = json.dumps(body, ensure_ascii=False).replace(f'"{MARK}"', UNBOUNDED[value])
    answers[place] = rewrite(answers[place], text.encode())
    adapter.judge(answers[place])
    for read in (adapter.read_listing, adapter.read_detail):
        assert outcome(read, answers)


@PACKS
@settings(max_examples=count_examples(20), deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_no_reading_shows_a_nul(samples: Path, pack: str, random: Random) -> None:
    adapter, answers = ADAPTERS[pack], whole_book(samples, pack)
    place = random.randrange(len(answers))
    body = json.loads(answers[place].body or b"")
    damage(body, random, NUL)
    answers[place] = rewrite(answers[place], json.dumps(body).encode())
    assert "\\x00" not in repr(outcome(adapter.read_detail, answers))


@PACKS
@settings(max_examples=count_examples(30), deadline=None)
@given(random=st.randoms(use_true_random=False), share=st.floats(0, 1, exclude_max=True))
def test_an_answer_cut_off_anywhere_refuses_the_book(samples: Path, pack: str, random: Random, share: float) -> None:
    adapter, answers = ADAPTERS[pack], whole_book(samples, pack)
    place = random.randrange(len(answers))
    body = answers[place].body or b""
    answers[place] = rewrite(answers[place], body[: int(share * len(body))])
    path, reason = outcome(adapter.read_detail, answers)
    assert path == "$"
    assert reason


@settings(max_examples=count_examples(150), deadline=None)
@given(
    pack=st.sampled_from(sorted(ADAPTERS)),
    body=any_json("sportEvent", "marketsInGroup", "outcomes", "1", "id", "markets", "eventId"),
)
def test_any_json_is_rejected_with_a_path(pack: str, body: Any) -> None:
    adapter = ADAPTERS[pack]
    given_answer = answer(adapter.platform, PayloadKind.DETAIL, body)
    for read in (adapter.read_listing, adapter.read_detail):
        path, reason = outcome(read, [given_answer])
        assert path.startswith("$")
        assert reason
