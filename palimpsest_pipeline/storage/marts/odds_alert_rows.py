"""Write, acknowledge and list the alerts to traders in `mart.odds_alert`; price leads. Callers commit.

A row is an episode: the time from the moment an alert's condition becomes true until it is false again. Rows are
replaced fixture by fixture.

Alerts about the pipeline itself are in `storage.ledger.alert_rows`.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

import polars as pl
import psycopg
from psycopg.rows import dict_row

from palimpsest_pipeline.domain.enums import FixtureProduct, OddsAlertStatus
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import Schema, require_table_columns

from ..db.copy_frames import copy_rows, read_frame
from ..db.locks import AdvisoryLock
from .lifecycle_rows import IS_IN_CORE_SQL

ODDS_ALERT_TABLE: Final = "mart.odds_alert"
PRICE_LEAD_TABLE: Final = "mart.price_lead"
"""The price leads of the same fixtures, which are derived together with their alerts."""
ODDS_ALERTS_LOCKS: Final = (AdvisoryLock.ODDS_ALERTS_FIRST, AdvisoryLock.ODDS_ALERTS_SECOND)
"""Advisory locks for writing rows of fixtures: one for even and one for odd SportRadar ids.

No fixture is written by two sessions at once.
"""


class NoSuchAlert(PalimpsestError, LookupError):
    """The error when no episode has the given id."""


def read_known_until(conn: psycopg.Connection[Any]) -> datetime | None:
    """Return the start of the latest cycle whose core products all exist; None when there is none.

    A kickoff up to this instant counts as passed.
    """
    row = conn.execute(KNOWN_UNTIL_SQL).fetchone()
    return row[0] if row else None


def read_due_fixtures(
    conn: psycopg.Connection[Any],
    marked_sr_ids: Sequence[int],
    known_until: datetime,
    sr_ids: Sequence[int] | None = None,
) -> pl.DataFrame:
    """Return the due fixtures, of all or the given ones, soonest first: sr_id, kickoff_at.

    A fixture is due when it is in `marked_sr_ids`, or when it kicked off by `known_until` and still has an open
    episode. A deleted fixture has no kickoff and comes last.
    """
    params = {
        "marked": list(marked_sr_ids),
        "known_until": known_until,
        "among": None if sr_ids is None else list(sr_ids),
    }
    return read_frame(conn, DUE_FIXTURES_SQL, params).sort("kickoff_at", "sr_id", nulls_last=True)


def replace_alerts(conn: psycopg.Connection[Any], sr_ids: Sequence[int], alerts: pl.DataFrame) -> int:
    """Replace the rows of these fixtures by `alerts`; return the number of rows written.

    `alerts` has the columns of ODDS_ALERT_TABLE without status. An open episode keeps its acknowledgement. Call it
    under the locks of the fixtures (ODDS_ALERTS_LOCKS). Raises ValueError when the columns of frame and table differ.
    """
    acknowledged = read_frame(conn, ACKNOWLEDGED_SQL, {"ids": alerts["alert_id"].to_list()})
    is_acknowledged = pl.col("is_acknowledged").fill_null(value=False)
    rows = (
        alerts.join(acknowledged, on="alert_id", how="left")
        .with_columns(
            status=pl.when(pl.col("closed_at").is_not_null())
            .then(pl.lit(OddsAlertStatus.CLOSED.value))
            .when(is_acknowledged)
            .then(pl.lit(OddsAlertStatus.ACKNOWLEDGED.value))
            .otherwise(pl.lit(OddsAlertStatus.OPEN.value))
        )
        .drop("is_acknowledged")
    )
    require_table_columns(ODDS_ALERT_TABLE, rows)
    conn.execute("delete from mart.odds_alert where sr_id = any(%s)", [list(sr_ids)])
    return copy_rows(conn, ODDS_ALERT_TABLE, rows)


def remove_orphans(conn: psycopg.Connection[Any]) -> None:
    """Delete the alerts and price leads of deleted fixtures. Call it under all of ODDS_ALERTS_LOCKS."""
    for table in (ODDS_ALERT_TABLE, PRICE_LEAD_TABLE):
        conn.execute(f"delete from {table} a where not exists (select from core.fixtures f where f.sr_id = a.sr_id)")


def list_open_after_kickoff(conn: psycopg.Connection[Any]) -> list[int]:
    """Return the ids of open alerts whose fixture had begun at the last full cycle and is not due.

    An open alert is an episode that has not ended. The expected result is empty. One query reads everything, so all
    data is of the same moment. The last full cycle decides, because a later cycle of a few fixtures does not derive the
    others.
    """
    rows = conn.execute(OPEN_AFTER_KICKOFF_SQL, {"product": FixtureProduct.ODDS_ALERTS.value}).fetchall()
    return [alert_id for (alert_id,) in rows]


def count_leads(conn: psycopg.Connection[Any]) -> dict[str, int]:
    """Return the number of rows of PRICE_LEAD_TABLE of each lead_type that has rows."""
    return dict(conn.execute("select lead_type, count(*) from mart.price_lead group by lead_type").fetchall())


def count_alerts(conn: psycopg.Connection[Any]) -> tuple[int, dict[str, int]]:
    """Return the number of rows of ODDS_ALERT_TABLE, and the number of open episodes by severity."""
    counts = conn.execute(COUNTS_SQL).fetchall()
    return sum(n for _, n, _ in counts), {severity: n_open for severity, _, n_open in counts}


def acknowledge_alert(
    conn: psycopg.Connection[Any], alert_id: int, acknowledged_by: str, acknowledged_at: datetime
) -> None:
    """Record that a person has acknowledged the episode. Raises NoSuchAlert.

    A second acknowledgement does not replace the first. The call waits while another session replaces rows, because
    that session would not see the acknowledgement, and could not replace a row that is changed at the same time.
    """
    for lock in ODDS_ALERTS_LOCKS:
        conn.execute("select pg_advisory_xact_lock(%s)", [lock])
    if not conn.execute("select from mart.odds_alert where alert_id = %s", [alert_id]).rowcount:
        raise NoSuchAlert(f"no alert {alert_id}: `palimpsest odds-alerts` lists them with their ids")
    conn.execute(
        "insert into ops.acknowledged_odds_alerts (alert_id, acknowledged_at, acknowledged_by) "
        "values (%s, %s, %s) on conflict do nothing",
        [alert_id, acknowledged_at, acknowledged_by],
    )
    conn.execute(
        "update mart.odds_alert set status = 'acknowledged' where alert_id = %s and status = 'open'", [alert_id]
    )


def delete_orphan_acknowledgements(conn: psycopg.Connection[Any], before: date) -> None:
    """Delete acknowledgements from before the UTC date `before` whose episodes no longer exist."""
    conn.execute(DELETE_ACKNOWLEDGEMENTS_SQL, {"before": before})


def list_alerts(
    conn: psycopg.Connection[Any],
    *,
    only_open: bool,
    severities: Sequence[str],
    market_keys: Sequence[str] | None,
    sr_id: int | None,
    limit: int | None,
) -> tuple[list[dict[str, Any]], int]:
    """Return episodes with the names of their fixtures, newest first, and their total number.

    At most `limit` episodes are returned; for each filter None means all. With `only_open`, episodes are left out that
    are closed, acknowledged, or of fixtures that have kicked off. Each dict has the columns of the view.
    """
    keys = None if market_keys is None else list(market_keys)
    params = {
        "only_open": only_open,
        "severities": list(severities),
        "market_keys": keys,
        "sr_id": sr_id,
        "limit": limit,
    }
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(LIST_ALERTS_SQL, params).fetchall()
    total = rows[0]["n_all"] if rows else 0
    return [{name: value for name, value in row.items() if name != "n_all"} for row in rows], total


def build_alert_frame(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Convert rows of `list_alerts` to a frame with LISTED_ALERTS_SCHEMA, even if there are no rows."""
    return pl.DataFrame(rows, schema=LISTED_ALERTS_SCHEMA, orient="row")


LISTED_ALERTS_SCHEMA: Final[Schema] = {
    "alert_id": pl.Int64,
    **dict.fromkeys(("status", "severity", "alert_type", "platform", "competitor"), pl.String),
    "sr_id": pl.Int64,
    **dict.fromkeys(("home_team", "away_team"), pl.String),
    "kickoff_at": INSTANT,
    **dict.fromkeys(("market_key", "specifier", "outcome_key"), pl.String),
    **dict.fromkeys(
        ("baseline_odds", "current_odds", "peak_change_rel", "competitor_odds", "competitor_change_rel"), pl.Float64
    ),
    **dict.fromkeys(("opened_at", "peak_at", "closed_at", "acknowledged_at"), INSTANT),
    "acknowledged_by": pl.String,
}
"""Columns of the rows that `list_alerts` returns."""
KNOWN_UNTIL_SQL: Final = f"select max(c.as_of) from core.cycles c where {IS_IN_CORE_SQL}"
DUE_FIXTURES_SQL: Final = """
select sr_id, f.effective_kickoff as kickoff_at
from (
    select unnest(%(marked)s::bigint[]) as sr_id
    union
    select a.sr_id from mart.odds_alert a join core.fixtures b using (sr_id)
    where a.closed_at is null and b.effective_kickoff <= %(known_until)s
        and (%(among)s::bigint[] is null or a.sr_id = any(%(among)s::bigint[]))
) asked
left join core.fixtures f using (sr_id)
"""
OPEN_AFTER_KICKOFF_SQL: Final = f"""
select a.alert_id from mart.odds_alert a join core.fixtures f using (sr_id)
where a.closed_at is null and f.effective_kickoff <= (select max(c.as_of) from core.cycles c
    where c.scope = 'full' and {IS_IN_CORE_SQL})
    and not exists (select from mart.dirty_fixtures d where d.product = %(product)s and d.sr_id = a.sr_id)
order by a.alert_id
"""
COUNTS_SQL: Final = (
    "select severity, count(*), count(*) filter (where closed_at is null) from mart.odds_alert group by severity"
)
ACKNOWLEDGED_SQL: Final = (
    "select alert_id, true as is_acknowledged from ops.acknowledged_odds_alerts where alert_id = any(%(ids)s::bigint[])"
)
DELETE_ACKNOWLEDGEMENTS_SQL: Final = """
delete from ops.acknowledged_odds_alerts x
where x.acknowledged_at < %(before)s::date::timestamp at time zone 'UTC'
    and not exists (select from mart.odds_alert a where a.alert_id = x.alert_id)
"""
LIST_ALERTS_SQL: Final = """
select a.alert_id, a.status, a.severity, a.alert_type, a.platform, a.competitor, a.sr_id, a.home_team, a.away_team,
    a.kickoff as kickoff_at,
    a.market_key, a.specifier, a.outcome_key, a.baseline_odds, a.current_odds, a.peak_change_rel, a.competitor_odds,
        a.competitor_change_rel,
    a.opened_at, a.peak_at, a.closed_at, a.acknowledged_at, a.acknowledged_by, count(*) over () as n_all
from palimpsest.odds_alerts a
where (not %(only_open)s or a.status = 'open') and a.severity = any(%(severities)s)
    and (%(market_keys)s::text[] is null or a.market_key = any(%(market_keys)s::text[]))
        and (%(sr_id)s::bigint is null or a.sr_id = %(sr_id)s)
order by a.opened_at desc, a.alert_id
limit %(limit)s
"""
