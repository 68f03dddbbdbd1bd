"""Tables of the schema mart that have one set of rows per cycle and are replaced by cycle id."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from palimpsest_pipeline.domain.enums import Completeness, FixtureClass, Platform, PresenceEvidence, Sport, TriageStatus

from .declarative_base import (
    BigInt,
    BigIntArray,
    Instant,
    Json,
    MartTable,
    Ratio,
    SmallInt,
    Text,
    TextArray,
    column,
    key,
    ratio_checks,
    text_enum,
)


class MartCycleProduct(MartTable):
    """Products that the mart has derived from each cycle.

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


class CoverageFixture(MartTable):
    """Fixtures and the platforms that list them, as of each cycle."""

    __tablename__ = "coverage_fixture"
    schema_items = (
        sa.Index(None, "sr_id"),
        sa.Index(None, "as_of"),
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    sr_id: Mapped[BigInt] = key("SportRadar id.")
    as_of: Mapped[Instant] = column("Instant that the row describes.")
    home_platform: Mapped[Platform] = column("Home platform for which it was computed.")
    sport: Mapped[Sport] = column("Sport.")
    tournament_key: Mapped[Text] = column("Tournament.")
    country: Mapped[Text | None] = column("Country in the chosen claim.")
    tournament_name: Mapped[Text] = column("Tournament name in the chosen claim.")
    home_team: Mapped[Text] = column("Home side in the chosen claim.")
    away_team: Mapped[Text] = column("Away side in the chosen claim.")
    effective_kickoff: Mapped[Instant] = column("Kickoff in home's claim, otherwise in the most trusted platform's.")
    kickoff_source: Mapped[Platform] = column("Platform of that claim.")
    started: Mapped[bool] = column("True when effective_kickoff is not after as_of.")
    platforms: Mapped[TextArray] = column("Platforms that list it.")
    n_listings_by_platform: Mapped[Json] = column("Listings per platform.")
    fixture_class: Mapped[FixtureClass] = column(
        "matched: home and a competitor list it; home_only; competitor_only; undetermined: a platform could not "
        "be observed."
    )
    n_competitors: Mapped[SmallInt] = column("Competitors that list it.")
    kickoff_max_delta_s: Mapped[BigInt] = column("Largest difference between the platforms' kickoffs, seconds.")
    rotated: Mapped[bool] = column("True when a platform has home and away swapped.")
    suspect_code: Mapped[Text | None] = column(
        "kickoff_mismatch, home_away_swapped or duplicate_sr_id; null without a suspicion."
    )
    evidence: Mapped[PresenceEvidence] = column(
        "complete: this cycle's discovery of every platform; carried: an earlier discovery of some platform; "
        "partial: some platform could not be observed.",
        type_=text_enum(PresenceEvidence, "evidence"),
    )
    stale_since: Mapped[Instant | None] = column("Time of the oldest discovery used, when carried.")
    mapping_version: Mapped[Text] = column("Version of the market vocabulary.")
    computed_at: Mapped[Instant] = column("When it was computed.")


class CoverageTournament(MartTable):
    """Coverage per tournament and competitor (or any of them), as of each cycle.

    Rows with fixtures that have started stand beside rows without. They add up to match_rate_platform.
    """

    __tablename__ = "coverage_tournament"
    schema_items = (
        sa.Index(None, "as_of"),
        *ratio_checks("home_covered_rate", "fixture_match_rate"),
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    tournament_key: Mapped[Text] = key("Tournament.")
    platform: Mapped[Text] = key("Competitor compared with home; 'any' is all competitors together.")
    include_started: Mapped[bool] = key("True when fixtures that have started are counted too.")
    as_of: Mapped[Instant] = column("Instant that the row describes.")
    home_platform: Mapped[Platform] = column("Home platform for which it was computed.")
    sport: Mapped[Sport] = column("Sport.")
    country: Mapped[Text | None] = column("Country.")
    display_name: Mapped[Text] = column("Tournament name.")
    n_home: Mapped[int] = column("Fixtures on home.")
    n_platform: Mapped[int] = column("Fixtures on the competitor.")
    n_matched: Mapped[int] = column("Fixtures on both.")
    n_home_only: Mapped[int] = column("Fixtures on home that the competitor is known to lack.")
    n_platform_only: Mapped[int] = column("Fixtures on the competitor that home is known to lack.")
    n_undetermined: Mapped[int] = column("Fixtures on one of the two while the other could not be observed.")
    n_unidentified: Mapped[int] = column(
        "Listings of the competitor (row 'any': of all platforms) without a SportRadar id."
    )
    platform_gap: Mapped[bool] = column("True when the competitor has fixtures here and home has none.")
    home_gap: Mapped[bool] = column("True when home has fixtures here and the competitor has none.")
    home_covered_rate: Mapped[Ratio | None] = column("n_matched / n_home; null when home has none.")
    fixture_match_rate: Mapped[Ratio | None] = column("n_matched / n_platform; null when the competitor has none.")
    earliest_missing_kickoff: Mapped[Instant | None] = column("Next kickoff among fixtures that home lacks.")
    missing_sr_ids: Mapped[BigIntArray] = column("Fixtures that home lacks, sorted.")
    mapping_version: Mapped[Text] = column("Version of the market vocabulary.")
    computed_at: Mapped[Instant] = column("When it was computed.")


class MatchRatePlatform(MartTable):
    """Match rates per platform and overall, each with its denominator in its name, as of each cycle."""

    __tablename__ = "match_rate_platform"
    schema_items = (
        sa.Index(None, "as_of"),
        *ratio_checks(
            "listing_match_rate", "fixture_match_rate", "home_covered_rate", "overall_match_rate", "link_accuracy"
        ),
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    platform: Mapped[Text] = key("Platform; 'all' is all platforms together.")
    include_started: Mapped[bool] = key("True when fixtures that have started are counted too.")
    as_of: Mapped[Instant] = column("Instant that the row describes.")
    home_platform: Mapped[Platform] = column("Home platform for which it was computed.")
    n_listings: Mapped[int] = column("Listings of matches.")
    n_listings_with_sr: Mapped[int] = column("Listings of matches that belong to a fixture.")
    n_fixtures: Mapped[int] = column("Distinct fixtures.")
    n_matched_fixtures: Mapped[int] = column(
        "Fixtures that are also on home (in the rows of home and 'all': also on a competitor)."
    )
    n_matched_listings: Mapped[int] = column("Listings of matched fixtures.")
    listing_match_rate: Mapped[Ratio | None] = column("n_matched_listings / n_listings.")
    fixture_match_rate: Mapped[Ratio | None] = column("n_matched_fixtures / n_fixtures.")
    home_covered_rate: Mapped[Ratio | None] = column("n_matched_fixtures / fixtures on home.")
    overall_match_rate: Mapped[Ratio | None] = column("Row 'all': matched fixtures / all fixtures; null in other rows.")
    link_accuracy: Mapped[Ratio | None] = column(
        "Linked listings / listings whose fixture home lists. Always 1; kept as a check."
    )
    n_home: Mapped[int] = column("Fixtures on home.")
    n_home_only: Mapped[int] = column(
        "Row 'all': fixtures known to be on home only. Row of a platform: fixtures on home that are known to be "
        "missing there."
    )
    n_competitor_only: Mapped[int] = column(
        "Row 'all': fixtures known to be missing on home. Row of a platform: those of them that it lists."
    )
    n_undetermined: Mapped[int] = column("Fixtures whose class is unknown because a platform could not be observed.")
    n_union: Mapped[int] = column("Row 'all': all fixtures. Row of a platform: fixtures on home or there.")
    dup_ratio: Mapped[Ratio | None] = column("n_listings_with_sr / n_fixtures (1 or more).")
    completeness: Mapped[Completeness] = column("Completeness of this cycle's discovery: complete, partial or failed.")
    evidence: Mapped[PresenceEvidence] = column(
        "Evidence for the row: complete, carried or partial.", type_=text_enum(PresenceEvidence, "evidence")
    )
    delta_vs_prev: Mapped[Ratio | None] = column(
        "Change of n_fixtures since the previous cycle, as a share of that cycle's; null for the first."
    )
    mapping_version: Mapped[Text] = column("Version of the market vocabulary.")
    computed_at: Mapped[Instant] = column("When it was computed.")


class RunQuality(MartTable):
    """Completeness and speed of each stage of a cycle on each platform."""

    __tablename__ = "run_quality"
    schema_items = (*ratio_checks("change_ratio"),)

    cycle_id: Mapped[BigInt] = key("Cycle.")
    platform: Mapped[Platform] = key("Platform.")
    stage: Mapped[Text] = key("discovery, capture or storage.")
    as_of: Mapped[Instant] = column("Instant the cycle is about.")
    declared: Mapped[int | None] = column(
        "Expected entries: declared listings, targets or parsed answers; null when none is declared."
    )
    discovered: Mapped[int] = column("Match listings discovered.")
    fetched: Mapped[int] = column("Usable answers.")
    parsed: Mapped[int] = column("Answers that could be parsed.")
    rejected: Mapped[int] = column("Answers or entries refused.")
    stored: Mapped[int] = column("Rows stored in the history: captures (storage) or listings (discovery).")
    changed: Mapped[int] = column(
        "Markets that changed since the previous answer, at most the number of markets in the answer. Keyframes "
        "do not count."
    )
    confirmed: Mapped[int] = column("Markets that are unchanged since the previous answer. Keyframes do not count.")
    errors_by_class: Mapped[Json] = column("Failed attempts by failure class.")
    ages_ignored: Mapped[int | None] = column(
        "Answers whose Age header was ignored because it was unreadable or above one hour; their arrival time is "
        "used instead. Null in rows written before this count existed."
    )
    p50_ms: Mapped[float | None] = column("Median request duration in ms.")
    p95_ms: Mapped[float | None] = column("95th percentile of request duration in ms.")
    bytes: Mapped[BigInt] = column("Body bytes after decompression.")
    wall_s: Mapped[float] = column("Time from the first request to the last answer, in seconds.")
    change_ratio: Mapped[Ratio | None] = column("changed / (changed + confirmed); null without either.")
    drop_vs_median: Mapped[Ratio | None] = column(
        "1 - fetched / median of earlier cycles of the same scope that were complete in this stage; null without "
        "such cycles."
    )
    completeness: Mapped[Completeness] = column("complete, partial or failed.")
    blocked_downstream: Mapped[bool] = column(
        "True when the stage failed, so that nothing of this platform was derived from the cycle."
    )
    mapping_version: Mapped[Text] = column("Version of the market vocabulary.")
    computed_at: Mapped[Instant] = column("When it was computed.")


class MappingCoverage(MartTable):
    """Share of each platform's markets in a cycle that the market vocabulary knows, by market family."""

    __tablename__ = "mapping_coverage"
    schema_items = (*ratio_checks("mapped_rate"),)

    cycle_id: Mapped[BigInt] = key("Cycle.")
    platform: Mapped[Platform] = key("Platform.")
    sport: Mapped[Sport] = key("Sport.")
    family: Mapped[Text] = key("Market family of the vocabulary; unknown: markets that the vocabulary lacks.")
    as_of: Mapped[Instant] = column("Instant the cycle is about.")
    n_markets_seen: Mapped[int] = column("(answer, market, specifier) triples seen.")
    n_mapped: Mapped[int] = column("Triples whose outcomes are all known.")
    mapped_rate: Mapped[Ratio] = column("n_mapped / n_markets_seen.")
    n_unknown_market: Mapped[int] = column("Triples whose market id is not in the vocabulary.")
    n_unknown_param: Mapped[int] = column("Triples whose specifier the vocabulary cannot read.")
    n_no_matching_outcomes: Mapped[int] = column("Triples with an outcome that the vocabulary lacks.")
    n_fixtures_affected: Mapped[int] = column(
        "Matches with a market that is not mapped. Listings that state the same id are one match."
    )
    mapping_version: Mapped[Text] = column("Version of the market vocabulary.")
    computed_at: Mapped[Instant] = column("When it was computed.")


class RankedUnmappedMarket(MartTable):
    """Markets that the vocabulary does not know, over all cycles.

    They are ranked by the number of matches with them.
    """

    __tablename__ = "unmapped_market"
    schema_items = (sa.UniqueConstraint("platform", "impact_rank"),)

    platform: Mapped[Platform] = key("Platform.")
    sport: Mapped[Sport] = key("Sport.")
    external_market_id: Mapped[Text] = key("The platform's own market id or key.")
    specifier_schema: Mapped[Text] = key(
        "Names of the parts of its specifiers, sorted, joined by |; '' without specifiers."
    )
    impact_rank: Mapped[int] = column(
        "Rank on the platform: 1 is the market in the most matches, then with the most occurrences."
    )
    status: Mapped[TriageStatus] = column(
        "new; acknowledged or ignored by the vocabulary's triage; mapped: the vocabulary knows the market now, "
        "and a replay of the hours from first_seen to last_seen adds its prices.",
        type_=text_enum(TriageStatus, "triage"),
    )
    reason: Mapped[Text | None] = column("Reason why it is acknowledged or ignored.")
    error_classes: Mapped[TextArray] = column(
        "Results of the vocabulary: unknown_market, unknown_param or no_matching_outcomes."
    )
    name: Mapped[Text] = column("The platform's own name for it, as last seen.")
    sample_specifier: Mapped[Text] = column("Example of a specifier.")
    sample_outcomes: Mapped[Json] = column("Examples of outcome ids and names, as a JSON array.")
    n_fixtures: Mapped[int] = column("Matches with this market: fixtures, and listings without a fixture.")
    occurrences: Mapped[BigInt] = column("(answer, specifier) pairs, summed over cycles.")
    n_cycles: Mapped[int] = column("Cycles in which it was seen.")
    first_seen: Mapped[Instant] = column("Time of the first answer that shows it.")
    last_seen: Mapped[Instant] = column("Time of the last answer that shows it.")
    proposed_market_key: Mapped[Text | None] = column(
        "Proposed canonical market, for a person to judge; null when none is similar enough. A proposal is never "
        "applied by itself."
    )
    proposal_evidence: Mapped[Text | None] = column("Evidence for the proposal.")
    mapping_version: Mapped[Text] = column("Version of the market vocabulary behind the status.")
    computed_at: Mapped[Instant] = column("When it was computed.")
