"""BetPawa's crawl: the tree, then pages of all upcoming events; and the reading of its answers. Pure."""

from collections.abc import Sequence
from operator import itemgetter

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Discovery

from ..base import Crawl, DelayedBatch, DialectConfig
from ..collect_discovery import (
    Judgement,
    LatestAnswer,
    ListingCollection,
    assemble_discovery,
    describe_shortfall,
    is_barred,
    is_count_reached,
    list_retries,
    read_last_tree,
    select_latest_answers,
)
from ..json_values import UnreadableError
from . import parse_events
from .endpoints import PAGE_SIZE, build_page_request, build_tree_request, parse_page

EDGE_CACHE_S = 5.0
"""Seconds for which the edge cache keeps a tree; it keeps a list for 3 s.

A request within that time gets the same body.
"""


def crawl(sport: Sport, config: DialectConfig) -> Crawl:
    """Return the crawl: the tree, the pages that its total promises, further pages, then repetitions.

    Further pages follow one by one until one is not full. Repeated are requests that failed or had too few events.
    """
    answers = list((yield [build_tree_request(sport, config)]))
    if is_barred(answers):
        return
    total = _read_total(answers[-1], sport, config) if answers else 0
    pages = min(max(-(-total // PAGE_SIZE), 1), config.max_lists)
    latest = yield [build_page_request(sport, page * PAGE_SIZE, config) for page in range(pages)]
    answers += latest
    while latest and _is_full(latest[-1], config) and pages < config.max_lists:
        latest = yield [build_page_request(sport, pages * PAGE_SIZE, config)]
        answers += latest
        pages += 1
    repeated = _list_repeated_requests(answers, sport, config)
    if repeated and not is_barred(answers):
        yield DelayedBatch(repeated, EDGE_CACHE_S)


def _list_repeated_requests(answers: Sequence[Answer], sport: Sport, config: DialectConfig) -> list[Request]:
    """Return the requests to repeat.

    These are failed requests, pages before the last one that are not full, and a tree that contradicts itself. If
    events are missing for none of these reasons, they are all pages: an event that starts meanwhile shifts all later
    events, and one of them may move to a page that was already read.
    """
    repeated = list_retries(answers)
    tree, _ = read_last_tree(answers, parse_events.judge, lambda answer: parse_events.read_tree(answer, sport, config))
    if tree is not None and tree.contradiction:
        repeated += [answer.request for answer in answers if answer.request.kind is PayloadKind.TREE]
    pages = [
        question for question in select_latest_answers(answers, PayloadKind.LISTING, parse_events.judge) if question.ok
    ]
    sizes = {
        question.answer.request.key: parse_events.read_page_listings(
            question.answer, ListingCollection(config.platform), config
        )
        for question in pages
    }
    by_skip = sorted(
        (
            (page.n_skipped, question.answer.request)
            for question in pages
            if (page := parse_page(question.answer.request, sport, config))
        ),
        key=itemgetter(0),
    )
    last = max((skip for skip, request in by_skip if sizes[request.key]), default=-1)
    short = [request for skip, request in by_skip if skip < last and sizes[request.key] < PAGE_SIZE]
    if short or any(request.kind is PayloadKind.LISTING for request in repeated):
        return repeated + short
    discovery = read_discovery(answers, sport, config)
    missing = sum(max((tournament.n_declared or 0) - tournament.n_received, 0) for tournament in discovery.tournaments)
    return repeated + ([request for _, request in by_skip] if missing > len(discovery.rejects) else [])


def _read_total(answer: Answer, sport: Sport, config: DialectConfig) -> int:
    if parse_events.judge(answer) is not None:
        return 0
    try:
        return parse_events.read_tree(answer, sport, config).n_events or 0
    except UnreadableError:
        return 0


def _is_full(answer: Answer, config: DialectConfig) -> bool:
    return (
        parse_events.judge(answer) is None
        and parse_events.read_page_listings(answer, ListingCollection(config.platform), config) >= PAGE_SIZE
    )


def read_discovery(answers: Sequence[Answer], sport: Sport, config: DialectConfig) -> Discovery:
    """Return the content of one cycle's discovery answers: any subset, in any order, with repetitions."""
    tree, tree_reason = read_last_tree(
        answers, parse_events.judge, lambda answer: parse_events.read_tree(answer, sport, config)
    )
    collection = ListingCollection(config.platform)
    pages = select_latest_answers(answers, PayloadKind.LISTING, parse_events.judge)
    gaps = _read_pages(pages, sport, collection, config)

    def judgement(_: str, declared: int | None, received: int) -> Judgement:
        if is_count_reached(declared, received) or (declared is None and not gaps):
            return Completeness.COMPLETE, ""
        return Completeness.PARTIAL, describe_shortfall(declared, received)

    return assemble_discovery(
        config.platform,
        sport,
        tree=tree,
        tree_reason=tree_reason,
        collection=collection,
        gaps=gaps,
        judge_tournament=judgement,
    )


def _read_pages(
    latest_answers: Sequence[LatestAnswer], sport: Sport, collection: ListingCollection, config: DialectConfig
) -> list[str]:
    """Read all pages into `collection` and return the gaps of the sweep.

    Gaps are pages that failed or are missing, and an end that was not reached.
    """
    sizes: dict[int, int] = {}
    takes: dict[int, int] = {}
    failed: dict[int, str] = {}
    for question in latest_answers:
        page = parse_page(question.answer.request, sport, config)
        n = parse_events.read_page_listings(question.answer, collection, config) if question.ok else 0
        if page is None:
            continue
        takes[page.n_skipped] = page.n_taken
        if question.failure is None:
            sizes[page.n_skipped] = n
        else:
            failed[page.n_skipped] = f"page from event {page.n_skipped}: {question.failure[0]}: {question.failure[1]}"
    gaps = [gap for skip, gap in sorted(failed.items()) if skip not in sizes]
    expected = 0
    while expected in takes:
        expected += takes[expected]
    last = max(takes, default=-1)
    if last >= expected or last < 0:
        gaps.append(f"page from event {expected} was not asked for")
    elif sizes.get(last, 0) >= takes[last]:
        gaps.append(f"the sweep stopped after a full page, at event {last}")
    return gaps
