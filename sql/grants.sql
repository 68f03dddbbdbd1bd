-- The rights of palimpsest_analyst in this database: the marts and the analysts' views and functions, including later ones. The owner of the tables
-- runs it, with `palimpsest db upgrade` and `palimpsest db roles`. The role itself is in roles.sql.
grant usage on schema mart, palimpsest to palimpsest_analyst;
grant select on all tables in schema mart, palimpsest to palimpsest_analyst;
grant execute on all functions in schema palimpsest to palimpsest_analyst;
alter default privileges in schema mart, palimpsest grant select on tables to palimpsest_analyst;
alter default privileges in schema palimpsest grant execute on functions to palimpsest_analyst;
do $$
begin
    -- A grant by name: the role keeps it when the right of everybody to connect is revoked.
    execute format('grant connect on database %I to palimpsest_analyst', current_database());
end
$$;
-- The rights of palimpsest_sender: to read the rules and the outbox, to record deliveries, and to be the only sender. It sees nothing else.
do $$
begin
    if not exists (select from pg_roles where rolname = 'palimpsest_sender') then
        return;  -- an administrator has not made the role yet
    end if;
    grant usage on schema ops to palimpsest_sender;
    grant select on ops.push_rules, ops.push_outbox to palimpsest_sender;
    grant update (state, n_attempts, next_attempt_at, delivered_at, last_status, last_error) on ops.push_outbox to palimpsest_sender;
    grant execute on function ops.claim_push_sender() to palimpsest_sender;
    execute format('grant connect on database %I to palimpsest_sender', current_database());
end
$$;
