"""Read the kickoffs of fixtures and record their changes. Callers commit."""

from datetime import datetime
from typing import Final

import psycopg

LISTED_FIXTURES_SQL: Final = """
    select f.sr_id, f.effective_kickoff
    from core.fixtures f
    where exists (select from core.event_listings l where l.fixture_sr_id = f.sr_id and l.kind = 'match'
        and l.deleted_at is null)
"""
KICKOFFS_SQL: Final = f"""
    {LISTED_FIXTURES_SQL} and f.effective_kickoff > %(after)s and f.effective_kickoff <= %(until)s
    order by f.effective_kickoff, f.sr_id
"""
KICKOFFS_AND_NEXT_SQL: Final = f"""
    ({KICKOFFS_SQL}) union all ({LISTED_FIXTURES_SQL} and f.effective_kickoff > %(until)s
        order by f.effective_kickoff limit 1)
"""
RECORD_KICKOFFS_SQL: Final = f"""
    with listed as materialized ({LISTED_FIXTURES_SQL} and f.effective_kickoff > %(now)s),
    stood as materialized (
        select distinct on (k.sr_id) k.sr_id, k.kickoff_at
        from ops.known_kickoffs k
        where k.sr_id in (select sr_id from listed union select sr_id from ops.known_kickoffs
            where kickoff_at > %(now)s)
        order by k.sr_id, k.known_from desc
    )
    insert into ops.known_kickoffs (sr_id, known_from, kickoff_at)
    select sr_id, %(now)s, listed.effective_kickoff
    from listed full join stood using (sr_id)
    where listed.effective_kickoff is distinct from stood.kickoff_at
        and (listed.sr_id is not null or stood.kickoff_at > %(now)s)
    on conflict (sr_id, known_from) do update set kickoff_at = excluded.kickoff_at
"""


def read_kickoffs(conn: psycopg.Connection, after: datetime, until: datetime) -> list[tuple[int, datetime]]:
    """Return (SportRadar id, kickoff) of the listed fixtures that kick off in a period, soonest first.

    The period excludes `after` and includes `until`. A fixture is listed when at least one platform has a listing of
    it.
    """
    return conn.execute(KICKOFFS_SQL, {"after": after, "until": until}).fetchall()


def read_kickoffs_and_next(
    conn: psycopg.Connection, after: datetime, until: datetime
) -> tuple[list[tuple[int, datetime]], datetime | None]:
    """Return `read_kickoffs`, and the first kickoff after `until` (None when unknown), in one query."""
    kickoffs = conn.execute(KICKOFFS_AND_NEXT_SQL, {"after": after, "until": until}).fetchall()
    next_kickoff = kickoffs.pop()[1] if kickoffs and kickoffs[-1][1] > until else None
    return kickoffs, next_kickoff


def record_kickoffs(conn: psycopg.Connection, now: datetime) -> int:
    """Record the changes of kickoffs after `now`; return the number of fixtures.

    Call it at the end of every transaction that changes fixtures or listings. The lock of that transaction keeps the
    recorded instants in order.
    """
    return conn.execute(RECORD_KICKOFFS_SQL, {"now": now}).rowcount


def delete_old_kickoffs(conn: psycopg.Connection, before: datetime) -> int:
    """Delete the recorded kickoffs of fixtures that ended before `before`; return the number of rows.

    A fixture has ended when its last recorded kickoff was before the instant, or when no platform has listed it since
    then.
    """
    return conn.execute(
        """
        delete from ops.known_kickoffs k
        where k.known_from < %(before)s
            and not exists (
                select from ops.known_kickoffs later
                where later.sr_id = k.sr_id and (later.kickoff_at >= %(before)s or later.known_from >= %(before)s)
            )
        """,
        {"before": before},
    ).rowcount
