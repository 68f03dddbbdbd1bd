"""The mart: coverage, match rates and run quality, as of each cycle."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
COMPLETENESS = ("complete", "partial", "failed")
EVIDENCE = ("complete", "carried", "partial")
FIXTURE_CLASS = ("matched", "home_only", "competitor_only", "undetermined")
PLATFORM = ("betpawa", "sportybet", "bet9ja")
SPORT = ("football", "basketball", "tennis")


def upgrade() -> None:
    _cycle_products()
    _coverage_fixture()
    _coverage_tournament()
    _match_rate_platform()
    _run_quality()


def downgrade() -> None:
    op.drop_table("run_quality", schema="mart")
    op.drop_table("match_rate_platform", schema="mart")
    op.drop_table("coverage_tournament", schema="mart")
    op.drop_table("coverage_fixture", schema="mart")
    op.drop_table("cycle_products", schema="mart")


def one_of(name: str, words: tuple[str, ...]) -> sa.Enum:
    """Text restricted to these words by a check constraint."""
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)


def _cycle_products() -> None:
    op.create_table(
        "cycle_products",
        sa.Column("cycle_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Cycle."),
        sa.Column("product", sa.Text, nullable=False, comment="What was derived (the asset's name)."),
        sa.Column(
            "landing_digest",
            sa.Text,
            nullable=False,
            comment="Digest of the cycle's landing manifest it was derived from.",
        ),
        sa.Column("parser_version", sa.Text, nullable=False, comment="Version of the parsers."),
        sa.Column("mapping_version", sa.Text, nullable=False, comment="Version of the market vocabulary."),
        sa.Column("n_rows", sa.Integer, nullable=False, comment="Rows written."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was derived."),
        sa.PrimaryKeyConstraint("cycle_id", "product", name=op.f("pk_cycle_products")),
        schema="mart",
        comment="What the mart has derived from which cycle. Committed with the rows it speaks of.",
    )


def _coverage_fixture() -> None:
    op.create_table(
        "coverage_fixture",
        sa.Column("cycle_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Cycle."),
        sa.Column("sr_id", sa.BigInteger, nullable=False, autoincrement=False, comment="SportRadar id."),
        sa.Column("as_of", INSTANT, nullable=False, comment="Instant the row is about."),
        sa.Column(
            "home_platform", one_of("platform", PLATFORM), nullable=False, comment="Home platform it was computed for."
        ),
        sa.Column("sport", one_of("sport", SPORT), nullable=False, comment="Sport."),
        sa.Column("tournament_key", sa.Text, nullable=False, comment="Tournament."),
        sa.Column("country", sa.Text, nullable=True, comment="Country of the chosen claim."),
        sa.Column("tournament_name", sa.Text, nullable=False, comment="Tournament name of the chosen claim."),
        sa.Column("home_team", sa.Text, nullable=False, comment="Home side of the chosen claim."),
        sa.Column("away_team", sa.Text, nullable=False, comment="Away side of the chosen claim."),
        sa.Column("effective_kickoff", INSTANT, nullable=False, comment="Kickoff: home's claim, else by trust."),
        sa.Column("kickoff_source", one_of("kickoff_source", PLATFORM), nullable=False, comment="Whose claim that is."),
        sa.Column("started", sa.Boolean, nullable=False, comment="effective_kickoff is not after as_of."),
        sa.Column("platforms", pg.ARRAY(sa.Text), nullable=False, comment="Platforms that list it."),
        sa.Column("n_listings_by_platform", pg.JSONB, nullable=False, comment="Listings per platform."),
        sa.Column(
            "fixture_class",
            one_of("fixtureclass", FIXTURE_CLASS),
            nullable=False,
            comment="matched: home and a competitor; home_only; competitor_only; undetermined: a platform could not be looked at.",
        ),
        sa.Column("n_competitors", sa.SmallInteger, nullable=False, comment="Competitors that list it."),
        sa.Column(
            "kickoff_max_delta_s",
            sa.Integer,
            nullable=False,
            comment="Largest difference between the platforms' kickoffs, seconds.",
        ),
        sa.Column("rotated", sa.Boolean, nullable=False, comment="Some platform has home and away swapped."),
        sa.Column(
            "suspect_code",
            sa.Text,
            nullable=True,
            comment="kickoff_mismatch, home_away_swapped, duplicate_sr_id; null when nothing is odd.",
        ),
        sa.Column(
            "evidence",
            one_of("evidence", EVIDENCE),
            nullable=False,
            comment="complete: every platform's discovery of this cycle; carried: some platform's earlier one; "
            "partial: some platform could not be looked at.",
        ),
        sa.Column("stale_since", INSTANT, nullable=True, comment="Oldest discovery it rests on, when carried."),
        sa.Column("mapping_version", sa.Text, nullable=False, comment="Version of the market vocabulary."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was computed."),
        sa.PrimaryKeyConstraint("cycle_id", "sr_id", name=op.f("pk_coverage_fixture")),
        schema="mart",
        comment="Who lists which fixture, as of each cycle.",
    )
    op.create_index(op.f("ix_coverage_fixture_as_of"), "coverage_fixture", ["as_of"], unique=False, schema="mart")
    op.create_index(op.f("ix_coverage_fixture_sr_id"), "coverage_fixture", ["sr_id"], unique=False, schema="mart")


def _coverage_tournament() -> None:
    op.create_table(
        "coverage_tournament",
        sa.Column("cycle_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Cycle."),
        sa.Column("tournament_key", sa.Text, nullable=False, comment="Tournament."),
        sa.Column(
            "platform", sa.Text, nullable=False, comment="Competitor compared with home; 'any' is all of them together."
        ),
        sa.Column("include_started", sa.Boolean, nullable=False, comment="Universe: true counts started fixtures too."),
        sa.Column("as_of", INSTANT, nullable=False, comment="Instant the row is about."),
        sa.Column(
            "home_platform", one_of("platform", PLATFORM), nullable=False, comment="Home platform it was computed for."
        ),
        sa.Column("sport", one_of("sport", SPORT), nullable=False, comment="Sport."),
        sa.Column("country", sa.Text, nullable=True, comment="Country."),
        sa.Column("display_name", sa.Text, nullable=False, comment="Tournament name."),
        sa.Column("n_home", sa.Integer, nullable=False, comment="Fixtures on home."),
        sa.Column("n_platform", sa.Integer, nullable=False, comment="Fixtures on the competitor."),
        sa.Column("n_matched", sa.Integer, nullable=False, comment="Fixtures on both."),
        sa.Column(
            "n_home_only", sa.Integer, nullable=False, comment="Fixtures on home that the competitor is known to lack."
        ),
        sa.Column(
            "n_platform_only",
            sa.Integer,
            nullable=False,
            comment="Fixtures on the competitor that home is known to lack.",
        ),
        sa.Column(
            "n_undetermined",
            sa.Integer,
            nullable=False,
            comment="Fixtures on one of the two where the other could not be looked at.",
        ),
        sa.Column(
            "n_unidentified",
            sa.Integer,
            nullable=False,
            comment="Listings of the competitor (any: of all platforms) without a SportRadar id.",
        ),
        sa.Column(
            "platform_gap", sa.Boolean, nullable=False, comment="The competitor has fixtures here and home has none."
        ),
        sa.Column(
            "home_gap", sa.Boolean, nullable=False, comment="Home has fixtures here and the competitor has none."
        ),
        sa.Column(
            "home_covered_rate",
            sa.Numeric(12, 8),
            nullable=True,
            comment="n_matched / n_home; null when home has none.",
        ),
        sa.Column(
            "fixture_match_rate",
            sa.Numeric(12, 8),
            nullable=True,
            comment="n_matched / n_platform; null when the competitor has none.",
        ),
        sa.Column(
            "earliest_missing_kickoff", INSTANT, nullable=True, comment="Next kickoff among fixtures that home lacks."
        ),
        sa.Column(
            "missing_sr_ids", pg.ARRAY(sa.BigInteger), nullable=False, comment="Fixtures that home lacks, sorted."
        ),
        sa.Column("mapping_version", sa.Text, nullable=False, comment="Version of the market vocabulary."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was computed."),
        sa.PrimaryKeyConstraint(
            "cycle_id", "tournament_key", "platform", "include_started", name=op.f("pk_coverage_tournament")
        ),
        sa.CheckConstraint(
            "fixture_match_rate between 0 and 1", name=op.f("ck_coverage_tournament_fixture_match_rate_is_ratio")
        ),
        sa.CheckConstraint(
            "home_covered_rate between 0 and 1", name=op.f("ck_coverage_tournament_home_covered_rate_is_ratio")
        ),
        schema="mart",
        comment="Coverage per tournament, competitor (or any of them) and universe, as of each cycle. Sums to match_rate_platform.",
    )
    op.create_index(op.f("ix_coverage_tournament_as_of"), "coverage_tournament", ["as_of"], unique=False, schema="mart")


def _match_rate_platform() -> None:
    op.create_table(
        "match_rate_platform",
        sa.Column("cycle_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Cycle."),
        sa.Column("platform", sa.Text, nullable=False, comment="Platform; 'all' is the union."),
        sa.Column("include_started", sa.Boolean, nullable=False, comment="Universe: true counts started fixtures too."),
        sa.Column("as_of", INSTANT, nullable=False, comment="Instant the row is about."),
        sa.Column(
            "home_platform", one_of("platform", PLATFORM), nullable=False, comment="Home platform it was computed for."
        ),
        sa.Column("n_listings", sa.Integer, nullable=False, comment="Match listings."),
        sa.Column("n_listings_with_sr", sa.Integer, nullable=False, comment="... that belong to a fixture."),
        sa.Column("n_fixtures", sa.Integer, nullable=False, comment="Distinct fixtures."),
        sa.Column(
            "n_matched_fixtures",
            sa.Integer,
            nullable=False,
            comment="... that are on home too (home row and 'all': on some competitor too).",
        ),
        sa.Column("n_matched_listings", sa.Integer, nullable=False, comment="Listings of matched fixtures."),
        sa.Column("listing_match_rate", sa.Numeric(12, 8), nullable=True, comment="n_matched_listings / n_listings."),
        sa.Column("fixture_match_rate", sa.Numeric(12, 8), nullable=True, comment="n_matched_fixtures / n_fixtures."),
        sa.Column(
            "home_covered_rate", sa.Numeric(12, 8), nullable=True, comment="n_matched_fixtures / fixtures on home."
        ),
        sa.Column(
            "overall_match_rate",
            sa.Numeric(12, 8),
            nullable=True,
            comment="Row 'all': matched / union; null elsewhere.",
        ),
        sa.Column(
            "link_accuracy",
            sa.Numeric(12, 8),
            nullable=True,
            comment="Linked listings / listings whose fixture home lists; 1 by construction, kept as a check.",
        ),
        sa.Column("n_home", sa.Integer, nullable=False, comment="Fixtures on home."),
        sa.Column(
            "n_home_only",
            sa.Integer,
            nullable=False,
            comment="Row 'all': fixtures known to be on home only. Platform row: on home and known to be missing here.",
        ),
        sa.Column(
            "n_competitor_only",
            sa.Integer,
            nullable=False,
            comment="Row 'all': fixtures known to be missing on home. Platform row: those of them listed here.",
        ),
        sa.Column(
            "n_undetermined",
            sa.Integer,
            nullable=False,
            comment="Fixtures whose class is unknown since a platform could not be looked at.",
        ),
        sa.Column(
            "n_union",
            sa.Integer,
            nullable=False,
            comment="Row 'all': all fixtures. Platform row: fixtures on home or here.",
        ),
        sa.Column(
            "dup_ratio", sa.Numeric(12, 8), nullable=True, comment="n_listings_with_sr / n_fixtures (1 or more)."
        ),
        sa.Column(
            "completeness",
            one_of("completeness", COMPLETENESS),
            nullable=False,
            comment="Of this cycle's discovery: complete, partial or failed.",
        ),
        sa.Column("evidence", one_of("evidence", EVIDENCE), nullable=False, comment="What the row rests on."),
        sa.Column(
            "delta_vs_prev",
            sa.Numeric(12, 8),
            nullable=True,
            comment="Change of n_fixtures against the cycle before, as a share of it; null for the first.",
        ),
        sa.Column("mapping_version", sa.Text, nullable=False, comment="Version of the market vocabulary."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was computed."),
        sa.PrimaryKeyConstraint("cycle_id", "platform", "include_started", name=op.f("pk_match_rate_platform")),
        sa.CheckConstraint(
            "fixture_match_rate between 0 and 1", name=op.f("ck_match_rate_platform_fixture_match_rate_is_ratio")
        ),
        sa.CheckConstraint(
            "home_covered_rate between 0 and 1", name=op.f("ck_match_rate_platform_home_covered_rate_is_ratio")
        ),
        sa.CheckConstraint("link_accuracy between 0 and 1", name=op.f("ck_match_rate_platform_link_accuracy_is_ratio")),
        sa.CheckConstraint(
            "listing_match_rate between 0 and 1", name=op.f("ck_match_rate_platform_listing_match_rate_is_ratio")
        ),
        sa.CheckConstraint(
            "overall_match_rate between 0 and 1", name=op.f("ck_match_rate_platform_overall_match_rate_is_ratio")
        ),
        schema="mart",
        comment="Match rates per platform and overall, each with its denominator in its name, as of each cycle.",
    )
    op.create_index(op.f("ix_match_rate_platform_as_of"), "match_rate_platform", ["as_of"], unique=False, schema="mart")


def _run_quality() -> None:
    op.create_table(
        "run_quality",
        sa.Column("cycle_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Cycle."),
        sa.Column("platform", one_of("platform", PLATFORM), nullable=False, comment="Platform."),
        sa.Column("stage", sa.Text, nullable=False, comment="discovery, capture or storage."),
        sa.Column("as_of", INSTANT, nullable=False, comment="Instant the cycle is about."),
        sa.Column(
            "declared",
            sa.Integer,
            nullable=True,
            comment="Entries promised: declared listings, targets, or parsed answers; null when none is declared.",
        ),
        sa.Column("discovered", sa.Integer, nullable=False, comment="Match listings discovered."),
        sa.Column("fetched", sa.Integer, nullable=False, comment="Usable answers."),
        sa.Column("parsed", sa.Integer, nullable=False, comment="Answers read."),
        sa.Column("rejected", sa.Integer, nullable=False, comment="Answers or entries refused."),
        sa.Column(
            "stored",
            sa.Integer,
            nullable=False,
            comment="Rows of history stand behind it: captures (storage), listings (discovery).",
        ),
        sa.Column(
            "changed",
            sa.Integer,
            nullable=False,
            comment="Captures with at least one changed market (keyframes do not count).",
        ),
        sa.Column("confirmed", sa.Integer, nullable=False, comment="Captures that changed nothing."),
        sa.Column("errors_by_class", pg.JSONB, nullable=False, comment="Failed attempts by failure class."),
        sa.Column("p50_ms", sa.Double, nullable=True, comment="Median request duration in ms."),
        sa.Column("p95_ms", sa.Double, nullable=True, comment="95th percentile of request duration in ms."),
        sa.Column("bytes", sa.BigInteger, nullable=False, comment="Body bytes after decompression."),
        sa.Column("wall_s", sa.Double, nullable=False, comment="First request to last answer, seconds."),
        sa.Column(
            "change_ratio",
            sa.Numeric(12, 8),
            nullable=True,
            comment="changed / (changed + confirmed); null without either.",
        ),
        sa.Column(
            "drop_vs_median",
            sa.Numeric(12, 8),
            nullable=True,
            comment="1 - fetched / trailing median of earlier cycles of the same scope; null without a history.",
        ),
        sa.Column(
            "completeness", one_of("completeness", COMPLETENESS), nullable=False, comment="complete, partial or failed."
        ),
        sa.Column(
            "blocked_downstream",
            sa.Boolean,
            nullable=False,
            comment="The stage failed, so nothing of this platform was derived from the cycle.",
        ),
        sa.Column("mapping_version", sa.Text, nullable=False, comment="Version of the market vocabulary."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was computed."),
        sa.PrimaryKeyConstraint("cycle_id", "platform", "stage", name=op.f("pk_run_quality")),
        sa.CheckConstraint("change_ratio between 0 and 1", name=op.f("ck_run_quality_change_ratio_is_ratio")),
        schema="mart",
        comment="How complete and how fast each stage of each platform's part of a cycle was.",
    )
