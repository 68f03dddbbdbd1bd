"""Core: the content of the landing, with the platform as a column, and the odds history.

There is one table per kind of fact. Everything except the reference rows can be dropped and derived again from the
landing. The unit of odds history is (listing, UTC day): the first answer of a day writes every market (a keyframe), and
later answers write only changes. Nothing reads an earlier day.
"""

from typing import Final

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

from .base import (
    PLATFORM,
    Base,
    BigInt,
    Instant,
    IntArray,
    Json,
    SmallInt,
    Text,
    TextArray,
    column,
    key,
    native_enum,
    text_enum,
)

MARKET_STATE: Final = native_enum(MarketState, "market_state", "core")

WRITTEN_OVER_EACH_CYCLE: Final = {"fillfactor": 50}
"""The storage of tables in which every cycle updates the rows that it sees.

If the page has space for the new version of a row, no index needs an update.
"""


class SportRow(Base):
    __tablename__ = "sports"
    __table_args__ = ({"schema": "core", "comment": "Sports of the market vocabulary."},)

    sport: Mapped[Sport] = key("Sport.", type_=text_enum(Sport))
    name: Mapped[Text] = column("Name for people.")


class Market(Base):
    __tablename__ = "markets"
    __table_args__ = (
        sa.UniqueConstraint("market_key"),
        {
            "schema": "core",
            "comment": "Canonical markets of the vocabulary that ships with the package. market_id is append-only.",
        },
    )

    market_id: Mapped[SmallInt] = key("Canonical market, as history rows hold it.")
    market_key: Mapped[Text] = column("Canonical market key.")
    sport: Mapped[Sport] = column("Sport.", type_=text_enum(Sport))
    period: Mapped[Text] = column("Part of the match it settles on: ft, 1h, 2h, ...")
    family: Mapped[Text] = column("Kind of bet: result, total, handicap, ...")
    name: Mapped[Text] = column("Name for people: the home vocabulary's where it sells the market.")
    line_kind: Mapped[Text] = column("What its line is: none, total, handicap, ...")
    fair_sum: Mapped[Text | None] = column(
        "Sum of fair probabilities over the outcomes (1, 2, overlap(x)); null when unknown: then no margin."
    )
    betpawa_market_id: Mapped[Text | None] = column("BetPawa's market type id, where it sells the market.")
    note: Mapped[Text | None] = column(
        "What to know before its prices are compared: rules that differ between platforms; null when nothing."
    )


class MarketOutcome(Base):
    __tablename__ = "market_outcomes"
    __table_args__ = (
        sa.UniqueConstraint("market_id", "outcome_key"),
        {
            "schema": "core",
            "comment": "Outcomes of each canonical market. The ordinal is the place in the price arrays and is "
            "append-only.",
        },
    )

    market_id: Mapped[SmallInt] = key("Canonical market.", foreign_key="core.markets.market_id")
    ordinal: Mapped[SmallInt] = key("Place in odds_milli, from 1.")
    outcome_key: Mapped[Text] = column("Canonical outcome key.")
    name: Mapped[Text] = column("Name for people: BetPawa's label where it has one.")


class CycleRow(Base):
    __tablename__ = "cycles"
    __table_args__ = (
        sa.Index(None, "partition_hour"),
        sa.Index(None, "as_of"),
        {
            "schema": "core",
            "comment": "Cycles that core has read from the landing: the facts a derived row needs about its cycle.",
        },
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    partition_hour: Mapped[Instant] = column("UTC hour (Dagster partition) it belongs to.")
    trigger: Mapped[Trigger] = column("What started it.", type_=text_enum(Trigger))
    scope: Mapped[Scope] = column("What it covers.", type_=text_enum(Scope))
    home_platform: Mapped[Platform] = column("Home platform in force when it was scraped.", type_=PLATFORM)
    as_of: Mapped[Instant] = column(
        "Instant its statements are about: the last discovery answer, or the last answer where nothing was discovered."
    )


class CycleProduct(Base):
    __tablename__ = "cycle_products"
    __table_args__ = (
        {"schema": "core", "comment": "What core has derived from which cycle. Committed with the rows it speaks of."},
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    product: Mapped[Text] = key("What was derived (the asset's name).")
    landing_digest: Mapped[Text] = column("Digest of the cycle's landing manifest it was derived from.")
    parser_version: Mapped[Text] = column("Version of the parsers.")
    mapping_version: Mapped[Text] = column("Version of the market vocabulary.")
    n_rows: Mapped[int] = column("Rows written.")
    computed_at: Mapped[Instant] = column("When it was derived.")


class DiscoveryManifest(Base):
    __tablename__ = "discovery_manifest"
    __table_args__ = (
        {
            "schema": "core",
            "comment": "Per full cycle, platform and tournament: what was declared, what was received. Only complete "
            "proves absence.",
        },
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM)
    external_id: Mapped[Text] = key("The platform's own tournament id; '*' is the platform's tree as a whole.")
    declared: Mapped[int | None] = column("Listings the platform declares; null when it declares none.")
    received: Mapped[int] = column("Listings received.")
    completeness: Mapped[Completeness] = column("complete, partial or failed.", type_=text_enum(Completeness))
    missing: Mapped[Text] = column("What is missing, in words; empty when complete.")


class TournamentListing(Base):
    __tablename__ = "tournament_listings"
    __table_args__ = (
        {
            "schema": "core",
            "comment": "One row per platform and tournament: that platform's latest claim.",
            "postgresql_with": WRITTEN_OVER_EACH_CYCLE,
        },
    )

    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM, foreign_key="ops.platforms.platform")
    external_id: Mapped[Text] = key("The platform's own tournament id.")
    sport: Mapped[Sport] = column("Sport.", type_=text_enum(Sport))
    name: Mapped[Text] = column("Name as the platform writes it.")
    country_raw: Mapped[Text | None] = column("Country or region as the platform writes it.")
    country_iso: Mapped[Text | None] = column(
        "ISO 3166 code (alpha-2, or a subdivision such as GB-ENG); null when it is no country."
    )
    sr_tournament_id: Mapped[BigInt | None] = column("SportRadar's tournament id, where the platform publishes it.")
    first_seen_at: Mapped[Instant] = column("First time an answer showed it.")
    last_seen_at: Mapped[Instant] = column("Last time an answer showed it.")
    deleted_at: Mapped[Instant | None] = column(
        "Since when a complete discovery lacks it; null while listed (soft delete)."
    )


class ListingClaim(Base):
    __tablename__ = "listing_claims"
    __table_args__ = (
        {
            "schema": "core",
            "comment": "Versions of what a platform says about a listing, by content. A postponed kickoff is a new "
            "version.",
        },
    )

    listing_id: Mapped[int] = key("Listing.", foreign_key="ops.listing_ids.listing_id")
    claim_hash: Mapped[BigInt] = key("Hash of the claim's content.")
    platform: Mapped[Platform] = column("Platform.", type_=PLATFORM)
    sport: Mapped[Sport] = column("Sport.", type_=text_enum(Sport))
    kind: Mapped[ListingKind] = column(
        "match; or simulated, antepost: counted and left out of coverage.", type_=text_enum(ListingKind)
    )
    tournament_external_id: Mapped[Text] = column("The platform's own tournament id.")
    tournament_name: Mapped[Text] = column("Tournament name as the platform writes it.")
    country_raw: Mapped[Text | None] = column("Country or region as the platform writes it.")
    sr_tournament_id: Mapped[BigInt | None] = column("SportRadar's tournament id, where the platform publishes it.")
    home_team: Mapped[Text] = column("Home side as the platform writes it.")
    away_team: Mapped[Text] = column("Away side as the platform writes it.")
    kickoff_at: Mapped[Instant | None] = column("Kickoff the platform claims; null when it was refused as absurd.")
    sr_id: Mapped[BigInt | None] = column("SportRadar id the platform states.")
    genius_id: Mapped[BigInt | None] = column("Genius Sports id the platform states.")


class ListingObservation(Base):
    __tablename__ = "listing_observations"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["listing_id", "claim_hash"], ["core.listing_claims.listing_id", "core.listing_claims.claim_hash"]
        ),
        sa.Index(None, "listing_id", "observed_at"),
        {
            "schema": "core",
            "comment": "One row per cycle and listing seen in it, with the claim it made. Every as-of question about "
            "listings starts here.",
        },
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    listing_id: Mapped[int] = key("Listing.")
    claim_hash: Mapped[BigInt] = column("The claim it made.")
    observed_at: Mapped[Instant] = column("When the answer that showed it last in this cycle was received.")
    seen_in: Mapped[PayloadKind] = column(
        "listing: discovery showed it; detail: only its own answer did.", type_=text_enum(PayloadKind)
    )
    n_markets_declared: Mapped[int | None] = column("Markets the platform declares for it; null when it declares none.")


class EventListing(Base):
    __tablename__ = "event_listings"
    __table_args__ = (
        sa.UniqueConstraint("platform", "external_id"),
        sa.Index(None, "fixture_sr_id"),
        sa.Index(None, "genius_id"),
        sa.Index(None, "kickoff_at"),
        sa.Index(None, "platform", "tournament_external_id"),
        {
            "schema": "core",
            "comment": "One row per listing: the platform's latest claim, and the fixture it belongs to.",
            "postgresql_with": WRITTEN_OVER_EACH_CYCLE,
        },
    )

    listing_id: Mapped[int] = key("Listing.", foreign_key="ops.listing_ids.listing_id")
    platform: Mapped[Platform] = column("Platform.", type_=PLATFORM)
    external_id: Mapped[Text] = column("The platform's own event id.")
    sport: Mapped[Sport] = column("Sport.", type_=text_enum(Sport))
    kind: Mapped[ListingKind] = column("match, simulated or antepost.", type_=text_enum(ListingKind))
    tournament_external_id: Mapped[Text] = column("The platform's own tournament id.")
    tournament_name: Mapped[Text] = column("Tournament name as the platform writes it.")
    country_raw: Mapped[Text | None] = column("Country or region as the platform writes it.")
    sr_tournament_id: Mapped[BigInt | None] = column("SportRadar's tournament id, where the platform publishes it.")
    home_team: Mapped[Text] = column("Home side as the platform writes it.")
    away_team: Mapped[Text] = column("Away side as the platform writes it.")
    kickoff_at: Mapped[Instant | None] = column("Kickoff the platform claims now; null when it was refused as absurd.")
    sr_id: Mapped[BigInt | None] = column("SportRadar id the platform states.")
    genius_id: Mapped[BigInt | None] = column("Genius Sports id the platform states.")
    fixture_sr_id: Mapped[BigInt | None] = column("Fixture it belongs to; null when unidentified.")
    match_method: Mapped[Text | None] = column(
        "sportradar: by its own id; genius: through another listing that carries both ids; null when unidentified."
    )
    is_primary: Mapped[bool] = column(
        "The one listing that speaks for its platform on this fixture: not taken off; of kickoffs more than 6 hours "
        "apart the later one that ever had"
        " a price; then the largest book of all answers; then the smallest id."
    )
    n_markets_priced: Mapped[int | None] = column("Markets with a price in its latest answer; null before the first.")
    first_seen_at: Mapped[Instant] = column("First time an answer showed it.")
    last_seen_at: Mapped[Instant] = column("Last time an answer showed it.")
    last_cycle_id: Mapped[BigInt] = column("Cycle of last_seen_at.")
    deleted_at: Mapped[Instant | None] = column(
        "Since when complete discoveries lack it before its kickoff; null while listed (soft delete)."
    )


class KickoffVersion(Base):
    __tablename__ = "kickoff_versions"
    __table_args__ = (
        {
            "schema": "core",
            "comment": "Kickoffs a platform has claimed for a listing, each from the answer that first showed it.",
        },
    )

    listing_id: Mapped[int] = key("Listing.", foreign_key="ops.listing_ids.listing_id")
    observed_from: Mapped[Instant] = key("First answer with this kickoff.")
    kickoff_at: Mapped[Instant] = column("Kickoff claimed.")
    version: Mapped[SmallInt] = column("1 for the first claim, counting up.")


class Tournament(Base):
    __tablename__ = "tournaments"
    __table_args__ = ({"schema": "core", "comment": "Tournaments across platforms. The key never rests on a name."},)

    tournament_key: Mapped[Text] = key(
        "sr:<SportRadar tournament id> where one is known, else <platform>:<external id>."
    )
    sport: Mapped[Sport] = column("Sport.", type_=text_enum(Sport))
    country: Mapped[Text | None] = column("Country of the most trusted platform's claim.")
    display_name: Mapped[Text] = column("Name of the most trusted platform's claim.")


class TournamentLink(Base):
    __tablename__ = "tournament_links"
    __table_args__ = (
        {"schema": "core", "comment": "Which platform tournament belongs to which tournament, and by what evidence."},
    )

    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM, foreign_key="ops.platforms.platform")
    external_id: Mapped[Text] = key("The platform's own tournament id.")
    tournament_key: Mapped[Text] = column("Tournament.", foreign_key="core.tournaments.tournament_key")
    method: Mapped[Text] = column("sportradar: own id; votes: shared fixtures; alone: nothing links it.")
    n_votes: Mapped[int] = column("Shared fixtures that vote for the link.")
    confidence: Mapped[float] = column(
        "Share of its matched fixtures that vote for the link, 0 to 1; 1 for its own id.", type_=sa.Double
    )


class Fixture(Base):
    __tablename__ = "fixtures"
    __table_args__ = (
        sa.Index(None, "effective_kickoff"),
        {
            "schema": "core",
            "comment": "One row per real match (SportRadar id), joined from its listings each time: order of arrival "
            "cannot matter.",
        },
    )

    sr_id: Mapped[BigInt] = key("SportRadar id.")
    sport: Mapped[Sport] = column("Sport.", type_=text_enum(Sport))
    tournament_key: Mapped[Text] = column("Tournament.")
    country: Mapped[Text | None] = column("Country of the claim that was chosen.")
    tournament_name: Mapped[Text] = column("Tournament name of the claim that was chosen.")
    home_team: Mapped[Text] = column("Home side of the claim that was chosen.")
    away_team: Mapped[Text] = column("Away side of the claim that was chosen.")
    metadata_source: Mapped[Platform] = column("Whose claim was chosen: home, else by trust.", type_=PLATFORM)
    effective_kickoff: Mapped[Instant] = column("Kickoff of the claim that was chosen; one for all uses.")
    kickoff_max_delta_s: Mapped[BigInt] = column("Largest difference between the platforms' kickoffs, seconds.")
    platforms: Mapped[TextArray] = column("Platforms that list it, in order of trust.")
    n_platforms: Mapped[SmallInt] = column("How many platforms list it.")
    n_listings_by_platform: Mapped[Json] = column("Listings per platform.")
    rotated: Mapped[bool] = column("Some platform has home and away swapped.")
    suspect_code: Mapped[Text | None] = column(
        "kickoff_mismatch, home_away_swapped, duplicate_sr_id; null when nothing is odd. Flagged, never merged."
    )


class Capture(Base):
    __tablename__ = "captures"
    __table_args__ = (
        sa.PrimaryKeyConstraint("listing_id", "observed_at"),
        sa.Index(None, "cycle_id"),
        sa.Index("ix_captures_snapshot_id", sa.text("core.snapshot_id(listing_id, observed_at)")),
        {
            "schema": "core",
            "comment": "One row per listing and answer with its odds: confirms everything that market_changes holds "
            "up to then.",
            "postgresql_partition_by": "RANGE (observed_at)",
        },
    )

    # Widest columns first, because every row pays for alignment padding. The key has the order of its index.
    observed_at: Mapped[Instant] = column("When the answer was received, less its age in the edge cache.")
    cycle_id: Mapped[BigInt] = column("Cycle.")
    ingested_at: Mapped[Instant] = column("When this row was written.")
    listing_id: Mapped[int] = column("Listing.")
    n_markets_listed: Mapped[int] = column("(market, line) pairs in the answer.")
    n_markets_mapped: Mapped[int] = column("... of which the vocabulary knows.")
    n_markets_priced: Mapped[int] = column(
        "Canonical (market, line) pairs with an outcome that can be backed; a platform's pair may hold two of them."
    )
    n_prices: Mapped[int] = column("Outcomes with a price, in mapped markets.")
    n_prices_merged: Mapped[int | None] = column(
        "Priced outcomes left out: another market of the answer has the bet, or another feed the market; null: "
        "written before these were counted."
    )
    n_changed: Mapped[int] = column(
        "Rows of market_changes it wrote: what differs from the answer before on the same day, everything on a "
        "keyframe."
    )
    keyframe: Mapped[bool] = column("First answer of the listing's UTC day: all its markets are written.")
    mapping_version: Mapped[Text] = column("Version of the market vocabulary.")


class LargestBook(Base):
    __tablename__ = "largest_books"
    __table_args__ = (
        {
            "schema": "core",
            "comment": "Of days that have left Postgres: each answer that priced more markets of its listing than any "
            "before it."
            " Which listing is primary rests on them and on captures.",
        },
    )

    listing_id: Mapped[int] = key("Listing.")
    observed_at: Mapped[Instant] = key("When the answer was received, less its age in the edge cache.")
    cycle_id: Mapped[BigInt] = column("Cycle that asked for it.")
    n_markets_priced: Mapped[int] = column("Canonical (market, line) pairs with an outcome that could be backed.")


class MarketChange(Base):
    __tablename__ = "market_changes"
    __table_args__ = (
        sa.Index(None, "listing_id", "observed_at"),
        {
            "schema": "core",
            "comment": "One row per listing, market and change; a day starts with a keyframe. State and prices hold "
            "until the next row.",
            "postgresql_partition_by": "RANGE (observed_at)",
        },
    )
    # No primary key in Postgres: an index over the full key would take a third of the table's size. captures has one
    # row per answer, and the rows of an answer are replaced together, so the writer cannot create duplicates. Widest
    # columns first, because every row of the largest table pays for alignment padding.
    observed_at: Mapped[Instant] = column("Answer that showed the change.")
    off_mask: Mapped[BigInt | None] = column(
        "Bit i-1 set: outcome i cannot be backed though it is in the answer; null: none is off."
    )
    listing_id: Mapped[int] = column("Listing.")
    line_id: Mapped[int] = column("Market on a line: ops.market_lines.")
    state: Mapped[MarketState] = column(
        "offered, suspended, no_price; withdrawn: the answer lacks it.", type_=MARKET_STATE
    )
    keyframe: Mapped[bool] = column("Written because a day begins, not because it changed.")
    odds_milli: Mapped[IntArray] = column(
        "Decimal odds x 1000 by outcome ordinal; null: no price.", type_=pg.ARRAY(sa.Integer)
    )

    __mapper_args__ = {"primary_key": [listing_id, observed_at, line_id]}  # noqa: RUF012


class CurrentMarket(Base):
    __tablename__ = "current_markets"
    __table_args__ = (
        {
            "schema": "core",
            "comment": "Last known state of each market of each listing. Moves forward in observed_at only.",
            # A cycle changes a few hundredths of the markets. If vacuum waited until a fifth of the rows is dead, the
            # table would stay a fifth larger.
            "postgresql_with": {"autovacuum_vacuum_scale_factor": 0.02},
        },
    )

    listing_id: Mapped[int] = key("Listing.")
    line_id: Mapped[int] = key("Market on a line: ops.market_lines.")
    changed_at: Mapped[Instant] = column("Answer since which it stands so (a keyframe does not count as change).")
    off_mask: Mapped[BigInt | None] = column("Bit i-1 set: outcome i cannot be backed; null: none is off.")
    state: Mapped[MarketState] = column("State.", type_=MARKET_STATE)
    odds_milli: Mapped[IntArray] = column(
        "Decimal odds x 1000 by outcome ordinal; null: no price.", type_=pg.ARRAY(sa.Integer)
    )
    state_since: Mapped[Instant] = column("Answer since which it is in this state, at whatever prices.")


class UnmappedMarket(Base):
    __tablename__ = "unmapped_markets"
    __table_args__ = (
        {
            "schema": "core",
            "comment": "Per cycle: markets seen that the vocabulary does not know. Their prices wait in the landing.",
        },
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM)
    sport: Mapped[Sport] = key("Sport.", type_=text_enum(Sport))
    external_market_id: Mapped[Text] = key("The platform's own market id or key.")
    specifier_schema: Mapped[Text] = key(
        "Names of the parts of its specifiers, sorted, joined by |; '' when it comes without."
    )
    error_class: Mapped[Text] = key("unknown_market, unknown_param or no_matching_outcomes.")
    name: Mapped[Text] = column("The platform's own name for it.")
    sample_specifier: Mapped[Text] = column("One specifier it came with.")
    sample_outcomes: Mapped[TextArray] = column("Some outcome ids and names.")
    occurrences: Mapped[int] = column("(answer, specifier) pairs in the cycle.")
    listing_ids: Mapped[IntArray] = column("Listings in the cycle that carry it, sorted.")
    first_observed_at: Mapped[Instant] = column("First answer of the cycle that shows it.")
    last_observed_at: Mapped[Instant] = column("Last answer of the cycle that shows it.")


class MappingCount(Base):
    __tablename__ = "mapping_counts"
    __table_args__ = (
        {
            "schema": "core",
            "comment": "Per cycle: (answer, market, specifier) triples seen, by family and by what the vocabulary "
            "said.",
        },
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM)
    sport: Mapped[Sport] = key("Sport.", type_=text_enum(Sport))
    family: Mapped[Text] = key("Family of the market; '' when the market is unknown.")
    error_class: Mapped[Text] = key("'' when mapped, else unknown_market, unknown_param or no_matching_outcomes.")
    n_markets: Mapped[int] = column("Triples.")
    listing_ids: Mapped[IntArray] = column("Listings that carry one, sorted; empty when mapped.")


class RejectRow(Base):
    __tablename__ = "rejects"
    __table_args__ = (
        sa.Index("ix_rejects_whole_answer", "platform", "external_id", postgresql_where=sa.text("whole_answer")),
        {
            "schema": "core",
            "comment": "Answers and entries that were refused, with the place in the JSON: nothing is dropped "
            "silently.",
        },
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM)
    kind: Mapped[PayloadKind] = key("Kind of answer.", type_=text_enum(PayloadKind))
    external_id: Mapped[Text] = key("Listing it is about; '' when unknown.")
    path: Mapped[Text] = key("Where in the JSON.")
    reason: Mapped[Text] = key("Why, in words.")
    whole_answer: Mapped[bool] = key("The whole answer was refused, not one entry in it.")
    occurrences: Mapped[int] = column("How often in the cycle.")
