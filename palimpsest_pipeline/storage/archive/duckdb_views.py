"""Build the SQL script of DuckDB views (`open.sql`) that is stored beside the archive's files."""

from typing import Final

VIEWS_FILE: Final = "open.sql"

VIEWS_TEMPLATE: Final = """\
-- Views over the exported odds history. In DuckDB: .read {root}/open.sql, or duckdb -init {root}/open.sql
-- Every export writes this file again; the addresses are those of the export's place.

create or replace view listings as select * from read_parquet('{quoted}/listings.parquet');
create or replace view lines as select * from read_parquet('{quoted}/lines.parquet');
create or replace view outcomes as select * from read_parquet('{quoted}/outcomes.parquet');

-- One row per listing and answer. An answer confirms all earlier rows of odds. date is the UTC day.
create or replace view captures as select *
from read_parquet('{quoted}/captures/*/captures.parquet', hive_partitioning = true);

-- One row per outcome and change, as in the files. keyframe: written because the day begins, not because of a change.
create or replace view odds as
select o.date, o.listing_id, o.line_id, o.ordinal, c.observed_at, o.odds_milli, o.state, o.off, c.keyframe, c.cycle_id
from read_parquet('{quoted}/odds/*/odds.parquet', hive_partitioning = true) o
join captures c using (date, listing_id, answer);

-- The same with names. odds: decimal, null without a price. is_active: it could be backed. is_primary: the listing is
-- the platform's primary one of several for the fixture; false where that is not known. A price holds until the
-- outcome's next row; the captures in between confirm it.
create or replace view prices as
select o.date, o.observed_at, l.platform, l.sr_id, l.home_team, l.away_team, l.kickoff_at, l.tournament_name,
    l.country, n.market_key, n.specifier,
    coalesce(u.outcome_key, nullif(n.outcome, '')) as outcome_key,
    (o.odds_milli / 1000)::decimal(9, 3) as odds, o.state,
    o.odds_milli is not null and o.state = 'offered' and not o.off as is_active,
    o.keyframe, o.listing_id, l.external_id, coalesce(l.is_primary, false) as is_primary, o.line_id, o.ordinal,
    o.cycle_id
from odds o
join listings l using (listing_id)
join lines n using (line_id)
left join outcomes u on u.market_id = n.market_id and u.ordinal = o.ordinal and n.outcome = '';
"""


def build_views_sql(root: str) -> bytes:
    """Return the content of `open.sql` for an archive at `root`, a folder or URL."""
    return VIEWS_TEMPLATE.format(root=root, quoted=root.replace("'", "''")).encode()
