"""SportyBet's crawl: the tree and the pages of all upcoming events; and what the answers amount to. Pure."""

from collections.abc import Sequence

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Discovery

from ..base import Crawl
from ..collect_discovery import Collected, Judgement, Question, assemble, is_barred, last_tree, once_more, questions, reached, shortfall
from . import parse_events
from .endpoints import PAGE_SIZE, page_of, page_request, tree_request

MAX_LISTS = 200
"""Most pages of a sweep that finds no end: more than ten times as many as were ever listed."""
EMPTY_PAGES_AT_END = 2
"""One empty page can be a passing hole; so many in a row are the end."""

LEAST_SHARE_OF_TREE = 0.5
"""The tree's count lags behind a little; lists that show less than this share of it are not to be believed, whatever they count themselves."""


class _Sweep:
    """What the pages have shown so far."""

    def __init__(self, max_lists: int) -> None:
        self.max_lists = max_lists
        self.ids: set[str] = set()
        self.total: int | None = None
        self.empty: list[int] = []
        self.next_page = 1

    def take(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            page = parse_events.page_listings(answer, Collected(parse_events.SPORTYBET)) if parse_events.judge(answer) is None else None
            if page is not None and page.total is not None:
                self.total = page.total
            if page is None or not page.ids:
                self.empty.append(self.next_page)
            else:
                self.ids.update(page.ids)
            self.next_page += 1

    @property
    def missing(self) -> int:
        """How many events are still to come; without a total, one more as long as pages bring any."""
        return 1 if self.total is None else max(self.total - len(self.ids), 0)

    @property
    def filled(self) -> int:
        """The last page that held any event; 0 when none did."""
        return max(set(range(1, self.next_page)) - set(self.empty), default=0)

    @property
    def ended(self) -> bool:
        last = range(self.next_page - EMPTY_PAGES_AT_END, self.next_page)
        return self.next_page > self.max_lists or set(last) <= set(self.empty)


def crawl(country: str, sport: Sport, max_lists: int = MAX_LISTS) -> Crawl:
    """Tree and first page; then as many pages at once as are still missing at their fullest, until all are seen or nothing more comes; then, once,
    what failed or fell short.

    Pages hold whole tournaments, so a page that is not full is not the last one.
    """
    first = [tree_request(country, sport), page_request(country, sport, 1)]
    answers = list((yield first))
    if len(answers) < len(first) or is_barred(answers):
        return
    sweep = _Sweep(max_lists)
    sweep.take(answers[1:])
    while sweep.missing and not sweep.ended:
        n = min(max(-(-sweep.missing // PAGE_SIZE), 1), max_lists + 1 - sweep.next_page)
        latest = yield [page_request(country, sport, sweep.next_page + i) for i in range(n)]
        answers += latest
        sweep.take(latest)
        if len(latest) < n:
            return
    again = {request.key: request for request in [*once_more(answers), *_short(answers, sweep, country, sport)]}
    if again and not is_barred(answers):
        yield list(again.values())


def _short(answers: Sequence[Answer], sweep: _Sweep, country: str, sport: Sport) -> list[Request]:
    """Pages that were empty before others, or, when none was and events are missing, all of them and the one where they ended; and a tree that
    contradicts itself."""
    tree, _ = last_tree(answers, parse_events.judge, lambda answer: parse_events.read_tree(answer, sport))
    again = [tree_request(country, sport)] if tree is not None and tree.contradiction else []
    if sweep.total is None or not sweep.missing:
        return again
    filled = sweep.filled
    failed = {request.key for request in once_more(answers)}
    pages = [page_request(country, sport, page) for page in range(1, filled + 1)]
    holes = [page for n, page in enumerate(pages, start=1) if n in sweep.empty or page.key in failed]
    return again + (holes or [*pages, page_request(country, sport, filled + 1)][: sweep.max_lists])


def read(answers: Sequence[Answer], sport: Sport) -> Discovery:
    """What the answers of one cycle amount to; any subset, order or repetition of them."""
    tree, tree_reason = last_tree(answers, parse_events.judge, lambda answer: parse_events.read_tree(answer, sport))
    found = Collected(parse_events.SPORTYBET)
    gaps = _sweep(questions(answers, PayloadKind.LISTING, parse_events.judge), sport, found)
    counted = sum(node.declared or 0 for node in tree.tournaments.values()) if tree else 0
    if not gaps and len(found.listings) < counted * LEAST_SHARE_OF_TREE:
        gaps.append(f"the lists show {len(found.listings)} events where the tree counts {counted}")

    def judgement(_: str, declared: int | None, received: int) -> Judgement:
        if reached(declared, received):
            return Completeness.COMPLETE, ""
        if not gaps:
            # The sweep has seen every event that it counts, so the tree's count is the stale one.
            stale = "" if declared is None else f"the tree's count {declared} is stale: all {received} listings of a complete sweep received"
            return Completeness.COMPLETE, stale
        return Completeness.PARTIAL, shortfall(declared, received)

    return assemble(parse_events.SPORTYBET, sport, tree=tree, tree_reason=tree_reason, found=found, gaps=gaps, judgement=judgement)


def _sweep(asked: Sequence[Question], sport: Sport, found: Collected) -> list[str]:
    """Reads all pages into `found` and names the gaps of the sweep: pages that failed, fewer events than the last page counted."""
    ids: set[str] = set()
    good: set[int] = set()
    failed: dict[int, str] = {}
    total: int | None = None
    for question in asked:
        number = page_of(question.answer.request, sport)
        page = parse_events.page_listings(question.answer, found) if question.ok else None
        if number is None:
            continue
        if page is not None:
            good.add(number)
            ids.update(page.ids)
            total = page.total if page.total is not None else total
        elif question.failure is not None:
            failed[number] = f"page {number}: {question.failure[0]}: {question.failure[1]}"
    gaps = [words for number, words in sorted(failed.items()) if number not in good]
    if 1 not in good | failed.keys():
        gaps.append("page 1 was not asked for")
    elif total is None and not gaps:
        gaps.append("no page says how many events there are")
    elif total is not None and len(ids) < total:
        gaps.append(f"{len(ids)} of {total} listed events received")
    return gaps
