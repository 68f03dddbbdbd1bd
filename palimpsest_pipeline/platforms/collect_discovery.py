"""From single readings to a Discovery: the last good answer per question, each listing once, and what each tournament was promised and got."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from palimpsest_pipeline.domain.enums import Completeness, FailureClass, PayloadKind, Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Discovery, Listing, Reject, TournamentManifest
from palimpsest_pipeline.domain.printable_text import printable
from palimpsest_pipeline.wire.retry_rules import RULES

from .answer_checks import Verdict
from .json_values import UnreadableError

_NAMED_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class Question:
    """All answers to one question: the last good one, or else the last failure."""

    answer: Answer
    failure: Verdict | None

    @property
    def ok(self) -> bool:
        return self.failure is None


def questions(answers: Iterable[Answer], kind: PayloadKind, judge: Callable[[Answer], Verdict | None]) -> list[Question]:
    """One Question per request key, in order of arrival (then of key). A failure never replaces a good answer, whatever their order."""
    best: dict[str, Question] = {}
    for answer in answers:
        if answer.request.kind is not kind:
            continue
        question = Question(answer, judge(answer))
        known = best.get(answer.request.key)
        if known is None or _rank(question) > _rank(known):
            best[answer.request.key] = question
    return [best[key] for key in sorted(best, key=lambda key: (best[key].answer.received_at, key))]


def once_more(answers: Iterable[Answer]) -> list[Request]:
    """Questions without a good answer that are worth another try, going by the failures that the answers are marked with."""
    asked = list(answers)
    of_all_kinds = [question for kind in PayloadKind for question in questions(asked, kind, _marked)]
    return [question.answer.request for question in of_all_kinds if question.failure and RULES[question.failure[0]].tried_again]


def _marked(answer: Answer) -> Verdict | None:
    return None if answer.failure is None else (answer.failure, answer.failure_detail)


def is_barred(answers: Iterable[Answer]) -> bool:
    """Whether the platform has turned us away, or is asked no more (attempt 0): then nothing is waited for and asked again."""
    return any(answer.failure is FailureClass.BLOCKED or not answer.attempt for answer in answers)


def _rank(question: Question) -> tuple[object, ...]:
    answer = question.answer
    return question.ok, answer.received_at, answer.attempt, answer.body or b""


@dataclass(frozen=True, slots=True)
class Declared:
    """A tournament as the tree declares it. `declared` is None when the tree gives no readable count."""

    external_id: str
    name: str
    country_raw: str | None
    sr_tournament_id: int | None
    declared: int | None


@dataclass(slots=True)
class Tree:
    """A tree as read: its tournaments, the sport's own total, and the nodes that could not be read."""

    tournaments: dict[str, Declared] = field(default_factory=dict)
    total: int | None = None
    rejects: list[Reject] = field(default_factory=list)

    @property
    def contradiction(self) -> str:
        """What the tree counts and does not show, in words; "" when its sums agree, or cannot be told. Then a missing tournament proves nothing."""
        counts = [node.declared for node in self.tournaments.values()]
        shown = sum(count or 0 for count in counts)
        if self.total is None or None in counts or self.rejects or shown >= self.total:
            return ""
        return f"the tree contradicts itself: it counts {self.total} events, and {shown} in the tournaments that it shows"

    def reject(self, platform: Platform, path: str, reason: str) -> None:
        """A node that cannot be read, or that counts events and shows nothing under it: what hangs there is unknown."""
        self.rejects.append(Reject(platform, None, path, reason))

    def checked(self, path: str) -> "Tree":
        """Itself. Raises UnreadableError when it shows no tournament though it does not say that there are no events."""
        if not self.tournaments and self.total != 0:
            counts = "does not say how many events there are" if self.total is None else f"counts {self.total} events"
            raise UnreadableError(path, f"the sport {counts} and shows no tournament")
        return self


def last_tree(answers: Iterable[Answer], judge: Callable[[Answer], Verdict | None], read: Callable[[Answer], Tree]) -> tuple[Tree | None, str]:
    """The tree of the last answer that can be read as one; without any, None and why."""
    reason = "the tree was not asked for"
    tree = None
    for question in questions(answers, PayloadKind.TREE, judge):
        if question.failure is not None:
            reason = f"tree: {question.failure[0]}: {question.failure[1]}"
            continue
        try:
            tree = read(question.answer)
        except UnreadableError as error:
            reason = f"tree: {error}"
    return tree, reason


@dataclass(slots=True)
class Collected:
    """Listings by id, each once; and entries that could not be read, with the tournaments whose absences they put in doubt."""

    platform: Platform
    listings: dict[str, Listing] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    doubtful: dict[Reject, str | None] = field(default_factory=dict)
    """Unreadable entry -> its tournament, None when not even that can be read."""

    def add(self, found: Mapping[str, Listing]) -> None:
        """Listings of one answer; a later answer's claim replaces an earlier one's."""
        self.listings.update(found)

    def reject(self, external_id: str | None, path: str, reason: str, tournament: str | None) -> None:
        reject = Reject(self.platform, external_id, path, reason)
        self.rejects.append(reject)
        self.doubtful[reject] = tournament

    def doubtful_tournaments(self) -> set[str | None]:
        """Tournaments with an entry that was read nowhere."""
        return {t for reject, t in self.doubtful.items() if reject.external_id is None or reject.external_id not in self.listings}


def once(listings: Iterable[Listing]) -> dict[str, Listing]:
    """Listings by id. Of two different claims about one id in the same answer the choice does not depend on their order."""
    chosen: dict[str, Listing] = {}
    for listing in listings:
        known = chosen.get(listing.external_id)
        if known is None or (known != listing and repr(listing) > repr(known)):
            chosen[listing.external_id] = listing
    return chosen


Judgement = tuple[Completeness, str]


def assemble(
    platform: Platform,
    sport: Sport,
    *,
    tree: Tree | None,
    tree_reason: str,
    found: Collected,
    gaps: Sequence[str],
    judgement: Callable[[str, int | None, int], Judgement],
) -> Discovery:
    """The Discovery. `judgement(tournament id, declared, received)` says how complete one tournament is; `gaps` name what the crawl lacks.

    Without a tree it is failed, and no tournament is complete. Unreadable entries put their tournament in doubt: its absences prove nothing.
    """
    listings = [listing for listing in found.listings.values() if listing.sport is sport]
    by_tournament: dict[str, list[Listing]] = defaultdict(list)
    for listing in listings:
        by_tournament[listing.tournament_external_id].append(listing)
    declared = tree.tournaments if tree else {}
    doubtful = found.doubtful_tournaments()
    tournaments = []
    for key in sorted(declared.keys() | by_tournament.keys()):
        node = declared.get(key) or _undeclared(key, by_tournament[key])
        received = sum(not listing.in_play for listing in by_tournament[key])
        completeness, missing = judgement(key, node.declared, received)
        if tree is None:
            completeness, missing = Completeness.PARTIAL, "the tree could not be read"
        elif completeness is Completeness.COMPLETE and doubtful & {key, None}:
            completeness, missing = Completeness.PARTIAL, "an entry could not be read"
        tournaments.append(
            TournamentManifest(
                platform, key, sport, node.name, node.country_raw, node.sr_tournament_id, node.declared, received, completeness, missing
            )
        )
    reasons = [tree_reason] if tree is None else list(gaps)
    if tree is not None and tree.contradiction:
        reasons.append(tree.contradiction)
    if tree is not None and tree.rejects:
        reasons.append(f"{len(tree.rejects)} nodes of the tree could not be read")
    if tree is not None and None in doubtful:
        reasons.append("entries without a readable tournament")
    reasons.extend(_incomplete(tournaments) if tree is not None else [])
    return Discovery(
        platform=platform,
        completeness=Completeness.FAILED if tree is None else Completeness.PARTIAL if reasons else Completeness.COMPLETE,
        tournaments=tournaments,
        listings=sorted(listings, key=lambda listing: listing.external_id),
        rejects=sorted({*found.rejects, *(tree.rejects if tree else [])}, key=lambda r: (r.external_id or "", r.path, r.reason)),
        reason=printable("; ".join(reasons)),  # it names tournaments, and is logged
    )


def _undeclared(key: str, listings: Sequence[Listing]) -> Declared:
    # The name of the smallest listing id: any listing would do, as long as it is always the same one.
    first = min(listings, key=lambda listing: listing.external_id)
    return Declared(key, first.tournament_name, first.country_raw, first.sr_tournament_id, None)


def _incomplete(tournaments: Sequence[TournamentManifest]) -> list[str]:
    short = [t for t in tournaments if t.completeness is not Completeness.COMPLETE]
    if not short:
        return []
    named = ", ".join(f"{t.name} ({t.external_id})" for t in short[:_NAMED_AT_MOST])
    more = f" and {len(short) - _NAMED_AT_MOST} more" if len(short) > _NAMED_AT_MOST else ""
    return [f"{len(short)} of {len(tournaments)} tournaments incomplete: {named}{more}"]


def reached(declared: int | None, received: int) -> bool:
    """Whether what came is at least what was declared; without a count there is nothing to reach."""
    return declared is not None and received >= declared


def shortfall(declared: int | None, received: int) -> str:
    return f"{received} of {'an unknown number' if declared is None else declared} listings received"
