"""From single readings to a Discovery: the last good answer per question, each listing once, and what each
tournament was promised and got.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from palimpsest_pipeline.domain.enums import Completeness, FailureClass, PayloadKind, Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Discovery, Listing, Reject, TournamentManifest
from palimpsest_pipeline.domain.printable_text import escape_controls
from palimpsest_pipeline.wire.retry_rules import FAILURE_RULES

from .answer_checks import Verdict
from .json_values import UnreadableError

_MAX_NAMED_TOURNAMENTS = 5


@dataclass(frozen=True, slots=True)
class LatestAnswer:
    """All answers to one question: the last good one, or else the last failure."""

    answer: Answer
    failure: Verdict | None

    @property
    def ok(self) -> bool:
        return self.failure is None


def select_latest_answers(
    answers: Iterable[Answer], kind: PayloadKind, judge: Callable[[Answer], Verdict | None]
) -> list[LatestAnswer]:
    """One Question per request key, in order of arrival (then of key).

    A failure never replaces a good answer, whatever their order.
    """
    best: dict[str, LatestAnswer] = {}
    for answer in answers:
        if answer.request.kind is not kind:
            continue
        question = LatestAnswer(answer, judge(answer))
        known = best.get(answer.request.key)
        if known is None or _rank_answer(question) > _rank_answer(known):
            best[answer.request.key] = question
    return [best[key] for key in sorted(best, key=lambda key: (best[key].answer.received_at, key))]


def list_retries(answers: Iterable[Answer]) -> list[Request]:
    """Questions without a good answer that are worth another try, going by the failures that the answers are marked
    with.
    """
    asked = list(answers)
    of_all_kinds = [
        question for kind in PayloadKind for question in select_latest_answers(asked, kind, _read_recorded_verdict)
    ]
    return [
        question.answer.request
        for question in of_all_kinds
        if question.failure and FAILURE_RULES[question.failure[0]].is_retryable
    ]


def _read_recorded_verdict(answer: Answer) -> Verdict | None:
    return None if answer.failure is None else (answer.failure, answer.failure_detail)


def is_barred(answers: Iterable[Answer]) -> bool:
    """Whether the platform has turned us away, or is asked no more (attempt 0): then nothing is waited for and asked
    again.
    """
    return any(answer.failure is FailureClass.BLOCKED or not answer.attempt for answer in answers)


def _rank_answer(question: LatestAnswer) -> tuple[object, ...]:
    answer = question.answer
    return question.ok, answer.received_at, answer.attempt, answer.body or b""


@dataclass(frozen=True, slots=True)
class DeclaredTournament:
    """A tournament as the tree declares it. `declared` is None when the tree gives no readable count."""

    external_id: str
    name: str
    country_raw: str | None
    sr_tournament_id: int | None
    n_declared: int | None


@dataclass(slots=True)
class TournamentTree:
    """A tree as read: its tournaments, the sport's own total, and the nodes that could not be read."""

    tournaments: dict[str, DeclaredTournament] = field(default_factory=dict)
    n_events: int | None = None
    rejects: list[Reject] = field(default_factory=list)

    @property
    def contradiction(self) -> str:
        """What the tree counts and does not show, in words; "" when its sums agree, or cannot be told.

        Then a missing tournament proves nothing.
        """
        counts = [node.n_declared for node in self.tournaments.values()]
        shown = sum(count or 0 for count in counts)
        if self.n_events is None or None in counts or self.rejects or shown >= self.n_events:
            return ""
        return f"the tree contradicts itself: it counts {self.n_events} events, and {shown} in the tournaments that it shows"

    def add_reject(self, platform: Platform, path: str, reason: str) -> None:
        """A node that cannot be read, or that counts events and shows nothing under it: what hangs there is unknown."""
        self.rejects.append(Reject(platform, None, path, reason))

    def require_tournaments(self, path: str) -> "TournamentTree":
        """Itself.

        Raises UnreadableError when it shows no tournament though it does not say that there are no events.
        """
        if not self.tournaments and self.n_events != 0:
            counts = (
                "does not say how many events there are" if self.n_events is None else f"counts {self.n_events} events"
            )
            raise UnreadableError(path, f"the sport {counts} and shows no tournament")
        return self


def read_last_tree(
    answers: Iterable[Answer], judge: Callable[[Answer], Verdict | None], read_tree: Callable[[Answer], TournamentTree]
) -> tuple[TournamentTree | None, str]:
    """The tree of the last answer that can be read as one; without any, None and why."""
    reason = "the tree was not asked for"
    tree = None
    for question in select_latest_answers(answers, PayloadKind.TREE, judge):
        if question.failure is not None:
            reason = f"tree: {question.failure[0]}: {question.failure[1]}"
            continue
        try:
            tree = read_tree(question.answer)
        except UnreadableError as error:
            reason = f"tree: {error}"
    return tree, reason


@dataclass(slots=True)
class ListingCollection:
    """Listings by id, each once; and entries that could not be read, with the tournaments whose absences they put in
    doubt.
    """

    platform: Platform
    listings: dict[str, Listing] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    tournament_by_reject: dict[Reject, str | None] = field(default_factory=dict)
    """Unreadable entry -> its tournament, None when not even that can be read."""

    def add_listings(self, listings: Mapping[str, Listing]) -> None:
        """Listings of one answer; a later answer's claim replaces an earlier one's."""
        self.listings.update(listings)

    def add_reject(self, external_id: str | None, path: str, reason: str, tournament: str | None) -> None:
        reject = Reject(self.platform, external_id, path, reason)
        self.rejects.append(reject)
        self.tournament_by_reject[reject] = tournament

    def list_doubtful_tournaments(self) -> set[str | None]:
        """Tournaments with an entry that was read nowhere."""
        return {
            t
            for reject, t in self.tournament_by_reject.items()
            if reject.external_id is None or reject.external_id not in self.listings
        }


def deduplicate_listings(listings: Iterable[Listing]) -> dict[str, Listing]:
    """Listings by id.

    Of two different claims about one id in the same answer the choice does not depend on their order.
    """
    chosen: dict[str, Listing] = {}
    for listing in listings:
        known = chosen.get(listing.external_id)
        if known is None or (known != listing and repr(listing) > repr(known)):
            chosen[listing.external_id] = listing
    return chosen


Judgement = tuple[Completeness, str]


def assemble_discovery(
    platform: Platform,
    sport: Sport,
    *,
    tree: TournamentTree | None,
    tree_reason: str,
    collection: ListingCollection,
    gaps: Sequence[str],
    judge_tournament: Callable[[str, int | None, int], Judgement],
) -> Discovery:
    """The Discovery. `judgement(tournament id, declared, received)` says how complete one tournament is; `gaps` name
    what the crawl lacks.

    Without a tree it is failed, and no tournament is complete. Unreadable entries put their tournament in doubt: its
    absences prove nothing.
    """
    listings = [listing for listing in collection.listings.values() if listing.sport is sport]
    by_tournament: dict[str, list[Listing]] = defaultdict(list)
    for listing in listings:
        by_tournament[listing.tournament_external_id].append(listing)
    declared = tree.tournaments if tree else {}
    doubtful = collection.list_doubtful_tournaments()
    tournaments = []
    for key in sorted(declared.keys() | by_tournament.keys()):
        node = declared.get(key) or _make_undeclared(key, by_tournament[key])
        received = sum(not listing.is_in_play for listing in by_tournament[key])
        completeness, missing = judge_tournament(key, node.n_declared, received)
        if tree is None:
            completeness, missing = Completeness.PARTIAL, "the tree could not be read"
        elif completeness is Completeness.COMPLETE and doubtful & {key, None}:
            completeness, missing = Completeness.PARTIAL, "an entry could not be read"
        tournaments.append(
            TournamentManifest(
                platform,
                key,
                sport,
                node.name,
                node.country_raw,
                node.sr_tournament_id,
                node.n_declared,
                received,
                completeness,
                missing,
            )
        )
    reasons = [tree_reason] if tree is None else list(gaps)
    if tree is not None and tree.contradiction:
        reasons.append(tree.contradiction)
    if tree is not None and tree.rejects:
        reasons.append(f"{len(tree.rejects)} nodes of the tree could not be read")
    if tree is not None and None in doubtful:
        reasons.append("entries without a readable tournament")
    reasons.extend(_describe_incomplete(tournaments) if tree is not None else [])
    return Discovery(
        platform=platform,
        completeness=Completeness.FAILED
        if tree is None
        else Completeness.PARTIAL
        if reasons
        else Completeness.COMPLETE,
        tournaments=tournaments,
        listings=sorted(listings, key=lambda listing: listing.external_id),
        rejects=sorted(
            {*collection.rejects, *(tree.rejects if tree else [])},
            key=lambda r: (r.external_id or "", r.path, r.reason),
        ),
        reason=escape_controls("; ".join(reasons)),  # it names tournaments, and is logged
    )


def _make_undeclared(key: str, listings: Sequence[Listing]) -> DeclaredTournament:
    # The name of the smallest listing id: any listing would do, as long as it is always the same one.
    first = min(listings, key=lambda listing: listing.external_id)
    return DeclaredTournament(key, first.tournament_name, first.country_raw, first.sr_tournament_id, None)


def _describe_incomplete(tournaments: Sequence[TournamentManifest]) -> list[str]:
    short = [t for t in tournaments if t.completeness is not Completeness.COMPLETE]
    if not short:
        return []
    named = ", ".join(f"{t.name} ({t.external_id})" for t in short[:_MAX_NAMED_TOURNAMENTS])
    more = f" and {len(short) - _MAX_NAMED_TOURNAMENTS} more" if len(short) > _MAX_NAMED_TOURNAMENTS else ""
    return [f"{len(short)} of {len(tournaments)} tournaments incomplete: {named}{more}"]


def is_count_reached(n_declared: int | None, n_received: int) -> bool:
    """Whether what came is at least what was declared; without a count there is nothing to reach."""
    return n_declared is not None and n_received >= n_declared


def describe_shortfall(n_declared: int | None, n_received: int) -> str:
    return f"{n_received} of {'an unknown number' if n_declared is None else n_declared} listings received"
