-- Functions that read tables, and comments of the enum types that the tables bring. They are created after the tables.

comment on type core.market_state is 'State of a market on one listing at one instant';
comment on type mart.availability_state is 'State of a market, or of a whole listing, over a period';
comment on type mart.gap_type is
    'Gap between home and a competitor: which of them does not offer a market, and how';

create function ops.due_products(
    versions jsonb, products jsonb,
    first_hour timestamptz default '-infinity', end_hour timestamptz default 'infinity', cycle_ids bigint[] default null
) returns table (
    cycle_id bigint, partition_hour timestamptz, schema text, product text, reason text, can_be_derived boolean,
    is_gone boolean, has_failed boolean
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
$$;
comment on function ops.due_products is
    'Due products of landed cycles: those not derived from the content landed now with the versions of parser and mapping that `versions` gives '
    'for the platforms of the cycle. Cycles of other platforms are left out. One row per product and cycle. The content of a cycle that is gone '
    'is not compared. cycle_id: cycle; partition_hour: UTC hour it belongs to; schema: core or mart; product: its name in cycle_products; reason: '
    'why it is due, the first that applies; can_be_derived: the cycle is whole in the landing; is_gone: the cycle is no longer in the landing; '
    'has_failed: it was tried with this content and these versions, and failed.';

create function ops.claim_push_sender() returns boolean
language sql volatile security definer set search_path = pg_catalog
as $$ select pg_try_advisory_lock(7019000003) $$;
revoke execute on function ops.claim_push_sender from public;  -- grants.sql gives it to the sender
comment on function ops.claim_push_sender is
    'Take the lock of the process that sends messages to traders, until the session ends; false while another session has it. Its only purpose is '
    'that the sender''s role needs no right to other locks.';
