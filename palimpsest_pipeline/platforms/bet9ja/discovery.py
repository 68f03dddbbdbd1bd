"""Bet9ja's crawl: the tree, then every competition with events; and the reading of its answers. Pure."""

from collections.abc import Sequence

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Discovery

from ..base import Crawl
from ..collect_discovery import (
    Judgement,
    ListingCollection,
    TournamentTree,
    assemble_discovery,
    describe_shortfall,
    is_barred,
    is_count_reached,
    list_retries,
    read_last_tree,
    select_latest_answers,
)
from . import parse_events
from .endpoints import build_group_request, build_tree_request, parse_group

MAX_LISTS = 1_200
"""Maximum number of competitions requested, in case a tree lists wrong ones.

It is more than three times the number in any tree so far.
"""


def crawl(cache_version: str, sport: Sport, max_lists: int = MAX_LISTS) -> Crawl:
    """Return the generator of requests: the tree, then all its competitions with events, then repetitions.

    Bet9ja calls tournaments competitions. `cache_version` is the client build number that every request carries.
    Repeated are competitions that failed or had fewer events than the tree counts. If the tree has more than
    `max_lists` competitions, only the first ones are requested, each once. A tree that failed or contradicts itself is
    requested again, because without it there is nothing else to request.
    """
    answers = list((yield [build_tree_request(cache_version)]))
    tree = _read_tree(answers, sport)
    if list_retries(answers) or (tree is not None and tree.contradiction):
        answers += yield [build_tree_request(cache_version)]
        tree = _read_tree(answers, sport)
    groups = [key for key, node in tree.tournaments.items() if node.n_declared != 0] if tree is not None else []
    if not groups:
        return
    answers += yield [build_group_request(cache_version, sport, group) for group in groups[:max_lists]]
    if len(groups) > max_lists:
        return
    repeated = {
        request.key: request
        for request in [*list_retries(answers), *_list_short_requests(answers, sport)]
        if parse_group(request) in groups
    }
    if repeated and not is_barred(answers):
        yield list(repeated.values())


def _read_tree(answers: Sequence[Answer], sport: Sport) -> TournamentTree | None:
    return read_last_tree(answers, parse_events.judge, lambda answer: parse_events.read_tree(answer, sport))[0]


def _list_short_requests(answers: Sequence[Answer], sport: Sport) -> list[Request]:
    """Return the requests whose answers show fewer events than the tree counts, unreadable ones included."""
    tree = _read_tree(answers, sport)
    short = []
    for question in select_latest_answers(answers, PayloadKind.LISTING, parse_events.judge):
        group, collection = parse_group(question.answer.request), ListingCollection(parse_events.BET9JA)
        node = tree.tournaments.get(group or "") if tree else None
        if question.ok and node is not None and node.n_declared is not None:
            n_shown = len(parse_events.read_group_listings(question.answer, sport, collection)) + len(
                collection.rejects
            )
            if n_shown < node.n_declared:
                short.append(question.answer.request)
    return short


def read_discovery(answers: Sequence[Answer], sport: Sport) -> Discovery:
    """Return the content of one cycle's discovery answers: any subset, in any order, with repetitions."""
    tree, tree_reason = read_last_tree(
        answers, parse_events.judge, lambda answer: parse_events.read_tree(answer, sport)
    )
    collection = ListingCollection(parse_events.BET9JA)
    ids_by_group: dict[str, set[str]] = {}
    failed: dict[str, str] = {}
    with_events = {key for key, node in tree.tournaments.items() if node.n_declared != 0} if tree else set()
    for question in select_latest_answers(answers, PayloadKind.LISTING, parse_events.judge):
        group = parse_group(question.answer.request)
        if question.failure is None:
            ids = parse_events.read_group_listings(question.answer, sport, collection)
            if group is not None:
                ids_by_group[group] = ids
        elif group is not None:
            failed[group] = f"{question.failure[0]}: {question.failure[1]}"

    def judgement(group: str, declared: int | None, received: int) -> Judgement:
        if group in ids_by_group:
            # Without a count an empty list proves nothing: the answer for an unknown competition looks the same.
            if is_count_reached(declared, len(ids_by_group[group])) or (declared is None and ids_by_group[group]):
                return Completeness.COMPLETE, ""
            return Completeness.PARTIAL, describe_shortfall(declared, received)
        if declared == 0:
            return Completeness.COMPLETE, ""
        return (Completeness.PARTIAL if received else Completeness.FAILED), failed.get(group, "not asked for")

    requested_groups = with_events & (ids_by_group.keys() | failed.keys())
    gaps = (
        [f"the tree has {len(with_events)} competitions with events, and {len(requested_groups)} were asked for"]
        if requested_groups < with_events
        else []
    )
    return assemble_discovery(
        parse_events.BET9JA,
        sport,
        tree=tree,
        tree_reason=tree_reason,
        collection=collection,
        gaps=gaps,
        judge_tournament=judgement,
    )
