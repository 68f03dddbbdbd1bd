"""MSport's crawl, page by page of all upcoming events, and the reading of its answers. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Discovery

from ..base import Crawl, DialectConfig
from ..collect_discovery import (
    Judgement,
    LatestAnswer,
    ListingCollection,
    TournamentTree,
    assemble_discovery,
    describe_shortfall,
    is_barred,
    list_retries,
    select_latest_answers,
)
from . import parse_events
from .endpoints import build_page_request, parse_cursor

_MAX_STEPS_BACK: Final = 10
"""The most pages that one crawl requests again because a cursor may have been gone.

One shows that the list has ended; each further one is a match that began just then.
"""


@dataclass(frozen=True, slots=True)
class _Step:
    """A page of a walk, with the cursor that leads to it and the instant that it shows."""

    cursor: str
    page: parse_events.PageContent
    observed_at: datetime

    @property
    def n_events(self) -> int:
        return len(self.page.event_ids)


class _Walk:
    """The state of a walk from page to page.

    It holds the cursor of the next page, and whether the walk has ended by itself: at a page without a new event, or
    without a new cursor. A cursor is an event. When the list has lost that event, the next page is empty too. So the
    page before an empty one is doubted, unless it is short, as only a last page is, or shows a later state than the
    empty one.
    """

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self.next_cursor = ""
        self.has_ended = False
        self.n_steps_back = 0
        self.doubted: _Step | None = None
        """The page whose cursor may have been gone when the next page was requested."""

    def add_page(self, page: parse_events.PageContent, observed_at: datetime) -> None:
        known_ids = {event_id for step in self.steps for event_id in step.page.event_ids}
        if known_ids.issuperset(page.event_ids):
            self.has_ended = True
            last = self.steps[-1] if self.steps else None
            if last is not None and not self._is_short(last) and last.observed_at <= observed_at:
                self.doubted = last
            return
        self.steps.append(_Step(self.next_cursor, page, observed_at))
        self.has_ended = page.next_cursor in {"", *(step.cursor for step in self.steps)}
        self.next_cursor = page.next_cursor

    def _is_short(self, last: _Step) -> bool:
        """Return whether a page has at most half as many events as another one.

        Pages differ in size, if they hold whole tournaments, so the size that was requested does not tell.
        """
        return 2 * last.n_events <= max(step.n_events for step in self.steps)

    def step_back(self) -> None:
        """Return to the doubted page, as if it had not been requested yet."""
        self.n_steps_back += 1
        self.next_cursor = self.steps.pop().cursor
        self.has_ended = False
        self.doubted = None


def crawl(sport: Sport, config: DialectConfig) -> Crawl:
    """Return the crawl: page after page, each requested by the cursor that the page before it names.

    The cursor is the id of an event. A page without a new event or a new cursor ends the list. But a page is also empty
    when the list has lost its cursor's event in the meantime. So the page before an empty one is requested once more,
    unless it is short, as a last page is: with another cursor now the crawl continues there, with the same one the list
    has ended. A failed page is requested once more at once, and a second failure ends the crawl.
    """
    walk = _Walk()
    end_cursors: set[str] = set()
    filled_cursors: set[str] = set()
    for _ in range(config.max_lists):
        cursor = walk.next_cursor
        request = build_page_request(sport, cursor, config)
        answers = list((yield [request]))
        if list_retries(answers) and not is_barred(answers):
            answers = list((yield [request]))
        if not answers or parse_events.judge(answers[-1]) is not None:
            return
        page = parse_events.read_page(answers[-1], sport, ListingCollection(config.platform), config)
        walk.add_page(page, answers[-1].observed_at)
        if walk.doubted is not None and walk.n_steps_back < _MAX_STEPS_BACK:
            if cursor not in filled_cursors:
                end_cursors.add(cursor)
            walk.step_back()
            filled_cursors.add(walk.next_cursor)
        elif walk.has_ended or walk.next_cursor in end_cursors:
            return


def read_discovery(answers: Sequence[Answer], sport: Sport, config: DialectConfig) -> Discovery:
    """Return the content of one cycle's discovery answers: any subset, in any order, with repetitions.

    The tournaments are those of the pages, since there is no tree. They are complete when each page's cursor leads to
    the next page, and the last one is certainly the end of the list (see `crawl`).
    """
    collection = ListingCollection(config.platform)
    used_answers = _drop_emptied_pages(answers, sport, config)
    latest_answers = select_latest_answers(used_answers, PayloadKind.LISTING, parse_events.judge)
    gaps, tree = _read_pages(latest_answers, sport, collection, config)

    def judgement(_: str, declared: int | None, received: int) -> Judgement:
        if not gaps:
            return Completeness.COMPLETE, ""
        return Completeness.PARTIAL, describe_shortfall(declared, received)

    return assemble_discovery(
        config.platform,
        sport,
        tree=tree,
        tree_reason="; ".join(gaps),
        collection=collection,
        gaps=gaps,
        judge_tournament=judgement,
    )


def _drop_emptied_pages(answers: Sequence[Answer], sport: Sport, config: DialectConfig) -> list[Answer]:
    """Return the answers without empty pages that another answer to the same request shows with events.

    The cursor of such a page has gone since, so it proves no end.
    """
    keys = Counter(answer.request.key for answer in answers if parse_cursor(answer.request, sport, config) is not None)
    has_events = {
        n: bool(parse_events.read_page(answer, sport, ListingCollection(config.platform), config).event_ids)
        for n, answer in enumerate(answers)
        if keys[answer.request.key] > 1 and parse_events.judge(answer) is None
    }
    filled_keys = {answers[n].request.key for n, is_filled in has_events.items() if is_filled}
    return [a for n, a in enumerate(answers) if has_events.get(n, True) or a.request.key not in filled_keys]


def _read_pages(
    latest_answers: Sequence[LatestAnswer], sport: Sport, collection: ListingCollection, config: DialectConfig
) -> tuple[list[str], TournamentTree | None]:
    """Read all pages into `collection`; return the gaps of the walk and the tournaments of the pages.

    The tournaments are those of good pages, and None without any good page.
    """
    pages: dict[str, tuple[parse_events.PageContent, datetime]] = {}
    failed: dict[str, str] = {}
    for latest in latest_answers:
        page = parse_events.read_page(latest.answer, sport, collection, config) if latest.ok else None
        cursor = parse_cursor(latest.answer.request, sport, config)
        if cursor is None:
            continue
        if page is not None:
            pages[cursor] = page, latest.answer.observed_at
        elif latest.failure is not None:
            failed[cursor] = f"{latest.failure[0]}: {latest.failure[1]}"
    tree = TournamentTree()
    for cursor in sorted(pages, reverse=True):
        tree.tournaments.update(pages[cursor][0].tournaments)
    walk = _Walk()
    while not walk.has_ended and walk.next_cursor in pages:
        walk.add_page(*pages[walk.next_cursor])
    if not walk.has_ended:
        place = f"the page after {walk.next_cursor}" if walk.next_cursor else "the first page"
        gaps = [f"{place}: {failed.get(walk.next_cursor, 'not asked for')}"]
    elif walk.doubted is not None:
        gaps = [f"the page after {walk.next_cursor} shows nothing new: the list may have lost that event before"]
    else:
        gaps = [] if walk.steps else ["no page shows an event, and nothing says that there is none"]
    return gaps, tree if pages else None
