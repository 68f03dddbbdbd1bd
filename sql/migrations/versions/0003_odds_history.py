"""The odds history, in one partition a UTC day, and what was seen and not read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
MARKET_STATE = pg.ENUM(
    "offered", "suspended", "no_price", "withdrawn", name="market_state", schema="core", create_type=False
)
PAYLOAD_KIND = ("tree", "listing", "detail")
PLATFORM = ("betpawa", "sportybet", "bet9ja")
SPORT = ("football", "basketball", "tennis")


def upgrade() -> None:
    op.execute("create type core.market_state as enum ('offered', 'suspended', 'no_price', 'withdrawn')")
    op.execute("comment on type core.market_state is 'State of a market on one listing at one instant'")
    _captures()
    _market_changes()
    _current_markets()
    _unmapped_markets()
    _rejects()


def downgrade() -> None:
    days = op.get_bind().exec_driver_sql(
        "select tablename from pg_tables where schemaname = 'core' and tablename ~ '^(captures|market_changes)_[0-9]{8}$'"
    )
    for (name,) in days.fetchall():  # those that were detached too
        op.drop_table(name, schema="core")
    op.drop_table("rejects", schema="core")
    op.drop_table("unmapped_markets", schema="core")
    op.drop_table("current_markets", schema="core")
    op.drop_table("market_changes", schema="core")
    op.drop_table("captures", schema="core")
    op.execute("drop type core.market_state")


def one_of(name: str, words: tuple[str, ...]) -> sa.Enum:
    """Text restricted to these words by a check constraint."""
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)


def _captures() -> None:
    op.create_table(
        "captures",
        sa.Column("listing_id", sa.Integer, nullable=False, autoincrement=False, comment="Listing."),
        sa.Column(
            "observed_at",
            INSTANT,
            nullable=False,
            comment="When the answer was received, less its age in the edge cache.",
        ),
        sa.Column("cycle_id", sa.BigInteger, nullable=False, comment="Cycle."),
        sa.Column(
            "keyframe",
            sa.Boolean,
            nullable=False,
            comment="First answer of the listing's UTC day: all its markets are written.",
        ),
        sa.Column("n_markets_listed", sa.Integer, nullable=False, comment="(market, line) pairs in the answer."),
        sa.Column("n_markets_mapped", sa.Integer, nullable=False, comment="... of which the vocabulary knows."),
        sa.Column(
            "n_markets_priced",
            sa.Integer,
            nullable=False,
            comment="Canonical (market, line) pairs with an outcome that can be backed; a platform's pair may hold two of them.",
        ),
        sa.Column("n_prices", sa.Integer, nullable=False, comment="Outcomes with a price, in mapped markets."),
        sa.Column(
            "n_changed",
            sa.Integer,
            nullable=False,
            comment="Rows of market_changes it wrote: what differs from the answer before on the same day, everything on a keyframe.",
        ),
        sa.Column("mapping_version", sa.Text, nullable=False, comment="Version of the market vocabulary."),
        sa.Column("ingested_at", INSTANT, nullable=False, comment="When this row was written."),
        sa.PrimaryKeyConstraint("listing_id", "observed_at", name=op.f("pk_captures")),
        schema="core",
        comment="One row per listing and answer with its odds: confirms everything that market_changes holds up to then.",
        postgresql_partition_by="RANGE (observed_at)",
    )
    op.create_index(op.f("ix_captures_cycle_id"), "captures", ["cycle_id"], unique=False, schema="core")
    op.create_index(
        op.f("ix_captures_snapshot_id"),
        "captures",
        [sa.text("core.snapshot_id(listing_id, observed_at)")],
        unique=False,
        schema="core",
    )


def _market_changes() -> None:
    op.create_table(
        "market_changes",
        sa.Column("observed_at", INSTANT, nullable=False, comment="Answer that showed the change."),
        sa.Column(
            "off_mask",
            sa.BigInteger,
            nullable=False,
            comment="Bit i-1 set: outcome i cannot be backed though it is in the answer.",
        ),
        sa.Column("listing_id", sa.Integer, nullable=False, comment="Listing."),
        sa.Column(
            "state",
            MARKET_STATE,
            nullable=False,
            comment="offered, suspended, no_price; withdrawn: the answer lacks it.",
        ),
        sa.Column("market_id", sa.SmallInteger, nullable=False, comment="Canonical market."),
        sa.Column(
            "keyframe", sa.Boolean, nullable=False, comment="Written because a day begins, not because it changed."
        ),
        sa.Column(
            "specifier",
            sa.Text,
            nullable=False,
            comment="Canonical specifier, e.g. total=2.5; '' when the market has none.",
        ),
        sa.Column(
            "outcome",
            sa.Text,
            nullable=False,
            comment="'' for a whole market; the outcome's name where a market has open outcomes (one row an outcome).",
        ),
        sa.Column(
            "odds_milli",
            pg.ARRAY(sa.Integer),
            nullable=False,
            comment="Decimal odds x 1000 by outcome ordinal; null: no price.",
        ),
        schema="core",
        comment="One row per listing, market and change; a day starts with a keyframe. State and prices hold until the next row.",
        postgresql_partition_by="RANGE (observed_at)",
    )
    op.create_index(
        op.f("ix_market_changes_listing_id_observed_at"),
        "market_changes",
        ["listing_id", "observed_at"],
        unique=False,
        schema="core",
    )


def _current_markets() -> None:
    op.create_table(
        "current_markets",
        sa.Column("listing_id", sa.Integer, nullable=False, autoincrement=False, comment="Listing."),
        sa.Column("market_id", sa.SmallInteger, nullable=False, autoincrement=False, comment="Canonical market."),
        sa.Column("specifier", sa.Text, nullable=False, comment="Canonical specifier."),
        sa.Column("outcome", sa.Text, nullable=False, comment="'' for a whole market, else the open outcome's name."),
        sa.Column(
            "changed_at",
            INSTANT,
            nullable=False,
            comment="Answer since which it stands so (a keyframe does not count as change).",
        ),
        sa.Column("off_mask", sa.BigInteger, nullable=False, comment="Bit i-1 set: outcome i cannot be backed."),
        sa.Column("state", MARKET_STATE, nullable=False, comment="State."),
        sa.Column(
            "odds_milli",
            pg.ARRAY(sa.Integer),
            nullable=False,
            comment="Decimal odds x 1000 by outcome ordinal; null: no price.",
        ),
        sa.PrimaryKeyConstraint("listing_id", "market_id", "specifier", "outcome", name=op.f("pk_current_markets")),
        schema="core",
        comment="Last known state of each market of each listing. Moves forward in observed_at only.",
    )


def _unmapped_markets() -> None:
    op.create_table(
        "unmapped_markets",
        sa.Column("cycle_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Cycle."),
        sa.Column("platform", one_of("platform", PLATFORM), nullable=False, comment="Platform."),
        sa.Column("sport", one_of("sport", SPORT), nullable=False, comment="Sport."),
        sa.Column("external_market_id", sa.Text, nullable=False, comment="The platform's own market id or key."),
        sa.Column(
            "error_class", sa.Text, nullable=False, comment="unknown_market, unknown_param or no_matching_outcomes."
        ),
        sa.Column("name", sa.Text, nullable=False, comment="The platform's own name for it."),
        sa.Column("sample_specifier", sa.Text, nullable=False, comment="One specifier it came with."),
        sa.Column("sample_outcomes", pg.ARRAY(sa.Text), nullable=False, comment="Some outcome ids and names."),
        sa.Column("occurrences", sa.Integer, nullable=False, comment="(listing, line) pairs in the cycle."),
        sa.Column("n_listings", sa.Integer, nullable=False, comment="Listings in the cycle that carry it."),
        sa.PrimaryKeyConstraint(
            "cycle_id", "platform", "sport", "external_market_id", "error_class", name=op.f("pk_unmapped_markets")
        ),
        schema="core",
        comment="Per cycle: markets seen that the vocabulary does not know. Their prices wait in the landing.",
    )


def _rejects() -> None:
    op.create_table(
        "rejects",
        sa.Column("cycle_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Cycle."),
        sa.Column("platform", one_of("platform", PLATFORM), nullable=False, comment="Platform."),
        sa.Column("kind", one_of("payloadkind", PAYLOAD_KIND), nullable=False, comment="Kind of answer."),
        sa.Column("external_id", sa.Text, nullable=False, comment="Listing it is about; '' when unknown."),
        sa.Column("path", sa.Text, nullable=False, comment="Where in the JSON."),
        sa.Column("reason", sa.Text, nullable=False, comment="Why, in words."),
        sa.Column(
            "whole_answer", sa.Boolean, nullable=False, comment="The whole answer was refused, not one entry in it."
        ),
        sa.Column("occurrences", sa.Integer, nullable=False, comment="How often in the cycle."),
        sa.PrimaryKeyConstraint(
            "cycle_id", "platform", "kind", "external_id", "path", "reason", "whole_answer", name=op.f("pk_rejects")
        ),
        schema="core",
        comment="Answers and entries that were refused, with the place in the JSON: nothing is dropped silently.",
    )
