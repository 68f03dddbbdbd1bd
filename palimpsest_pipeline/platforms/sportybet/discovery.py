"""SportyBet's crawl: the tree and the pages of all upcoming events; and the reading of answers. Pure."""

from collections.abc import Sequence

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
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

EMPTY_PAGES_AT_END = 2
"""Number of consecutive empty pages that means the end; a single one may be a temporary error."""

MIN_SHARE_OF_TREE = 0.5
"""Minimum share of the tree's count that lists must have to be believed, whatever total they state.

The tree's count is updated a little later than the lists.
"""


class _Sweep:
    """The ids, the total and the empty pages read so far."""

    def __init__(self, config: DialectConfig) -> None:
        self.config = config
        self.ids: set[str] = set()
        self.n_events: int | None = None
        self.empty_pages: list[int] = []
        self.next_page = 1

    def add_answers(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            page = (
                parse_events.read_page_listings(answer, ListingCollection(self.config.platform), self.config)
                if parse_events.judge(answer) is None
                else None
            )
            if page is not None and page.n_events is not None:
                self.n_events = page.n_events
            if page is None or not page.event_ids:
                self.empty_pages.append(self.next_page)
            else:
                self.ids.update(page.event_ids)
            self.next_page += 1

    @property
    def n_missing(self) -> int:
        """The number of events not received yet; 1 if the total is unknown."""
        return 1 if self.n_events is None else max(self.n_events - len(self.ids), 0)

    @property
    def last_filled_page(self) -> int:
        """The last page with any event; 0 when there is none."""
        return max(set(range(1, self.next_page)) - set(self.empty_pages), default=0)

    @property
    def has_ended(self) -> bool:
        last = range(self.next_page - EMPTY_PAGES_AT_END, self.next_page)
        return self.next_page > self.config.max_lists or set(last) <= set(self.empty_pages)


def crawl(sport: Sport, config: DialectConfig) -> Crawl:
    """Return the crawl: the tree and the first page, then the missing pages, then repetitions.

    Each list of requests has as many pages as the missing events would fill, until all events are seen or no more come.
    Repeated are requests that failed or had too few events. A page contains whole tournaments, so a page that is not
    full need not be the last one.
    """
    first = [build_tree_request(sport, config), build_page_request(sport, 1, config)]
    answers = list((yield first))
    if len(answers) < len(first) or is_barred(answers):
        return
    sweep = _Sweep(config)
    sweep.add_answers(answers[1:])
    while sweep.n_missing and not sweep.has_ended:
        n = min(max(-(-sweep.n_missing // PAGE_SIZE), 1), config.max_lists + 1 - sweep.next_page)
        latest = yield [build_page_request(sport, sweep.next_page + i, config) for i in range(n)]
        answers += latest
        sweep.add_answers(latest)
        if len(latest) < n:
            return
    repeated = {
        request.key: request for request in [*list_retries(answers), *_list_short_requests(answers, sweep, sport)]
    }
    if repeated and not is_barred(answers):
        yield list(repeated.values())


def _list_short_requests(answers: Sequence[Answer], sweep: _Sweep, sport: Sport) -> list[Request]:
    """Return the requests to repeat because events are missing.

    These are pages that failed or were empty before the last page with events; without such pages, all pages and one
    more page after the last. A tree that contradicts itself is repeated too.
    """
    config = sweep.config
    tree, _ = read_last_tree(answers, parse_events.judge, lambda answer: parse_events.read_tree(answer, sport, config))
    repeated = [build_tree_request(sport, config)] if tree is not None and tree.contradiction else []
    if sweep.n_events is None or not sweep.n_missing:
        return repeated
    filled = sweep.last_filled_page
    failed = {request.key for request in list_retries(answers)}
    pages = [build_page_request(sport, page, config) for page in range(1, filled + 1)]
    holes = [page for n, page in enumerate(pages, start=1) if n in sweep.empty_pages or page.key in failed]
    return repeated + (holes or [*pages, build_page_request(sport, filled + 1, config)][: config.max_lists])


def read_discovery(answers: Sequence[Answer], sport: Sport, config: DialectConfig) -> Discovery:
    """Return the content of one cycle's discovery answers: any subset, in any order, with repetitions."""
    tree, tree_reason = read_last_tree(
        answers, parse_events.judge, lambda answer: parse_events.read_tree(answer, sport, config)
    )
    collection = ListingCollection(config.platform)
    pages = select_latest_answers(answers, PayloadKind.LISTING, parse_events.judge)
    gaps = _read_pages(pages, sport, collection, config)
    n_declared = sum(node.n_declared or 0 for node in tree.tournaments.values()) if tree else 0
    if not gaps and len(collection.listings) < n_declared * MIN_SHARE_OF_TREE:
        gaps.append(f"the lists show {len(collection.listings)} events where the tree counts {n_declared}")

    def judgement(_: str, declared: int | None, received: int) -> Judgement:
        if is_count_reached(declared, received):
            return Completeness.COMPLETE, ""
        if not gaps:
            # All events of the lists' own total were received, so the tree's count is the outdated one.
            note = (
                ""
                if declared is None
                else f"the tree's count {declared} is stale: all {received} listings of a complete sweep received"
            )
            return Completeness.COMPLETE, note
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

    Gaps are pages that failed, and fewer events than the total on the last page.
    """
    ids: set[str] = set()
    good: set[int] = set()
    failed: dict[int, str] = {}
    total: int | None = None
    for question in latest_answers:
        number = parse_page(question.answer.request, sport, config)
        page = parse_events.read_page_listings(question.answer, collection, config) if question.ok else None
        if number is None:
            continue
        if page is not None:
            good.add(number)
            ids.update(page.event_ids)
            total = page.n_events if page.n_events is not None else total
        elif question.failure is not None:
            failed[number] = f"page {number}: {question.failure[0]}: {question.failure[1]}"
    gaps = [gap for number, gap in sorted(failed.items()) if number not in good]
    if 1 not in good | failed.keys():
        gaps.append("page 1 was not asked for")
    elif total is None and not gaps:
        gaps.append("no page says how many events there are")
    elif total is not None and len(ids) < total:
        gaps.append(f"{len(ids)} of {total} listed events received")
    return gaps
