"""The two layouts of the scraper that went before, with its columns and indexes, filled from the same world: what a
price takes there.
"""

from datetime import timedelta
from typing import Final

import numpy as np
import polars as pl
import psycopg

from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.db.copy_frames import copy_rows

from ._market_world import BEGIN, MarketWorld

TABLES: Final = """
create table bench.odds_snapshots (
    id bigserial, event_id integer not null, bookmaker_id integer not null, captured_at timestamp not null, scrape_run_id integer,
    primary key (id, captured_at));
create index on bench.odds_snapshots (event_id, captured_at);
create table bench.market_odds (
    id bigserial primary key, snapshot_id bigint not null, betpawa_market_id varchar(50) not null, betpawa_market_name varchar(255) not null,
    line double precision, handicap_type varchar(50), handicap_home double precision, handicap_away double precision, outcomes jsonb not null,
    market_groups jsonb, unavailable_at timestamp);
create index on bench.market_odds (snapshot_id);
create index on bench.market_odds (betpawa_market_id);
create table bench.market_odds_current (
    id bigserial primary key, event_id integer not null, bookmaker_slug varchar(50) not null, betpawa_market_id varchar(50) not null,
    betpawa_market_name varchar(255) not null, line double precision, outcomes jsonb not null, market_groups jsonb,
    last_updated_at timestamp not null, last_confirmed_at timestamp not null, unavailable_at timestamp);
create unique index on bench.market_odds_current (event_id, bookmaker_slug, betpawa_market_id, coalesce(line, 0));
create index on bench.market_odds_current (event_id);
create index on bench.market_odds_current (last_confirmed_at);
create table bench.market_odds_history (
    id bigserial, event_id integer not null, bookmaker_slug varchar(50) not null, betpawa_market_id varchar(50) not null, line double precision,
    outcomes jsonb not null, captured_at timestamp not null, primary key (id, captured_at));
create index on bench.market_odds_history (event_id, captured_at);
create index on bench.market_odds_history (event_id, bookmaker_slug, betpawa_market_id, captured_at);
"""
SAMPLED_CYCLES: Final = 4


def reference_layouts(url: str, world: MarketWorld) -> dict[str, dict[str, float]]:
    """Bytes a price of each layout.

    `rewritten_share`: of all prices, those that a snapshot with any change in it writes again.
    """
    with Database(url).connect() as conn:
        conn.execute(TABLES)
        full = _market_rows(world, None)
        whole, n_full = len(full), int(full["n"].sum())
        snapshots = pl.DataFrame({"event_id": np.arange(1, world.listings + 1, dtype=np.int32)}).with_columns(
            bookmaker_id=pl.lit(1), captured_at=pl.lit(BEGIN.replace(tzinfo=None)), scrape_run_id=pl.lit(1)
        )
        _copy(conn, "bench.odds_snapshots", snapshots)
        _copy(
            conn,
            "bench.market_odds",
            full.select("betpawa_market_id", "betpawa_market_name", "line", "outcomes", snapshot_id="event_id"),
        )
        _copy(
            conn,
            "bench.market_odds_current",
            full.select(
                "event_id", "bookmaker_slug", "betpawa_market_id", "betpawa_market_name", "line", "outcomes",
                last_updated_at="captured_at", last_confirmed_at="captured_at",
            ),
        )  # fmt: skip
        n_changed, rewritten = 0, 0
        for _ in range(SAMPLED_CYCLES):
            moved = world.move()
            rewritten += int(moved.any(axis=1).sum())
            changed = _market_rows(world, moved)
            n_changed += int(changed["n"].sum())
            _copy(
                conn,
                "bench.market_odds_history",
                changed.select("event_id", "bookmaker_slug", "betpawa_market_id", "line", "outcomes", "captured_at"),
            )
        size = {
            name: _size(conn, name)
            for name in ("odds_snapshots", "market_odds", "market_odds_current", "market_odds_history")
        }
    assert whole, "a world without markets measures nothing"
    return {
        "snapshots": {
            "bytes_per_price": (size["odds_snapshots"] + size["market_odds"]) / n_full,
            "rewritten_share": rewritten / SAMPLED_CYCLES / world.listings,
        },
        "current_and_history": {
            "bytes_per_price": size["market_odds_history"] / n_changed,
            "current_bytes": size["market_odds_current"],
        },
    }


def _market_rows(world: MarketWorld, moved: np.ndarray | None) -> pl.DataFrame:
    rows = world.rows(world.instants(BEGIN + timedelta(days=1)), moved).join(world.lines, on="market")
    place = pl.int_range(1, pl.len() + 1).cast(pl.String)
    outcome = pl.concat_str(
        pl.lit('{"name": "'),
        place,
        pl.lit('", "odds": '),
        (pl.element() / 1000).cast(pl.String),
        pl.lit(', "is_active": true}'),
    )
    outcomes = pl.concat_str(pl.lit("["), pl.col("odds_milli").list.eval(outcome).list.join(", "), pl.lit("]"))
    return rows.select(
        event_id="listing_id",
        bookmaker_slug=pl.lit("sportybet"),
        betpawa_market_id=(pl.col("market_id") + 3700).cast(pl.String),
        betpawa_market_name=pl.format("Total Goals Over/Under {} - FT", "market_id"),
        line=pl.when(pl.col("specifier") != "").then(
            pl.col("specifier").str.strip_prefix("total=").cast(pl.Float64, strict=False)
        ),
        outcomes=outcomes,
        captured_at=pl.col("observed_at").dt.replace_time_zone(None),
        n=pl.col("odds_milli").list.len(),
    )


def _copy(conn: psycopg.Connection, table: str, frame: pl.DataFrame) -> None:
    text = frame.with_columns(pl.selectors.datetime().dt.to_string("%Y-%m-%d %H:%M:%S%.6f"))
    copy_rows(conn, table, text)


def _size(conn: psycopg.Connection, table: str) -> float:
    (size,) = conn.execute("select pg_total_relation_size(%s::regclass)::float8", [f"bench.{table}"]).fetchone() or (
        0.0,
    )
    return float(size)
