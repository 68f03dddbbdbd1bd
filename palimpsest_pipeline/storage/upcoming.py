"""Which fixtures kick off when, as far as is known. Reads only."""

from datetime import datetime
from typing import Final

import psycopg

KICKOFFS_SQL: Final = """
    select f.sr_id, f.effective_kickoff
    from core.fixtures f
    where f.effective_kickoff > %s and f.effective_kickoff <= %s
        and exists (select from core.event_listings l where l.fixture_sr_id = f.sr_id and l.kind = 'match' and l.deleted_at is null)
    order by f.effective_kickoff, f.sr_id
"""


def kickoffs(conn: psycopg.Connection, after: datetime, until: datetime) -> list[tuple[int, datetime]]:
    """SportRadar id and kickoff of the fixtures that somebody lists and that kick off after `after`, at `until` at the latest; soonest first."""
    return conn.execute(KICKOFFS_SQL, [after, until]).fetchall()
