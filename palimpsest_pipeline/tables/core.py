"""Tables of the schema core: the parsed content of the landing, and the odds history.

Everything except the reference rows can be dropped and derived again from the landing. The odds history is written per
listing and UTC day: the first answer of a day writes every market (a keyframe), and later answers write only changes.
Reading a day therefore never needs an earlier day.
"""

from typing import ClassVar, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Mapped

from palimpsest_pipeline.domain.enums import (
    Completeness,
    ListingKind,
    MarketState,
    PayloadKind,
    Platform,
    Scope,
    Sport,
    Trigger,
)

from .declarative_base import (
    BigInt,
    CoreTable,
    Instant,
    IntArray,
    Json,
    SmallInt,
    Text,
    TextArray,
    column,
    key,
    native_enum,
)

MARKET_STATE: Final = native_enum(MarketState, "market_state", "core")

WRITTEN_OVER_EACH_CYCLE: Final = {"fillfactor": 50}
"""Storage option of tables in which every cycle updates most rows.

Free space on each page lets Postgres store the new version of a row on the same page, so no index changes.
"""


class SportRow(CoreTable):
    """Sports of the market vocabulary."""

    __tablename__ = "sports"

    sport: Mapped[Sport] = key("Sport.")
    name: Mapped[Text] = column("Display name.")


class Market(CoreTable):
    """Canonical markets of the vocabulary that ships with the package. market_id is append-only."""

    __tablename__ = "markets"
    schema_items = (sa.UniqueConstraint("market_key"),)

    market_id: Mapped[SmallInt] = key("Number of the canonical market. History rows refer to it.")
    market_key: Mapped[Text] = column("Canonical market key.")
    sport: Mapped[Sport] = column("Sport.")
    period: Mapped[Text] = column("Part of the match whose result decides the market: ft, 1h, 2h, ...")
    family: Mapped[Text] = column("Kind of bet: result, total, handicap, ...")
    name: Mapped[Text] = column(
        "Display name: BetPawa's name if BetPawa sells the market, otherwise the canonical name."
    )
    line_kind: Mapped[Text] = column("Kind of its line: none, total, handicap, ...")
    fair_sum: Mapped[Text | None] = column(
        "Sum of the fair probabilities of all outcomes: 1, 2 or overlap(x); null when unknown, and then the "
        "market has no margin."
    )
    betpawa_market_id: Mapped[Text | None] = column(
        "BetPawa's market type id; null when BetPawa does not sell the market."
    )
    note: Mapped[Text | None] = column(
        "Note on comparing its prices, such as rules that differ between platforms; null without one."
    )


class MarketOutcome(CoreTable):
    """Outcomes of each canonical market.

    The ordinal is the position in the price arrays and is append-only.
    """

    __tablename__ = "market_outcomes"
    schema_items = (sa.UniqueConstraint("market_id", "outcome_key"),)

    market_id: Mapped[SmallInt] = key("Canonical market.", foreign_key="core.markets.market_id")
    ordinal: Mapped[SmallInt] = key("Position in odds_milli, from 1.")
    outcome_key: Mapped[Text] = column("Canonical outcome key.")
    name: Mapped[Text] = column("Display name: BetPawa's label if it has one.")


class CycleRow(CoreTable):
    """Cycles that core has read from the landing, with the facts that derived rows need about their cycle."""

    __tablename__ = "cycles"
    schema_items = (
        sa.Index(None, "partition_hour"),
        sa.Index(None, "as_of"),
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    partition_hour: Mapped[Instant] = column("UTC hour (Dagster partition) of the cycle.")
    trigger: Mapped[Trigger] = column("Trigger: scheduled, sensor, manual, on_demand or import.")
    scope: Mapped[Scope] = column("Scope of the cycle: full, kickoff, events or recorded.")
    home_platform: Mapped[Platform] = column("Home platform in the settings when the cycle was scraped.")
    as_of: Mapped[Instant] = column(
        "Instant that the cycle describes: its last discovery answer, or its last answer when it had no discovery."
    )


class CoreCycleProduct(CoreTable):
    """Products that core has derived from each cycle.

    A row is committed together with the rows of its product.
    """

    __tablename__ = "cycle_products"

    cycle_id: Mapped[BigInt] = key("Cycle.")
    product: Mapped[Text] = key("Product that was derived: the name of its asset.")
    landing_digest: Mapped[Text] = column("Digest of the landing manifest from which the product was derived.")
    parser_version: Mapped[Text] = column("Version of the parsers.")
    mapping_version: Mapped[Text] = column("Version of the market vocabulary.")
    n_rows: Mapped[int] = column("Rows written.")
    computed_at: Mapped[Instant] = column("When it was derived.")


class DiscoveryManifest(CoreTable):
    """Declared and received listings per full cycle, platform and tournament.

    Only 'complete' proves that a listing is absent.
    """

    __tablename__ = "discovery_manifest"

    cycle_id: Mapped[BigInt] = key("Cycle.")
    platform: Mapped[Platform] = key("Platform.")
    external_id: Mapped[Text] = key(
        "The platform's own tournament id; '*' is the platform's tournament tree as a whole."
    )
    declared: Mapped[int | None] = column("Listings that the platform declares; null when it declares no number.")
    received: Mapped[int] = column("Listings received.")
    completeness: Mapped[Completeness] = column("complete, partial or failed.")
    missing: Mapped[Text] = column("Description of the missing part; empty when complete.")


class TournamentListing(CoreTable):
    """One row per platform and tournament, with the platform's latest claim."""

    __tablename__ = "tournament_listings"
    table_options: ClassVar = {"postgresql_with": WRITTEN_OVER_EACH_CYCLE}

    platform: Mapped[Platform] = key("Platform.", foreign_key="ops.platforms.platform")
    external_id: Mapped[Text] = key("The platform's own tournament id.")
    sport: Mapped[Sport] = column("Sport.")
    name: Mapped[Text] = column("Name as the platform writes it.")
    country_raw: Mapped[Text | None] = column("Country or region as the platform writes it.")
    country_iso: Mapped[Text | None] = column(
        "ISO 3166 code (alpha-2, or a subdivision such as GB-ENG); null when the name is not a country."
    )
    sr_tournament_id: Mapped[BigInt | None] = column("SportRadar's tournament id, where the platform publishes it.")
    first_seen_at: Mapped[Instant] = column("First time an answer showed it.")
    last_seen_at: Mapped[Instant] = column("Last time an answer showed it.")
    deleted_at: Mapped[Instant | None] = column(
        "Time from which complete discoveries lack it; null while it is listed (soft delete)."
    )


class ListingClaim(CoreTable):
    """Versions of a platform's claim about a listing, by content. A postponed kickoff is a new version."""

    __tablename__ = "listing_claims"

    listing_id: Mapped[int] = key("Listing.", foreign_key="ops.listing_ids.listing_id")
    claim_hash: Mapped[BigInt] = key("Hash of the claim's content.")
    platform: Mapped[Platform] = column("Platform.")
    sport: Mapped[Sport] = column("Sport.")
    kind: Mapped[ListingKind] = column(
        "match, simulated or antepost. The last two are counted, but coverage leaves them out."
    )
    tournament_external_id: Mapped[Text] = column("The platform's own tournament id.")
    tournament_name: Mapped[Text] = column("Tournament name as the platform writes it.")
    country_raw: Mapped[Text | None] = column("Country or region as the platform writes it.")
    sr_tournament_id: Mapped[BigInt | None] = column("SportRadar's tournament id, where the platform publishes it.")
    home_team: Mapped[Text] = column("Home side as the platform writes it.")
    away_team: Mapped[Text] = column("Away side as the platform writes it.")
    kickoff_at: Mapped[Instant | None] = column("Kickoff that the platform states; null when it was refused as absurd.")
    sr_id: Mapped[BigInt | None] = column("SportRadar id that the platform states.")
    genius_id: Mapped[BigInt | None] = column("Genius Sports id that the platform states.")


class ListingObservation(CoreTable):
    """One row per cycle and listing that the cycle saw, with the platform's claim.

    Every as-of query of listings starts here.
    """

    __tablename__ = "listing_observations"
    schema_items = (
        sa.ForeignKeyConstraint(
            ["listing_id", "claim_hash"], ["core.listing_claims.listing_id", "core.listing_claims.claim_hash"]
        ),
        sa.Index(None, "listing_id", "observed_at"),
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    listing_id: Mapped[int] = key("Listing.")
    claim_hash: Mapped[BigInt] = column("Claim of the platform about the listing at that time (listing_claims).")
    observed_at: Mapped[Instant] = column("Arrival time of the last answer in this cycle that showed the listing.")
    seen_in: Mapped[PayloadKind] = column(
        "listing: discovery showed the listing; detail: only the answer with its odds showed it."
    )
    n_markets_declared: Mapped[int | None] = column(
        "Markets that the platform declares for the listing; null when it declares no number."
    )


class EventListing(CoreTable):
    """One row per listing, with the platform's latest claim and the listing's fixture."""

    __tablename__ = "event_listings"
    schema_items = (
        sa.UniqueConstraint("platform", "external_id"),
        sa.Index(None, "fixture_sr_id"),
        sa.Index(None, "genius_id"),
        sa.Index(None, "kickoff_at"),
        sa.Index(None, "platform", "tournament_external_id"),
    )
    table_options: ClassVar = {"postgresql_with": WRITTEN_OVER_EACH_CYCLE}

    listing_id: Mapped[int] = key("Listing.", foreign_key="ops.listing_ids.listing_id")
    platform: Mapped[Platform] = column("Platform.")
    external_id: Mapped[Text] = column("The platform's own event id.")
    sport: Mapped[Sport] = column("Sport.")
    kind: Mapped[ListingKind] = column("match, simulated or antepost.")
    tournament_external_id: Mapped[Text] = column("The platform's own tournament id.")
    tournament_name: Mapped[Text] = column("Tournament name as the platform writes it.")
    country_raw: Mapped[Text | None] = column("Country or region as the platform writes it.")
    sr_tournament_id: Mapped[BigInt | None] = column("SportRadar's tournament id, where the platform publishes it.")
    home_team: Mapped[Text] = column("Home side as the platform writes it.")
    away_team: Mapped[Text] = column("Away side as the platform writes it.")
    kickoff_at: Mapped[Instant | None] = column(
        "Kickoff that the platform states now; null when it was refused as absurd."
    )
    sr_id: Mapped[BigInt | None] = column("SportRadar id that the platform states.")
    genius_id: Mapped[BigInt | None] = column("Genius Sports id that the platform states.")
    fixture_sr_id: Mapped[BigInt | None] = column("Fixture of the listing; null when it could not be identified.")
    match_method: Mapped[Text | None] = column(
        "Evidence for the fixture. sportradar: the listing's own id; genius: another listing with both ids; null: "
        "not identified."
    )
    is_primary: Mapped[bool] = column(
        "True for the primary listing: the one listing that represents its platform on this fixture. Order of "
        "choice: a listing that is still listed; of kickoffs more than 6 hours apart, the later one of those that "
        "ever had a price; the largest book of all answers; the smallest id."
    )
    n_markets_priced: Mapped[int | None] = column(
        "Markets with a price in its latest answer; null before the first answer."
    )
    first_seen_at: Mapped[Instant] = column("First time an answer showed it.")
    last_seen_at: Mapped[Instant] = column("Last time an answer showed it.")
    last_cycle_id: Mapped[BigInt] = column("Cycle of the answer at last_seen_at.")
    deleted_at: Mapped[Instant | None] = column(
        "Time from which complete discoveries before its kickoff lack it; null while it is listed (soft delete)."
    )


class KickoffVersion(CoreTable):
    """Kickoffs that a platform has stated for a listing, each with the first answer that showed it."""

    __tablename__ = "kickoff_versions"

    listing_id: Mapped[int] = key("Listing.", foreign_key="ops.listing_ids.listing_id")
    observed_from: Mapped[Instant] = key("First answer with this kickoff.")
    kickoff_at: Mapped[Instant] = column("Kickoff that the platform stated.")
    version: Mapped[SmallInt] = column("Number of the claim, from 1.")


class Tournament(CoreTable):
    """Tournaments across platforms. The key never depends on a name."""

    __tablename__ = "tournaments"

    tournament_key: Mapped[Text] = key(
        "sr:<SportRadar tournament id> if it is known, otherwise <platform>:<external id>."
    )
    sport: Mapped[Sport] = column("Sport.")
    country: Mapped[Text | None] = column("Country in the most trusted platform's claim.")
    display_name: Mapped[Text] = column("Name in the most trusted platform's claim.")


class TournamentLink(CoreTable):
    """Link of each platform tournament to a tournament, with its evidence."""

    __tablename__ = "tournament_links"

    platform: Mapped[Platform] = key("Platform.", foreign_key="ops.platforms.platform")
    external_id: Mapped[Text] = key("The platform's own tournament id.")
    tournament_key: Mapped[Text] = column("Tournament.", foreign_key="core.tournaments.tournament_key")
    method: Mapped[Text] = column(
        "Evidence for the link. sportradar: its own SportRadar id; votes: shared fixtures; alone: no other "
        "platform's tournament is linked."
    )
    n_votes: Mapped[int] = column("Number of shared fixtures that vote for the link.")
    confidence: Mapped[float] = column(
        "Share of its matched fixtures that vote for the link, 0 to 1; 1 for a link by its own id."
    )


class Fixture(CoreTable):
    """One row per real match (SportRadar id).

    It is computed from its listings each time, so their order of arrival does not matter.
    """

    __tablename__ = "fixtures"
    schema_items = (sa.Index(None, "effective_kickoff"),)

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    sport: Mapped[Sport] = column("Sport.")
    tournament_key: Mapped[Text] = column("Tournament.")
    country: Mapped[Text | None] = column("Country in the chosen claim.")
    tournament_name: Mapped[Text] = column("Tournament name in the chosen claim.")
    home_team: Mapped[Text] = column("Home side in the chosen claim.")
    away_team: Mapped[Text] = column("Away side in the chosen claim.")
    metadata_source: Mapped[Platform] = column(
        "Platform whose claim was chosen: home, otherwise the most trusted platform."
    )
    effective_kickoff: Mapped[Instant] = column("Kickoff in the chosen claim. All computations use this kickoff.")
    kickoff_max_delta_s: Mapped[BigInt] = column("Largest difference between the platforms' kickoffs, seconds.")
    platforms: Mapped[TextArray] = column("Platforms that list it, in order of trust.")
    n_platforms: Mapped[SmallInt] = column("Number of platforms that list it.")
    n_listings_by_platform: Mapped[Json] = column("Listings per platform.")
    rotated: Mapped[bool] = column("True when a platform has home and away swapped.")
    suspect_code: Mapped[Text | None] = column(
        "kickoff_mismatch, home_away_swapped or duplicate_sr_id; null without a suspicion. Suspicious fixtures "
        "are marked, never merged."
    )


class Capture(CoreTable):
    """One row per listing and answer with its odds.

    An answer confirms the content of market_changes up to then.
    """

    __tablename__ = "captures"
    schema_items = (
        sa.PrimaryKeyConstraint("listing_id", "observed_at"),
        sa.Index(None, "cycle_id"),
        sa.Index("ix_captures_snapshot_id", sa.text("core.snapshot_id(listing_id, observed_at)")),
    )
    table_options: ClassVar = {"postgresql_partition_by": "RANGE (observed_at)"}

    # The widest columns come first, because every row pays for alignment padding. The key's columns have the order of
    # its index.
    observed_at: Mapped[Instant] = column("Arrival time of the answer, less its age in the edge cache.")
    cycle_id: Mapped[BigInt] = column("Cycle.")
    ingested_at: Mapped[Instant] = column("When this row was written.")
    listing_id: Mapped[int] = column("Listing.")
    n_markets_listed: Mapped[int] = column("(market, line) pairs in the answer.")
    n_markets_mapped: Mapped[int] = column("(market, line) pairs of the answer that the vocabulary knows.")
    n_markets_priced: Mapped[int] = column(
        "Canonical (market, line) pairs with an outcome that can be backed. One pair of a platform may contain "
        "two of them."
    )
    n_prices: Mapped[int] = column("Outcomes with a price, in mapped markets.")
    n_prices_merged: Mapped[int | None] = column(
        "Priced outcomes left out because another market of the answer has the same bet, or another feed has the "
        "market; null in rows written before this count existed."
    )
    n_changed: Mapped[int] = column(
        "Rows of market_changes that the answer wrote: the differences from the previous answer of the same day, "
        "or all markets in a keyframe."
    )
    keyframe: Mapped[bool] = column(
        "True for a keyframe: the first answer of the listing's UTC day, for which all markets are written."
    )
    mapping_version: Mapped[Text] = column("Version of the market vocabulary.")


class LargestBook(CoreTable):
    """Answers that priced more markets of their listing than any earlier answer.

    They are of days that have left Postgres. Together with captures, they decide which listing is primary.
    """

    __tablename__ = "largest_books"

    listing_id: Mapped[int] = key("Listing.")
    observed_at: Mapped[Instant] = key("Arrival time of the answer, less its age in the edge cache.")
    cycle_id: Mapped[BigInt] = column("Cycle that requested the answer.")
    n_markets_priced: Mapped[int] = column("Canonical (market, line) pairs with an outcome that could be backed.")


class MarketChange(CoreTable):
    """One row per listing, market and change. State and prices hold until the next row.

    The first answer of a listing on a day has a row for every market: a keyframe.
    """

    __tablename__ = "market_changes"
    schema_items = (sa.Index(None, "listing_id", "observed_at"),)
    table_options: ClassVar = {"postgresql_partition_by": "RANGE (observed_at)"}
    # There is no primary key in Postgres, because an index over the full key would take a third of the table's size.
    # The writer cannot create duplicates: captures has one row per answer, and the rows of an answer are replaced
    # together. The widest columns come first, because every row of this largest table pays for alignment padding.
    observed_at: Mapped[Instant] = column("Time of the answer that showed the change.")
    off_mask: Mapped[BigInt | None] = column(
        "Bit i-1 is set when outcome i is in the answer but cannot be backed; null when there is no such outcome."
    )
    listing_id: Mapped[int] = column("Listing.")
    line_id: Mapped[int] = column("Line, which is a market with one specifier: ops.market_lines.")
    state: Mapped[MarketState] = column(
        "offered, suspended or no_price; withdrawn: the answer lacks the market.", type_=MARKET_STATE
    )
    keyframe: Mapped[bool] = column(
        "True when the row was written because a new day began, not because the market changed."
    )
    odds_milli: Mapped[IntArray] = column(
        "Decimal odds x 1000, at the outcome's ordinal; null without a price.", type_=pg.ARRAY(sa.Integer)
    )

    __mapper_args__ = {"primary_key": [listing_id, observed_at, line_id]}  # noqa: RUF012


class CurrentMarket(CoreTable):
    """Newest known state of each market of each listing. Its observed_at never decreases."""

    __tablename__ = "current_markets"
    table_options: ClassVar = {"postgresql_with": {"autovacuum_vacuum_scale_factor": 0.02}}

    listing_id: Mapped[int] = key("Listing.")
    line_id: Mapped[int] = key("Line, which is a market with one specifier: ops.market_lines.")
    changed_at: Mapped[Instant] = column(
        "Time of the answer that last changed the market (a keyframe is not a change)."
    )
    off_mask: Mapped[BigInt | None] = column(
        "Bit i-1 is set when outcome i cannot be backed; null when there is no such outcome."
    )
    state: Mapped[MarketState] = column(
        "State of the market: offered, suspended, no_price or withdrawn.", type_=MARKET_STATE
    )
    odds_milli: Mapped[IntArray] = column(
        "Decimal odds x 1000, at the outcome's ordinal; null without a price.", type_=pg.ARRAY(sa.Integer)
    )
    state_since: Mapped[Instant] = column("Time of the answer that began this state, whatever the prices.")


class UnmappedMarket(CoreTable):
    """Markets per cycle that the vocabulary does not know.

    Their prices stay in the landing until a replay.
    """

    __tablename__ = "unmapped_markets"

    cycle_id: Mapped[BigInt] = key("Cycle.")
    platform: Mapped[Platform] = key("Platform.")
    sport: Mapped[Sport] = key("Sport.")
    external_market_id: Mapped[Text] = key("The platform's own market id or key.")
    specifier_schema: Mapped[Text] = key(
        "Names of the parts of its specifiers, sorted, joined by |; '' without specifiers."
    )
    error_class: Mapped[Text] = key("unknown_market, unknown_param or no_matching_outcomes.")
    name: Mapped[Text] = column("The platform's own name for it.")
    sample_specifier: Mapped[Text] = column("Example of a specifier.")
    sample_outcomes: Mapped[TextArray] = column("Examples of outcome ids and names.")
    occurrences: Mapped[int] = column("(answer, specifier) pairs in the cycle.")
    listing_ids: Mapped[IntArray] = column("Listings of the cycle with this market, sorted.")
    first_observed_at: Mapped[Instant] = column("Time of the first answer of the cycle that shows it.")
    last_observed_at: Mapped[Instant] = column("Time of the last answer of the cycle that shows it.")


class MappingCount(CoreTable):
    """Number of (answer, market, specifier) triples per cycle, by family and by the vocabulary's result."""

    __tablename__ = "mapping_counts"

    cycle_id: Mapped[BigInt] = key("Cycle.")
    platform: Mapped[Platform] = key("Platform.")
    sport: Mapped[Sport] = key("Sport.")
    family: Mapped[Text] = key("Family of the market; '' when the market is unknown.")
    error_class: Mapped[Text] = key("unknown_market, unknown_param or no_matching_outcomes; '' when mapped.")
    n_markets: Mapped[int] = column("Number of (answer, market, specifier) triples.")
    listing_ids: Mapped[IntArray] = column("Listings with such a triple, sorted; empty when mapped.")


class RejectRow(CoreTable):
    """Refused answers and entries, with the place in the JSON. Nothing is dropped silently."""

    __tablename__ = "rejects"
    schema_items = (
        sa.Index("ix_rejects_whole_answer", "platform", "external_id", postgresql_where=sa.text("whole_answer")),
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    platform: Mapped[Platform] = key("Platform.")
    kind: Mapped[PayloadKind] = key("Kind of answer.")
    external_id: Mapped[Text] = key("External id of the listing; '' when unknown.")
    path: Mapped[Text] = key("Path to the refused entry in the JSON.")
    reason: Mapped[Text] = key("Reason in words.")
    whole_answer: Mapped[bool] = key("True when the whole answer was refused, false for one entry of it.")
    occurrences: Mapped[int] = column("Number of occurrences in the cycle.")
