"""The discovery of sites whose answers have no counts: a tree of leagues, then a list of each.

No total proves that a list is complete, so a league is complete when its pages were followed to the last one. But if
the lists of all leagues are empty, no league is complete: a wrong parameter has the same effect. Pure.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Discovery

from .answer_checks import Verdict
from .base import Crawl
from .collect_discovery import (
    Judgement,
    ListingCollection,
    TournamentTree,
    assemble_discovery,
    is_barred,
    list_retries,
    read_last_tree,
    select_latest_answers,
)

_NO_ENTRY_REASON: Final = "no list shows a match, though the tree shows leagues"


@dataclass(frozen=True, slots=True)
class ListPage:
    """One answer to a league's list: the ids of its entries, readable or not, and whether more may follow."""

    entry_ids: Sequence[str]
    has_next: bool


@dataclass(frozen=True, slots=True)
class LeagueLists:
    """How a platform lists the leagues of a sport and their matches.

    A place is the number of an entry in a league's list. The first entry has `first_place`. `build_list_request` takes
    a league and the place to begin at. `parse_list` returns both from such a request, and None for any other request.
    `read_list` adds the listings of an answer to a collection, and returns None when the answer cannot be read.
    """

    platform: Platform
    sport: Sport
    max_lists: int
    first_place: int
    tree_request: Request
    judge: Callable[[Answer], Verdict | None]
    read_tree: Callable[[Answer], TournamentTree]
    build_list_request: Callable[[str, int], Request]
    parse_list: Callable[[Request], tuple[str, int] | None]
    read_list: Callable[[Answer, ListingCollection], ListPage | None]


def crawl_leagues(lists: LeagueLists) -> Crawl:
    """Return the crawl: the tree, a list of each league, further pages, and failed requests once more."""
    answers = list((yield [lists.tree_request]))
    if (retries := list_retries(answers)) and not is_barred(answers):
        answers += yield retries
    tree, _ = read_last_tree(answers, lists.judge, lists.read_tree)
    league_ids = tree.tournaments if tree is not None else ()
    requests = [lists.build_list_request(league_id, lists.first_place) for league_id in league_ids]
    walks = {league_id: _ListWalk(lists.first_place) for league_id in league_ids}
    n_left, has_retried = lists.max_lists, False
    while requests and n_left > 0 and not is_barred(answers):
        requests = requests[:n_left]
        n_left -= len(requests)
        latest = yield requests
        answers += latest
        if len(latest) < len(requests):
            return
        requests = _list_next_pages(latest, lists, walks)
        if not requests and not has_retried:
            requests = [request for request in list_retries(answers) if request.kind is PayloadKind.LISTING]
            n_left, has_retried = max(n_left, len(requests)), True


class _ListWalk:
    """The state of a walk along one league's list.

    It knows the place of the next page, and whether the walk has ended. A page without a new entry ends it, but not the
    list: the site may send the same entries whatever place is requested.
    """

    def __init__(self, first_place: int) -> None:
        self.place = first_place
        self.entry_ids: set[str] = set()
        self.has_ended = False
        self.is_stuck = False

    def add_page(self, page: ListPage) -> None:
        self.is_stuck = self.entry_ids.issuperset(page.entry_ids) and (page.has_next or bool(page.entry_ids))
        self.has_ended = self.is_stuck or not page.has_next
        if not self.has_ended:
            self.place += len(page.entry_ids)
        self.entry_ids.update(page.entry_ids)


def _list_next_pages(answers: Iterable[Answer], lists: LeagueLists, walks: dict[str, _ListWalk]) -> list[Request]:
    requests = []
    for answer in answers:
        place = lists.parse_list(answer.request)
        if place is None or lists.judge(answer) is not None:
            continue
        page, walk = lists.read_list(answer, ListingCollection(lists.platform)), walks[place[0]]
        if page is not None and place[1] == walk.place and not walk.has_ended:
            walk.add_page(page)
            if not walk.has_ended:
                requests.append(lists.build_list_request(place[0], walk.place))
    return requests


def read_league_discovery(answers: Sequence[Answer], lists: LeagueLists) -> Discovery:
    """Return the content of one cycle's discovery answers: any subset, in any order, with repetitions."""
    tree, tree_reason = read_last_tree(answers, lists.judge, lists.read_tree)
    collection = ListingCollection(lists.platform)
    pages: dict[str, dict[int, ListPage | str]] = {}
    for latest in select_latest_answers(answers, PayloadKind.LISTING, lists.judge):
        page = lists.read_list(latest.answer, collection) if latest.failure is None else None
        place = lists.parse_list(latest.answer.request)
        if place is not None:
            failure = (
                "cannot be read" if latest.failure is None else f"failed: {latest.failure[0]}: {latest.failure[1]}"
            )
            pages.setdefault(place[0], {})[place[1]] = page or failure

    all_pages = [page for league_pages in pages.values() for page in league_pages.values()]
    failures = [page for page in all_pages if isinstance(page, str)]
    has_entries = any(isinstance(page, ListPage) and page.entry_ids for page in all_pages)
    gaps = [f"{len(failures)} lists {failures[0]}"] if failures else []
    if all_pages and not has_entries:
        gaps.append(_NO_ENTRY_REASON)

    def judge_league(league_id: str, _declared: int | None, _received: int) -> Judgement:
        gap = _describe_gap(pages.get(league_id, {}), lists.first_place)
        if not gap and not has_entries:
            gap = _NO_ENTRY_REASON
        return (Completeness.PARTIAL, gap) if gap else (Completeness.COMPLETE, "")

    return assemble_discovery(
        lists.platform,
        lists.sport,
        tree=tree,
        tree_reason=tree_reason,
        collection=collection,
        gaps=gaps,
        judge_tournament=judge_league,
    )


def _describe_gap(pages: dict[int, ListPage | str], first_place: int) -> str:
    """Return the reason why a league's list is not complete; "" when it is complete."""
    walk = _ListWalk(first_place)
    while not walk.has_ended:
        page = pages.get(walk.place, "was not requested")
        if isinstance(page, str):
            return f"the list from entry {walk.place} on {page}"
        walk.add_page(page)
    return f"the list does not move on: from entry {walk.place} on it shows nothing new" if walk.is_stuck else ""
