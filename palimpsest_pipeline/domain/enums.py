"""Closed vocabularies, and the key of a platform: the values that columns, logs and packages share."""

import re
from enum import StrEnum
from typing import Final, NewType

WHOLE_LISTING_KEY: Final = "*"
"""Market key of a statement about a listing as a whole."""


Platform = NewType("Platform", str)
"""The key of a platform, which is a bookmaker in one country.

It is the name of its pack, and `-<country>` where that is not the pack's default country, e.g. `msport` or
`msport-gh`. The set of platforms is open: packs bring them.
"""
PLATFORM_PATTERN: Final = re.compile(r"[a-z][a-z0-9]{0,20}(-[a-z]{2})?")


class Sport(StrEnum):
    """The sports of the canonical market vocabulary."""

    FOOTBALL = "football"
    BASKETBALL = "basketball"
    TENNIS = "tennis"


class Trigger(StrEnum):
    """The cause that started a cycle."""

    SCHEDULED = "scheduled"
    SENSOR = "sensor"
    MANUAL = "manual"
    ON_DEMAND = "on_demand"
    IMPORT = "import"


class Scope(StrEnum):
    """The part of the offer that a cycle covers.

    Only a full cycle runs a discovery, so only a full cycle may conclude that a listing is absent.
    """

    FULL = "full"
    KICKOFF = "kickoff"
    """Fixtures that kick off soon, requested in the slots of their cadence."""
    EVENTS = "events"
    """Fixtures that a person requested."""
    RECORDED = "recorded"
    """Imported payloads. They prove presence, never absence."""

    @property
    def is_urgent(self) -> bool:
        """Return whether the cycle requests few fixtures that cannot wait for the next full cycle."""
        return self in (Scope.KICKOFF, Scope.EVENTS)


class PayloadKind(StrEnum):
    """The kind of request that a landed answer belongs to."""

    TREE = "tree"
    LISTING = "listing"
    DETAIL = "detail"


class Completeness(StrEnum):
    """The share of the declared content that was received."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


class Severity(StrEnum):
    """The severity of an alert or a failed check."""

    WARN = "warn"
    ERROR = "error"


class RunStatus(StrEnum):
    """The status of a cycle (batch) or of one platform's part in it (run)."""

    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """A person ended it; answers that have arrived are kept."""
    INTERRUPTED = "interrupted"
    """Its process died, and another process closed the cycle with its landed answers."""


class FailureClass(StrEnum):
    """The failure classes of a request. The class alone decides whether the request is retried."""

    TRANSIENT = "transient"
    """Connection error, time-out or 5xx: worth another attempt."""
    RATE_LIMITED = "rate_limited"
    """Status 429, with Retry-After where the platform sends it."""
    BLOCKED = "blocked"
    """Status 403, a block page, HTML in place of JSON, or an empty 202: requests to this host must stop."""
    SESSION_EXPIRED = "session_expired"
    """The site answers only with a browser's cookie, and the one in the settings is missing or expired."""
    NOT_FOUND = "not_found"
    """The listing no longer exists."""
    CONTRACT_BROKEN = "contract_broken"
    """The answer has another shape than the platform's own."""
    PERMANENT = "permanent"
    """Any other refusal: another attempt cannot help."""


class ListingKind(StrEnum):
    """The kind of a platform's entry. Only matches enter coverage; the others are counted and left out."""

    MATCH = "match"
    SIMULATED = "simulated"
    ANTEPOST = "antepost"


class MarketState(StrEnum):
    """The state of a market on one listing at one instant."""

    OFFERED = "offered"
    SUSPENDED = "suspended"
    NO_PRICE = "no_price"
    WITHDRAWN = "withdrawn"


class AvailabilityState(StrEnum):
    """The state of a market, or of a whole listing, over a stretch of time.

    It is either a statement of the answers or the reason why there is none.
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
    """Not known: the answer failed, the discovery was incomplete, or there was no request for too long."""


class LookResult(StrEnum):
    """The result of one cycle's look at a listing.

    The order is the order of precedence: when several apply, the first one counts.
    """

    ANSWERED = "answered"
    """The listing's own answer was read."""
    FAILED = "failed"
    """The odds of the listing were requested, and no usable answer came."""
    LISTED = "listed"
    """Discovery shows the listing; its odds were not requested."""
    ABSENT = "absent"
    """A complete discovery lacks it."""
    UNKNOWN = "unknown"
    """Discovery failed in the place where the listing would appear."""


class OpenQuality(StrEnum):
    """The accuracy of the first observed price as the opening price."""

    EXACT = "exact"
    """The look before proved that there was no price."""
    LEFT_CENSORED = "left_censored"
    """The price was there at the first look and may be much older."""
    LATE_DISCOVERY = "late_discovery"
    """There was no price once, but there was no look between that and the first observed price."""


class CloseQuality(StrEnum):
    """The accuracy of the last price observed before kickoff as the closing price."""

    EXACT = "exact"
    LATE = "late"
    """The last confirmation came longer before kickoff than counts as exact."""
    SUSPENDED_AT_CLOSE = "suspended_at_close"
    WITHDRAWN_BEFORE_CLOSE = "withdrawn_before_close"
    ANCHOR_STALE = "anchor_stale"
    """The kickoff moved after the last look, so the observed price belongs to another kickoff."""
    MISSING = "missing"
    """No price was observed before kickoff."""


class ListingEnd(StrEnum):
    """The reason why a listing ended on a platform."""

    KICKOFF = "kickoff"
    DROPPED = "dropped"
    UNKNOWN = "unknown"


class MarginStatus(StrEnum):
    """The result of a market's margin calculation.

    The order is the order of precedence: the first status that applies counts. Only `negative` and `ok` have a margin.
    """

    UNKNOWN_K = "unknown_k"
    """The number of winning outcomes is unknown or varies by event, so there is no divisor."""
    SUSPENDED_OUTCOME = "suspended_outcome"
    """The platform has suspended an outcome."""
    NO_PRICE = "no_price"
    """No outcome has a price."""
    INCOMPLETE_OUTCOMES = "incomplete_outcomes"
    """An outcome is not listed or has no price, or the complete set of outcomes is unknown."""
    OUT_OF_RANGE = "out_of_range"
    """No bookmaker intends such a margin: a price, or our description of the market, is wrong."""
    NEGATIVE = "negative"
    """The bookmaker gives money away; the margin is valid."""
    OK = "ok"


class GapType(StrEnum):
    """The gap between home and a competitor on a market that at least one of them lists."""

    HOME_MISSING = "home_missing"
    """The competitor offers it; home lacks it."""
    PLATFORM_MISSING = "platform_missing"
    HOME_SUSPENDED_ONLY = "home_suspended_only"
    """The competitor offers it; home lists it, suspended or without a price."""
    PLATFORM_SUSPENDED_ONLY = "platform_suspended_only"
    BOTH = "both"
    """Neither offers it; at least one of them lists it."""
    UNKNOWN = "unknown"
    """One of them was not looked at when the other was."""


class FixtureProduct(StrEnum):
    """The products that are derived fixture by fixture, each at its own time."""

    PRICES = "prices"
    """Prices side by side, and gaps."""
    ODDS_ALERTS = "odds_alerts"


class BucketScheme(StrEnum):
    """A way to divide the time to kickoff into buckets."""

    REFERENCE4 = "reference4"
    TRADER10 = "trader10"


class OddsAlertType(StrEnum):
    """The kind of event that an odds alert reports to a trader."""

    PRICE_MOVE = "price_move"
    """A price differs much from the price one window earlier."""
    DIRECTION_DISAGREEMENT = "direction_disagreement"
    """Home and a competitor moved in opposite directions over the window."""
    MARKET_DISAPPEARED = "market_disappeared"
    MARKET_RETURNED = "market_returned"
    EVENT_DROPPED = "event_dropped"
    HOME_OUTLIER = "home_outlier"
    """Home's price is far from the median of the competitors'."""


class OddsAlertLevel(StrEnum):
    """The size of the event that an odds alert reports."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class OddsAlertStatus(StrEnum):
    """The status of an episode."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    """Open, and acknowledged by a person."""
    CLOSED = "closed"


class FixtureClass(StrEnum):
    """The class of a fixture in coverage, as seen from the home platform.

    `UNDETERMINED`: a platform could not be looked at, so it is unknown whether it lacks the fixture.
    """

    MATCHED = "matched"
    HOME_ONLY = "home_only"
    COMPETITOR_ONLY = "competitor_only"
    UNDETERMINED = "undetermined"


class SuspectCode(StrEnum):
    """The inconsistency in a fixture's listings. The first code that applies, in this order, counts."""

    KICKOFF_MISMATCH = "kickoff_mismatch"
    HOME_AWAY_SWAPPED = "home_away_swapped"
    DUPLICATE_SR_ID = "duplicate_sr_id"
    """Another fixture looks like the same match."""

    @property
    def may_be_two_bets(self) -> bool:
        """Return whether the listings may be two matches, or one match with the teams swapped.

        A match with two ids is one and the same match under each of them.
        """
        return self in (SuspectCode.KICKOFF_MISMATCH, SuspectCode.HOME_AWAY_SWAPPED)


class PresenceEvidence(StrEnum):
    """The evidence for a statement about presence.

    It is this cycle's complete discovery, an earlier complete one, or listings that happened to be seen.
    """

    COMPLETE = "complete"
    CARRIED = "carried"
    PARTIAL = "partial"


class MappingError(StrEnum):
    """The reason why an occurrence of a platform's market has no canonical market."""

    UNKNOWN_MARKET = "unknown_market"
    UNKNOWN_PARAM = "unknown_param"
    NO_MATCHING_OUTCOMES = "no_matching_outcomes"


class TriageStatus(StrEnum):
    """The decision about a market that was seen and not mapped."""

    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    MAPPED = "mapped"
    IGNORED = "ignored"


class PlayerEvidence(StrEnum):
    """The evidence for the identity of a platform's player, strongest first."""

    SPORTRADAR_ID = "sportradar_id"
    """The platform's own id of the player is SportRadar's."""
    SAME_NAME = "same_name"
    """The names are equal but for case, accents, punctuation and the order of "Surname, First"."""
    NAME_CONTAINED = "name_contained"
    """All words of the shorter name, two or more, are in the longer one.

    This is a proposal of a lower grade: nothing joins on it unless a query asks for it.
    """


class PlayerStatus(StrEnum):
    """The result of matching a platform's player within one fixture."""

    PROPOSED = "proposed"
    AMBIGUOUS = "ambiguous"
    """More than one player has a fitting name, so the match stays open."""
    NONE = "none"


class FreshnessFamily(StrEnum):
    """A group of tables that are updated together and judged by the age of their newest row."""

    DISCOVERY = "discovery"
    ODDS = "odds"
    COVERAGE = "coverage"
    FIXTURE_LIFE = "fixture_life"
    EXPORT = "export"
