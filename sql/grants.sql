-- The rights of the roles in this database. The owner of the tables runs it, with `palimpsest db upgrade` and `palimpsest db roles`. The roles themselves
-- are in roles.sql. A role that an administrator has not made yet is left out.
-- palimpsest_analyst: the marts and the analysts' views and functions, including later ones.
do $$
begin
    if not exists (select from pg_roles where rolname = 'palimpsest_analyst') then
        return;
    end if;
    grant usage on schema mart, palimpsest to palimpsest_analyst;
    grant select on all tables in schema mart, palimpsest to palimpsest_analyst;
    grant execute on all functions in schema palimpsest to palimpsest_analyst;
    alter default privileges in schema mart, palimpsest grant select on tables to palimpsest_analyst;
    alter default privileges in schema palimpsest grant execute on functions to palimpsest_analyst;
    -- A grant by name: the role keeps it when the right of everybody to connect is revoked.
    execute format('grant connect on database %I to palimpsest_analyst', current_database());
end
$$;
-- palimpsest_sender: to read the rules and the outbox, to record deliveries, and to be the only sender. It sees nothing else.
do $$
begin
    if not exists (select from pg_roles where rolname = 'palimpsest_sender') then
        return;
    end if;
    grant usage on schema ops to palimpsest_sender;
    grant select on ops.push_rules, ops.push_outbox to palimpsest_sender;
    grant update (state, n_attempts, next_attempt_at, delivered_at, last_status, last_error) on ops.push_outbox to palimpsest_sender;
    grant execute on function ops.claim_push_sender() to palimpsest_sender;
    execute format('grant connect on database %I to palimpsest_sender', current_database());
end
$$;
