"""A cold start and the cycles after it at a realistic size."""

import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.storage.odds import current_markets, history

from ..history_worlds import CYCLE_ID, INGESTED_AT, at

LISTINGS = 1_000
MARKETS = 100


def world(minute: int, *, moved: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Answers of one cycle: LISTINGS listings with MARKETS markets of three prices; the first `moved` markets of
    each stand differently.
    """
    listings = pl.DataFrame({"listing_id": range(1, LISTINGS + 1)}, schema={"listing_id": pl.Int32})
    captures = listings.with_columns(
        observed_at=pl.lit(at(0, 9, minute), pl.Datetime("us", "UTC")),
        n_markets_listed=pl.lit(MARKETS, pl.Int32),
        n_markets_mapped=pl.lit(MARKETS, pl.Int32),
        n_markets_priced=pl.lit(MARKETS, pl.Int32),
        n_prices=pl.lit(3 * MARKETS, pl.Int32),
        n_prices_merged=pl.lit(0, pl.Int32),
    )
    markets = pl.DataFrame({"market_id": range(1, MARKETS + 1)}, schema={"market_id": pl.Int16})
    price = 1_500 + pl.col("market_id").cast(pl.Int32) + pl.when(pl.col("market_id") <= moved).then(minute).otherwise(0)
    rows = (
        captures.select("listing_id", "observed_at")
        .join(markets, how="cross")
        .with_columns(
            specifier=pl.format("total={}.5", "market_id"),
            outcome=pl.lit(""),
            state=pl.lit("offered"),
            off_mask=pl.lit(0, pl.Int64),
            odds_milli=pl.concat_list(price, price + 500, price + 900).cast(pl.List(pl.Int32)),
        )
    )
    return captures, rows


@pytest.mark.slow
def test_a_cold_start_of_300_000_prices_and_the_cycles_after_it_are_taken_in(
    history_conn: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    stamp = {"cycle_id": CYCLE_ID, "mapping_version": "1", "ingested_at": INGESTED_AT, "platform": "betpawa"}
    cold = history.ingest_answers(history_conn, *world(0, moved=0), **stamp)
    assert cold == history.IngestStats(LISTINGS, LISTINGS, 0, LISTINGS * MARKETS)
    assert history_conn.execute("select sum(cardinality(odds_milli)) from core.current_markets").fetchone() == (
        300_000,
    )
    moved = history.ingest_answers(history_conn, *world(30, moved=5), **stamp)
    assert moved == history.IngestStats(LISTINGS, 0, LISTINGS * 5, LISTINGS * 5)
    again = history.ingest_answers(history_conn, *world(0, moved=0), **stamp)
    assert again == history.IngestStats(LISTINGS, LISTINGS, 0, 0)
    late = history.ingest_answers(history_conn, *world(10, moved=10), **stamp)
    assert late == history.IngestStats(LISTINGS, 0, LISTINGS * 10, LISTINGS * 20)
    assert current_markets.count_violations(history_conn) == 0
    assert capsys.readouterr() == ("", "")
