"""What the vocabulary does not know: the ledger by specifier, counts by family, mapping coverage and the ranking."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
PLATFORM = ("betpawa", "sportybet", "bet9ja")
SPORT = ("football", "basketball", "tennis")
TRIAGE = ("new", "acknowledged", "mapped", "ignored")
UNMAPPED_KEY = ("cycle_id", "platform", "sport", "external_market_id", "error_class")


def upgrade() -> None:
    _family()
    op.add_column(
        "captures",
        sa.Column(
            "n_prices_merged",
            sa.Integer,
            nullable=True,
            comment="Priced outcomes left out since another market of the answer prices the same bet; null: written before these were counted.",
        ),
        schema="core",
    )
    _ledger_by_specifier()
    _mapping_counts()
    _mapping_coverage()
    _unmapped_market()
    _make_due()


def downgrade() -> None:
    op.drop_table("unmapped_market", schema="mart")
    op.drop_table("mapping_coverage", schema="mart")
    op.drop_table("mapping_counts", schema="core")
    _ledger_by_market()
    op.drop_column("captures", "n_prices_merged", schema="core")
    op.drop_column("markets", "family", schema="core")


def one_of(name: str, words: tuple[str, ...]) -> sa.Enum:
    """Text restricted to these words by a check constraint."""
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)


def _family() -> None:
    """The reference rows, which the same step writes, fill it in."""
    op.add_column(
        "markets",
        sa.Column(
            "family", sa.Text, nullable=False, server_default="", comment="Kind of bet: result, total, handicap, ..."
        ),
        schema="core",
    )
    op.alter_column("markets", "family", server_default=None, schema="core")


def _forget_ledger() -> None:
    """The rows cannot be split by specifier. A replay writes them anew."""
    op.execute("delete from core.unmapped_markets")
    op.drop_constraint(op.f("pk_unmapped_markets"), "unmapped_markets", schema="core")


def _make_due() -> None:
    """What stands was derived without these tables: no mark may say that it is up to date."""
    op.execute("delete from core.cycle_products where product = 'odds_snapshots'")
    op.execute("delete from mart.cycle_products where product = 'mapping_coverage'")


def _ledger_by_specifier() -> None:
    _forget_ledger()
    op.drop_column("unmapped_markets", "n_listings", schema="core")
    for column in (
        sa.Column(
            "specifier_schema",
            sa.Text,
            nullable=False,
            comment="Names of the parts of its specifiers, sorted, joined by |; '' when it comes without.",
        ),
        sa.Column(
            "listing_ids", pg.ARRAY(sa.Integer), nullable=False, comment="Listings in the cycle that carry it, sorted."
        ),
        sa.Column("first_observed_at", INSTANT, nullable=False, comment="First answer of the cycle that shows it."),
        sa.Column("last_observed_at", INSTANT, nullable=False, comment="Last answer of the cycle that shows it."),
    ):
        op.add_column("unmapped_markets", column, schema="core")
    op.alter_column("unmapped_markets", "occurrences", comment="(answer, specifier) pairs in the cycle.", schema="core")
    op.create_primary_key(
        op.f("pk_unmapped_markets"),
        "unmapped_markets",
        [*UNMAPPED_KEY[:4], "specifier_schema", UNMAPPED_KEY[4]],
        schema="core",
    )


def _ledger_by_market() -> None:
    _forget_ledger()
    for name in ("last_observed_at", "first_observed_at", "listing_ids", "specifier_schema"):
        op.drop_column("unmapped_markets", name, schema="core")
    op.add_column(
        "unmapped_markets",
        sa.Column("n_listings", sa.Integer, nullable=False, comment="Listings in the cycle that carry it."),
        schema="core",
    )
    op.alter_column("unmapped_markets", "occurrences", comment="(listing, line) pairs in the cycle.", schema="core")
    op.create_primary_key(op.f("pk_unmapped_markets"), "unmapped_markets", list(UNMAPPED_KEY), schema="core")


def _mapping_counts() -> None:
    op.create_table(
        "mapping_counts",
        sa.Column("cycle_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Cycle."),
        sa.Column("platform", one_of("platform", PLATFORM), nullable=False, comment="Platform."),
        sa.Column("sport", one_of("sport", SPORT), nullable=False, comment="Sport."),
        sa.Column("family", sa.Text, nullable=False, comment="Family of the market; '' when the market is unknown."),
        sa.Column(
            "error_class",
            sa.Text,
            nullable=False,
            comment="'' when mapped, else unknown_market, unknown_param or no_matching_outcomes.",
        ),
        sa.Column("n_markets", sa.Integer, nullable=False, comment="Triples."),
        sa.Column(
            "listing_ids",
            pg.ARRAY(sa.Integer),
            nullable=False,
            comment="Listings that carry one, sorted; empty when mapped.",
        ),
        sa.PrimaryKeyConstraint(
            "cycle_id", "platform", "sport", "family", "error_class", name=op.f("pk_mapping_counts")
        ),
        schema="core",
        comment="Per cycle: (answer, market, specifier) triples seen, by family and by what the vocabulary said.",
    )


def _mapping_coverage() -> None:
    op.create_table(
        "mapping_coverage",
        sa.Column("cycle_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Cycle."),
        sa.Column("platform", one_of("platform", PLATFORM), nullable=False, comment="Platform."),
        sa.Column("sport", one_of("sport", SPORT), nullable=False, comment="Sport."),
        sa.Column(
            "family",
            sa.Text,
            nullable=False,
            comment="Market family of the vocabulary; unknown: markets that it does not have.",
        ),
        sa.Column("as_of", INSTANT, nullable=False, comment="Instant the cycle is about."),
        sa.Column("n_markets_seen", sa.Integer, nullable=False, comment="(answer, market, specifier) triples seen."),
        sa.Column("n_mapped", sa.Integer, nullable=False, comment="... of which every outcome is known."),
        sa.Column("mapped_rate", sa.Numeric(12, 8), nullable=False, comment="n_mapped / n_markets_seen."),
        sa.Column(
            "n_unknown_market", sa.Integer, nullable=False, comment="... whose market id is not in the vocabulary."
        ),
        sa.Column(
            "n_unknown_param", sa.Integer, nullable=False, comment="... whose specifier the vocabulary cannot read."
        ),
        sa.Column(
            "n_no_matching_outcomes",
            sa.Integer,
            nullable=False,
            comment="... with an outcome that the vocabulary lacks.",
        ),
        sa.Column(
            "n_fixtures_affected",
            sa.Integer,
            nullable=False,
            comment="Matches with a market that is not mapped: listings that state the same id are one match.",
        ),
        sa.Column("mapping_version", sa.Text, nullable=False, comment="Version of the market vocabulary."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was computed."),
        sa.PrimaryKeyConstraint("cycle_id", "platform", "sport", "family", name=op.f("pk_mapping_coverage")),
        sa.CheckConstraint("mapped_rate between 0 and 1", name=op.f("ck_mapping_coverage_mapped_rate_is_ratio")),
        schema="mart",
        comment="How much of what each platform showed in a cycle the market vocabulary knows, by market family.",
    )


def _unmapped_market() -> None:
    op.create_table(
        "unmapped_market",
        sa.Column("platform", one_of("platform", PLATFORM), nullable=False, comment="Platform."),
        sa.Column("sport", one_of("sport", SPORT), nullable=False, comment="Sport."),
        sa.Column("external_market_id", sa.Text, nullable=False, comment="The platform's own market id or key."),
        sa.Column(
            "specifier_schema",
            sa.Text,
            nullable=False,
            comment="Names of the parts of its specifiers, sorted, joined by |; '' when it comes without.",
        ),
        sa.Column(
            "impact_rank",
            sa.Integer,
            nullable=False,
            comment="1 is carried by most matches of its platform, then by most occurrences.",
        ),
        sa.Column(
            "status",
            one_of("triage", TRIAGE),
            nullable=False,
            comment="new; acknowledged, ignored: as the vocabulary's triage says; mapped: the vocabulary knows the market now, and a replay of the "
            "hours from first_seen to last_seen brings its prices in.",
        ),
        sa.Column("reason", sa.Text, nullable=True, comment="Why it is acknowledged or ignored."),
        sa.Column(
            "error_classes",
            pg.ARRAY(sa.Text),
            nullable=False,
            comment="What the vocabulary said: unknown_market, unknown_param, no_matching_outcomes.",
        ),
        sa.Column("name", sa.Text, nullable=False, comment="The platform's own name for it, as last seen."),
        sa.Column("sample_specifier", sa.Text, nullable=False, comment="One specifier it came with."),
        sa.Column("sample_outcomes", pg.JSONB, nullable=False, comment="Some outcome ids and names, as a JSON array."),
        sa.Column(
            "n_fixtures",
            sa.Integer,
            nullable=False,
            comment="Matches that carry it: fixtures, and listings that belong to none.",
        ),
        sa.Column(
            "occurrences", sa.BigInteger, nullable=False, comment="(answer, specifier) pairs, summed over cycles."
        ),
        sa.Column("n_cycles", sa.Integer, nullable=False, comment="Cycles in which it was seen."),
        sa.Column("first_seen", INSTANT, nullable=False, comment="First answer that shows it."),
        sa.Column("last_seen", INSTANT, nullable=False, comment="Last answer that shows it."),
        sa.Column(
            "proposed_market_key",
            sa.Text,
            nullable=True,
            comment="Canonical market it may be, for a person to judge; null when none is alike enough. Never applied.",
        ),
        sa.Column("proposal_evidence", sa.Text, nullable=True, comment="What speaks for the proposal."),
        sa.Column(
            "mapping_version", sa.Text, nullable=False, comment="Version of the market vocabulary it is judged by."
        ),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was computed."),
        sa.PrimaryKeyConstraint(
            "platform", "sport", "external_market_id", "specifier_schema", name=op.f("pk_unmapped_market")
        ),
        sa.UniqueConstraint("platform", "impact_rank", name=op.f("uq_unmapped_market_platform_impact_rank")),
        schema="mart",
        comment="Markets seen that the vocabulary does not know, over all cycles, ranked by the matches that carry them.",
    )
