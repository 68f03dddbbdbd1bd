"""What holds of the discovery of every pack, by its own server in memory."""

import json
from collections.abc import Callable
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.domain.enums import Completeness, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline_tests.fixtures.examples import count_examples

from .bet9ja import test_discovery as bet9ja
from .betika import test_discovery as betika
from .betpawa import test_discovery as betpawa
from .betway import test_discovery as betway
from .msport import test_discovery as msport
from .sportpesa import test_discovery as sportpesa
from .sportybet import test_discovery as sportybet
from .support import AT, Reply, Server, answer_to, crawl, judge_answer, reply, shuffle_all

Templates = dict[str, dict[str, Any]]
FAILED: Final[Reply] = (500, {}, b"")
SITES: Final[dict[str, tuple[Any, Callable[[dict[str, Any]], Server]]]] = {
    "bet9ja": (bet9ja.ADAPTER, lambda event: bet9ja.Site(event, {"1": 4, "2": 3, "3": 5})),
    "betika": (betika.ADAPTER, lambda event: betika.Site(event, {"A": 130, "B": 80})),
    "betpawa": (betpawa.ADAPTER, lambda event: betpawa.Site(event, {"1": 70, "2": 80})),
    "betway": (betway.ADAPTER, lambda event: betway.Site(event, {betway.A: 130, betway.B: 3})),
    "msport": (msport.ADAPTER, lambda event: msport.Site(event, {msport.A: 7, msport.B: 5}, page_size=5)),
    "sportpesa": (sportpesa.ADAPTER, lambda event: sportpesa.Site(event, {"7": 130, "8": 3})),
    "sportybet": (sportybet.ADAPTER, lambda event: sportybet.Site(event, {sportybet.A: 40, sportybet.B: 70})),
}
ENDS_WITH_AN_EMPTY_PAGE: Final = ("sportybet",)
"""The last answer of these says nothing that is missing without it."""
PACKS: Final = pytest.mark.parametrize("pack", SITES)


@pytest.fixture(scope="module")
def crawled(templates: Templates) -> dict[str, list[Answer]]:
    """All answers of each pack's crawl."""
    return {
        pack: crawl(adapter, Sport.FOOTBALL, make_site(templates[pack]))[0]
        for pack, (adapter, make_site) in SITES.items()
    }


@PACKS
@settings(max_examples=count_examples(60), deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_any_answers_in_any_order_are_complete_only_when_none_is_missing_whatever_failed_besides(
    crawled: dict[str, list[Answer]], pack: str, random: Random
) -> None:
    (adapter, _), whole = SITES[pack], crawled[pack]
    expected = adapter.read_discovery(whole, Sport.FOOTBALL)
    chosen = whole if random.random() < 0.3 else random.sample(whole, random.randint(0, len(whole)))
    repeated = random.choices(chosen, k=2) if chosen else []
    failures = [
        judge_answer(adapter, answer_to(one.request, FAILED, attempt=2, at=AT.replace(hour=random.choice([1, 23]))))
        for one in random.sample(whole, random.randint(0, len(whole)))
    ]
    mixed = [*chosen, *repeated, *failures]
    random.shuffle(mixed)
    found = adapter.read_discovery(mixed, Sport.FOOTBALL)
    names = [listing.external_id for listing in found.listings]
    assert names == sorted(set(names))
    is_whole = {one.request.key for one in chosen} == {one.request.key for one in whole}
    if is_whole:
        assert found == expected
        assert expected.completeness is Completeness.COMPLETE
    elif pack in ENDS_WITH_AN_EMPTY_PAGE and found.completeness is Completeness.COMPLETE:
        assert found.listings == expected.listings
    else:
        assert found.completeness is not Completeness.COMPLETE


@pytest.mark.parametrize("pack", sorted(SITES.keys() - {"sportpesa"}))  # which names the home side first
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_entries_changes_nothing(templates: Templates, pack: str, seed: int) -> None:
    (adapter, make_site), random = SITES[pack], Random(seed)

    def read(server: Server) -> Any:
        return adapter.read_discovery(crawl(adapter, Sport.FOOTBALL, server)[0], Sport.FOOTBALL)

    def shuffled(request: Request) -> Reply:
        status, headers, body = site(request)
        return reply(shuffle_all(json.loads(body), random), status, headers)

    site = make_site(templates[pack])
    assert read(shuffled) == read(make_site(templates[pack]))


@pytest.mark.parametrize(
    ("site", "sport", "own_id", "tournament"),
    [
        (betpawa, Sport.BASKETBALL, "3", "7"),
        (betpawa, Sport.TENNIS, "452", "7"),
        (bet9ja, Sport.BASKETBALL, "2", "7"),
        (bet9ja, Sport.TENNIS, "5", "7"),
        (sportybet, Sport.BASKETBALL, "sr:sport:2", sportybet.A),
        (sportybet, Sport.TENNIS, "sr:sport:5", sportybet.A),
    ],
)
def test_other_sports_are_discovered_alike(
    templates: Templates, site: Any, sport: Sport, own_id: str, tournament: str
) -> None:
    template = templates[site.ADAPTER.platform]
    answers, _ = crawl(site.ADAPTER, sport, site.Site(template, {tournament: 12}, sport_id=own_id))
    found = site.ADAPTER.read_discovery(answers, sport)
    assert (found.completeness, {x.sport for x in found.listings}) == (Completeness.COMPLETE, {sport})
    assert site.ADAPTER.read_discovery(answers, Sport.FOOTBALL).completeness is not Completeness.COMPLETE
