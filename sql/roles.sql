-- The role that analysts log in as, and what its sessions begin with. Roles belong to the whole server, so who runs this must be allowed to make them.
-- `palimpsest db roles` runs it, and `palimpsest db upgrade` on the embedded server; where the pipeline's own user may not, an administrator does:
-- psql -f roles.sql.
-- A role that is there already stays as it is, and so does what an administrator has set for it. What it may see is in grants.sql.
do $$
begin
    if exists (select from pg_roles where rolname = 'palimpsest_analyst') then
        return;
    end if;
    -- Without a password nobody logs in but where the server asks for none, as the embedded one does of its own user.
    create role palimpsest_analyst login connection limit 20;
    comment on role palimpsest_analyst is 'Reads the marts and the analysts'' views of palimpsest_pipeline.';
    -- A slip must not write, nor a forgotten session or query stand in the way of the pipeline.
    alter role palimpsest_analyst set default_transaction_read_only = on;
    alter role palimpsest_analyst set statement_timeout = '5min';
    alter role palimpsest_analyst set idle_in_transaction_session_timeout = '10min';
    -- A session holds its advisory locks until it ends, and the pipeline goes by such locks. Clients connect again by themselves.
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
