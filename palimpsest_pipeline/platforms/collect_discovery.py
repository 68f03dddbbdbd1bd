"""Assembly of a `Discovery`: last good answer per request, each listing once, counts by tournament."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Discovery, Listing, Reject, TournamentManifest
from palimpsest_pipeline.domain.printable_text import escape_controls
from palimpsest_pipeline.wire.retry_rules import FAILURE_RULES, HostSignal

from .answer_checks import Verdict
from .json_values import UnreadableError

_MAX_NAMED_TOURNAMENTS = 5


@dataclass(frozen=True, slots=True)
class LatestAnswer:
    """The answer to a request that is used: the last good one, or else the last failure."""

    answer: Answer
    failure: Verdict | None

    @property
    def ok(self) -> bool:
        return self.failure is None


def select_latest_answers(
    answers: Iterable[Answer], kind: PayloadKind, judge: Callable[[Answer], Verdict | None]
) -> list[LatestAnswer]:
    """Return one LatestAnswer per request key of this `kind`, in order of arrival (then of key).

    A failure never replaces a good answer, whatever their order.
    """
    best: dict[str, LatestAnswer] = {}
    for answer in answers:
        if answer.request.kind is not kind:
            continue
        candidate = LatestAnswer(answer, judge(answer))
        best_answer = best.get(answer.request.key)
        if best_answer is None or _rank_answer(candidate) > _rank_answer(best_answer):
            best[answer.request.key] = candidate
    return [best[key] for key in sorted(best, key=lambda key: (best[key].answer.received_at, key))]


def list_retries(answers: Iterable[Answer]) -> list[Request]:
    """Return the requests without a good answer whose failure may be temporary, by its class."""
    answers = list(answers)
    latest_answers = [
        latest for kind in PayloadKind for latest in select_latest_answers(answers, kind, _read_recorded_verdict)
    ]
    return [
        latest.answer.request
        for latest in latest_answers
        if latest.failure and FAILURE_RULES[latest.failure[0]].is_retryable
    ]


def _read_recorded_verdict(answer: Answer) -> Verdict | None:
    return None if answer.failure is None else (answer.failure, answer.failure_detail)


def is_barred(answers: Iterable[Answer]) -> bool:
    """Return whether the platform has blocked us or its host is not asked any more (attempt 0).

    Then the crawl does not wait and repeats nothing.
    """
    return any(
        not answer.attempt
        or (answer.failure is not None and FAILURE_RULES[answer.failure].host_signal is HostSignal.BLOCK)
        for answer in answers
    )


def _rank_answer(latest: LatestAnswer) -> tuple[object, ...]:
    answer = latest.answer
    return latest.ok, answer.received_at, answer.attempt, answer.body or b""


@dataclass(frozen=True, slots=True)
class DeclaredTournament:
    """A tournament as the tree declares it. `n_declared` is None without a readable count."""

    external_id: str
    name: str
    country_raw: str | None
    sr_tournament_id: int | None
    n_declared: int | None


@dataclass(slots=True)
class TournamentTree:
    """The content of a tree: its tournaments, the sport's own total, and the unreadable nodes."""

    tournaments: dict[str, DeclaredTournament] = field(default_factory=dict)
    n_events: int | None = None
    rejects: list[Reject] = field(default_factory=list)

    @property
    def contradiction(self) -> str:
        """Return the difference between the tree's count and its content, in words.

        '' when the sums agree or cannot be compared. With a contradiction a missing tournament proves nothing.
        """
        counts = [node.n_declared for node in self.tournaments.values()]
        n_shown = sum(count or 0 for count in counts)
        if self.n_events is None or None in counts or self.rejects or n_shown >= self.n_events:
            return ""
        return (
            f"the tree contradicts itself: it counts {self.n_events} events, "
            f"and {n_shown} in the tournaments that it shows"
        )

    def add_reject(self, platform: Platform, path: str, reason: str) -> None:
        """Record a node that is unreadable, or that counts events and shows none: its content is unknown."""
        self.rejects.append(Reject(platform, None, path, reason))

    def require_tournaments(self, path: str) -> "TournamentTree":
        """Return the tree itself.

        Raises UnreadableError when it shows no tournament though it does not declare zero events.
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
    """Return the tree of the last readable answer; without any, None and the reason."""
    reason = "the tree was not asked for"
    tree = None
    for latest in select_latest_answers(answers, PayloadKind.TREE, judge):
        if latest.failure is not None:
            reason = f"tree: {latest.failure[0]}: {latest.failure[1]}"
            continue
        try:
            tree = read_tree(latest.answer)
        except UnreadableError as error:
            reason = f"tree: {error}"
    return tree, reason


@dataclass(slots=True)
class ListingCollection:
    """Listings by id, each once, and the unreadable entries with their tournaments."""

    platform: Platform
    listings: dict[str, Listing] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    tournament_by_reject: dict[Reject, str | None] = field(default_factory=dict)
    """The tournament of each unreadable entry; None when not even that can be read."""

    def add_listings(self, listings: Mapping[str, Listing]) -> None:
        """Add the listings of one answer; a later answer's claim replaces an earlier one's."""
        self.listings.update(listings)

    def add_reject(self, external_id: str | None, path: str, reason: str, tournament: str | None) -> None:
        reject = Reject(self.platform, external_id, path, reason)
        self.rejects.append(reject)
        self.tournament_by_reject[reject] = tournament

    def list_doubtful_tournaments(self) -> set[str | None]:
        """Return the tournaments with an entry that no answer shows readably."""
        return {
            t
            for reject, t in self.tournament_by_reject.items()
            if reject.external_id is None or reject.external_id not in self.listings
        }


def deduplicate_listings(listings: Iterable[Listing]) -> dict[str, Listing]:
    """Return the listings by id.

    Of two different claims about one id in the same answer, the choice does not depend on their order.
    """
    listings_by_id: dict[str, Listing] = {}
    for listing in listings:
        current = listings_by_id.get(listing.external_id)
        if current is None or (current != listing and repr(listing) > repr(current)):
            listings_by_id[listing.external_id] = listing
    return listings_by_id


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
    """Return the Discovery of a tree and the collected listings.

    `judge_tournament(tournament id, declared, received)` returns the completeness of one tournament. `gaps` name the
    missing parts of the crawl. Without a tree, for `tree_reason`, the discovery is failed and no tournament complete.
    An unreadable entry makes its tournament uncertain: a listing missing there proves nothing.
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
        completeness, missing_reason = judge_tournament(key, node.n_declared, received)
        if tree is None:
            completeness, missing_reason = Completeness.PARTIAL, "the tree could not be read"
        elif completeness is Completeness.COMPLETE and doubtful & {key, None}:
            completeness, missing_reason = Completeness.PARTIAL, "an entry could not be read"
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
                missing_reason,
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
        reason=escape_controls("; ".join(reasons)),  # the reason names tournaments and is logged
    )


def _make_undeclared(key: str, listings: Sequence[Listing]) -> DeclaredTournament:
    # Any listing would do, as long as it is always the same one: the smallest id.
    first = min(listings, key=lambda listing: listing.external_id)
    return DeclaredTournament(key, first.tournament_name, first.country_raw, first.sr_tournament_id, None)


def _describe_incomplete(tournaments: Sequence[TournamentManifest]) -> list[str]:
    incomplete = [t for t in tournaments if t.completeness is not Completeness.COMPLETE]
    if not incomplete:
        return []
    names = ", ".join(f"{t.name} ({t.external_id})" for t in incomplete[:_MAX_NAMED_TOURNAMENTS])
    remainder = (
        f" and {len(incomplete) - _MAX_NAMED_TOURNAMENTS} more" if len(incomplete) > _MAX_NAMED_TOURNAMENTS else ""
    )
    return [f"{len(incomplete)} of {len(tournaments)} tournaments incomplete: {names}{remainder}"]


def is_count_reached(n_declared: int | None, n_received: int) -> bool:
    """Return whether the received number is at least the declared one; False without a declared count."""
    return n_declared is not None and n_received >= n_declared


def describe_shortfall(n_declared: int | None, n_received: int) -> str:
    return f"{n_received} of {'an unknown number' if n_declared is None else n_declared} listings received"
