"""Bet9ja's crawl: the tree, then every competition with events; and the reading of its answers. Pure."""

from collections.abc import Sequence

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Discovery

from ..base import Crawl, DialectConfig
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


def crawl(sport: Sport, config: DialectConfig) -> Crawl:
    """Return the crawl: the tree, then all its competitions with events, then repetitions.

    The repetitions ask once more for competitions that failed or fell short of their count. If the tree has more than
    `config.max_lists` competitions, only the first ones are requested, each once.

    Without a tree there is nothing to request. A tree that failed or contradicts itself is therefore requested again
    first.
    """
    answers = list((yield [build_tree_request(config)]))
    tree = _read_tree(answers, sport, config)
    if list_retries(answers) or (tree is not None and tree.contradiction):
        answers += yield [build_tree_request(config)]
        tree = _read_tree(answers, sport, config)
    groups = [key for key, node in tree.tournaments.items() if node.n_declared != 0] if tree is not None else []
    if not groups:
        return
    answers += yield [build_group_request(sport, group, config) for group in groups[: config.max_lists]]
    if len(groups) > config.max_lists:
        return
    repeated = {
        request.key: request
        for request in [*list_retries(answers), *_list_short_requests(answers, sport, config)]
        if parse_group(request) in groups
    }
    if repeated and not is_barred(answers):
        yield list(repeated.values())


def _read_tree(answers: Sequence[Answer], sport: Sport, config: DialectConfig) -> TournamentTree | None:
    return read_last_tree(answers, parse_events.judge, lambda answer: parse_events.read_tree(answer, sport, config))[0]


def _list_short_requests(answers: Sequence[Answer], sport: Sport, config: DialectConfig) -> list[Request]:
    """Return the requests whose answers show fewer events than the tree counts, unreadable ones included."""
    tree = _read_tree(answers, sport, config)
    short = []
    for question in select_latest_answers(answers, PayloadKind.LISTING, parse_events.judge):
        group, collection = parse_group(question.answer.request), ListingCollection(config.platform)
        node = tree.tournaments.get(group or "") if tree else None
        if question.ok and node is not None and node.n_declared is not None:
            n_shown = len(parse_events.read_group_listings(question.answer, sport, collection, config)) + len(
                collection.rejects
            )
            if n_shown < node.n_declared:
                short.append(question.answer.request)
    return short


def read_discovery(answers: Sequence[Answer], sport: Sport, config: DialectConfig) -> Discovery:
    """Return the content of one cycle's discovery answers: any subset, in any order, with repetitions."""
    tree, tree_reason = read_last_tree(
        answers, parse_events.judge, lambda answer: parse_events.read_tree(answer, sport, config)
    )
    collection = ListingCollection(config.platform)
    ids_by_group: dict[str, set[str]] = {}
    failed: dict[str, str] = {}
    with_events = {key for key, node in tree.tournaments.items() if node.n_declared != 0} if tree else set()
    for question in select_latest_answers(answers, PayloadKind.LISTING, parse_events.judge):
        group = parse_group(question.answer.request)
        if question.failure is None:
            ids = parse_events.read_group_listings(question.answer, sport, collection, config)
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
        config.platform,
        sport,
        tree=tree,
        tree_reason=tree_reason,
        collection=collection,
        gaps=gaps,
        judge_tournament=judgement,
    )
