-- Its caller needs no right to read core.
create function palimpsest.home_platform() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp parallel safe
return (select c.home_platform from core.cycles c order by c.cycle_id desc limit 1);

comment on function palimpsest.home_platform is
    'Home platform of the latest cycle. The views events and odds_snapshots show its rows.';
