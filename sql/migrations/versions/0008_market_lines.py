"""History rows take less: a market on a line is one number, a mask is there only where an outcome is off, and no column pads another."""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
MARKET_STATE = pg.ENUM(
    "offered", "suspended", "no_price", "withdrawn", name="market_state", schema="core", create_type=False
)
ODDS = "Decimal odds x 1000 by outcome ordinal; null: no price."
STATE = "offered, suspended, no_price; withdrawn: the answer lacks it."
CHANGES = (
    "One row per listing, market and change; a day starts with a keyframe. State and prices hold until the next row."
)
CURRENT = "Last known state of each market of each listing. Moves forward in observed_at only."
ATTACHED_SQL = """
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'core.{table}'::regclass order by 1
"""
CAPTURES = (
    "observed_at, cycle_id, ingested_at, listing_id, n_markets_listed, n_markets_mapped, n_markets_priced, n_prices, n_prices_merged, n_changed, "
    "keyframe, mapping_version"
)
CAPTURES_BEFORE = (
    "listing_id, observed_at, cycle_id, keyframe, n_markets_listed, n_markets_mapped, n_markets_priced, n_prices, n_changed, mapping_version, "
    "ingested_at, n_prices_merged"
)
CAPTURE_COMMENTS = {
    "listing_id": "Listing.",
    "observed_at": "When the answer was received, less its age in the edge cache.",
    "cycle_id": "Cycle.",
    "keyframe": "First answer of the listing's UTC day: all its markets are written.",
    "n_markets_listed": "(market, line) pairs in the answer.",
    "n_markets_mapped": "... of which the vocabulary knows.",
    "n_markets_priced": "Canonical (market, line) pairs with an outcome that can be backed; a platform's pair may hold two of them.",
    "n_prices": "Outcomes with a price, in mapped markets.",
    "n_prices_merged": "Priced outcomes left out since another market of the answer prices the same bet; null: written before these were counted.",
    "n_changed": "Rows of market_changes it wrote: what differs from the answer before on the same day, everything on a keyframe.",
    "mapping_version": "Version of the market vocabulary.",
    "ingested_at": "When this row was written.",
}
LINES_SQL = """
    insert into ops.market_lines (market_id, specifier, outcome)
    select market_id, specifier, outcome from core.market_changes union select market_id, specifier, outcome from core.current_markets
    order by 1, 2, 3
"""
CHANGES_UP_SQL = """
    select m.observed_at, nullif(m.off_mask, 0), m.listing_id, l.line_id, m.state, m.keyframe, m.odds_milli
    from core.{source} m join ops.market_lines l using (market_id, specifier, outcome) order by m.listing_id, m.observed_at, l.line_id
"""
CHANGES_DOWN_SQL = """
    select m.observed_at, coalesce(m.off_mask, 0), m.listing_id, m.state, l.market_id, m.keyframe, l.specifier, l.outcome, m.odds_milli
    from core.{source} m join ops.market_lines l using (line_id) order by m.listing_id, m.observed_at, l.market_id
"""
CURRENT_UP_SQL = """
    select m.listing_id, l.line_id, m.changed_at, nullif(m.off_mask, 0), m.state, m.odds_milli
    from core.{source} m join ops.market_lines l using (market_id, specifier, outcome) order by m.listing_id, l.line_id
"""
CURRENT_DOWN_SQL = """
    select m.listing_id, l.market_id, l.specifier, l.outcome, m.changed_at, coalesce(m.off_mask, 0), m.state, m.odds_milli
    from core.{source} m join ops.market_lines l using (line_id)
"""
MARKS_UP_SQL = """
    insert into core.cycle_products (cycle_id, product, landing_digest, parser_version, mapping_version, n_rows, computed_at)
    select cycle_id, 'odds_snapshots/' || platform, landing_digest, parser_version, mapping_version, 0, computed_at
    from core.cycle_products cross join unnest(array['betpawa', 'sportybet', 'bet9ja']) as platform
    where product = 'odds_snapshots'
"""
MARKS_DOWN_SQL = """
    insert into core.cycle_products (cycle_id, product, landing_digest, parser_version, mapping_version, n_rows, computed_at)
    select cycle_id, 'odds_snapshots', min(landing_digest), min(parser_version), min(mapping_version), sum(n_rows), min(computed_at)
    from core.cycle_products where product like 'odds_snapshots/%' group by cycle_id
    having count(*) = 3 and count(distinct (landing_digest, parser_version, mapping_version)) = 1
"""


def upgrade() -> None:
    op.create_table(
        "market_lines",
        sa.Column("line_id", sa.Integer, nullable=False, comment="Market on a line."),
        sa.Column("market_id", sa.SmallInteger, nullable=False, comment="Canonical market."),
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
            comment="'' for a whole market; the outcome's name where a market has open outcomes (one line an outcome).",
        ),
        sa.PrimaryKeyConstraint("line_id", name=op.f("pk_market_lines")),
        sa.UniqueConstraint(
            "market_id", "specifier", "outcome", name=op.f("uq_market_lines_market_id_specifier_outcome")
        ),
        schema="ops",
        comment="Integer id of a market on a line. Outlives every replay, so that history rows keep their meaning.",
    )
    op.execute(LINES_SQL)
    _rebuild_days("market_changes", _changes_on_lines, CHANGES_UP_SQL)
    _rebuild_days(
        "captures",
        lambda: _captures(CAPTURES),
        f"select {CAPTURES} from core.{{source}} order by listing_id, observed_at",
    )
    _rebuild_current(_current_on_lines, CURRENT_UP_SQL)
    op.execute(MARKS_UP_SQL)
    op.execute("delete from core.cycle_products where product = 'odds_snapshots'")


def downgrade() -> None:
    _rebuild_days("market_changes", _changes_on_text, CHANGES_DOWN_SQL)
    _rebuild_days(
        "captures",
        lambda: _captures(CAPTURES_BEFORE),
        f"select {CAPTURES_BEFORE} from core.{{source}} order by listing_id, observed_at",
    )
    _rebuild_current(_current_on_text, CURRENT_DOWN_SQL)
    op.execute(MARKS_DOWN_SQL)
    op.execute("delete from core.cycle_products where product like 'odds_snapshots/%'")
    op.drop_table("market_lines", schema="ops")


def _rebuild_days(table: str, create: Callable[[], None], copy_sql: str) -> None:
    """The table anew in its other shape, day by day: a dropped column would stay in every row, and columns cannot be moved."""
    days = [name for (name,) in op.get_bind().exec_driver_sql(ATTACHED_SQL.format(table=table))]
    for name in days:
        op.execute(f"create table core.{name}_before as table core.{name}")
    op.execute(f"drop table core.{table}")
    create()
    for name in days:
        day = f"{name[-8:-4]}-{name[-4:-2]}-{name[-2:]}"
        op.execute(f"create table core.{name} (like core.{table} including all)")
        op.execute(
            f"alter table core.{table} attach partition core.{name} "
            f"for values from ('{day} 00:00:00+00') to ('{day} 00:00:00+00'::timestamptz + interval '24 hours')"
        )
        op.execute(f"insert into core.{name} {copy_sql.format(source=f'{name}_before')}")
        op.execute(f"drop table core.{name}_before")


def _rebuild_current(create: Callable[[], None], copy_sql: str) -> None:
    op.execute("alter table core.current_markets rename to current_markets_before")
    op.execute("alter index core.pk_current_markets rename to pk_current_markets_before")
    create()
    op.execute(f"insert into core.current_markets {copy_sql.format(source='current_markets_before')}")
    op.execute("drop table core.current_markets_before")


def _captures(order: str) -> None:
    kinds = {
        "observed_at": INSTANT,
        "ingested_at": INSTANT,
        "cycle_id": sa.BigInteger,
        "keyframe": sa.Boolean,
        "mapping_version": sa.Text,
    }
    op.create_table(
        "captures",
        *(
            sa.Column(
                name,
                kinds.get(name, sa.Integer),
                nullable=name == "n_prices_merged",
                autoincrement=False,
                comment=CAPTURE_COMMENTS[name],
            )
            for name in order.split(", ")
        ),
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


def _changes_on_lines() -> None:
    op.create_table(
        "market_changes",
        sa.Column("observed_at", INSTANT, nullable=False, comment="Answer that showed the change."),
        sa.Column(
            "off_mask",
            sa.BigInteger,
            nullable=True,
            comment="Bit i-1 set: outcome i cannot be backed though it is in the answer; null: none is off.",
        ),
        sa.Column("listing_id", sa.Integer, nullable=False, comment="Listing."),
        sa.Column("line_id", sa.Integer, nullable=False, comment="Market on a line: ops.market_lines."),
        sa.Column("state", MARKET_STATE, nullable=False, comment=STATE),
        sa.Column(
            "keyframe", sa.Boolean, nullable=False, comment="Written because a day begins, not because it changed."
        ),
        sa.Column("odds_milli", pg.ARRAY(sa.Integer), nullable=False, comment=ODDS),
        schema="core",
        comment=CHANGES,
        postgresql_partition_by="RANGE (observed_at)",
    )
    _index_changes()


def _changes_on_text() -> None:
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
        sa.Column("state", MARKET_STATE, nullable=False, comment=STATE),
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
        sa.Column("odds_milli", pg.ARRAY(sa.Integer), nullable=False, comment=ODDS),
        schema="core",
        comment=CHANGES,
        postgresql_partition_by="RANGE (observed_at)",
    )
    _index_changes()


def _index_changes() -> None:
    op.create_index(
        op.f("ix_market_changes_listing_id_observed_at"),
        "market_changes",
        ["listing_id", "observed_at"],
        unique=False,
        schema="core",
    )


def _current_on_lines() -> None:
    op.create_table(
        "current_markets",
        sa.Column("listing_id", sa.Integer, nullable=False, autoincrement=False, comment="Listing."),
        sa.Column(
            "line_id", sa.Integer, nullable=False, autoincrement=False, comment="Market on a line: ops.market_lines."
        ),
        sa.Column(
            "changed_at",
            INSTANT,
            nullable=False,
            comment="Answer since which it stands so (a keyframe does not count as change).",
        ),
        sa.Column(
            "off_mask",
            sa.BigInteger,
            nullable=True,
            comment="Bit i-1 set: outcome i cannot be backed; null: none is off.",
        ),
        sa.Column("state", MARKET_STATE, nullable=False, comment="State."),
        sa.Column("odds_milli", pg.ARRAY(sa.Integer), nullable=False, comment=ODDS),
        sa.PrimaryKeyConstraint("listing_id", "line_id", name=op.f("pk_current_markets")),
        schema="core",
        comment=CURRENT,
    )


def _current_on_text() -> None:
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
        sa.Column("odds_milli", pg.ARRAY(sa.Integer), nullable=False, comment=ODDS),
        sa.PrimaryKeyConstraint("listing_id", "market_id", "specifier", "outcome", name=op.f("pk_current_markets")),
        schema="core",
        comment=CURRENT,
    )
