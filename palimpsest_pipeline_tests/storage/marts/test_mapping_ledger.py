"""The ledger of unmapped markets over cycles, and the rates that a check compares."""

from datetime import UTC, datetime, timedelta

import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import Scope, Trigger
from palimpsest_pipeline.metrics.coverage.mapping_coverage import UNMAPPED_MARKET_SCHEMA
from palimpsest_pipeline.storage.ledger import cycle_ledger
from palimpsest_pipeline.storage.marts import cycle_marts, mapping_ledger, quality_inputs
from palimpsest_pipeline.tables.frame_types import get_frame_schema
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA

from ..listing_worlds import cycle, listing, write

FIRST = datetime(2026, 5, 1, 8, tzinfo=UTC)


@pytest.fixture
def conn(conn: psycopg.Connection) -> psycopg.Connection:
    """Four listings of Bet9ja: two of one fixture, one of another, one of none."""
    rows = [listing(name, "bet9ja", sr_id=sr_id) for name, sr_id in (("b1", 7), ("b2", 7), ("b3", 8), ("b4", None))]
    write(conn, cycle(0), rows, [("bet9ja", tournament, "complete") for tournament in ("*", "t1")])
    conn.execute("update core.event_listings set fixture_sr_id = sr_id")
    return conn


def listing_ids(conn: psycopg.Connection, *names: str) -> list[int]:
    return [
        i
        for (i,) in conn.execute(
            "select listing_id from ops.listing_ids where external_id = any(%s) order by 1", [list(names)]
        ).fetchall()
    ]


def seen(
    conn: psycopg.Connection,
    cycle_id: int,
    market: str,
    names: tuple[str, ...],
    error: str = "unknown_market",
    schema: str = "",
) -> pl.DataFrame:
    """A row of core.unmapped_markets: seen from minute `cycle_id` to the minute after."""
    row = {
        "platform": "bet9ja",
        "sport": "football",
        "external_market_id": market,
        "specifier_schema": schema,
        "error_class": error,
        "name": f"name in {cycle_id}",
        "sample_specifier": "",
        "sample_outcomes": ['1="Home", sweet', "2"],
        "occurrences": 2 * len(names),
        "listing_ids": listing_ids(conn, *names),
        "first_observed_at": FIRST + timedelta(minutes=cycle_id),
        "last_observed_at": FIRST + timedelta(minutes=cycle_id + 1),
    }
    schema_ = get_frame_schema("core.unmapped_markets")
    return pl.DataFrame([row], schema={name: schema_[name] for name in row})


def kept(conn: psycopg.Connection) -> dict[tuple[str, str], dict[str, object]]:
    return {
        (row["external_market_id"], row["specifier_schema"]): row
        for row in mapping_ledger.read_unmapped_markets(conn).iter_rows(named=True)
    }


def test_matches_are_counted_once_over_cycles_and_listings_of_no_fixture_for_themselves(
    conn: psycopg.Connection,
) -> None:
    cycle_marts.replace_cycle_rows(
        conn, "core.unmapped_markets", 1, pl.concat([seen(conn, 1, "A", ("b1", "b2")), seen(conn, 1, "B", ("b4",))])
    )
    cycle_marts.replace_cycle_rows(conn, "core.unmapped_markets", 2, seen(conn, 2, "A", ("b2", "b3", "b4")))
    found = kept(conn)
    assert {key: (row["n_fixtures"], row["occurrences"], row["n_cycles"]) for key, row in found.items()} == {
        ("A", ""): (3, 10, 2),
        ("B", ""): (1, 2, 1),
    }
    a = found["A", ""]
    assert (a["first_seen"], a["last_seen"], a["name"]) == (
        FIRST + timedelta(minutes=1),
        FIRST + timedelta(minutes=3),
        "name in 2",
    )
    assert a["sample_outcomes"] == '["1=\\"Home\\", sweet", "2"]'


def test_specifiers_are_rows_of_their_own_and_error_classes_are_not(conn: psycopg.Connection) -> None:
    cycle_marts.replace_cycle_rows(
        conn,
        "core.unmapped_markets",
        1,
        pl.concat(
            [
                seen(conn, 1, "A", ("b1",)),
                seen(conn, 1, "A", ("b1",), schema="total"),
                seen(conn, 1, "A", ("b3",), "no_matching_outcomes", "total"),
            ]
        ),
    )
    assert {key: (row["error_classes"], row["n_fixtures"]) for key, row in kept(conn).items()} == {
        ("A", ""): (["unknown_market"], 1),
        ("A", "total"): (["no_matching_outcomes", "unknown_market"], 2),
    }


def test_what_a_cycle_no_longer_says_is_gone(conn: psycopg.Connection) -> None:
    cycle_marts.replace_cycle_rows(conn, "core.unmapped_markets", 1, seen(conn, 1, "A", ("b1",)))
    cycle_marts.replace_cycle_rows(conn, "core.unmapped_markets", 1, seen(conn, 1, "B", ("b1",)).clear())
    assert kept(conn) == {}


def test_the_ranking_is_replaced_as_a_whole(conn: psycopg.Connection) -> None:
    ranked = {
        **mapping_ledger.read_unmapped_markets(conn).schema,
        "impact_rank": pl.Int32,
        "status": pl.String,
        "reason": pl.String,
        "proposed_market_key": pl.String,
        "proposal_evidence": pl.String,
        "mapping_version": pl.String,
    }
    assert set(ranked) == {*UNMAPPED_MARKET_SCHEMA, "mapping_version"}
    cycle_marts.replace_cycle_rows(
        conn, "core.unmapped_markets", 1, pl.concat([seen(conn, 1, name, ("b1",)) for name in "AB"])
    )
    both = mapping_ledger.read_unmapped_markets(conn).sort("external_market_id").with_row_index("impact_rank", 1)
    both = both.with_columns(status=pl.lit("new"), mapping_version=pl.lit("1"))
    empty = [pl.lit(None, pl.String).alias(name) for name in ("reason", "proposed_market_key", "proposal_evidence")]
    assert mapping_ledger.replace_unmapped_markets(conn, both.with_columns(empty)) == 2
    assert mapping_ledger.replace_unmapped_markets(conn, both.with_columns(empty).head(1)) == 1
    (row,) = mapping_ledger.read_unmapped_ranking(conn).iter_rows(named=True)
    assert (row["external_market_id"], row["impact_rank"], row["computed_at"] is not None) == ("A", 1, True)
    assert conn.execute("select sample_outcomes ->> 0 from palimpsest.unmapped_market").fetchone() == (
        '1="Home", sweet',
    )


def test_a_match_is_what_the_cycle_s_own_answers_state(conn: psycopg.Connection) -> None:
    of_listing = dict(mapping_ledger.read_matches_of_cycle(conn, cycle(0).cycle_id).iter_rows())
    b1, b2, b3, b4 = (of_listing[i] for name in ("b1", "b2", "b3", "b4") for i in listing_ids(conn, name))
    assert (b1, b2, b3) == ("sr:7", "sr:7", "sr:8")
    assert b4 not in {b1, b3}
    assert mapping_ledger.read_matches_of_cycle(conn, 1).is_empty()


def test_rates_are_those_of_the_last_two_full_cycles(conn: psycopg.Connection) -> None:
    minutes = (30, 60, 90)
    for minute in minutes:
        write(conn, cycle(minute), [])
    schema = get_frame_schema("mart.mapping_coverage")
    for minute, mapped in zip(minutes, (9, 6, 8), strict=True):
        rows = [
            ("bet9ja", "football", family, FIRST, 10, n, n / 10, 10 - n, 0, 0, 1, "1")
            for family, n in (("result", 10), ("unknown", mapped - 1))
        ]
        frame = pl.DataFrame(rows, schema={name: schema[name] for name in list(schema)[1:-1]}, orient="row")
        cycle_marts.replace_cycle_rows(conn, "mart.mapping_coverage", cycle(minute).cycle_id, frame)

    def read_rates(minute: int) -> pl.DataFrame:
        cycle_ids = quality_inputs.read_last_full_cycles(conn, "mart.mapping_coverage", cycle(minute).cycle_id, 2)
        return mapping_ledger.read_mapped_rates(conn, cycle_ids)

    found = read_rates(90)
    assert found.rows() == [(cycle(60).cycle_id, "bet9ja", 0.75), (cycle(90).cycle_id, "bet9ja", 0.85)]
    assert read_rates(30).height == 1
    # It has not come to its own end:
    cycle_ledger.write_running_cycle(conn, Cycle(cycle(60).cycle_id, Trigger.MANUAL, Scope.FULL, BETPAWA, FIRST, FIRST))
    assert read_rates(90)["cycle_id"].to_list() == [cycle(30).cycle_id, cycle(90).cycle_id]
