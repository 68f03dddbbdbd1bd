-- What palimpsest_analyst may see in this database: the marts and the analysts' views and functions, also those that are made later. Run by the owner
-- of the tables, with `palimpsest db upgrade` and `palimpsest db roles`. The role itself is in roles.sql.
grant usage on schema mart, palimpsest to palimpsest_analyst;
grant select on all tables in schema mart, palimpsest to palimpsest_analyst;
grant execute on all functions in schema palimpsest to palimpsest_analyst;
alter default privileges in schema mart, palimpsest grant select on tables to palimpsest_analyst;
alter default privileges in schema palimpsest grant execute on functions to palimpsest_analyst;
do $$
begin
    -- By name, though everybody may enter now: it must not end with that.
    execute format('grant connect on database %I to palimpsest_analyst', current_database());
end
$$;
