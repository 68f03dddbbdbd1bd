"""Betika's crawl: the tree, then pages of all upcoming matches; and the reading of answers. Pure."""

from collections.abc import Sequence

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Discovery

from ..base import Crawl, DialectConfig
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
from . import parse_events
from .endpoints import PAGE_SIZE, build_page_request, build_tree_request, parse_page


def crawl(sport: Sport, config: DialectConfig) -> Crawl:
    """Return the crawl: the tree, the pages that its counts promise, further pages, then repetitions.

    Further pages follow one by one until a short one. The repetitions ask once more for answers that failed. They ask
    for the tree and all pages when competitions are short of their counts: a match that begins during the sweep leaves
    the list, and a match behind it may then move to a page that was already read.
    """
    tree_request = build_tree_request(sport, config)
    answers = list((yield [tree_request]))
    if not answers or is_barred(answers):
        return
    tree, _ = read_last_tree(answers, parse_events.judge, lambda answer: parse_events.read_tree(answer, sport, config))
    n_matches = sum(node.n_declared or 0 for node in tree.tournaments.values()) if tree else 0
    n_pages = min(max(-(-n_matches // PAGE_SIZE), 1), config.max_lists)
    requests = [build_page_request(sport, page, config) for page in range(1, n_pages + 1)]
    latest = yield list(requests)
    answers += latest
    while latest and _is_full(latest[-1], config) and len(requests) < config.max_lists:
        requests.append(build_page_request(sport, len(requests) + 1, config))
        latest = yield [requests[-1]]
        answers += latest
    repeated = list_retries(answers)
    if not repeated and _is_short(read_discovery(answers, sport, config)):
        repeated = [tree_request, *requests]
    if repeated and not is_barred(answers):
        yield repeated


def _is_full(answer: Answer, config: DialectConfig) -> bool:
    if parse_events.judge(answer) is not None:
        return False
    return parse_events.read_page(answer, ListingCollection(config.platform), config) >= PAGE_SIZE


def _is_short(discovery: Discovery) -> bool:
    """Return whether matches are missing that unreadable entries do not explain."""
    missing = sum(max((tournament.n_declared or 0) - tournament.n_received, 0) for tournament in discovery.tournaments)
    return missing > len(discovery.rejects)


def read_discovery(answers: Sequence[Answer], sport: Sport, config: DialectConfig) -> Discovery:
    """Return the content of one cycle's discovery answers: any subset, in any order, with repetitions.

    The counts of the tree prove what is complete; the list's own total does not, because it moves during a sweep.
    """
    tree, tree_reason = read_last_tree(
        answers, parse_events.judge, lambda answer: parse_events.read_tree(answer, sport, config)
    )
    collection = ListingCollection(config.platform)
    latest_answers = select_latest_answers(answers, PayloadKind.LISTING, parse_events.judge)
    gaps = _read_pages(latest_answers, sport, collection, config)

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
    failed: dict[int, str] = {}
    for latest in latest_answers:
        n_matches = parse_events.read_page(latest.answer, collection, config) if latest.ok else None
        number = parse_page(latest.answer.request, sport, config)
        if number is None:
            continue
        if n_matches is not None:
            sizes[number] = n_matches
        elif latest.failure is not None:
            failed[number] = f"page {number}: {latest.failure[0]}: {latest.failure[1]}"
    gaps = [gap for number, gap in sorted(failed.items()) if number not in sizes]
    n_pages = max(sizes.keys() | failed.keys(), default=1)
    gaps += [
        f"page {number} was not asked for" for number in range(1, n_pages + 1) if number not in sizes.keys() | failed
    ]
    if sizes.get(n_pages, 0) >= PAGE_SIZE:
        gaps.append(f"the sweep stopped after a full page, number {n_pages}")
    return gaps
