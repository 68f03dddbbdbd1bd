"""Closed vocabularies: the values that columns, logs and rooms share. No behaviour beyond the words themselves."""

from enum import StrEnum
from typing import Final

WHOLE_LISTING_KEY: Final = "*"
"""Market key of what is said of a listing as a whole."""


class Platform(StrEnum):
    """A bookmaker's site.

    The order of definition is the order of trust in names, country and kickoff, after the home platform.
    """

    BETPAWA = "betpawa"
    SPORTYBET = "sportybet"
    BET9JA = "bet9ja"


class Sport(StrEnum):
    """Sports of the canonical market vocabulary."""

    FOOTBALL = "football"
    BASKETBALL = "basketball"
    TENNIS = "tennis"


class Trigger(StrEnum):
    """What started a cycle."""

    SCHEDULED = "scheduled"
    SENSOR = "sensor"
    MANUAL = "manual"
    ON_DEMAND = "on_demand"
    IMPORT = "import"


class Scope(StrEnum):
    """What a cycle covers. Only a full cycle discovers, so only a full cycle may conclude that a listing is absent."""

    FULL = "full"
    KICKOFF = "kickoff"
    """Fixtures that kick off soon, asked in the slots of their cadence."""
    EVENTS = "events"
    """Fixtures that somebody asked for."""
    RECORDED = "recorded"
    """Imported payloads: whatever was recorded. Proves presence, never absence."""

    @property
    def is_urgent(self) -> bool:
        """Asks for few fixtures that cannot wait for the next full cycle."""
        return self in (Scope.KICKOFF, Scope.EVENTS)


class PayloadKind(StrEnum):
    """What a landed answer is an answer to."""

    TREE = "tree"
    LISTING = "listing"
    DETAIL = "detail"


class Completeness(StrEnum):
    """How much of what was declared has been received."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


class Severity(StrEnum):
    """How bad a trouble is."""

    WARN = "warn"
    ERROR = "error"


class RunStatus(StrEnum):
    """State of a cycle (batch) or of one platform's part in it (run)."""

    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """Ended because somebody asked for it: what had arrived until then is kept."""
    INTERRUPTED = "interrupted"
    """Its process died; found and closed by another one, with what had been landed."""


class FailureClass(StrEnum):
    """Typed failures of a request. The class alone decides whether it is tried again."""

    TRANSIENT = "transient"
    """Connection, time-out, 5xx: worth another try."""
    RATE_LIMITED = "rate_limited"
    """429, with Retry-After where the platform sends it."""
    BLOCKED = "blocked"
    """403, block page, HTML in place of JSON, empty 202: stop asking this host."""
    NOT_FOUND = "not_found"
    """The listing is not there any more."""
    CONTRACT_BROKEN = "contract_broken"
    """An answer of another shape than the platform's own."""
    PERMANENT = "permanent"
    """Any other refusal: asking again cannot help."""


class ListingKind(StrEnum):
    """What a platform's entry is. Only matches enter coverage; the others are counted and left out."""

    MATCH = "match"
    SIMULATED = "simulated"
    ANTEPOST = "antepost"


class MarketState(StrEnum):
    """State of a market on one listing at one instant."""

    OFFERED = "offered"
    SUSPENDED = "suspended"
    NO_PRICE = "no_price"
    WITHDRAWN = "withdrawn"


class AvailabilityState(StrEnum):
    """What can be said of a market, or of a whole listing, over a stretch of time: what answers say, or why they say
    nothing.
    """

    OFFERED = "offered"
    SUSPENDED = "suspended"
    NO_PRICE = "no_price"
    WITHDRAWN = "withdrawn"
    """A good answer of the listing lacks the market."""
    EVENT_DROPPED = "event_dropped"
    """A complete discovery lacks the listing before its kickoff."""
    CLOSED_AT_KICKOFF = "closed_at_kickoff"
    NOT_OBSERVED = "not_observed"
    """Could not look: a failed answer, an incomplete discovery, or nobody looked for too long."""


class LookResult(StrEnum):
    """What came of one cycle's looking at a listing.

    In order of precedence: of several at once the first one counts.
    """

    ANSWERED = "answered"
    """Its own answer was read."""
    FAILED = "failed"
    """It was asked for its odds, and no usable answer came."""
    LISTED = "listed"
    """Discovery shows it; its odds were not asked for."""
    ABSENT = "absent"
    """A complete discovery lacks it."""
    UNKNOWN = "unknown"
    """Discovery could not look where it is listed."""


class OpenQuality(StrEnum):
    """How near the first price seen is to the first price there was."""

    EXACT = "exact"
    """The look before proved that there was none."""
    LEFT_CENSORED = "left_censored"
    """It was there when first looked at: it may have been there for long."""
    LATE_DISCOVERY = "late_discovery"
    """There was none once, but nobody could look between that and the first price seen."""


class CloseQuality(StrEnum):
    """How near the last price seen before kickoff is to the price at kickoff."""

    EXACT = "exact"
    LATE = "late"
    """Last confirmed longer before kickoff than counts as exact."""
    SUSPENDED_AT_CLOSE = "suspended_at_close"
    WITHDRAWN_BEFORE_CLOSE = "withdrawn_before_close"
    ANCHOR_STALE = "anchor_stale"
    """The kickoff moved after the last look: what was seen before belongs to another kickoff."""
    MISSING = "missing"
    """No price was seen before kickoff."""


class ListingEnd(StrEnum):
    """What ended a listing's life on a platform."""

    KICKOFF = "kickoff"
    DROPPED = "dropped"
    UNKNOWN = "unknown"


class MarginStatus(StrEnum):
    """What can be said of a market's margin.

    In order of precedence: the first that applies is the status. Only negative and ok have a margin.
    """

    UNKNOWN_K = "unknown_k"
    """How many outcomes win is not known, or varies by event: no divisor."""
    SUSPENDED_OUTCOME = "suspended_outcome"
    """The platform holds an outcome off."""
    NO_PRICE = "no_price"
    """No outcome has a price."""
    INCOMPLETE_OUTCOMES = "incomplete_outcomes"
    """An outcome is not listed or has no price, or what would make the set complete is not known."""
    OUT_OF_RANGE = "out_of_range"
    """No book means such a margin: a price, or what is known of the market, is wrong."""
    NEGATIVE = "negative"
    """The book gives money away; the margin stands."""
    OK = "ok"


class GapType(StrEnum):
    """Who of home and a competitor cannot be backed on a market that the other one lists, and how."""

    HOME_MISSING = "home_missing"
    """The competitor offers it; home lacks it."""
    PLATFORM_MISSING = "platform_missing"
    HOME_SUSPENDED_ONLY = "home_suspended_only"
    """The competitor offers it; home lists it, suspended or without a price."""
    PLATFORM_SUSPENDED_ONLY = "platform_suspended_only"
    BOTH = "both"
    """Neither offers it; one of them at least lists it."""
    UNKNOWN = "unknown"
    """One of them was not looked at when the other was."""


class FixtureProduct(StrEnum):
    """What is derived fixture by fixture, each when its time comes."""

    PRICES = "prices"
    """Prices side by side, and gaps."""
    ODDS_ALERTS = "odds_alerts"


class BucketScheme(StrEnum):
    """How the time to kickoff is cut into buckets."""

    REFERENCE4 = "reference4"
    TRADER10 = "trader10"


class OddsAlertType(StrEnum):
    """What a trader is told of."""

    PRICE_MOVE = "price_move"
    """A price is far from what it was one window earlier."""
    DIRECTION_DISAGREEMENT = "direction_disagreement"
    """Home and a competitor moved in opposite directions over the window."""
    MARKET_DISAPPEARED = "market_disappeared"
    MARKET_RETURNED = "market_returned"
    EVENT_DROPPED = "event_dropped"
    HOME_OUTLIER = "home_outlier"
    """Home's price is far from the median of the competitors'."""


class OddsAlertLevel(StrEnum):
    """How large what a trader is told of is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class OddsAlertStatus(StrEnum):
    """Where an episode stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    """Open, and somebody said that he has seen it."""
    CLOSED = "closed"


class FixtureClass(StrEnum):
    """Who lists a fixture, seen from the home platform.

    UNDETERMINED: a platform could not be looked at, so absence is unknown.
    """

    MATCHED = "matched"
    HOME_ONLY = "home_only"
    COMPETITOR_ONLY = "competitor_only"
    UNDETERMINED = "undetermined"


class SuspectCode(StrEnum):
    """What is odd about a fixture's listings. The first that holds, in this order."""

    KICKOFF_MISMATCH = "kickoff_mismatch"
    HOME_AWAY_SWAPPED = "home_away_swapped"
    DUPLICATE_SR_ID = "duplicate_sr_id"
    """Another fixture looks like the same match."""

    @property
    def may_be_two_bets(self) -> bool:
        """The listings may be two matches, or have the sides the other way round.

        One match under two ids is one match under each of them.
        """
        return self in (SuspectCode.KICKOFF_MISMATCH, SuspectCode.HOME_AWAY_SWAPPED)


class PresenceEvidence(StrEnum):
    """What a statement about presence rests on: this cycle's complete discovery, an earlier one, or only what
    happened to be seen.
    """

    COMPLETE = "complete"
    CARRIED = "carried"
    PARTIAL = "partial"


class MappingError(StrEnum):
    """Why an occurrence of a platform's market has no canonical one."""

    UNKNOWN_MARKET = "unknown_market"
    UNKNOWN_PARAM = "unknown_param"
    NO_MATCHING_OUTCOMES = "no_matching_outcomes"


class TriageStatus(StrEnum):
    """What is to be done about a market that was seen and not mapped."""

    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    MAPPED = "mapped"
    IGNORED = "ignored"


class PlayerEvidence(StrEnum):
    """What the identity of a platform's player rests on, strongest first."""

    SPORTRADAR_ID = "sportradar_id"
    """The platform's own id of the player is SportRadar's."""
    SAME_NAME = "same_name"
    """The names are equal but for case, accents, punctuation and the order of "Surname, First"."""
    NAME_CONTAINED = "name_contained"
    """All words of the shorter name, two or more, are in the longer one.

    A proposal of a lower grade: nothing joins on it unasked.
    """


class PlayerStatus(StrEnum):
    """What was found for a platform's player within one fixture."""

    PROPOSED = "proposed"
    AMBIGUOUS = "ambiguous"
    """Names fit, but more than one player: left open."""
    NONE = "none"


class FreshnessFamily(StrEnum):
    """What is kept up to date together, and judged by how old the newest of it is."""

    DISCOVERY = "discovery"
    ODDS = "odds"
    COVERAGE = "coverage"
    FIXTURE_LIFE = "fixture_life"
    EXPORT = "export"
