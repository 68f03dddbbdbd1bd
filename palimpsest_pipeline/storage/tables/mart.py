"""Mart: tables derived from core, with one set of rows per cycle, replaced by cycle id."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from palimpsest_pipeline.domain.enums import Completeness, FixtureClass, Platform, PresenceEvidence, Sport, TriageStatus

from .base import (
    PLATFORM,
    Base,
    BigInt,
    BigIntArray,
    Instant,
    Json,
    Ratio,
    SmallInt,
    Text,
    TextArray,
    column,
    key,
    ratio_checks,
    text_enum,
)


class CycleProduct(Base):
    __tablename__ = "cycle_products"
    __table_args__ = (
        {
            "schema": "mart",
            "comment": "What the mart has derived from which cycle. Committed with the rows it speaks of.",
        },
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    product: Mapped[Text] = key("What was derived (the asset's name).")
    landing_digest: Mapped[Text] = column("Digest of the cycle's landing manifest it was derived from.")
    parser_version: Mapped[Text] = column("Version of the parsers.")
    mapping_version: Mapped[Text] = column("Version of the market vocabulary.")
    n_rows: Mapped[int] = column("Rows written.")
    computed_at: Mapped[Instant] = column("When it was derived.")


class CoverageFixture(Base):
    __tablename__ = "coverage_fixture"
    __table_args__ = (
        sa.Index(None, "sr_id"),
        sa.Index(None, "as_of"),
        {"schema": "mart", "comment": "Who lists which fixture, as of each cycle."},
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    sr_id: Mapped[BigInt] = key("SportRadar id.")
    as_of: Mapped[Instant] = column("Instant the row is about.")
    home_platform: Mapped[Platform] = column("Home platform it was computed for.", type_=PLATFORM)
    sport: Mapped[Sport] = column("Sport.", type_=text_enum(Sport))
    tournament_key: Mapped[Text] = column("Tournament.")
    country: Mapped[Text | None] = column("Country of the chosen claim.")
    tournament_name: Mapped[Text] = column("Tournament name of the chosen claim.")
    home_team: Mapped[Text] = column("Home side of the chosen claim.")
    away_team: Mapped[Text] = column("Away side of the chosen claim.")
    effective_kickoff: Mapped[Instant] = column("Kickoff: home's claim, else by trust.")
    kickoff_source: Mapped[Platform] = column("Whose claim that is.", type_=PLATFORM)
    started: Mapped[bool] = column("effective_kickoff is not after as_of.")
    platforms: Mapped[TextArray] = column("Platforms that list it.")
    n_listings_by_platform: Mapped[Json] = column("Listings per platform.")
    fixture_class: Mapped[FixtureClass] = column(
        "matched: home and a competitor; home_only; competitor_only; undetermined: a platform could not be looked at.",
        type_=text_enum(FixtureClass),
    )
    n_competitors: Mapped[SmallInt] = column("Competitors that list it.")
    kickoff_max_delta_s: Mapped[BigInt] = column("Largest difference between the platforms' kickoffs, seconds.")
    rotated: Mapped[bool] = column("Some platform has home and away swapped.")
    suspect_code: Mapped[Text | None] = column(
        "kickoff_mismatch, home_away_swapped, duplicate_sr_id; null when nothing is odd."
    )
    evidence: Mapped[PresenceEvidence] = column(
        "complete: every platform's discovery of this cycle; carried: some platform's earlier one; partial: some "
        "platform could not be looked at.",
        type_=text_enum(PresenceEvidence, "evidence"),
    )
    stale_since: Mapped[Instant | None] = column("Oldest discovery it rests on, when carried.")
    mapping_version: Mapped[Text] = column("Version of the market vocabulary.")
    computed_at: Mapped[Instant] = column("When it was computed.")


class CoverageTournament(Base):
    __tablename__ = "coverage_tournament"
    __table_args__ = (
        sa.Index(None, "as_of"),
        *ratio_checks("home_covered_rate", "fixture_match_rate"),
        {
            "schema": "mart",
            "comment": "Coverage per tournament, competitor (or any of them) and universe, as of each cycle. Sums to "
            "match_rate_platform.",
        },
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    tournament_key: Mapped[Text] = key("Tournament.")
    platform: Mapped[Text] = key("Competitor compared with home; 'any' is all of them together.")
    include_started: Mapped[bool] = key("Universe: true counts started fixtures too.")
    as_of: Mapped[Instant] = column("Instant the row is about.")
    home_platform: Mapped[Platform] = column("Home platform it was computed for.", type_=PLATFORM)
    sport: Mapped[Sport] = column("Sport.", type_=text_enum(Sport))
    country: Mapped[Text | None] = column("Country.")
    display_name: Mapped[Text] = column("Tournament name.")
    n_home: Mapped[int] = column("Fixtures on home.")
    n_platform: Mapped[int] = column("Fixtures on the competitor.")
    n_matched: Mapped[int] = column("Fixtures on both.")
    n_home_only: Mapped[int] = column("Fixtures on home that the competitor is known to lack.")
    n_platform_only: Mapped[int] = column("Fixtures on the competitor that home is known to lack.")
    n_undetermined: Mapped[int] = column("Fixtures on one of the two where the other could not be looked at.")
    n_unidentified: Mapped[int] = column("Listings of the competitor (any: of all platforms) without a SportRadar id.")
    platform_gap: Mapped[bool] = column("The competitor has fixtures here and home has none.")
    home_gap: Mapped[bool] = column("Home has fixtures here and the competitor has none.")
    home_covered_rate: Mapped[Ratio | None] = column("n_matched / n_home; null when home has none.")
    fixture_match_rate: Mapped[Ratio | None] = column("n_matched / n_platform; null when the competitor has none.")
    earliest_missing_kickoff: Mapped[Instant | None] = column("Next kickoff among fixtures that home lacks.")
    missing_sr_ids: Mapped[BigIntArray] = column("Fixtures that home lacks, sorted.")
    mapping_version: Mapped[Text] = column("Version of the market vocabulary.")
    computed_at: Mapped[Instant] = column("When it was computed.")


class MatchRatePlatform(Base):
    __tablename__ = "match_rate_platform"
    __table_args__ = (
        sa.Index(None, "as_of"),
        *ratio_checks(
            "listing_match_rate", "fixture_match_rate", "home_covered_rate", "overall_match_rate", "link_accuracy"
        ),
        {
            "schema": "mart",
            "comment": "Match rates per platform and overall, each with its denominator in its name, as of each cycle.",
        },
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    platform: Mapped[Text] = key("Platform; 'all' is the union.")
    include_started: Mapped[bool] = key("Universe: true counts started fixtures too.")
    as_of: Mapped[Instant] = column("Instant the row is about.")
    home_platform: Mapped[Platform] = column("Home platform it was computed for.", type_=PLATFORM)
    n_listings: Mapped[int] = column("Match listings.")
    n_listings_with_sr: Mapped[int] = column("... that belong to a fixture.")
    n_fixtures: Mapped[int] = column("Distinct fixtures.")
    n_matched_fixtures: Mapped[int] = column("... that are on home too (home row and 'all': on some competitor too).")
    n_matched_listings: Mapped[int] = column("Listings of matched fixtures.")
    listing_match_rate: Mapped[Ratio | None] = column("n_matched_listings / n_listings.")
    fixture_match_rate: Mapped[Ratio | None] = column("n_matched_fixtures / n_fixtures.")
    home_covered_rate: Mapped[Ratio | None] = column("n_matched_fixtures / fixtures on home.")
    overall_match_rate: Mapped[Ratio | None] = column("Row 'all': matched / union; null elsewhere.")
    link_accuracy: Mapped[Ratio | None] = column(
        "Linked listings / listings whose fixture home lists; 1 by construction, kept as a check."
    )
    n_home: Mapped[int] = column("Fixtures on home.")
    n_home_only: Mapped[int] = column(
        "Row 'all': fixtures known to be on home only. Platform row: on home and known to be missing here."
    )
    n_competitor_only: Mapped[int] = column(
        "Row 'all': fixtures known to be missing on home. Platform row: those of them listed here."
    )
    n_undetermined: Mapped[int] = column("Fixtures whose class is unknown since a platform could not be looked at.")
    n_union: Mapped[int] = column("Row 'all': all fixtures. Platform row: fixtures on home or here.")
    dup_ratio: Mapped[Ratio | None] = column("n_listings_with_sr / n_fixtures (1 or more).")
    completeness: Mapped[Completeness] = column(
        "Of this cycle's discovery: complete, partial or failed.", type_=text_enum(Completeness)
    )
    evidence: Mapped[PresenceEvidence] = column("What the row rests on.", type_=text_enum(PresenceEvidence, "evidence"))
    delta_vs_prev: Mapped[Ratio | None] = column(
        "Change of n_fixtures against the cycle before, as a share of it; null for the first."
    )
    mapping_version: Mapped[Text] = column("Version of the market vocabulary.")
    computed_at: Mapped[Instant] = column("When it was computed.")


class RunQuality(Base):
    __tablename__ = "run_quality"
    __table_args__ = (
        *ratio_checks("change_ratio"),
        {"schema": "mart", "comment": "How complete and how fast each stage of each platform's part of a cycle was."},
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM)
    stage: Mapped[Text] = key("discovery, capture or storage.")
    as_of: Mapped[Instant] = column("Instant the cycle is about.")
    declared: Mapped[int | None] = column(
        "Entries promised: declared listings, targets, or parsed answers; null when none is declared."
    )
    discovered: Mapped[int] = column("Match listings discovered.")
    fetched: Mapped[int] = column("Usable answers.")
    parsed: Mapped[int] = column("Answers read.")
    rejected: Mapped[int] = column("Answers or entries refused.")
    stored: Mapped[int] = column("Rows of history stand behind it: captures (storage), listings (discovery).")
    changed: Mapped[int] = column(
        "Markets that changed since the answer before; an answer's at most as many as it has. Keyframes do not count."
    )
    confirmed: Mapped[int] = column("Markets that stand as in the answer before. Keyframes do not count.")
    errors_by_class: Mapped[Json] = column("Failed attempts by failure class.")
    ages_ignored: Mapped[int | None] = column(
        "Answers whose Age header was not believed, being unreadable or above an hour: they count as observed when "
        "they arrived; null: written before"
        " these were counted."
    )
    p50_ms: Mapped[float | None] = column("Median request duration in ms.", type_=sa.Double)
    p95_ms: Mapped[float | None] = column("95th percentile of request duration in ms.", type_=sa.Double)
    bytes: Mapped[BigInt] = column("Body bytes after decompression.")
    wall_s: Mapped[float] = column("First request to last answer, seconds.", type_=sa.Double)
    change_ratio: Mapped[Ratio | None] = column("changed / (changed + confirmed); null without either.")
    drop_vs_median: Mapped[Ratio | None] = column(
        "1 - fetched / trailing median of earlier cycles of the same scope that were complete in this stage; null "
        "without a history."
    )
    completeness: Mapped[Completeness] = column("complete, partial or failed.", type_=text_enum(Completeness))
    blocked_downstream: Mapped[bool] = column(
        "The stage failed, so nothing of this platform was derived from the cycle."
    )
    mapping_version: Mapped[Text] = column("Version of the market vocabulary.")
    computed_at: Mapped[Instant] = column("When it was computed.")


class MappingCoverage(Base):
    __tablename__ = "mapping_coverage"
    __table_args__ = (
        *ratio_checks("mapped_rate"),
        {
            "schema": "mart",
            "comment": "How much of what each platform showed in a cycle the market vocabulary knows, by market "
            "family.",
        },
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM)
    sport: Mapped[Sport] = key("Sport.", type_=text_enum(Sport))
    family: Mapped[Text] = key("Market family of the vocabulary; unknown: markets that it does not have.")
    as_of: Mapped[Instant] = column("Instant the cycle is about.")
    n_markets_seen: Mapped[int] = column("(answer, market, specifier) triples seen.")
    n_mapped: Mapped[int] = column("... of which every outcome is known.")
    mapped_rate: Mapped[Ratio] = column("n_mapped / n_markets_seen.")
    n_unknown_market: Mapped[int] = column("... whose market id is not in the vocabulary.")
    n_unknown_param: Mapped[int] = column("... whose specifier the vocabulary cannot read.")
    n_no_matching_outcomes: Mapped[int] = column("... with an outcome that the vocabulary lacks.")
    n_fixtures_affected: Mapped[int] = column(
        "Matches with a market that is not mapped: listings that state the same id are one match."
    )
    mapping_version: Mapped[Text] = column("Version of the market vocabulary.")
    computed_at: Mapped[Instant] = column("When it was computed.")


class UnmappedMarket(Base):
    __tablename__ = "unmapped_market"
    __table_args__ = (
        sa.UniqueConstraint("platform", "impact_rank"),
        {
            "schema": "mart",
            "comment": "Markets seen that the vocabulary does not know, over all cycles, ranked by the matches that "
            "carry them.",
        },
    )

    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM)
    sport: Mapped[Sport] = key("Sport.", type_=text_enum(Sport))
    external_market_id: Mapped[Text] = key("The platform's own market id or key.")
    specifier_schema: Mapped[Text] = key(
        "Names of the parts of its specifiers, sorted, joined by |; '' when it comes without."
    )
    impact_rank: Mapped[int] = column("1 is carried by most matches of its platform, then by most occurrences.")
    status: Mapped[TriageStatus] = column(
        "new; acknowledged, ignored: as the vocabulary's triage says; mapped: the vocabulary knows the market now, "
        "and a replay of the hours from "
        "first_seen to last_seen brings its prices in.",
        type_=text_enum(TriageStatus, "triage"),
    )
    reason: Mapped[Text | None] = column("Why it is acknowledged or ignored.")
    error_classes: Mapped[TextArray] = column(
        "What the vocabulary said: unknown_market, unknown_param, no_matching_outcomes."
    )
    name: Mapped[Text] = column("The platform's own name for it, as last seen.")
    sample_specifier: Mapped[Text] = column("One specifier it came with.")
    sample_outcomes: Mapped[Json] = column("Some outcome ids and names, as a JSON array.")
    n_fixtures: Mapped[int] = column("Matches that carry it: fixtures, and listings that belong to none.")
    occurrences: Mapped[BigInt] = column("(answer, specifier) pairs, summed over cycles.")
    n_cycles: Mapped[int] = column("Cycles in which it was seen.")
    first_seen: Mapped[Instant] = column("First answer that shows it.")
    last_seen: Mapped[Instant] = column("Last answer that shows it.")
    proposed_market_key: Mapped[Text | None] = column(
        "Canonical market it may be, for a person to judge; null when none is alike enough. Never applied."
    )
    proposal_evidence: Mapped[Text | None] = column("What speaks for the proposal.")
    mapping_version: Mapped[Text] = column("Version of the market vocabulary it is judged by.")
    computed_at: Mapped[Instant] = column("When it was computed.")
