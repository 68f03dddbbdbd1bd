"""BetPawa's crawl: the tree, then a sweep of all upcoming events in pages; and what the answers amount to. Pure."""

from collections.abc import Sequence

from ...domain.exchange import Answer
from ...domain.observations import Discovery
from ...domain.words import Completeness, FailureClass, PayloadKind, Sport
from ..base import Crawl
from ..collecting import Collected, Judgement, Question, assemble, last_tree, questions, reached, shortfall
from ..reading import UnreadableError
from . import parse
from .endpoints import PAGE_SIZE, page_of, page_request, tree_request

MAX_PAGES = 200
"""More than ten times what was ever listed: the end of a sweep that finds no end."""


def crawl(version: str, sport: Sport) -> Crawl:
    """Tree; then as many pages at once as its total promises; then on, page by page, until a short one."""
    (tree_answer,) = yield [tree_request(version, sport)]
    if tree_answer.failure is FailureClass.BLOCKED:
        return
    total = _total(tree_answer, sport)
    pages = min(max(-(-total // PAGE_SIZE), 1), MAX_PAGES)
    answers = yield [page_request(version, sport, page * PAGE_SIZE) for page in range(pages)]
    while _is_full(answers[-1]) and pages < MAX_PAGES:
        answers = yield [page_request(version, sport, pages * PAGE_SIZE)]
        pages += 1


def _total(answer: Answer, sport: Sport) -> int:
    if parse.judge(answer) is not None:
        return 0
    try:
        return parse.read_tree(answer, sport).total or 0
    except UnreadableError:
        return 0


def _is_full(answer: Answer) -> bool:
    return parse.judge(answer) is None and parse.page_listings(answer, Collected(parse.BETPAWA)) >= PAGE_SIZE


def read(answers: Sequence[Answer], sport: Sport) -> Discovery:
    """What the answers of one cycle amount to; any subset, order or repetition of them."""
    tree, tree_reason = last_tree(answers, parse.judge, lambda answer: parse.read_tree(answer, sport))
    found = Collected(parse.BETPAWA)
    gaps = _sweep(questions(answers, PayloadKind.LISTING, parse.judge), sport, found)

    def judgement(_: str, declared: int | None, received: int) -> Judgement:
        if reached(declared, received) or (declared is None and not gaps):
            return Completeness.COMPLETE, ""
        return Completeness.PARTIAL, shortfall(declared, received)

    return assemble(parse.BETPAWA, sport, tree=tree, tree_reason=tree_reason, found=found, gaps=gaps, judgement=judgement)


def _sweep(asked: Sequence[Question], sport: Sport, found: Collected) -> list[str]:
    """Reads all pages into `found` and names the gaps of the sweep: pages that failed or are missing, an end that was not reached."""
    sizes: dict[int, int] = {}
    takes: dict[int, int] = {}
    failed: dict[int, str] = {}
    for question in asked:
        page = page_of(question.answer.request, sport)
        n = parse.page_listings(question.answer, found) if question.ok else 0
        if page is None:
            continue
        takes[page.skip] = page.take
        if question.failure is None:
            sizes[page.skip] = n
        else:
            failed[page.skip] = f"page from event {page.skip}: {question.failure[0]}: {question.failure[1]}"
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
