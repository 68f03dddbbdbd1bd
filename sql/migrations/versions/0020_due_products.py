"""What is landed, in the database: which product of which cycle is due is one query, and a failure of a cycle is remembered."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

SCOPES = ("full", "kickoff", "events", "recorded")

DUE_PRODUCTS = """
create function ops.due_products(
    parser text, mapping text, products jsonb,
    first_hour timestamptz default '-infinity', end_hour timestamptz default 'infinity', cycle_ids bigint[] default null
) returns table (
    cycle_id bigint, partition_hour timestamptz, schema text, product text, reason text, can_be_derived boolean, is_gone boolean, has_failed boolean
) language sql stable as $$
    select
        c.cycle_id, c.partition_hour, w.schema, w.product,
        case
            when marked.landing_digest is null then 'not derived'
            when marked.landing_digest <> c.digest then 'other content was landed'
            when marked.parser_version <> parser then 'another parser version'
            else 'another mapping version'
        end,
        c.is_whole, c.is_gone,
        exists (
            select from ops.cycle_failures f
            where f.cycle_id = c.cycle_id and f.product = w.product and f.landing_digest is not distinct from c.digest
                and f.parser_version = parser and f.mapping_version = mapping
        )
    from ops.landed_cycles c
    join jsonb_to_recordset(products) as w (schema text, product text, scopes text[]) on w.scopes is null or c.scope = any(w.scopes)
    left join lateral (
        select p.landing_digest, p.parser_version, p.mapping_version
        from core.cycle_products p where w.schema = 'core' and p.cycle_id = c.cycle_id and p.product = w.product
        union all
        select p.landing_digest, p.parser_version, p.mapping_version
        from mart.cycle_products p where w.schema = 'mart' and p.cycle_id = c.cycle_id and p.product = w.product
    ) marked on true
    where c.partition_hour >= first_hour and c.partition_hour < end_hour and (cycle_ids is null or c.cycle_id = any(cycle_ids))
        and (marked.landing_digest is null or marked.landing_digest <> c.digest
            or marked.parser_version <> parser or marked.mapping_version <> mapping)
$$
"""
COMMENT = (
    "Due products of landed cycles: those not derived from the content landed now with these versions of parser and mapping. One row per product and "
    "cycle. The content of a cycle that is gone is not compared. cycle_id: cycle; partition_hour: UTC hour it belongs to; schema: core or mart; "
    "product: its name in cycle_products; reason: why it is due, the first that applies; can_be_derived: the cycle is whole in the landing; "
    "is_gone: the cycle is no longer in the landing; has_failed: it was tried with this content and these versions, and failed."
)


def upgrade() -> None:
    _landed_cycles()
    _cycle_failures()
    op.execute(DUE_PRODUCTS)
    op.execute(f"comment on function ops.due_products is '{COMMENT}'")


def downgrade() -> None:
    op.execute("drop function ops.due_products")
    op.drop_table("cycle_failures", schema="ops")
    op.drop_table("landed_cycles", schema="ops")


def _landed_cycles() -> None:
    op.create_table(
        "landed_cycles",
        sa.Column("cycle_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Cycle."),
        sa.Column(
            "partition_hour",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="UTC hour it belongs to: its folder in the landing.",
        ),
        sa.Column(
            "scope",
            sa.Enum(*SCOPES, name="scope", native_enum=False, create_constraint=True, length=24),
            nullable=True,
            comment="What it covers; null when its manifest cannot be read.",
        ),
        sa.Column(
            "digest",
            sa.Text(),
            nullable=True,
            comment="Digest of its landing manifest; null when the cycle is gone or its manifest cannot be read.",
        ),
        sa.Column(
            "is_whole",
            sa.Boolean(),
            nullable=False,
            comment="Its manifest and every segment that it names are there, so that it can be derived.",
        ),
        sa.Column(
            "is_gone",
            sa.Boolean(),
            nullable=False,
            comment="It is no longer in the landing: its hour has expired, or somebody removed it.",
        ),
        sa.Column(
            "problem",
            sa.Text(),
            nullable=False,
            comment="Why it is not whole although it is there, in words; otherwise empty.",
        ),
        sa.PrimaryKeyConstraint("cycle_id", name=op.f("pk_landed_cycles")),
        schema="ops",
        comment="One row per closed cycle that is, or was, in the landing. Rebuilt from the landing by `palimpsest landing rescan`.",
    )
    op.create_index(op.f("ix_landed_cycles_partition_hour"), "landed_cycles", ["partition_hour"], schema="ops")


def _cycle_failures() -> None:
    op.create_table(
        "cycle_failures",
        sa.Column("cycle_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Cycle."),
        sa.Column(
            "product",
            sa.Text(),
            nullable=False,
            comment="Product that could not be derived, as in the cycle_products of core and mart.",
        ),
        sa.Column(
            "landing_digest",
            sa.Text(),
            nullable=True,
            comment="Digest of the landing manifest it was tried with; null when it was gone.",
        ),
        sa.Column("parser_version", sa.Text(), nullable=False, comment="Version of the parsers it was tried with."),
        sa.Column(
            "mapping_version", sa.Text(), nullable=False, comment="Version of the market vocabulary it was tried with."
        ),
        sa.Column("error", sa.Text(), nullable=False, comment="The error: its class and message, without secrets."),
        sa.Column("failed_at", sa.TIMESTAMP(timezone=True), nullable=False, comment="When it failed last."),
        sa.PrimaryKeyConstraint("cycle_id", "product", name=op.f("pk_cycle_failures")),
        schema="ops",
        comment="Products of cycles whose last derivation failed. A row is deleted when the product has been derived.",
    )
