"""Asking a large history: an event as of an instant, the present state of everything, a day in Parquet, first and
last prices of a tournament.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

import duckdb
import numpy as np
import polars as pl
import psycopg

from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.metrics import lifecycle_frames
from palimpsest_pipeline.metrics.lifecycle.open_close import find_open_close
from palimpsest_pipeline.metrics.prices.margins import OUTCOME_SETS_SCHEMA
from palimpsest_pipeline.storage.archive import Archive
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.db.copy_frames import read_frame
from palimpsest_pipeline.storage.marts.lifecycle_rows import read_lifecycle_changes
from palimpsest_pipeline.storage.odds.history_reader import OddsHistoryReader

from ._market_world import MarketWorld

ASKED: Final = 40
"""Questions about an event: the median counts. Each is of another event and instant."""
TURNS: Final = 5
TOURNAMENT: Final = 22
"""Events of a tournament."""
LATEST_SQL: Final = """
select e.platform, count(*) filter (where c.state = 'offered') as n_offered, sum(cardinality(c.odds_milli)) as n_prices,
    max(c.changed_at) as changed_at
from core.current_markets c join core.event_listings e using (listing_id)
where e.kickoff_at > %(now)s group by e.platform
"""
"""Every row of the present state is read."""
FRAME_SQL: Final = """
select c.listing_id, c.line_id, c.changed_at, c.state::text as state, c.odds_milli
from core.current_markets c join core.event_listings e using (listing_id) where e.kickoff_at > %(now)s
"""
NAMES_SQL: Final = """
insert into core.markets (market_id, market_key, sport, period, family, name, line_kind, fair_sum)
select n, 'market_' || n, 'football', 'ft', 'total', 'Market ' || n, 'total', '1' from generate_series(1, %(markets)s) n;
insert into core.market_outcomes (market_id, ordinal, outcome_key, name)
select m, o, 'outcome_' || o, 'Outcome ' || o from generate_series(1, %(markets)s) m cross join generate_series(1, 6) o;
"""
EVENTS_SQL: Final = """
insert into core.event_listings (listing_id, platform, external_id, sport, kind, tournament_external_id, tournament_name, home_team, away_team,
    kickoff_at, sr_id, fixture_sr_id, match_method, is_primary, first_seen_at, last_seen_at, last_cycle_id)
select listing_id, platform, external_id, 'football', 'match', (listing_id - 1) / 3 / %(tournament)s, 'Tournament', 'Home', 'Away',
    %(kickoff)s, (listing_id - 1) / 3 + 1, (listing_id - 1) / 3 + 1, 'sportradar', true, %(first)s, %(first)s, 1
from ops.listing_ids;
insert into core.fixtures (sr_id, sport, tournament_key, tournament_name, home_team, away_team, metadata_source, effective_kickoff,
    kickoff_max_delta_s, platforms, n_platforms, n_listings_by_platform, rotated)
select fixture_sr_id, 'football', 'sr:' || min(tournament_external_id), 'Tournament', 'Home', 'Away', 'betpawa', %(kickoff)s, 0,
    array_agg(platform::text), count(*), '{}', false
from core.event_listings group by fixture_sr_id
"""
DUCKDB_SQL: Final = """
select listing_id, line_id, ordinal,
    min(observed_at) as open_at, arg_min(odds_milli, observed_at) as open_odds,
    max(observed_at) as changed_at, arg_max(odds_milli, observed_at) as close_odds,
    min(odds_milli) as min_odds, max(odds_milli) as max_odds, count(*) - 1 as n_changes
from odds where listing_id <= {listings} and odds_milli is not null
group by all
"""


def questions(url: str, days: Sequence[date], world: MarketWorld, folder: Path) -> dict[str, Any]:
    """Milliseconds of each question, medians; bytes a price of an exported day, captures with and without."""
    random = np.random.default_rng(0)
    with Database(url).connect(autocommit=True) as conn:
        _name(conn, days, world)
        layers, archive = OddsHistoryReader(conn, Archive(folder)), Archive(folder)
        asked = [(_instant(days, random), int(random.integers(1, world.events + 1))) for _ in range(ASKED)]
        layers.read_prices_as_of(asked[0][0], sr_ids=[asked[0][1]])
        event_ms, n_prices = _each_ms(
            [lambda at=at, sr_id=sr_id: layers.read_prices_as_of(at, sr_ids=[sr_id]).height for at, sr_id in asked]
        )
        sql = "select count(*), sum(odds) from palimpsest.prices_as_of(%s, %s)"
        conn.execute(sql, asked[0])
        function_ms, counted = _each_ms(
            [lambda at=at, sr_id=sr_id: (conn.execute(sql, [at, sr_id]).fetchone() or (0,))[0] for at, sr_id in asked]
        )
        assert counted == n_prices, "both ways of asking for an event find the same prices"
        now = {"now": get_day_start(days[-1])}
        latest_ms, _ = _each_ms([lambda: conn.execute(LATEST_SQL, now).fetchall()] * (TURNS + 1))
        frame_ms, _ = _each_ms([lambda: read_frame(conn, FRAME_SQL, now)] * TURNS)
        full_day = days[1] if len(days) > 2 else days[0]
        began = perf_counter()
        exported = archive.export(conn, full_day, exported_at=datetime.now(UTC))
        export_s = perf_counter() - began
        tournament = _tournament(conn, archive, layers, full_day, world)
    odds_bytes = sum(size for name, size in exported.files.items() if name.startswith("odds/"))
    return {
        "asof_event_ms": median(event_ms),
        "asof_event_p95_ms": float(np.quantile(event_ms, 0.95)),
        "asof_event_in_sql_ms": median(function_ms),
        "asof_event_prices": median(n_prices),
        "latest_all_ms": median(latest_ms[1:]),
        "latest_all_to_frame_ms": median(frame_ms),
        "parquet_bytes_per_price": odds_bytes / exported.n_prices,
        "parquet_bytes_per_price_with_captures": sum(exported.files.values()) / exported.n_prices,
        "export_day_s": export_s,
        "export_day_prices": exported.n_prices,
        **tournament,
    }


def _name(conn: psycopg.Connection, days: Sequence[date], world: MarketWorld) -> None:
    """Names and kickoffs for what the history holds by number."""
    first = get_day_start(days[0])
    bound = {
        "markets": int(world.lines["market_id"].max()),
        "tournament": TOURNAMENT,
        "kickoff": first + timedelta(days=60),
        "first": first,
    }
    with psycopg.ClientCursor(conn) as cursor:
        cursor.execute("truncate core.market_outcomes, core.markets")
        cursor.execute(NAMES_SQL, bound)
        cursor.execute(EVENTS_SQL, bound)
        cursor.execute("analyze core.event_listings, core.fixtures")


def _instant(days: Sequence[date], random: np.random.Generator) -> datetime:
    """Some instant of a full day."""
    day = days[1 + int(random.integers(max(len(days) - 2, 1)))] if len(days) > 2 else days[-1]
    return get_day_start(day) + timedelta(seconds=float(random.uniform(60, 86_000)))


def _each_ms(work: Sequence[Callable[[], Any]]) -> tuple[list[float], list[Any]]:
    took, found = [], []
    for one in work:
        began = perf_counter()
        found.append(one())
        took.append((perf_counter() - began) * 1000)
    return took, found


def _tournament(
    conn: psycopg.Connection, archive: Archive, layers: OddsHistoryReader, day: date, world: MarketWorld
) -> dict[str, float]:
    """First and last prices of one tournament's events on an exported day: ours from Parquet and from Postgres, and
    DuckDB on the same files.

    Ours also tells how far each end can be trusted; DuckDB tells prices, counts and instants only.
    """
    ids = list(range(1, 3 * min(TOURNAMENT, world.events) + 1))
    listings = pl.DataFrame(
        {
            "listing_id": ids,
            "sr_id": [(n - 1) // 3 + 1 for n in ids],
            "platform": [("betpawa", "sportybet", "bet9ja")[(n - 1) % 3] for n in ids],
        }
    )
    midnight = get_day_start(day)
    known = listings.with_columns(
        is_home=pl.col("platform") == "betpawa", first_listed_at=pl.lit(midnight), last_seen_at=pl.lit(midnight)
    ).select(pl.col(name).cast(kind) for name, kind in lifecycle_frames.LIFECYCLE_LISTINGS_SCHEMA.items())
    kickoffs = (
        listings.select("sr_id")
        .unique()
        .with_columns(
            version=pl.lit(1), observed_from=pl.lit(midnight), kickoff_at=pl.lit(midnight + timedelta(days=1))
        )
        .select(pl.col(name).cast(kind) for name, kind in lifecycle_frames.KICKOFFS_SCHEMA.items())
    )
    outcomes = read_frame(
        conn,
        "select m.market_key, o.ordinal, o.outcome_key from core.market_outcomes o join core.markets m using (market_id)",
    )
    sets = pl.DataFrame(schema={"market_key": pl.String, **OUTCOME_SETS_SCHEMA})

    def ours(history: Any) -> int:
        captures = history.read_captures(ids, day, day)
        looks = captures.select(
            "listing_id",
            "cycle_id",
            at="observed_at",
            look=pl.lit("answered"),
            detail=pl.lit(""),
            n_markets_priced="n_markets_priced",
        )
        said = read_lifecycle_changes(conn, history, known, day)
        return find_open_close(
            known,
            looks,
            said,
            kickoffs,
            outcomes,
            sets,
            as_of=midnight + timedelta(days=2),
            exact_s=300,
            silence_limit=timedelta(minutes=90),
        ).height

    with duckdb.connect() as duck:
        duck.execute(
            f"create view c as select * from read_parquet('{archive.address}/captures/date={day}/captures.parquet')"
        )
        duck.execute(f"create view odds as select o.*, c.observed_at from read_parquet('{archive.address}/odds/date={day}/odds.parquet') o "
                     "join c using (listing_id, answer)")  # fmt: skip
        query = DUCKDB_SQL.format(listings=ids[-1])
        in_duckdb = [lambda: len(duck.execute(query).fetchnumpy()["listing_id"])]
        cold, hot = ColdDay(archive), layers
        turns = [
            (_each_ms([lambda: ours(cold)]), _each_ms([lambda: ours(hot)]), _each_ms(in_duckdb))
            for _ in range(TURNS + 1)
        ][1:]
    counts = {found[0] for turn in turns for _, found in turn}
    assert len(counts) == 1, f"the three do not find as many outcomes: {counts}"
    return {
        "open_close_tournament_ms": median(t[0][0][0] for t in turns),
        "open_close_tournament_hot_ms": median(t[1][0][0] for t in turns),
        "open_close_tournament_duckdb_ms": median(t[2][0][0] for t in turns),
        "open_close_ratio_to_duckdb": median(t[0][0][0] / t[2][0][0] for t in turns),
    }


class ColdDay:
    """The archive alone, with the questions that `OddsHistoryReader` answers."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def read_changes(
        self, listing_ids: Sequence[int], first_day: date, last_day: date, line_ids: Sequence[int] | None = None
    ) -> pl.DataFrame:
        changes = self._archive.scan_changes([first_day], listing_ids)
        return (changes if line_ids is None else changes.filter(pl.col("line_id").is_in(list(line_ids)))).collect()

    def read_captures(self, listing_ids: Sequence[int], first_day: date, last_day: date) -> pl.DataFrame:
        return self._archive.scan_captures([first_day], listing_ids).collect()
