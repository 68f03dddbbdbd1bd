"""Bet9ja's crawl: the tree, then every competition that has events; and what the answers amount to. Pure."""

from collections.abc import Sequence

from ...domain.exchange import Answer
from ...domain.observations import Discovery
from ...domain.words import Completeness, PayloadKind, Sport
from ..base import Crawl
from ..collecting import Collected, Judgement, assemble, last_tree, questions, reached, shortfall
from ..reading import UnreadableError
from . import parse
from .endpoints import group_of, group_request, tree_request


def crawl(cache_version: str, sport: Sport) -> Crawl:
    """Tree; then all its competitions at once, those without events left out. Without a tree there is nothing to ask."""
    (tree_answer,) = yield [tree_request(cache_version)]
    if parse.judge(tree_answer) is not None:
        return
    try:
        tree = parse.read_tree(tree_answer, sport)
    except UnreadableError:
        return
    groups = [key for key, node in tree.tournaments.items() if node.declared != 0]
    if groups:
        yield [group_request(cache_version, sport, group) for group in groups]


def read(answers: Sequence[Answer], sport: Sport) -> Discovery:
    """What the answers of one cycle amount to; any subset, order or repetition of them."""
    tree, tree_reason = last_tree(answers, parse.judge, lambda answer: parse.read_tree(answer, sport))
    found = Collected(parse.BET9JA)
    seen: dict[str, set[str]] = {}
    failed: dict[str, str] = {}
    for question in questions(answers, PayloadKind.LISTING, parse.judge):
        group = group_of(question.answer.request)
        if question.failure is None:
            ids = parse.group_listings(question.answer, sport, found)
            if group is not None:
                seen[group] = ids
        elif group is not None:
            failed[group] = f"{question.failure[0]}: {question.failure[1]}"

    def judgement(group: str, declared: int | None, received: int) -> Judgement:
        if group in seen:
            # Without a count an empty list proves nothing: an unknown competition is answered in the same way.
            if reached(declared, len(seen[group])) or (declared is None and seen[group]):
                return Completeness.COMPLETE, ""
            return Completeness.PARTIAL, shortfall(declared, received)
        if declared == 0:
            return Completeness.COMPLETE, ""
        return (Completeness.PARTIAL if received else Completeness.FAILED), failed.get(group, "not asked for")

    return assemble(parse.BET9JA, sport, tree=tree, tree_reason=tree_reason, found=found, gaps=[], judgement=judgement)
