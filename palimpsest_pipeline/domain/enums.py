"""Closed vocabularies, and the key of a platform: the values that columns, logs and packages share."""

import re
from enum import StrEnum
from typing import Final, NewType

WHOLE_LISTING_KEY: Final = "*"
"""Market key in rows about a listing as a whole."""


Platform = NewType("Platform", str)
"""The key of a platform, which is a bookmaker in one country.

It is the name of its pack, followed by `-<country>` outside the pack's default country, e.g. `msport` or `msport-gh`.
The set of platforms is not fixed: installed packs define it.
"""
ALL_PLATFORMS: Final = "all"
"""Stands for all platforms together in the column `platform` of match rates."""
PLATFORM_PATTERN: Final = re.compile(r"[a-z][a-z0-9]{0,20}(-[a-z]{2})?")


class Sport(StrEnum):
    """The sports of the vocabulary."""

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
    """What a cycle covers.

    Only a full cycle has a discovery, so only a full cycle can prove that a listing is absent.
    """

    FULL = "full"
    KICKOFF = "kickoff"
    """Fixtures that kick off soon, requested at the times of the kickoff cadence."""
    EVENTS = "events"
    """Fixtures that a person has requested."""
    RECORDED = "recorded"
    """Imported answers. They prove that a listing exists, never that it is absent."""

    @property
    def is_urgent(self) -> bool:
        """Whether the cycle requests a few fixtures that cannot wait for the next full cycle."""
        return self in (Scope.KICKOFF, Scope.EVENTS)


class PayloadKind(StrEnum):
    """The kind of request to which a landed answer belongs."""

    TREE = "tree"
    LISTING = "listing"
    DETAIL = "detail"


class Completeness(StrEnum):
    """Whether all declared content was received, a part of it, or nothing."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


class Severity(StrEnum):
    """The severity of an alert or a failed check."""

    WARN = "warn"
    ERROR = "error"


class RunStatus(StrEnum):
    """The status of a cycle, or of one platform's part in it."""

    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """A person has ended it. Answers that arrived are kept."""
    INTERRUPTED = "interrupted"
    """Its process died, and another process closed the cycle with the landed answers."""


class FailureClass(StrEnum):
    """The failure class of a request. It alone decides whether the request is retried."""

    TRANSIENT = "transient"
    """Connection error, time-out or status 5xx. A retry may succeed."""
    RATE_LIMITED = "rate_limited"
    """Status 429, sometimes with Retry-After."""
    BLOCKED = "blocked"
    """Status 403, a block page, HTML instead of JSON, or an empty 202. Requests to the host must stop."""
    SESSION_EXPIRED = "session_expired"
    """The site requires a browser's cookie, and the one in the settings is missing or has expired."""
    NOT_FOUND = "not_found"
    """The listing no longer exists."""
    CONTRACT_BROKEN = "contract_broken"
    """The answer does not have the platform's usual format."""
    PERMANENT = "permanent"
    """Any other refusal. A retry cannot succeed."""


class ListingKind(StrEnum):
    """The kind of a listing. Only matches count in coverage; the other kinds are counted separately."""

    MATCH = "match"
    SIMULATED = "simulated"
    ANTEPOST = "antepost"


class MarketState(StrEnum):
    """The state of a market in one answer of a listing."""

    OFFERED = "offered"
    SUSPENDED = "suspended"
    NO_PRICE = "no_price"
    WITHDRAWN = "withdrawn"


class AvailabilityState(StrEnum):
    """The state of a market, or of a whole listing, over a period of time.

    It is the state that the answers show, or the reason why none is known.
    """

    OFFERED = "offered"
    SUSPENDED = "suspended"
    NO_PRICE = "no_price"
    WITHDRAWN = "withdrawn"
    """A good answer of the listing lacks the market."""
    EVENT_DROPPED = "event_dropped"
    """A complete discovery before kickoff lacks the listing."""
    CLOSED_AT_KICKOFF = "closed_at_kickoff"
    NOT_OBSERVED = "not_observed"
    """Not known: the request failed, the discovery was incomplete, or there was no request for too long."""


class LookResult(StrEnum):
    """The result of one cycle's look at a listing.

    If several results apply, the first in the order of the members is used.
    """

    ANSWERED = "answered"
    """The listing's own answer was parsed."""
    FAILED = "failed"
    """The odds of the listing were requested, but no usable answer arrived."""
    LISTED = "listed"
    """A discovery contains the listing; its odds were not requested."""
    ABSENT = "absent"
    """A complete discovery lacks the listing."""
    UNKNOWN = "unknown"
    """The part of the discovery that could contain the listing failed."""


class OpenQuality(StrEnum):
    """How exactly the first observed price is the opening price."""

    EXACT = "exact"
    """The previous look proved that there was no price."""
    LEFT_CENSORED = "left_censored"
    """The first look already found a price, which may be much older."""
    LATE_DISCOVERY = "late_discovery"
    """There was once no price, but nothing was observed between then and the first observed price."""


class CloseQuality(StrEnum):
    """How exactly the last price observed before kickoff is the closing price."""

    EXACT = "exact"
    LATE = "late"
    """The last confirmation was longer before kickoff than the limit for exact."""
    SUSPENDED_AT_CLOSE = "suspended_at_close"
    WITHDRAWN_BEFORE_CLOSE = "withdrawn_before_close"
    ANCHOR_STALE = "anchor_stale"
    """The kickoff was moved after the last look, so the last observed price was for another kickoff time."""
    MISSING = "missing"
    """No price was observed before kickoff."""


class ListingEnd(StrEnum):
    """Why a listing ended on a platform."""

    KICKOFF = "kickoff"
    DROPPED = "dropped"
    UNKNOWN = "unknown"


class MarginStatus(StrEnum):
    """The result of computing a market's margin.

    If several statuses apply, the first in the order of the members is used. Only `negative` and `ok` have a margin.
    """

    UNKNOWN_K = "unknown_k"
    """The number of winning outcomes is unknown or varies, so the sum cannot be divided by it."""
    SUSPENDED_OUTCOME = "suspended_outcome"
    """The platform has suspended an outcome."""
    NO_PRICE = "no_price"
    """No outcome has a price."""
    INCOMPLETE_OUTCOMES = "incomplete_outcomes"
    """An outcome is missing or has no price, or it is not known which outcomes the market must have."""
    OUT_OF_RANGE = "out_of_range"
    """No bookmaker would offer this margin: a price, or our definition of the market, is wrong."""
    NEGATIVE = "negative"
    """The margin is below zero and valid: the bookmaker loses on average."""
    OK = "ok"


class GapType(StrEnum):
    """The kind of gap between home and a competitor, for a market that at least one of them lists."""

    HOME_MISSING = "home_missing"
    """The competitor offers the market; home does not list it."""
    PLATFORM_MISSING = "platform_missing"
    HOME_SUSPENDED_ONLY = "home_suspended_only"
    """The competitor offers the market; home lists it, suspended or without a price."""
    PLATFORM_SUSPENDED_ONLY = "platform_suspended_only"
    BOTH = "both"
    """Neither offers the market; at least one of them lists it."""
    UNKNOWN = "unknown"
    """The two platforms were not observed at about the same time."""


class FixtureProduct(StrEnum):
    """The products that are derived per fixture instead of per cycle."""

    PRICES = "prices"
    """The comparison of current prices, and gaps."""
    ODDS_ALERTS = "odds_alerts"


class PriceLeadType(StrEnum):
    """The kind of event of which one platform was first."""

    MOVE = "move"
    """The fair probability of an outcome rose: its price became shorter."""
    SUSPENSION = "suspension"
    """A market that was offered is no longer offered."""


class LagLimit(StrEnum):
    """The reason why the time between two platforms' events is known within bounds only."""

    POLLING = "polling"
    """The platforms are requested at intervals."""
    NOT_OBSERVED = "not_observed"
    """A platform was not observed for some of the time."""


class BucketScheme(StrEnum):
    """A division of the time to kickoff into buckets."""

    REFERENCE4 = "reference4"
    TRADER10 = "trader10"


class OddsAlertType(StrEnum):
    """The kind of event that an alert to traders reports."""

    PRICE_MOVE = "price_move"
    """A price differs much from the price one time window earlier."""
    DIRECTION_DISAGREEMENT = "direction_disagreement"
    """Home and a competitor moved in opposite directions during the time window."""
    MARKET_DISAPPEARED = "market_disappeared"
    MARKET_RETURNED = "market_returned"
    EVENT_DROPPED = "event_dropped"
    HOME_OUTLIER = "home_outlier"
    """Home's price is far from the median of the competitors' prices."""


class OddsAlertLevel(StrEnum):
    """The size of the event that an alert to traders reports."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class OddsAlertStatus(StrEnum):
    """The status of an alert to traders."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    """Open, and acknowledged by a person."""
    CLOSED = "closed"


class PushState(StrEnum):
    """The state of a message to traders in the outbox."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """The receiver refused it, so it is not sent again by itself."""
    CANCELLED = "cancelled"
    """Its rule was removed before it was delivered. It is never sent."""


class FixtureClass(StrEnum):
    """The class of a fixture in coverage, from the point of view of the home platform.

    `UNDETERMINED`: a platform could not be observed, so it is not known whether it lists the fixture.
    """

    MATCHED = "matched"
    HOME_ONLY = "home_only"
    COMPETITOR_ONLY = "competitor_only"
    UNDETERMINED = "undetermined"


class SuspectCode(StrEnum):
    """The inconsistency between a fixture's listings. If several apply, the first in this order is used."""

    KICKOFF_MISMATCH = "kickoff_mismatch"
    HOME_AWAY_SWAPPED = "home_away_swapped"
    DUPLICATE_SR_ID = "duplicate_sr_id"
    """Another fixture has the data of the same match."""

    @property
    def may_be_two_bets(self) -> bool:
        """Return whether prices must not be compared: two matches, or one match with the teams swapped.

        A match with two SportRadar ids is not such a case, because it is the same match under both ids.
        """
        return self in (SuspectCode.KICKOFF_MISMATCH, SuspectCode.HOME_AWAY_SWAPPED)


class PresenceEvidence(StrEnum):
    """The evidence why a listing counts as present or absent.

    It is a complete discovery of this cycle, an earlier complete discovery, or an observation without one.
    """

    COMPLETE = "complete"
    CARRIED = "carried"
    PARTIAL = "partial"


class MappingError(StrEnum):
    """Why a market of a platform could not be mapped to a market of the vocabulary."""

    UNKNOWN_MARKET = "unknown_market"
    UNKNOWN_PARAM = "unknown_param"
    NO_MATCHING_OUTCOMES = "no_matching_outcomes"


class TriageStatus(StrEnum):
    """The decision about a market that is not in the vocabulary."""

    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    MAPPED = "mapped"
    IGNORED = "ignored"


class PlayerEvidence(StrEnum):
    """The evidence that a platform's player is a certain person, strongest first."""

    SPORTRADAR_ID = "sportradar_id"
    """The platform's id of the player is the SportRadar id."""
    SAME_NAME = "same_name"
    """The names are equal, apart from case, accents, punctuation and the order of "Surname, First"."""
    NAME_CONTAINED = "name_contained"
    """All words of the shorter name, at least two, are in the longer name.

    This evidence is weaker: joins use it only when a query asks for it.
    """


class PlayerStatus(StrEnum):
    """Whether a platform's player was identified among the players of the same fixture."""

    PROPOSED = "proposed"
    AMBIGUOUS = "ambiguous"
    """Several players have a matching name, so none is chosen."""
    NONE = "none"


class FreshnessFamily(StrEnum):
    """A group of tables that are updated together. The age of its newest row is checked."""

    DISCOVERY = "discovery"
    ODDS = "odds"
    COVERAGE = "coverage"
    FIXTURE_LIFE = "fixture_life"
    EXPORT = "export"
