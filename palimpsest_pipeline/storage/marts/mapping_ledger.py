"""Read and replace the mapping ledger: the markets that the vocabulary does not know.

It covers all cycles and is replaced as a whole. Callers commit.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.schemas import INSTANT

from ..db.copy_frames import copy_rows, read_frame
from ..db.locks import AdvisoryLock

UNMAPPED_MARKETS_SQL: Final = """
    with seen as (
        select platform, sport, external_market_id, specifier_schema,
               array_agg(distinct error_class order by error_class) as error_classes,
               (array_agg(name order by cycle_id desc, error_class))[1] as name,
               (array_agg(sample_specifier order by cycle_id desc, error_class))[1] as sample_specifier,
               (array_agg(to_jsonb(sample_outcomes) order by cycle_id desc, error_class))[1] as sample_outcomes,
               sum(occurrences) as occurrences, count(distinct cycle_id)::int as n_cycles,
               min(first_observed_at) as first_seen, max(last_observed_at) as last_seen
        from core.unmapped_markets
        group by platform, sport, external_market_id, specifier_schema
    ),
    carried as (
        select m.platform, m.sport, m.external_market_id, m.specifier_schema,
            count(distinct coalesce(e.fixture_sr_id, -l.listing_id))::int as n_fixtures
        from core.unmapped_markets m
        cross join lateral unnest(m.listing_ids) as l (listing_id)
        left join core.event_listings e using (listing_id)
        group by m.platform, m.sport, m.external_market_id, m.specifier_schema
    )
    select platform, sport, external_market_id, specifier_schema, error_classes, name, sample_specifier,
        sample_outcomes, n_fixtures, occurrences, n_cycles, first_seen, last_seen
    from seen join carried using (platform, sport, external_market_id, specifier_schema)
"""
MATCHES_SQL: Final = """
    select o.listing_id, coalesce('sr:' || c.sr_id, 'genius:' || c.genius_id, 'listing:' || o.listing_id) as match
    from core.listing_observations o join core.listing_claims c using (listing_id, claim_hash)
    where o.cycle_id = %s
"""
MAPPED_RATES_SQL: Final = """
    select cycle_id, platform, sum(n_mapped)::float8 / sum(n_markets_seen) as mapped_rate
    from mart.mapping_coverage where cycle_id = any(%s) group by cycle_id, platform order by cycle_id, platform
"""


def read_matches_of_cycle(conn: psycopg.Connection, cycle_id: int) -> pl.DataFrame:
    """Return the columns listing_id and match of the listings that the cycle observed.

    `match` is equal for listings that state the same SportRadar id in this cycle. Other cycles do not influence the
    result.
    """
    return read_frame(conn, MATCHES_SQL, [cycle_id])


def lock_unmapped_markets(conn: psycopg.Connection) -> None:
    """Block other sessions from replacing the mapping ledger until the transaction ends.

    Call it before `read_unmapped_markets`.
    """
    conn.execute("select pg_advisory_xact_lock(%s)", [AdvisoryLock.MAPPING_LEDGER])


def read_unmapped_markets(conn: psycopg.Connection) -> pl.DataFrame:
    """Return one row per market of core.unmapped_markets, over all cycles.

    `n_fixtures` counts the fixtures to which the listings belong now.
    """
    return read_frame(conn, UNMAPPED_MARKETS_SQL)


def replace_unmapped_markets(conn: psycopg.Connection, frame: pl.DataFrame) -> int:
    """Replace all rows of mart.unmapped_market by `frame`; return the number of rows.

    `frame` has the table's columns except `computed_at`.
    """
    conn.execute("delete from mart.unmapped_market")
    return copy_rows(conn, "mart.unmapped_market", frame.with_columns(computed_at=pl.lit(datetime.now(UTC), INSTANT)))


def read_unmapped_ranking(conn: psycopg.Connection) -> pl.DataFrame:
    """Return mart.unmapped_market, sorted by platform and rank."""
    return read_frame(conn, "select * from mart.unmapped_market order by platform, impact_rank")


def read_mapped_rates(conn: psycopg.Connection, cycle_ids: Sequence[int]) -> pl.DataFrame:
    """Return the mapped rates of these cycles, over all sports, oldest first.

    The columns are cycle_id, platform and mapped_rate.
    """
    return read_frame(conn, MAPPED_RATES_SQL, [list(cycle_ids)])
