-- The roles with which analysts and the sender of messages to traders log in, and the settings of their sessions. Roles belong to the whole server, so the
-- user that runs this must be allowed to create roles. `palimpsest db roles` runs it, and `palimpsest db upgrade` on the embedded server. If the pipeline's own
-- user may not, an administrator runs: psql -f roles.sql.
-- An existing role stays as it is, with the settings of an administrator. Its rights are in grants.sql.
do $$
begin
    if exists (select from pg_roles where rolname = 'palimpsest_analyst') then
        return;
    end if;
    -- Without a password, only a server that asks for none accepts the login, as the embedded one does for its own user.
    create role palimpsest_analyst login connection limit 20;
    comment on role palimpsest_analyst is 'Reads the marts and the analysts'' views of palimpsest_pipeline.';
    -- A mistake must not write, and a forgotten session or query must not block the pipeline.
    alter role palimpsest_analyst set default_transaction_read_only = on;
    alter role palimpsest_analyst set statement_timeout = '5min';
    alter role palimpsest_analyst set idle_in_transaction_session_timeout = '10min';
    -- A session holds its advisory locks until it ends, and the pipeline uses such locks. Clients connect again by themselves.
    alter role palimpsest_analyst set idle_session_timeout = '10min';
    alter role palimpsest_analyst set search_path = palimpsest, mart;
    alter role palimpsest_analyst set timezone = 'UTC';
    if (select rolsuper from pg_roles where rolname = current_user) then
        alter role palimpsest_analyst set temp_file_limit = '10GB';
    end if;
exception
    when duplicate_object or unique_violation then null;  -- somebody else makes it at this moment
end
$$;
do $$
begin
    if exists (select from pg_roles where rolname = 'palimpsest_sender') then
        return;
    end if;
    create role palimpsest_sender login connection limit 10;
    comment on role palimpsest_sender is 'Delivers the messages of the outbox of palimpsest_pipeline to webhooks.';
    alter role palimpsest_sender set statement_timeout = '1min';
    alter role palimpsest_sender set idle_in_transaction_session_timeout = '1min';
    alter role palimpsest_sender set search_path = ops;
    alter role palimpsest_sender set timezone = 'UTC';
exception
    when duplicate_object or unique_violation then null;
end
$$;
