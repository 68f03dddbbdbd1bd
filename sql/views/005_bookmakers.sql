create view palimpsest.bookmakers as
select
    b.platform,
    b.name,
    b.trust_rank,
    b.platform = (select palimpsest.home_platform()) as is_home
from ops.platforms b;

comment on view palimpsest.bookmakers is 'The platforms, including those that are no longer scraped. Key: platform.';
comment on column palimpsest.bookmakers.platform is 'Platform, as in all other views.';
comment on column palimpsest.bookmakers.trust_rank is 'Order of trust in names, country and kickoff, after the home platform: the lower, the more trusted.';
comment on column palimpsest.bookmakers.is_home is 'True for the home platform, with which the others are compared.';
