"""MSport's crawl, page by page of all upcoming events, and the reading of its answers. Pure."""

from collections.abc import Sequence

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


class _Walk:
    """The state of a walk along the pages.

    It knows the cursor of the next page, and whether the walk has ended by itself: at a page without events, without a
    new event, or without a cursor that leads on.
    """

    def __init__(self) -> None:
        self.cursors = {""}
        self.ids: set[str] = set()
        self.next_cursor = ""
        self.has_ended = False

    def add_page(self, page: parse_events.PageContent) -> None:
        self.has_ended = set(page.event_ids) <= self.ids or page.next_cursor in self.cursors
        self.ids.update(page.event_ids)
        self.cursors.add(page.next_cursor)
        self.next_cursor = page.next_cursor


def crawl(sport: Sport, config: DialectConfig) -> Crawl:
    """Return the crawl: page after page until the walk ends by itself.

    Nothing says how many events there are, and only a page tells the cursor of the next one. So a page that failed is
    requested once more at once, and a second failure ends the crawl.
    """
    walk = _Walk()
    for _ in range(config.max_lists):
        request = build_page_request(sport, walk.next_cursor, config)
        answers = list((yield [request]))
        if list_retries(answers) and not is_barred(answers):
            answers = list((yield [request]))
        if not answers or parse_events.judge(answers[-1]) is not None:
            return
        walk.add_page(parse_events.read_page(answers[-1], sport, ListingCollection(config.platform), config))
        if walk.has_ended:
            return


def read_discovery(answers: Sequence[Answer], sport: Sport, config: DialectConfig) -> Discovery:
    """Return the content of one cycle's discovery answers: any subset, in any order, with repetitions.

    The tournaments are those of the pages, since there is no tree. They are complete when the pages form one walk that
    ended by itself.
    """
    collection = ListingCollection(config.platform)
    latest_answers = select_latest_answers(answers, PayloadKind.LISTING, parse_events.judge)
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


def _read_pages(
    latest_answers: Sequence[LatestAnswer], sport: Sport, collection: ListingCollection, config: DialectConfig
) -> tuple[list[str], TournamentTree | None]:
    """Read all pages into `collection`; return the gaps of the walk and the tournaments of the pages.

    The tournaments are those of good pages, and None without any good page.
    """
    pages: dict[str, parse_events.PageContent] = {}
    failed: dict[str, str] = {}
    for latest in latest_answers:
        page = parse_events.read_page(latest.answer, sport, collection, config) if latest.ok else None
        cursor = parse_cursor(latest.answer.request, sport, config)
        if cursor is None:
            continue
        if page is not None:
            pages[cursor] = page
        elif latest.failure is not None:
            failed[cursor] = f"{latest.failure[0]}: {latest.failure[1]}"
    tree = TournamentTree()
    for cursor in sorted(pages, reverse=True):
        tree.tournaments.update(pages[cursor].tournaments)
    walk = _Walk()
    while not walk.has_ended and walk.next_cursor in pages:
        walk.add_page(pages[walk.next_cursor])
    if not walk.has_ended:
        place = f"the page after {walk.next_cursor}" if walk.next_cursor else "the first page"
        gaps = [f"{place}: {failed.get(walk.next_cursor, 'not asked for')}"]
    else:
        gaps = [] if walk.ids else ["no page shows an event, and nothing says that there is none"]
    return gaps, tree if pages else None
