"""BetPawa's crawl: the tree, then a sweep of all upcoming events in pages; and what the answers amount to. Pure."""

from collections.abc import Sequence
from operator import itemgetter

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Discovery

from ..base import Crawl, DelayedBatch
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

MAX_LISTS = 200
"""More than ten times what was ever listed: the end of a sweep that finds no end."""


EDGE_CACHE_S = 5.0
"""The edge keeps a tree so long, and a list for 3 s: asked again before, it sends the same body."""


def crawl(version: str, sport: Sport, max_lists: int = MAX_LISTS) -> Crawl:
    """Tree; then as many pages at once as its total promises; then on, page by page, until a short one; then, once,
    what failed or fell short.
    """
    answers = list((yield [build_tree_request(version, sport)]))
    if is_barred(answers):
        return
    total = _read_total(answers[-1], sport) if answers else 0
    pages = min(max(-(-total // PAGE_SIZE), 1), max_lists)
    latest = yield [build_page_request(version, sport, page * PAGE_SIZE) for page in range(pages)]
    answers += latest
    while latest and _is_full(latest[-1]) and pages < max_lists:
        latest = yield [build_page_request(version, sport, pages * PAGE_SIZE)]
        answers += latest
        pages += 1
    again = _list_repeated_requests(answers, sport)
    if again and not is_barred(answers):
        yield DelayedBatch(again, EDGE_CACHE_S)


def _list_repeated_requests(answers: Sequence[Answer], sport: Sport) -> list[Request]:
    """What failed, pages that are short before the last one, and a tree that contradicts itself; all pages when events
    are missing all the same.

    An event that starts while the sweep goes on moves those behind it up, and one of them over the border of two pages.
    """
    again = list_retries(answers)
    tree, _ = read_last_tree(answers, parse_events.judge, lambda answer: parse_events.read_tree(answer, sport))
    if tree is not None and tree.contradiction:
        again += [answer.request for answer in answers if answer.request.kind is PayloadKind.TREE]
    pages = [
        question for question in select_latest_answers(answers, PayloadKind.LISTING, parse_events.judge) if question.ok
    ]
    sizes = {
        question.answer.request.key: parse_events.read_page_listings(
            question.answer, ListingCollection(parse_events.BETPAWA)
        )
        for question in pages
    }
    by_skip = sorted(
        (
            (page.n_skipped, question.answer.request)
            for question in pages
            if (page := parse_page(question.answer.request, sport))
        ),
        key=itemgetter(0),
    )
    last = max((skip for skip, request in by_skip if sizes[request.key]), default=-1)
    short = [request for skip, request in by_skip if skip < last and sizes[request.key] < PAGE_SIZE]
    if short or any(request.kind is PayloadKind.LISTING for request in again):
        return again + short
    found = read_discovery(answers, sport)
    missing = sum(max((one.n_declared or 0) - one.n_received, 0) for one in found.tournaments)
    return again + ([request for _, request in by_skip] if missing > len(found.rejects) else [])


def _read_total(answer: Answer, sport: Sport) -> int:
    if parse_events.judge(answer) is not None:
        return 0
    try:
        return parse_events.read_tree(answer, sport).n_events or 0
    except UnreadableError:
        return 0


def _is_full(answer: Answer) -> bool:
    return (
        parse_events.judge(answer) is None
        and parse_events.read_page_listings(answer, ListingCollection(parse_events.BETPAWA)) >= PAGE_SIZE
    )


def read_discovery(answers: Sequence[Answer], sport: Sport) -> Discovery:
    """What the answers of one cycle amount to; any subset, order or repetition of them."""
    tree, tree_reason = read_last_tree(
        answers, parse_events.judge, lambda answer: parse_events.read_tree(answer, sport)
    )
    found = ListingCollection(parse_events.BETPAWA)
    gaps = _read_pages(select_latest_answers(answers, PayloadKind.LISTING, parse_events.judge), sport, found)

    def judgement(_: str, declared: int | None, received: int) -> Judgement:
        if is_count_reached(declared, received) or (declared is None and not gaps):
            return Completeness.COMPLETE, ""
        return Completeness.PARTIAL, describe_shortfall(declared, received)

    return assemble_discovery(
        parse_events.BETPAWA,
        sport,
        tree=tree,
        tree_reason=tree_reason,
        collection=found,
        gaps=gaps,
        judge_tournament=judgement,
    )


def _read_pages(asked: Sequence[LatestAnswer], sport: Sport, found: ListingCollection) -> list[str]:
    """Reads all pages into `found` and names the gaps of the sweep: pages that failed or are missing, an end that
    was not reached.
    """
    sizes: dict[int, int] = {}
    takes: dict[int, int] = {}
    failed: dict[int, str] = {}
    for question in asked:
        page = parse_page(question.answer.request, sport)
        n = parse_events.read_page_listings(question.answer, found) if question.ok else 0
        if page is None:
            continue
        takes[page.n_skipped] = page.n_taken
        if question.failure is None:
            sizes[page.n_skipped] = n
        else:
            failed[page.n_skipped] = f"page from event {page.n_skipped}: {question.failure[0]}: {question.failure[1]}"
    gaps = [words for skip, words in sorted(failed.items()) if skip not in sizes]
    expected = 0
    while expected in takes:
        expected += takes[expected]
    last = max(takes, default=-1)
    if last >= expected or last < 0:
        gaps.append(f"page from event {expected} was not asked for")
    elif sizes.get(last, 0) >= takes[last]:
        gaps.append(f"the sweep stopped after a full page, at event {last}")
    return gaps
