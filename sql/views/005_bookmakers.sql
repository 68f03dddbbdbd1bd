create view palimpsest.bookmakers as
select
    b.platform,
    b.name,
    b.trust_rank,
    b.platform = (select palimpsest.home_platform()) as is_home
from ops.platforms b;

comment on view palimpsest.bookmakers is 'The platforms, also those that are no longer asked. Key: platform.';
comment on column palimpsest.bookmakers.platform is 'Platform, as all other views call it.';
comment on column palimpsest.bookmakers.name is 'Name for people.';
comment on column palimpsest.bookmakers.trust_rank is 'Whose names, country and kickoff are taken, after the home platform''s: the lower, the more trusted.';
comment on column palimpsest.bookmakers.is_home is 'It is the home platform, to which the others are compared.';
