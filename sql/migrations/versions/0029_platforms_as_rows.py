"""Platforms become rows of a table, and a cycle names the platforms that it covers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

KNOWN_PLATFORMS = ("betpawa", "sportybet", "bet9ja")
CHECKS = {
    "core.cycles": {"platform": "home_platform"},
    "core.discovery_manifest": {"platform": "platform"},
    "core.fixtures": {"platform": "metadata_source"},
    "core.mapping_counts": {"platform": "platform"},
    "core.rejects": {"platform": "platform"},
    "core.tournament_listings": {"platform": "platform"},
    "core.unmapped_markets": {"platform": "platform"},
    "core.event_listings": {"platform": "platform"},
    "core.listing_claims": {"platform": "platform"},
    "core.player_links": {"platform": "platform"},
    "core.tournament_links": {"platform": "platform"},
    "mart.availability_interval": {"platform": "platform"},
    "mart.coverage_fixture": {"platform": "home_platform", "kickoff_source": "kickoff_source"},
    "mart.coverage_tournament": {"platform": "home_platform"},
    "mart.gap_count": {"platform": "platform", "home_platform": "home_platform"},
    "mart.listing_lead_time": {"platform": "platform"},
    "mart.mapping_coverage": {"platform": "platform"},
    "mart.margin_ttk_bucket": {"platform": "platform", "home_platform": "home_platform"},
    "mart.market_margin": {"platform": "platform"},
    "mart.match_rate_platform": {"platform": "home_platform"},
    "mart.odds_alert": {"platform": "platform", "competitor": "competitor"},
    "mart.open_close": {"platform": "platform"},
    "mart.run_quality": {"platform": "platform"},
    "mart.unmapped_market": {"platform": "platform"},
    "ops.listing_ids": {"platform": "platform"},
    "ops.scrape_batches": {"platform": "home_platform"},
    "ops.event_scrape_status": {"platform": "platform"},
    "ops.scrape_runs": {"platform": "platform"},
}
"""By table: the check constraints on platforms (without prefix and table name), each with its column."""
REFERENCES = {
    "core.player_links": "platform",
    "core.tournament_links": "platform",
    "core.tournament_listings": "platform",
    "ops.event_scrape_status": "platform",
    "ops.listing_ids": "platform",
    "ops.scrape_batches": "home_platform",
    "ops.scrape_runs": "platform",
}
"""The tables of identities and of the ledger, with the column that gets a foreign key to `ops.platforms`."""
TABLE_COMMENT = (
    "The platforms, including those that are no longer scraped. After the home platform the one with the lowest trust_rank is trusted first in "
    "names, country and kickoff."
)
OLD_TABLE_COMMENT = "The platforms, in order of trust in names, country and kickoff (after the home platform)."
COVERED_COMMENT = "Platforms that the cycle covers; empty in cycles of older versions, which had three."
LANDED_COMMENT = "Platforms that the cycle covers."

ARGUMENTS = "jsonb, jsonb, timestamptz, timestamptz, bigint[]"
OLD_ARGUMENTS = "text, text, jsonb, timestamptz, timestamptz, bigint[]"
DUE_PRODUCTS = """
create function ops.due_products(
    versions jsonb, products jsonb,
    first_hour timestamptz default '-infinity', end_hour timestamptz default 'infinity', cycle_ids bigint[] default null
) returns table (
    cycle_id bigint, partition_hour timestamptz, schema text, product text, reason text, can_be_derived boolean, is_gone boolean, has_failed boolean
) language sql stable as $$
    select
        c.cycle_id, c.partition_hour, w.schema, n.product,
        case
            when marked.landing_digest is null then 'not derived'
            when marked.landing_digest <> c.digest then 'other content was landed'
            when marked.parser_version <> v.parser then 'another parser version'
            else 'another mapping version'
        end,
        c.is_whole, c.is_gone,
        exists (
            select from ops.cycle_failures f
            where f.cycle_id = c.cycle_id and f.product = n.product and f.landing_digest is not distinct from c.digest
                and f.parser_version = v.parser and f.mapping_version = v.mapping
        )
    from ops.landed_cycles c
    join jsonb_to_recordset(versions) as v (platforms text[], parser text, mapping text) on v.platforms = c.platforms
    join jsonb_to_recordset(products) as w (schema text, product text, scopes text[], by_platform boolean)
        on w.scopes is null or c.scope = any(w.scopes)
    cross join lateral (
        select w.product where not w.by_platform
        union all
        select w.product || '/' || p.platform from unnest(c.platforms) p (platform) where w.by_platform
    ) n (product)
    left join lateral (
        select p.landing_digest, p.parser_version, p.mapping_version
        from core.cycle_products p where w.schema = 'core' and p.cycle_id = c.cycle_id and p.product = n.product
        union all
        select p.landing_digest, p.parser_version, p.mapping_version
        from mart.cycle_products p where w.schema = 'mart' and p.cycle_id = c.cycle_id and p.product = n.product
    ) marked on true
    where c.partition_hour >= first_hour and c.partition_hour < end_hour and (cycle_ids is null or c.cycle_id = any(cycle_ids))
        and (marked.landing_digest is null or marked.landing_digest <> c.digest
            or marked.parser_version <> v.parser or marked.mapping_version <> v.mapping)
$$
"""
COMMENT = (
    "Due products of landed cycles: those not derived from the content landed now with the versions of parser and mapping that `versions` gives for "
    "the platforms of the cycle. Cycles of other platforms are left out. One row per product and cycle. The content of a cycle that is gone is not "
    "compared. cycle_id: cycle; partition_hour: UTC hour it belongs to; schema: core or mart; product: its name in cycle_products; reason: why it is "
    "due, the first that applies; can_be_derived: the cycle is whole in the landing; is_gone: the cycle is no longer in the landing; has_failed: it "
    "was tried with this content and these versions, and failed."
)
OLD_DUE_PRODUCTS = """
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
OLD_COMMENT = (
    "Due products of landed cycles: those not derived from the content landed now with these versions of parser and mapping. One row per product and "
    "cycle. The content of a cycle that is gone is not compared. cycle_id: cycle; partition_hour: UTC hour it belongs to; schema: core or mart; "
    "product: its name in cycle_products; reason: why it is due, the first that applies; can_be_derived: the cycle is whole in the landing; "
    "is_gone: the cycle is no longer in the landing; has_failed: it was tried with this content and these versions, and failed."
)


def upgrade() -> None:
    op.execute("alter table core.bookmakers drop constraint ck_bookmakers_platform")
    op.execute("alter table core.bookmakers set schema ops")
    op.execute("alter table ops.bookmakers rename constraint pk_bookmakers to pk_platforms")
    op.execute("alter table ops.bookmakers rename to platforms")
    op.execute(f"comment on table ops.platforms is '{TABLE_COMMENT}'")
    op.execute(
        "comment on column ops.platforms.trust_rank is 'Number of trust in its pack; the lowest is trusted first.'"
    )
    for table, checks in CHECKS.items():
        for name in checks:
            op.execute(f"alter table {table} drop constraint ck_{table.partition('.')[2]}_{name}")
    for table, column in REFERENCES.items():
        # Where the reference rows were never written, rows may name platforms that the table lacks.
        op.execute(
            "insert into ops.platforms (platform, name, trust_rank) "
            f"select distinct {column}, {column}, 100 from {table} on conflict do nothing"
        )
        schema, _, name = table.partition(".")
        op.create_foreign_key(
            op.f(f"fk_{name}_{column}"),
            name,
            "platforms",
            [column],
            ["platform"],
            source_schema=schema,
            referent_schema="ops",
        )
    for table, comment in (("scrape_batches", COVERED_COMMENT), ("landed_cycles", LANDED_COMMENT)):
        column = sa.Column("platforms", pg.ARRAY(sa.Text()), nullable=False, server_default="{}", comment=comment)
        op.add_column(table, column, schema="ops")
    op.execute(f"update ops.landed_cycles set platforms = array{sorted(KNOWN_PLATFORMS)}")  # sorted, as in new cycles
    op.execute("alter table ops.landed_cycles alter column platforms drop default")
    op.execute(f"drop function ops.due_products({OLD_ARGUMENTS})")
    op.execute(DUE_PRODUCTS)
    op.execute(f"comment on function ops.due_products is '{COMMENT}'")


def downgrade() -> None:
    op.execute(f"drop function ops.due_products({ARGUMENTS})")
    op.execute(OLD_DUE_PRODUCTS)
    op.execute(f"comment on function ops.due_products is '{OLD_COMMENT}'")
    for table in ("scrape_batches", "landed_cycles"):
        op.drop_column(table, "platforms", schema="ops")
    for table, column in REFERENCES.items():
        op.execute(f"alter table {table} drop constraint fk_{table.partition('.')[2]}_{column}")
    known_list = ", ".join(f"'{platform}'" for platform in KNOWN_PLATFORMS)
    for table, checks in CHECKS.items():
        for name, column in checks.items():
            op.execute(
                f"alter table {table} add constraint ck_{table.partition('.')[2]}_{name} check ({column} in ({known_list}))"
            )
    op.execute(f"delete from ops.platforms where platform not in ({known_list})")
    op.execute("alter table ops.platforms rename to bookmakers")
    op.execute("alter table ops.bookmakers rename constraint pk_platforms to pk_bookmakers")
    op.execute("alter table ops.bookmakers set schema core")
    op.execute(f"alter table core.bookmakers add constraint ck_bookmakers_platform check (platform in ({known_list}))")
    op.execute(f"comment on table core.bookmakers is '{OLD_TABLE_COMMENT}'")
    op.execute("comment on column core.bookmakers.trust_rank is '1 is trusted first.'")
