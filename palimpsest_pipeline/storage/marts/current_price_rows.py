"""Read the input of the price comparison and write its tables: prices of upcoming fixtures.

Callers commit.

Frames have the schemas of `metrics.comparison_frames`.

Listings are always assigned to fixtures as matching assigns them now. A past instant decides only which listings and
prices existed then, and so which listing was primary.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from palimpsest_pipeline.domain.enums import MarketState, Platform
from palimpsest_pipeline.domain.schemas import COMPARED_LISTINGS, INSTANT
from palimpsest_pipeline.tables.frame_types import Schema

from ..catalog.listings import FIRST_ABSENCE_SQL
from ..db.copy_frames import parse_array_text, quote_identifier, read_frame
from ..db.locks import AdvisoryLock
from ..db.row_differences import WriteCounts, write_differences
from ..odds.current_markets import split_market_texts
from ..odds.market_lines import LineCache, name_lines, number_lines
from .changed_fixtures import notify_readers
from .lifecycle_rows import HistoryReader

COMPARISON_TABLE, GAP_TABLE = COMPARED_TABLES = ("mart.price_comparison", "mart.availability_gap")
LISTING_TABLE: Final = "mart.compared_listing"
STORED_TABLES: Final = (LISTING_TABLE, *COMPARED_TABLES)
PRICES_VIEW, GAPS_VIEW = "palimpsest.compared_prices", "palimpsest.compared_gaps"
"""The views that show the rows of COMPARED_TABLES with names and instants instead of ids."""
CURRENT_PRICES_LOCKS: Final = (AdvisoryLock.CURRENT_PRICES_FIRST, AdvisoryLock.CURRENT_PRICES_SECOND)
"""Advisory locks for writing rows of fixtures: one for even and one for odd SportRadar ids.

No fixture is written by two sessions at once. Two locks let two sessions write at the same time, because Postgres needs
longer to store rows than a session needs to compute them.
"""

ODDS_TYPE: Final = pl.List(pl.Int32)
_BOOKS_SCHEMA: Final[Schema] = {
    "sr_id": pl.Int64,
    "platform": pl.String,
    "line_id": pl.Int32,
    "state": pl.String,
    "off_mask": pl.Int64,
    "odds_milli": ODDS_TYPE,
    "state_since": INSTANT,
}
TABLE_VIEWS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    COMPARISON_TABLE: (PRICES_VIEW, ("sr_id", "market_key", "specifier", "outcome_key", "platform")),
    GAP_TABLE: (GAPS_VIEW, ("sr_id", "market_key", "specifier", "platform")),
}
"""For each of COMPARED_TABLES: the view of its rows and the view's key columns."""


PrimaryChooser = Callable[[pl.DataFrame], pl.DataFrame]
"""A function that selects primary listings, such as `matching.select_primary_listings`."""


@dataclass(frozen=True, slots=True)
class FixtureState:
    """Markets and listings of fixtures at an instant, with the schemas of `metrics.comparison_frames`."""

    markets: pl.DataFrame
    listings: pl.DataFrame


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The counts of rows written for fixtures."""

    rows: dict[str, WriteCounts]
    """Numbers of rows inserted, updated and deleted, by table of STORED_TABLES."""
    n_flips: int = 0
    """Number of listings whose column `comparable` changed: prices may be compared with home's, or not."""


def read_upcoming_fixtures(conn: psycopg.Connection, now: datetime, sr_ids: Sequence[int] | None = None) -> list[int]:
    """Return the fixtures that kick off after `now`, of all or the given ones, soonest first."""
    params = {"now": now, "sr_ids": None if sr_ids is None else list(sr_ids)}
    return [sr_id for (sr_id,) in conn.execute(UPCOMING_SQL, params).fetchall()]


def read_current_state(conn: psycopg.Connection, sr_ids: Sequence[int], cache: LineCache | None = None) -> FixtureState:
    """Return the current state of these fixtures. A caller that calls several times passes one `cache`."""
    params = {"sr_ids": list(sr_ids)}
    books = split_market_texts(read_frame(conn, _BOOKS_SQL, params))
    odds = parse_array_text("odds_milli", ODDS_TYPE)
    return FixtureState(
        _name_markets(conn, books.with_columns(odds).select(list(_BOOKS_SCHEMA)), cache),
        read_frame(conn, _LISTINGS_SQL, params),
    )


def read_state_as_of(
    conn: psycopg.Connection,
    history: HistoryReader,
    sr_ids: Sequence[int],
    trust: Sequence[Platform],
    instant: datetime,
    choose_primary: PrimaryChooser,
) -> FixtureState:
    """Return the state of these fixtures at an instant, computed from the history.

    It uses the listings seen by then that `choose_primary` selects, and the kickoff that was in force then: that of the
    first platform of `trust`. Raises the errors of `storage.odds.history_reader.OddsHistoryReader`.
    """
    candidates = read_frame(conn, LISTINGS_AS_OF_SQL, {"sr_ids": list(sr_ids), "instant": instant})
    if candidates.is_empty():
        return FixtureState(
            _name_markets(conn, pl.DataFrame(schema=dict(_BOOKS_SCHEMA))), pl.DataFrame(schema=dict(COMPARED_LISTINGS))
        )
    ids, first = candidates["listing_id"].to_list(), candidates["first_seen_at"].min()
    assert isinstance(first, datetime)
    days = (first.date(), instant.date())
    answers = history.read_captures(ids, *days).filter(pl.col("observed_at") <= instant)
    sizes = answers.group_by("listing_id").agg(n_markets=pl.col("n_markets_priced").max())
    as_seen = candidates.join(sizes, on="listing_id", how="left")
    candidates = choose_primary(
        as_seen.with_columns(fixture_sr_id="sr_id", is_deleted=pl.col("dropped_at").is_not_null())
    ).select(candidates.columns)
    rank = pl.col("platform").replace_strict(list(trust), range(len(trust)), default=len(trust))
    claimed = candidates.filter(pl.col("kickoff_in_force").is_not_null())
    by_trust = claimed.sort("sr_id", ~pl.col("is_source"), rank, "platform").unique("sr_id", keep="first")
    kickoffs = by_trust.select("sr_id", kickoff_at="kickoff_in_force")
    answers = answers.join(candidates, on="listing_id", how="semi")
    books = fold_changes(
        history.read_changes(candidates["listing_id"].to_list(), *days).filter(pl.col("observed_at") <= instant),
        answers,
    )
    answered = answers.group_by("listing_id").agg(answered_at=pl.col("observed_at").max())
    listings = candidates.drop("kickoff_at").join(kickoffs, on="sr_id").join(answered, on="listing_id", how="left")
    named_books = _name_markets(
        conn,
        books.join(candidates.select("listing_id", "sr_id", "platform"), on="listing_id").select(_BOOKS_SCHEMA.keys()),
    )
    return FixtureState(named_books, listings.select(COMPARED_LISTINGS.keys()))


def fold_changes(changes: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """Return the state of each market after all of these changes.

    The columns are listing_id, line_id, state, off_mask, odds_milli and state_since. `changes` (CHANGE_SCHEMA) and
    `answers` (CAPTURE_SCHEMA of `storage.odds.change_rows`) contain whole UTC days, except for the last day. A market
    that is missing in the first answer of a day is withdrawn from that answer on.
    """
    line_key = ("listing_id", "line_id")
    days = (
        answers.group_by("listing_id", day=pl.col("observed_at").dt.date())
        .agg(begins_at=pl.col("observed_at").min())
        .sort("listing_id", "day")
    )
    days = days.with_columns(next_begins_at=pl.col("begins_at").shift(-1).over("listing_id"))
    rows = (
        changes.with_columns(day=pl.col("observed_at").dt.date())
        .join(days, on=("listing_id", "day"))
        .sort(*line_key, "observed_at")
    )
    before = {name: pl.col(name).shift().over(line_key) for name in ("state", "day", "next_begins_at")}
    was_absent = (before["day"] != pl.col("day")) & (before["next_begins_at"] != pl.col("observed_at"))
    enters_state = before["state"].is_null() | (before["state"] != pl.col("state")) | was_absent
    is_gone = (pl.col("state") != MarketState.WITHDRAWN.value) & pl.col("next_begins_at").is_not_null()
    no_prices = pl.lit(None, pl.Int32).repeat_by(pl.col("odds_milli").list.len())
    return (
        rows.with_columns(state_since=pl.when(enters_state).then("observed_at").forward_fill().over(line_key))
        .unique(line_key, keep="last", maintain_order=True)
        .select(
            *line_key,
            state=pl.when(is_gone).then(pl.lit(MarketState.WITHDRAWN.value)).otherwise("state"),
            off_mask=pl.when(is_gone).then(0).otherwise("off_mask"),
            odds_milli=pl.when(is_gone).then(no_prices).otherwise("odds_milli"),
            state_since=pl.when(is_gone).then("next_begins_at").otherwise("state_since"),
        )
    )


def replace_fixture_rows(
    conn: psycopg.Connection, sr_ids: Sequence[int], frames: dict[str, pl.DataFrame], cache: LineCache | None = None
) -> WriteResult:
    """Replace the rows of these fixtures in STORED_TABLES, writing only the differences.

    Listeners are notified (`changed_fixtures.FIXTURES_CHANNEL`) when the transaction commits.

    `frames` has one frame per table. Lines are given by market_key, specifier and outcome. A caller that calls several
    times passes one `cache`. Raises ValueError when the columns of a frame differ from the table's.
    """
    before = read_frame(conn, COMPARABLE_SQL, {"sr_ids": list(sr_ids)})
    pairs = before.join(frames[LISTING_TABLE], on=("sr_id", "platform"))
    n_flips = pairs.filter(pl.col("comparable") != pl.col("comparable_right")).height
    markets = read_frame(conn, _MARKETS_SQL)
    rows = {table: _number_markets(conn, frames[table], markets, cache) for table in COMPARED_TABLES}
    notify_readers(conn, sr_ids)
    return WriteResult(
        {
            table: write_differences(conn, table, frame, sr_ids, read_grouped=table == GAP_TABLE)
            for table, frame in {LISTING_TABLE: frames[LISTING_TABLE], **rows}.items()
        },
        n_flips,
    )


def remove_rows(conn: psycopg.Connection, sr_ids: Sequence[int]) -> WriteResult:
    """Delete the rows of these fixtures and return the counts."""
    statement = "delete from {} where sr_id = any(%s)"
    notify_readers(conn, sr_ids)
    return WriteResult(
        {
            table: WriteCounts(
                deleted=conn.execute(sql.SQL(statement).format(quote_identifier(table)), [list(sr_ids)]).rowcount
            )
            for table in STORED_TABLES
        }
    )


def read_fixture_ids(conn: psycopg.Connection) -> set[int]:
    """Return the SportRadar ids of all fixtures that have rows in mart.compared_listing."""
    return {sr_id for (sr_id,) in conn.execute("select distinct sr_id from mart.compared_listing").fetchall()}


def read_fixtures_with_unnamed_gaps(conn: psycopg.Connection, sr_ids: Sequence[int]) -> list[int]:
    """Return those of the fixtures with a gap on a line that this transaction cannot see.

    `number_lines` explains why.
    """
    return [sr_id for (sr_id,) in conn.execute(UNNAMED_GAPS_SQL, {"sr_ids": list(sr_ids)}).fetchall()]


def read_figures(conn: psycopg.Connection, table: str) -> dict[str, float | None]:
    """Return the key figures of one of COMPARED_TABLES by name.

    The figure `rows` is always among them. None means that there is nothing to count.
    """
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(FIGURES_SQL[table]).fetchone() or {}


def _name_markets(conn: psycopg.Connection, books: pl.DataFrame, cache: LineCache | None = None) -> pl.DataFrame:
    return (
        name_lines(conn, books, cache)
        .join(read_frame(conn, _MARKETS_SQL), on="market_id", how="left")
        .drop("market_id")
    )


def _number_markets(
    conn: psycopg.Connection, rows: pl.DataFrame, markets: pl.DataFrame, cache: LineCache | None
) -> pl.DataFrame:
    return number_lines(conn, rows.join(markets, on="market_key", how="left").drop("market_key"), cache)


_MARKETS_SQL: Final = "select market_id, market_key from core.markets"
COMPARABLE_SQL: Final = "select sr_id, platform, comparable from mart.compared_listing where sr_id = any(%(sr_ids)s)"


UNNAMED_GAPS_SQL: Final = """
select distinct g.sr_id from mart.availability_gap g
where g.sr_id = any(%(sr_ids)s) and not exists (select from ops.market_lines l where l.line_id = g.line_id)
"""
UPCOMING_SQL: Final = """
select sr_id from core.fixtures
where effective_kickoff > %(now)s and (%(sr_ids)s::bigint[] is null or sr_id = any(%(sr_ids)s::bigint[]))
order by effective_kickoff, sr_id
"""
# Because of `offset 0`, Postgres reads each listing by the primary key. A plain join would read the whole table for
# each batch of fixtures. Most markets of a listing share their state and its begin, so they are returned as one text
# (see `current_markets.split_market_texts`): fetching a row costs more than parsing its content.
_BOOKS_SQL: Final = """
select e.fixture_sr_id as sr_id, e.platform, c.state::text as state, coalesce(c.off_mask, 0) as off_mask, c.state_since,
    string_agg(c.line_id::text || c.odds_milli::text, ';') as markets
from core.event_listings e
cross join lateral (select * from core.current_markets where listing_id = e.listing_id offset 0) c
where e.fixture_sr_id = any(%(sr_ids)s::bigint[]) and e.is_primary
group by e.listing_id, e.fixture_sr_id, e.platform, c.state, c.off_mask, c.state_since
"""
_LISTINGS_SQL: Final = """
select f.sr_id, e.platform, a.observed_at as answered_at, e.deleted_at as dropped_at, f.effective_kickoff as kickoff_at
from core.fixtures f
join core.event_listings e on e.fixture_sr_id = f.sr_id and e.is_primary
left join lateral (select observed_at from core.captures where listing_id = e.listing_id
    order by observed_at desc limit 1) a on true
where f.sr_id = any(%(sr_ids)s::bigint[])
"""
# `kickoff_at` is the kickoff in the last answer, null when it was rejected. `kickoff_in_force` is the last accepted
# kickoff.
LISTINGS_AS_OF_SQL: Final = f"""
select
    listing_id, sr_id, platform, external_id, is_source, first_seen_at, kickoff_at, kickoff_in_force,
    case when lacked_at <= %(instant)s then lacked_at end as dropped_at
from (
    select l.*, ({FIRST_ABSENCE_SQL}) as lacked_at
    from (
        select e.listing_id, f.sr_id, e.platform, e.external_id, e.platform = f.metadata_source as is_source,
            e.tournament_external_id,
            s.first_seen_at, s.last_seen_at, o.kickoff_at, k.kickoff_at as kickoff_in_force
        from core.fixtures f
        join core.event_listings e on e.fixture_sr_id = f.sr_id
        cross join lateral (
            select min(observed_at) as first_seen_at, max(observed_at) as last_seen_at from core.listing_observations
            where listing_id = e.listing_id and observed_at <= %(instant)s
        ) s
        left join lateral (
            select c.kickoff_at
            from core.listing_observations o join core.listing_claims c using (listing_id, claim_hash)
            where o.listing_id = e.listing_id and o.observed_at <= %(instant)s
            order by o.observed_at desc, o.cycle_id desc limit 1
        ) o on true
        left join lateral (
            select kickoff_at from core.kickoff_versions
            where listing_id = e.listing_id and observed_from <= %(instant)s order by observed_from desc limit 1
        ) k on true
        where f.sr_id = any(%(sr_ids)s::bigint[]) and s.first_seen_at is not null
    ) l
) seen
"""
FIGURES_SQL: Final = {
    COMPARISON_TABLE: """
    with lines as (
        select count(*) as rows, count(distinct sr_id) as fixtures,
            count(distinct (sr_id, line_id)) filter (where arb) as arbitrage_markets
        from mart.price_comparison
    )
    select (select rows from lines), (select fixtures from lines), (select arbitrage_markets from lines),
        count(*) as outcomes, avg(comparable::int)::float8 as comparable_share,
        (avg(home_is_best::int) filter (where comparable))::float8 as home_is_best_share,
        (avg(home_tied_best::int) filter (where comparable))::float8 as home_tied_best_share
    from palimpsest.compared_prices
    """,
    GAP_TABLE: """
    select count(*) as rows, count(distinct sr_id) as fixtures,
        count(*) filter (where gap_type = 'home_missing') as home_missing,
        count(*) filter (where gap_type = 'platform_missing') as platform_missing,
        count(*) filter (where gap_type = 'home_suspended_only') as home_suspended_only,
        count(*) filter (where gap_type = 'platform_suspended_only') as platform_suspended_only,
        count(*) filter (where gap_type = 'both') as both_lack, count(*) filter (where gap_type = 'unknown') as unknown
    from mart.availability_gap
    """,
}
