"""Write the current state of each market: the table `core.current_markets`, derived from the history.

Newer answers are applied to the table; listings whose answers arrived late are built again from the history.

`changed_at` is the first answer with the market's present state and prices. A keyframe that repeats them on a later day
does not change it. `state_since` is the first answer with the present state, whatever the prices. A market that
disappears stays in the table with the state withdrawn, from the first answer without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import MarketState

from ..db.copy_frames import copy_rows, copy_to_temp_table, read_frame
from .change_rows import BOOK_SCHEMA, LINE_KEY, withdraw_markets

LISTINGS_PER_REBUILD: Final = 500
"""Number of listings per statement of a rebuild. It limits the rows that Postgres sorts at once."""

# A market whose state is unchanged keeps its `state_since`.
ADVANCE_MARKETS_SQL: Final = """
insert into core.current_markets as c (listing_id, line_id, changed_at, off_mask, state, odds_milli, state_since)
select listing_id, line_id, changed_at, off_mask, state, odds_milli, changed_at from pg_temp.history_moves
order by listing_id, line_id
on conflict (listing_id, line_id) do update
set changed_at = excluded.changed_at, off_mask = excluded.off_mask, state = excluded.state,
    odds_milli = excluded.odds_milli,
    state_since = case when c.state = excluded.state then c.state_since else excluded.state_since end
"""

LISTINGS_WITH_MARKETS_SQL: Final = """
select listing_id from unnest(%(listings)s::int[]) as asked (listing_id)
where exists (select from core.current_markets c where c.listing_id = asked.listing_id)
"""

UPSERT_MARKETS_SQL: Final = """
insert into core.current_markets (listing_id, line_id, changed_at, off_mask, state, odds_milli, state_since)
select listing_id, line_id, changed_at, off_mask, state, odds_milli, state_since from pg_temp.{source}
order by listing_id, line_id
on conflict (listing_id, line_id) do update
set changed_at = excluded.changed_at, off_mask = excluded.off_mask, state = excluded.state,
    odds_milli = excluded.odds_milli,
    state_since = excluded.state_since
"""

# All markets of a listing with the same state and mask are returned as one text, e.g. 12{2100,3400};17{1850,NULL},
# because fetching a row costs more than parsing its content.
_BOOKS_SQL: Final = """
select listing_id, state, off_mask, string_agg(line_id::text || odds_milli::text, ';') as markets
from core.current_markets where listing_id = any(%(listings)s::int[]) and state <> 'withdrawn'
group by listing_id, state, off_mask
"""

CURRENT_MARKETS_SQL: Final = """
select listing_id, line_id, state, off_mask, odds_milli::text as odds_milli, changed_at, state_since
from core.current_markets
where listing_id = any(%(listings)s::int[])
"""

# A period is the time in which a market keeps the same content. A row starts a new period when it differs from the
# market's previous row, or when the market was absent in between: the previous row is of an earlier day, and the first
# answer of the listing's next day lacked the market. A row starts a new period of its state when the state differs or
# after an absence. If the period started before the stored history, its start is taken from the current state, provided
# that it has the same state since before the first stored answer.
REBUILD_SQL: Final = """
create temporary table history_present on commit drop as
with days as (
    select listing_id, observed_at as begins_at,
        lead(observed_at) over (partition by listing_id order by observed_at) as next_begins_at,
        min(observed_at) over (partition by listing_id) as first_at
    from core.captures where keyframe and listing_id = any(%(listings)s::int[])
), told as (
    select m.*, d.next_begins_at, d.first_at,
        (m.off_mask, m.odds_milli) is distinct from (lag(m.off_mask) over line, lag(m.odds_milli) over line) as moves,
        lag(m.observed_at) over line is null
        or m.state <> lag(m.state) over line
        or (lag(d.begins_at) over line <> d.begins_at and lag(d.next_begins_at) over line <> m.observed_at) as enters
    from days d
    join core.market_changes m
        on m.listing_id = d.listing_id and m.observed_at >= d.begins_at
            and m.observed_at < coalesce(d.next_begins_at, 'infinity')
        and (%(lines)s::int[] is null or m.line_id = any(%(lines)s::int[]))
    window line as (partition by m.listing_id, m.line_id order by m.observed_at)
), latest as (
    select distinct on (listing_id, line_id) *,
        max(observed_at) filter (where enters or moves) over (partition by listing_id, line_id) as started_at,
        max(observed_at) filter (where enters) over (partition by listing_id, line_id) as entered_at,
        state <> 'withdrawn' and next_begins_at is not null as gone
    from told
    order by listing_id, line_id, observed_at desc
)
select l.listing_id, l.line_id,
    case
        when l.gone then l.next_begins_at
        when l.started_at = l.first_at and c.changed_at < l.first_at
            and (c.state, c.off_mask, c.odds_milli) is not distinct
                from (l.state, l.off_mask, l.odds_milli) then c.changed_at
        else l.started_at
    end as changed_at,
    case when not l.gone then l.off_mask end as off_mask,
    case when l.gone then 'withdrawn' else l.state end as state,
    case when l.gone then array_fill(null::int, array[cardinality(l.odds_milli)]) else l.odds_milli end as odds_milli,
    case
        when l.gone then l.next_begins_at
        when l.entered_at = l.first_at and c.state_since < l.first_at and c.state = l.state then c.state_since
        else l.entered_at
    end as state_since
from latest l
left join core.current_markets c using (listing_id, line_id)
"""

# Rows without history stay in two cases: the market was withdrawn before the first stored answer, or all answers of its
# listing have expired.
DELETE_ABSENT_MARKETS_SQL: Final = """
delete from core.current_markets c
using (
    select listing_id, min(observed_at) as first_at from core.captures
    where keyframe and listing_id = any(%(listings)s::int[]) group by listing_id
) d
where c.listing_id = d.listing_id and (%(lines)s::int[] is null or c.line_id = any(%(lines)s::int[]))
    and not (c.state = 'withdrawn' and c.changed_at <= d.first_at)
    and not exists (
        select from history_present p
        where (p.listing_id, p.line_id) = (c.listing_id, c.line_id)
    )
"""

UNANSWERED_LISTINGS_SQL: Final = """
select listing_id from unnest(%(listings)s::int[]) as asked (listing_id)
where not exists (select from core.captures k where k.listing_id = asked.listing_id and k.observed_at >= %(since)s)
"""

VIOLATIONS_SQL: Final = """
with answered as (
    select listing_id, max(observed_at) filter (where keyframe) as begins_at, min(observed_at) as first_at
    from core.captures k where %(listings)s::int[] is null or listing_id = any(%(listings)s::int[]) group by listing_id
    having %(known_since)s::timestamptz is null or max(observed_at) >= %(known_since)s::timestamptz
        or exists (select from core.current_markets c where c.listing_id = k.listing_id)
), said as (
    select distinct on (m.listing_id, m.line_id) m.*
    from answered d join core.market_changes m on m.listing_id = d.listing_id and m.observed_at >= d.begins_at
    order by m.listing_id, m.line_id, m.observed_at desc
), held as (
    select c.*, d.begins_at, d.first_at, c.changed_at < d.first_at or exists (
        select from core.captures k where k.listing_id = c.listing_id and k.observed_at = c.changed_at) as known_since
    from core.current_markets c join answered d using (listing_id)
)
select count(*) as violations
from said s full join held h
    on (s.listing_id, s.line_id) = (h.listing_id, h.line_id)
where h.listing_id is null
    or not h.known_since
    or h.state_since > h.changed_at
    or (s.listing_id is null and (h.state <> 'withdrawn' or h.changed_at > h.begins_at))
    or (s.listing_id is not null and (
        (s.state, s.off_mask, s.odds_milli) is distinct from (h.state, h.off_mask, h.odds_milli)
        or h.changed_at > s.observed_at
        or (not s.keyframe and h.changed_at <> s.observed_at)))
"""


# Only listings whose last answer belongs to one of the cycles are compared. The compared rows begin at the first answer
# of these cycles. If the listing's last answer is on a later UTC day, they begin at the first answer of that day. The
# query compares one listing at a time: Postgres then sorts the rows of each listing in memory, not on disk.
CHECK_CYCLES_SQL: Final = """
with touched as (
    select listing_id, min(observed_at) as since from core.captures
    where cycle_id = any(%(cycles)s::bigint[]) group by listing_id
), bounded as (
    select t.listing_id, greatest(t.since, d.begins_at) as since, d.begins_at >= t.since as whole
    from touched t
    cross join lateral (
        select cycle_id, observed_at from core.captures where listing_id = t.listing_id
        order by observed_at desc limit 1
    ) newest
    cross join lateral (
        select observed_at as begins_at from core.captures
        where listing_id = t.listing_id and observed_at >= date_trunc('day', newest.observed_at, 'UTC')
        order by observed_at limit 1
    ) d
    where newest.cycle_id = any(%(cycles)s::bigint[])
)
select count(*) as n_listings, coalesce(sum(c.n_markets), 0)::bigint as n_markets,
    coalesce(sum(c.n_wrong), 0)::bigint as violations
from bounded b
cross join lateral (
    select count(s.line_id) as n_markets, count(*) filter (where
        h.line_id is null
        or h.state_since > h.changed_at
        or (s.line_id is null and (not b.whole or h.state <> 'withdrawn' or h.changed_at > b.since))
        or (s.line_id is not null and (
            (s.state, s.off_mask, s.odds_milli) is distinct from (h.state, h.off_mask, h.odds_milli)
            or h.changed_at > s.observed_at
            or (not s.keyframe and h.changed_at <> s.observed_at)))) as n_wrong
    from (
        select distinct on (line_id) * from core.market_changes
        where listing_id = b.listing_id and observed_at >= b.since
        order by line_id, observed_at desc
    ) s
    full join (
        select * from core.current_markets where listing_id = b.listing_id and (b.whole or changed_at >= b.since)
    ) h using (line_id)
) c
"""


@dataclass(frozen=True, slots=True)
class CurrentMarketsCheck:
    """The result of comparing the current state with the rows that some cycles wrote."""

    n_listings: int
    """Number of listings whose last answer belongs to one of the cycles."""
    n_markets: int
    """Number of markets of these listings that have a history row since then."""
    violations: int
    """Number of markets for which the current state and the history disagree."""


def read_current_books(
    conn: psycopg.Connection[Any], listing_ids: Sequence[int], *, answered_ids: Sequence[int]
) -> pl.DataFrame:
    """Return the book of the last answer of each listing (BOOK_SCHEMA).

    `answered_ids` are the listings that have stored answers. If such a listing has no row in core.current_markets, its
    current state is first rebuilt from the history. This happens when its days were dropped and restored.
    """
    books = _read_stored_books(conn, listing_ids)
    missing_ids = sorted(set(answered_ids) - set(books.get_column("listing_id").unique()))
    if not missing_ids:
        return books
    rebuild_current_markets(conn, missing_ids)
    return pl.concat([books, _read_stored_books(conn, missing_ids)])


def _read_stored_books(conn: psycopg.Connection[Any], listing_ids: Sequence[int]) -> pl.DataFrame:
    """Return the markets in core.current_markets that are not withdrawn (BOOK_SCHEMA)."""
    return split_market_texts(read_frame(conn, _BOOKS_SQL, {"listings": listing_ids})).select(list(BOOK_SCHEMA))


def split_market_texts(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row per market, with line_id and odds_milli in place of the column `markets`.

    `markets` is text such as 12{2100,3400};17{1850,NULL}: an id of a line and the text of its array of prices.
    """
    bracket = pl.col("markets").str.find("{", literal=True)
    return (
        rows.with_columns(pl.col("markets").str.split(";"))
        .explode("markets")
        .with_columns(
            line_id=pl.col("markets").str.head(bracket).cast(pl.Int32), odds_milli=pl.col("markets").str.slice(bracket)
        )
        .drop("markets")
    )


def advance_markets(conn: psycopg.Connection[Any], changed_markets: pl.DataFrame) -> None:
    """Write the new state of markets from their listing's newest answer.

    `changed_markets` has BOOK_SCHEMA and changed_at, the instant of that answer.
    """
    if changed_markets.is_empty():
        return
    listing_ids = changed_markets.get_column("listing_id").unique().to_list()
    known_ids = [
        listing for (listing,) in conn.execute(LISTINGS_WITH_MARKETS_SQL, {"listings": listing_ids}).fetchall()
    ]
    is_known = pl.col("listing_id").is_in(known_ids)
    # New listings have no rows to compare with. COPY takes 0.7 x the time of an upsert, and in a first cycle all
    # listings are new.
    new = changed_markets.filter(~is_known).with_columns(state_since="changed_at").sort(LINE_KEY)
    copy_rows(conn, "core.current_markets", new)
    if known_ids:
        copy_to_temp_table(conn, "history_moves", "core.current_markets", changed_markets.filter(is_known))
        conn.execute(ADVANCE_MARKETS_SQL)


def apply_late_answers(conn: psycopg.Connection[Any], answers: pl.DataFrame, books: pl.DataFrame) -> None:
    """Correct the current state after `history` has inserted or replaced answers that are not the newest.

    `answers` has the columns of `history.read_neighbours`, at most one answer per listing. `books` are the books of
    these answers.

    The newest answer decides the current state. An older answer can only change `changed_at` and `state_since`: if it
    equals the current state and directly precedes its period, the period starts earlier. After an insertion the period
    starts at the inserted answer. After a replacement the start may be even earlier and is read from the history.
    """
    params = {"listings": answers.get_column("listing_id").to_list()}
    current_rows = read_frame(conn, CURRENT_MARKETS_SQL, params)
    compared = current_rows.join(books, on=LINE_KEY, how="full", coalesce=True, suffix="_said").join(
        answers, on="listing_id"
    )
    current_state, answer_state = (
        pl.col(name).fill_null(MarketState.WITHDRAWN.value) for name in ("state", "state_said")
    )
    facts = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name}_said")) for name in ("off_mask", "odds_milli"))
    is_newest, same_state = pl.col("next_at").is_null(), current_state == answer_state
    same = {
        "changed_at": same_state & ((answer_state == MarketState.WITHDRAWN.value) | facts),
        "state_since": same_state,
    }
    shifted = compared.with_columns(
        _shift_begin(name, repeats_begin).alias(f"{name}_now") for name, repeats_begin in same.items()
    )
    differs = pl.any_horizontal(pl.col(f"{name}_now").ne_missing(pl.col(name)) for name in same)
    rows = shifted.filter(differs).with_columns(pl.col(f"{name}_now").alias(name) for name in same)
    columns = [*BOOK_SCHEMA, *same]
    absent = rows.filter(pl.col("state").is_null()).with_columns(odds_milli="odds_milli_said")
    _upsert_markets(
        conn, pl.concat([rows.drop_nulls("state").select(columns), withdraw_markets(absent.select(columns))])
    )
    may_begin_earlier = pl.any_horizontal(
        _is_right_before(name, repeats_begin) for name, repeats_begin in same.items()
    ) & pl.col("stored")
    to_rebuild = compared.filter((is_newest & ~same["changed_at"]) | may_begin_earlier)
    rebuild_current_markets(
        conn, to_rebuild.get_column("listing_id").to_list(), to_rebuild.get_column("line_id").to_list()
    )


def _shift_begin(begin: str, same: pl.Expr) -> pl.Expr:
    """Return the start of a period after an answer was inserted in it or directly before it.

    `begin` is the column with the present start. `same` is true when the inserted answer has the content of the period.
    """
    in_stretch = (pl.col(begin) <= pl.col("observed_at")).fill_null(True) & pl.col("next_at").is_not_null()
    extends_stretch = _is_right_before(begin, same) & ~pl.col("stored")
    return pl.when(in_stretch & ~same).then("next_at").when(extends_stretch).then("observed_at").otherwise(begin)


def _is_right_before(begin: str, same: pl.Expr) -> pl.Expr:
    return (pl.col(begin) == pl.col("next_at")).fill_null(False) & same


def _upsert_markets(conn: psycopg.Connection[Any], rows: pl.DataFrame) -> None:
    """Write the state of markets (BOOK_SCHEMA) and the start of their periods (changed_at, state_since)."""
    if rows.height:
        copy_to_temp_table(conn, "history_moves", "core.current_markets", rows)
        conn.execute(UPSERT_MARKETS_SQL.format(source="history_moves"))


def rebuild_current_markets(
    conn: psycopg.Connection[Any], listing_ids: Sequence[int], line_ids: Sequence[int] | None = None
) -> None:
    """Derive the current state of listings from the stored history, for all lines or for `line_ids`.

    The result does not depend on the order in which the answers arrived.
    """
    ids = sorted(set(listing_ids))
    for start in range(0, len(ids), LISTINGS_PER_REBUILD):
        params = {
            "listings": ids[start : start + LISTINGS_PER_REBUILD],
            "lines": None if line_ids is None else sorted(set(line_ids)),
        }
        conn.execute("drop table if exists pg_temp.history_present")
        conn.execute(REBUILD_SQL, params)
        conn.execute(DELETE_ABSENT_MARKETS_SQL, params)
        conn.execute(UPSERT_MARKETS_SQL.format(source="history_present"))


def reset_current_markets(conn: psycopg.Connection[Any], listing_ids: Sequence[int]) -> None:
    """Rebuild the current state from the stored history alone, and remove rows without history.

    `rebuild_current_markets` keeps such rows. They may come from answers that were removed as wrong.
    """
    conn.execute("delete from core.current_markets where listing_id = any(%s::int[])", [sorted(set(listing_ids))])
    rebuild_current_markets(conn, listing_ids)


def drop_expired_listings(conn: psycopg.Connection[Any], listing_ids: Sequence[int], since: datetime) -> int:
    """Delete the current state of the listings that have no stored answer since `since`.

    Call it when the answers of the day before `since` are dropped and no other session can write. If still older
    answers are stored, the current state is rebuilt from them. When a deleted listing returns, all markets of its first
    answer count as changes. Returns the number of listings deleted.
    """
    unanswered_ids = [
        listing
        for (listing,) in conn.execute(
            UNANSWERED_LISTINGS_SQL, {"listings": sorted(set(listing_ids)), "since": since}
        ).fetchall()
    ]
    reset_current_markets(conn, unanswered_ids)
    return len(unanswered_ids)


def count_violations(
    conn: psycopg.Connection[Any], listing_ids: Sequence[int] | None = None, known_since: datetime | None = None
) -> int:
    """Return the number of markets whose current state differs from their listing's newest day.

    The expected result is 0. A market that is not withdrawn must equal its last row of the newest day, and each such
    row must have its market. A market without a row on that day must be withdrawn no later than the start of the day.
    `changed_at` must be the instant of an answer; if the last row is a change, it must be the instant of this row.

    `listing_ids` None checks all listings. A listing whose days have all expired is not checked. A listing without
    current rows and without an answer since `known_since` is not checked either: its current state was deleted, and one
    of its days was restored.
    """
    params = {"listings": None if listing_ids is None else sorted(set(listing_ids)), "known_since": known_since}
    return int(read_frame(conn, VIOLATIONS_SQL, params).item())


def check_current_markets(conn: psycopg.Connection[Any], cycle_ids: Sequence[int]) -> CurrentMarketsCheck:
    """Compare the current state with the rows that these cycles wrote, in both directions.

    The check covers each market with a row in the cycles, and each market whose `changed_at` lies in them. After the
    first answer of a listing's day it covers all markets of the listing, so each market is compared at least once a
    day.
    """
    return CurrentMarketsCheck(*read_frame(conn, CHECK_CYCLES_SQL, {"cycles": list(cycle_ids)}).row(0))
