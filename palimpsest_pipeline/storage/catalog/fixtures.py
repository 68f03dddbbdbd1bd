"""Read the input of matching and write its result.

Matching assigns listings to fixtures, and links tournaments of different platforms.

Callers commit.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from palimpsest_pipeline.domain.enums import SuspectCode
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.tables import metadata

from ..db.copy_frames import copy_to_temp_table, read_frame
from ..db.locks import AdvisoryLock
from ..db.row_differences import build_upsert


class UnknownFixtureError(PalimpsestError, LookupError):
    """The error for SportRadar ids without a fixture in the database."""

    def __init__(self, sr_ids: Sequence[int]) -> None:
        super().__init__(
            f"no fixture with SportRadar id {', '.join(map(str, sr_ids))} is known: check the id, or run a full cycle "
            "first (`palimpsest scrape`)"
        )


def read_listings_to_match(conn: psycopg.Connection, listing_ids: Sequence[int]) -> pl.DataFrame:
    """Return all listings that must be matched together with the given ones.

    They have the columns of `matching.LISTINGS_SCHEMA` without n_markets.

    The result has every listing of the given listings' tournaments, and of all tournaments that share fixtures with
    those, directly or through others. So matching these listings gives the same result as matching all. The rows are
    sorted by platform and external id. The sizes of their books are read by `book_sizes`.

    The call waits for other sessions that match, and blocks them until the transaction ends, so the rows are still
    valid when `write_matching` writes.
    """
    conn.execute("select pg_advisory_xact_lock(%s)", [AdvisoryLock.LISTINGS])
    conn.execute("drop table if exists pg_temp.reached")
    conn.execute(
        "create temporary table reached (platform text, tournament_external_id text, step integer) on commit drop"
    )
    conn.execute(
        "insert into reached select distinct platform, tournament_external_id, 0 "
        "from core.event_listings where listing_id = any(%s)",
        [list(listing_ids)],
    )
    step = 0
    while True:
        added = conn.execute(_NEIGHBOURS_SQL, {"step": step})
        if added.rowcount <= 0:
            break
        step += 1
    return read_frame(conn, LISTINGS_TO_MATCH_SQL).sort("platform", "external_id")


def write_matching(
    conn: psycopg.Connection,
    identified_listings: pl.DataFrame,
    fixtures: pl.DataFrame,
    tournaments: pl.DataFrame,
    links: pl.DataFrame,
) -> set[int]:
    """Write the result of matching and return the SportRadar ids of the affected fixtures.

    `identified_listings` has listing_id, fixture_sr_id, match_method and is_primary; the other frames have the columns
    of their tables. A fixture is affected when a listing left or joined it, or when its primary listing or its
    tournament changed. Fixtures, links and tournaments without a listing are deleted. Unchanged rows are not written.
    Call it in the transaction of `read_listings_to_match`, which holds the lock.
    """
    copy_to_temp_table(
        conn,
        "identified",
        "core.event_listings",
        identified_listings.select("listing_id", "fixture_sr_id", "match_method", "is_primary"),
    )
    changed = conn.execute(
        """
        update core.event_listings e
        set fixture_sr_id = i.fixture_sr_id, match_method = i.match_method, is_primary = i.is_primary
        from identified i join core.event_listings before using (listing_id)
        where e.listing_id = i.listing_id
            and (e.fixture_sr_id, e.match_method, e.is_primary) is distinct
                from (i.fixture_sr_id, i.match_method, i.is_primary)
        returning before.fixture_sr_id, e.fixture_sr_id, before.is_primary, e.is_primary
        """
    ).fetchall()
    _upsert_rows(conn, "core.tournaments", tournaments)
    _upsert_rows(conn, "core.tournament_links", links)
    keys = {"sr_ids": fixtures["sr_id"].to_list(), "keys": fixtures["tournament_key"].to_list()}
    rekeyed = {sr_id for (sr_id,) in conn.execute(REKEYED_FIXTURES_SQL, keys)}
    _upsert_rows(conn, "core.fixtures", fixtures)
    conn.execute(
        "delete from core.fixtures f "
        "where not exists (select from core.event_listings e where e.fixture_sr_id = f.sr_id)"
    )
    conn.execute(
        """
        delete from core.tournament_links l
        where not exists (
            select from core.event_listings e
            where e.platform = l.platform and e.tournament_external_id = l.external_id and e.kind = 'match'
        )
        """
    )
    conn.execute(
        "delete from core.tournaments t "
        "where not exists (select from core.tournament_links l where l.tournament_key = t.tournament_key)"
    )
    affected = {
        fixture
        for old_fixture, new_fixture, was_primary, is_primary in changed
        if (old_fixture, was_primary) != (new_fixture, is_primary)
        for fixture in (old_fixture, new_fixture)
    }
    return rekeyed | affected - {None}


def read_fixture(conn: psycopg.Connection, sr_id: int) -> dict[str, Any]:
    """Return names and kickoff of a fixture as a dict. Raises UnknownFixtureError.

    The keys are sr_id, home_team, away_team, tournament_name and kickoff_at (with time zone).
    """
    with conn.cursor(row_factory=dict_row) as cursor:
        fixture = cursor.execute(
            "select sr_id, home_team, away_team, tournament_name, effective_kickoff as kickoff_at "
            "from core.fixtures where sr_id = %s",
            [sr_id],
        ).fetchone()
    if fixture is None:
        raise UnknownFixtureError([sr_id])
    return fixture


def read_seen_span(conn: psycopg.Connection, sr_ids: Sequence[int]) -> tuple[datetime, datetime]:
    """Return when listings of these fixtures were first and last seen. Raises UnknownFixtureError."""
    query = "select min(first_seen_at), max(last_seen_at) from core.event_listings where fixture_sr_id = any(%s)"
    row = conn.execute(query, [list(sr_ids)]).fetchone()
    if row is None or row[0] is None:
        raise UnknownFixtureError(sr_ids)
    return row[0], row[1]


def read_suspects(conn: psycopg.Connection, sr_ids: Sequence[int]) -> list[int]:
    """Return the given fixtures whose prices must not be compared, because matching is not certain."""
    return [
        sr_id
        for (sr_id,) in conn.execute(
            SUSPECTS_SQL, [list(sr_ids), [code.value for code in SuspectCode if code.may_be_two_bets]]
        ).fetchall()
    ]


def _upsert_rows(conn: psycopg.Connection, table: str, frame: pl.DataFrame) -> None:
    """Insert or update rows by primary key; an unchanged row is not written."""
    key = [column.name for column in metadata.tables[table].primary_key.columns]
    copy_to_temp_table(conn, "found", table, frame)
    conn.execute(build_upsert(table, frame.columns, key, sql.Identifier("pg_temp", "found")))


_NEIGHBOURS_SQL: Final = """
insert into reached
with latest as (
    select e.sr_id, e.genius_id
    from reached r
    join core.event_listings e on e.platform = r.platform and e.tournament_external_id = r.tournament_external_id
        and e.kind = 'match'
    where r.step = %(step)s
),
neighbours as (
    select n.platform, n.tournament_external_id from core.event_listings n
    where n.kind = 'match' and n.sr_id in (select sr_id from latest)
    union
    select n.platform, n.tournament_external_id from core.event_listings n
    where n.kind = 'match' and n.genius_id in (select genius_id from latest)
)
select platform, tournament_external_id, %(step)s + 1
from neighbours n
where not exists (select from reached x where x.platform = n.platform
    and x.tournament_external_id = n.tournament_external_id)
"""
REKEYED_FIXTURES_SQL: Final = """
select f.sr_id
from core.fixtures f
join unnest(%(sr_ids)s::bigint[], %(keys)s::text[]) as n (sr_id, tournament_key) using (sr_id)
where f.tournament_key is distinct from n.tournament_key
"""
LISTINGS_TO_MATCH_SQL: Final = """
select
    e.listing_id::bigint as listing_id, e.platform, e.external_id, e.sport, e.kind, e.tournament_external_id,
    e.tournament_name, e.country_raw, t.country_iso,
    e.sr_tournament_id, e.home_team, e.away_team, e.kickoff_at, e.sr_id, e.genius_id,
    e.deleted_at is not null as is_deleted
from reached r
join core.event_listings e on e.platform = r.platform and e.tournament_external_id = r.tournament_external_id
    and e.kind = 'match'
left join core.tournament_listings t on t.platform = e.platform and t.external_id = e.tournament_external_id
"""
SUSPECTS_SQL: Final = "select sr_id from core.fixtures where sr_id = any(%s) and suspect_code = any(%s) order by sr_id"
