-- Types and functions that the declarations of tables use. They are created after the schemas and before the tables.

-- The platforms that views name. `write_platforms` adds a value for each other platform.
create type mart.platform as enum ('betpawa', 'sportybet', 'bet9ja');
comment on type mart.platform is 'A bookmaker''s site';

create function core.natural_id(namespace text, external_id text) returns bigint
language sql immutable strict parallel safe
return ('x' || left(md5(namespace || ':' || external_id), 15))::bit(60)::bigint;
comment on function core.natural_id is
    'Integer id of a natural key: the same on every server and after every replay.';

create function core.snapshot_id(listing_id integer, observed_at timestamptz) returns bigint
language sql immutable strict parallel safe
return (listing_id::bigint << 38)
     + floor(extract(epoch from (observed_at - timestamptz '1970-01-01 00:00:00+00')) * 100)::bigint;
comment on function core.snapshot_id is
    'Id of an answer, made from its listing and its instant to the hundredth of a second.';

create function core.specifier_line(specifier text) returns numeric
language sql immutable parallel safe
return coalesce(
    substring(specifier from '(?:^|\|)(?:total|hcp)=([-+]?[0-9]+(?:\.[0-9]+)?)(?:$|\|)'),
    substring(specifier from '(?:^|\|)(?:goalnr|cornernr|bookingnr|quarternr|setnr|minute|minsnr)=([0-9]+)(?:$|\|)')
)::numeric;
comment on function core.specifier_line is
    'Number in a canonical specifier: its total or handicap, otherwise its number or minute, e.g. 2.5 in total=2.5; null without one.';
