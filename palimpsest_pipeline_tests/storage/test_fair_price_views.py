"""Fair probabilities, the consensus and closing-line values in SQL, on rows that are written by hand."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from shin import calculate_implied_probabilities

from palimpsest_pipeline.metrics.prices.fair_prices import compute_fair_probabilities
from palimpsest_pipeline.metrics.prices.margins import MARGINS_SCHEMA, MAX_MARGIN, MIN_MARGIN
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.db.reference_rows import write_line_names
from palimpsest_pipeline.storage.ledger.known_platforms import KnownPlatform, write_platforms
from palimpsest_pipeline.storage.odds import partitions
from palimpsest_pipeline_tests.fixtures.examples import count_examples
from palimpsest_pipeline_tests.fixtures.postgres import migrated_database

from .table_rows import insert, rows

NOW = datetime(2096, 5, 1, 12, tzinfo=UTC)
"""What is to come must be so for the database's own clock, which views ask."""
KICKOFF = NOW + timedelta(hours=5)
MARKETS: Final = (
    (1, "match_result", "1", ("home", "draw", "away")),
    (2, "double_chance", "2", ("home_draw", "home_away", "draw_away")),
    (3, "both_score", "1", ("yes", "no")),
)


@pytest.fixture(scope="module")
def migrated_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """Of a database that knows five platforms."""
    with migrated_database(postgres) as url:
        with Database(url).connect() as conn:
            write_platforms(conn, [KnownPlatform(name, name, 50) for name in ("msport", "betway")])
        yield url


@pytest.fixture
def conn(conn: psycopg.Connection) -> psycopg.Connection:
    insert(
        conn, "core.tournaments", {"tournament_key": "sr:17", "display_name": "Premier League", "country": "England"}
    )
    fixture = {"home_team": "Arsenal", "away_team": "Chelsea", "tournament_key": "sr:17", "effective_kickoff": KICKOFF}
    insert(conn, "core.fixtures", {"sr_id": 7, **fixture}, {"sr_id": 8, **fixture})
    for market_id, key, k, outcomes in MARKETS:
        insert(
            conn,
            "core.markets",
            {"market_id": market_id, "market_key": key, "name": key.upper(), "fair_sum": k, "line_kind": "none"},
        )
        insert(
            conn,
            "core.market_outcomes",
            *({"market_id": market_id, "ordinal": n, "outcome_key": o, "name": o} for n, o in enumerate(outcomes, 1)),
        )
        conn.execute("insert into ops.market_lines (market_id, specifier, outcome) values (%s, '', '')", [market_id])
    write_line_names(conn)
    insert(conn, "core.cycles", {"cycle_id": 1, "home_platform": "betpawa"})
    return conn


def fair(
    conn: psycopg.Connection, method: str, odds: list[float | None], winners: int = 1
) -> list[float | None] | None:
    query = f"select palimpsest.fair_{method}(%s::double precision[], %s)"
    return rows(conn, query, odds, winners)[0][0]


@st.composite
def books(draw: st.DrawFn, winners: int) -> list[float]:
    """Decimal odds of a complete set of outcomes of which `winners` win, with a margin between -0.1 and 0.3."""
    weights = draw(st.lists(st.floats(0.01, 1), min_size=winners + 1, max_size=12))
    margin = draw(st.floats(-0.1, 0.3))
    return [max(1.001, round(sum(weights) / weight / (1 + margin) / winners, 3)) for weight in weights]


def solve(odds: list[float], winners: int) -> dict[str, list[float | None]]:
    """The probabilities that the functions on frames compute, by method; empty without a margin."""
    total = sum(1 / price for price in odds)
    margin = total / winners - 1
    books = pl.DataFrame(
        {
            "book": [1],
            "winners_k": [winners],
            "sum_inverse": [total],
            "margin": [margin if MIN_MARGIN <= margin <= MAX_MARGIN else None],
            "ordinals": [list(range(1, len(odds) + 1))],
            "odds_milli": [[round(price * 1000) for price in odds]],
        },
        schema_overrides={name: MARGINS_SCHEMA[name] for name in ("margin", "ordinals", "odds_milli")},
    )
    rows = compute_fair_probabilities(books, ["book"])
    return {m: rows[f"fair_{m}"].to_list() for m in ("multiplicative", "power", "shin")} if rows.height else {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=count_examples(60))
@given(st.integers(1, 2).flatmap(lambda winners: st.tuples(books(winners), st.just(winners))))
@example(([2.375, 2.375, 6.333], 1))
def test_the_functions_agree_with_those_on_frames(conn: psycopg.Connection, book: tuple[list[float], int]) -> None:
    odds, winners = book
    found = solve(odds, winners)
    for method in ("multiplicative", "power", "shin"):
        values = fair(conn, method, list(odds), winners)
        expected = found.get(method, [None])
        assert values == (None if expected[0] is None else pytest.approx(expected, abs=1e-9)), method


def test_of_two_winners_shin_has_no_answer_and_the_others_add_up_to_two(conn: psycopg.Connection) -> None:
    odds: list[float | None] = [1.3, 1.25, 1.7]
    assert fair(conn, "shin", odds, 2) is None
    for method in ("multiplicative", "power"):
        assert sum(fair(conn, method, odds, 2)) == pytest.approx(2, abs=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["multiplicative", "power", "shin"])
def test_what_is_no_complete_set_of_prices_has_no_fair_probabilities(conn: psycopg.Connection, method: str) -> None:
    for odds in ([], [None, None], [1.9], [1.0, 2.0], [0.0, 2.0, 2.1], [-3.0, 2.0], [float("nan"), 2.0], [4.0, 4.0]):
        assert fair(conn, method, odds) is None, odds
    for odds in ([float("inf"), 1.2], [1.000001, 1.000001, 3.0]):
        assert fair(conn, method, odds) is None, odds
    two = fair(conn, method, [2.0, 2.1])
    assert fair(conn, method, [None, 2.0, None, 2.1]) == [None, two[0], None, two[1]]  # type: ignore[index]


@pytest.mark.parametrize("method", ["multiplicative", "power", "shin"])
def test_extreme_prices_raise_no_error(conn: psycopg.Connection, method: str) -> None:
    for odds in ([1.001, 1.001, 1000.0], [1.000001, 1.000001], [1e9, 1e9, 1.01, 1.05], [1e9, 1.1]):
        assert sum(fair(conn, method, odds)) == pytest.approx(1, abs=1e-6), odds  # type: ignore[arg-type]


def list_prices(conn: psycopg.Connection, market_key: str, prices: dict[str, list[int]], far: str = "") -> None:
    """The prices (x 1000) of home and competitors, as a derivation writes them. The platform `far` is not comparable."""
    (line_id, k), *_ = rows(
        conn,
        "select line_id, fair_sum::int from ops.market_lines join core.markets using (market_id) where market_key = %s",
        market_key,
    )
    figures = {}
    for platform, odds in prices.items():
        total = sum(1000 / price for price in odds)
        figures[platform] = {"margin": total / k - 1, "share": k / total, "odds_milli": odds}
    seen = {
        "answered_at": NOW,
        "as_of": NOW,
        "kickoff_at": KICKOFF,
        "home_platform": "betpawa",
        "home_answered_at": NOW,
    }
    for platform in prices:
        facts = {"platform": platform, "comparable": platform not in ("betpawa", far), "skew_s": 0.0}
        insert(conn, "mart.compared_listing", {"sr_id": 7, **seen, **facts})
    for platform in set(prices) - {"betpawa"}:
        home = {f"home_{name}": value for name, value in figures["betpawa"].items()}
        other = {f"platform_{name}": value for name, value in figures[platform].items()}
        insert(conn, "mart.price_comparison", {"sr_id": 7, "line_id": line_id, "platform": platform, **home, **other})


def test_each_platform_has_its_fair_prices_once_home_too(conn: psycopg.Connection) -> None:
    prices = {"betpawa": [2700, 2300, 4400], "sportybet": [2600, 2400, 4300], "bet9ja": [2500, 2400, 4200]}
    list_prices(conn, "match_result", prices)
    query = "select platform, outcome_key, odds, fair_multiplicative, fair_power, fair_shin from palimpsest.fair_prices"
    found = {(platform, outcome): values for platform, outcome, *values in rows(conn, query)}
    assert len(found) == 9 == len(rows(conn, query))
    for platform, odds in prices.items():
        decimal = [price / 1000 for price in odds]
        values = [found[platform, outcome] for outcome in ("home", "draw", "away")]
        assert [float(value[0]) for value in values] == decimal
        for place, method in enumerate(("multiplicative", "power", "shin"), 1):
            expected = pytest.approx(fair(conn, method, list(decimal)), abs=1e-12)
            assert [value[place] for value in values] == expected, method
    assert rows(conn, "select distinct platform from palimpsest.fair_prices where is_home") == [("betpawa",)]


def test_the_consensus_leaves_out_home_and_answers_far_away(conn: psycopg.Connection) -> None:
    prices = {
        "betpawa": [2000, 1900],
        "sportybet": [1900, 1900],
        "bet9ja": [1800, 2000],
        "msport": [2500, 1600],
        "betway": [9000, 1050],
    }
    list_prices(conn, "both_score", prices, far="betway")
    query = """
        select outcome_key, home_odds, n_platforms, median_odds, best_odds, home_to_median, home_to_best, n_fair,
            home_multiplicative, median_multiplicative, best_multiplicative, home_minus_multiplicative
        from palimpsest.consensus where sr_id = 7 order by outcome_order
    """
    yes, no = ([value if isinstance(value, str) else float(value) for value in row] for row in rows(conn, query))
    home, fair_yes = (1 / 2.0) / (1 / 2.0 + 1 / 1.9), sorted([0.5, 2.0 / 3.8, 1.6 / 4.1])
    by_hand = [2.0, 3, 1.9, 2.5, 2.0 / 1.9 - 1, 2.0 / 2.5 - 1, 3, home, fair_yes[1], fair_yes[0], home - fair_yes[1]]
    assert yes[1:] == pytest.approx(by_hand, abs=1e-12)
    assert no[1:5] == [1.9, 3, 1.9, 2.0]


def test_a_suspended_outcome_of_home_has_a_consensus_and_no_difference(conn: psycopg.Connection) -> None:
    list_prices(conn, "both_score", {"betpawa": [2000, 1900], "sportybet": [1900, 1950]})
    conn.execute("update mart.price_comparison set home_off_mask = 3, home_margin = null, home_share = null")
    query = """
        select home_odds, median_odds, home_to_median, home_power, median_power is null
        from palimpsest.consensus order by outcome_order
    """
    assert rows(conn, query) == [(None, 1.9, None, None, False), (None, 1.95, None, None, False)]


def close(
    conn: psycopg.Connection,
    platform: str,
    market_key: str,
    odds: dict[str, float],
    quality: str = "exact",
    **facts: Any,
) -> None:
    row = {"sr_id": 7, "platform": platform, "market_key": market_key, "specifier": "", "effective_kickoff": KICKOFF}
    margin = sum(1 / price for price in odds.values()) - 1
    for outcome, price in odds.items():
        told = {"outcome_key": outcome, "close_odds": price, "close_quality": quality, "close_margin": margin}
        insert(conn, "mart.open_close", {**row, **told, "close_lag_s": 60.0, **facts})


def test_only_exact_closes_are_closing_prices(conn: psycopg.Connection) -> None:
    close(conn, "betpawa", "match_result", {"home": 2.6, "draw": 2.4, "away": 4.3})
    for platform, quality in (("sportybet", "late"), ("bet9ja", "suspended_at_close")):
        close(conn, platform, "match_result", {"home": 2.6, "draw": 2.4, "away": 4.3}, quality)
    query = "select platform, is_home, outcome_key, fair_shin from palimpsest.closing_prices"
    shin = calculate_implied_probabilities({"home": 2.6, "draw": 2.4, "away": 4.3})
    assert sorted(rows(conn, query)) == [
        ("betpawa", True, outcome, pytest.approx(shin[outcome], abs=1e-9)) for outcome in ("away", "draw", "home")
    ]


def test_a_close_without_a_margin_has_its_price_and_no_fair_probability(conn: psycopg.Connection) -> None:
    close(conn, "betpawa", "match_result", {"home": 2.6, "draw": 2.4}, close_margin=None)
    query = "select outcome_key, close_odds, fair_multiplicative, fair_power, fair_shin from palimpsest.closing_prices"
    assert [row[2:] for row in rows(conn, query)] == [(None, None, None)] * 2


@pytest.fixture
def priced(conn: psycopg.Connection) -> psycopg.Connection:
    """Home's prices of fixture 7 from noon on: 2.10 and 1.80, of which the second cannot be backed from one on."""
    partitions.ensure_partitions(conn, [NOW.date()])
    conn.execute("insert into ops.listing_ids (listing_id, platform, external_id) values (1, 'betpawa', '1')")
    told = {"listing_id": 1, "platform": "betpawa", "external_id": "1", "sr_id": 7, "fixture_sr_id": 7}
    insert(conn, "core.event_listings", {**told, "is_primary": True, "kickoff_at": KICKOFF})
    (line_id,) = rows(conn, "select line_id from ops.market_lines where market_id = 3")[0]
    for hours, mask in ((0, 0), (1, 2)):
        at = {"listing_id": 1, "observed_at": NOW + timedelta(hours=hours)}
        insert(conn, "core.captures", {**at, "keyframe": hours == 0})
        change = {"line_id": line_id, "state": "offered", "off_mask": mask, "odds_milli": [2100, 1800]}
        insert(conn, "core.market_changes", {**at, **change})
    return conn


CLV = "select outcome_key, close_platform, clv, clv_multiplicative from palimpsest.closing_line_value(%s) order by 2, 1"


def test_closing_line_values_of_a_table_made_by_hand(priced: psycopg.Connection) -> None:
    """Home's close 2.00 and 1.90 (fair 0.487179 and 0.512821), a competitor's 1.95 and 1.95 (fair 0.5 each)."""
    close(priced, "betpawa", "both_score", {"yes": 2.00, "no": 1.90})
    close(priced, "sportybet", "both_score", {"yes": 1.95, "no": 1.95})
    close(priced, "bet9ja", "both_score", {"yes": 1.70, "no": 2.10}, "late")
    by_hand = [
        ("no", "betpawa", -0.052632, -0.076923),
        ("yes", "betpawa", 0.05, 0.023077),
        ("no", "sportybet", -0.076923, -0.1),
        ("yes", "sportybet", 0.076923, 0.05),
    ]
    at_noon = rows(priced, CLV, NOW + timedelta(minutes=30))
    assert [row[:2] for row in at_noon] == [row[:2] for row in by_hand]
    assert [row[2:] for row in at_noon] == [pytest.approx(row[2:], abs=1e-6) for row in by_hand]
    later = rows(priced, CLV, NOW + timedelta(hours=2))
    assert [row[:2] for row in later] == [("yes", "betpawa"), ("yes", "sportybet")]


def test_a_price_from_after_kickoff_has_no_closing_line_value(priced: psycopg.Connection) -> None:
    close(priced, "betpawa", "both_score", {"yes": 2.00, "no": 1.90})
    assert rows(priced, CLV, KICKOFF - timedelta(microseconds=1))
    assert rows(priced, CLV, KICKOFF) == []


def test_a_fixture_of_two_bets_is_compared_with_the_own_close_only(priced: psycopg.Connection) -> None:
    for platform in ("betpawa", "sportybet"):
        close(priced, platform, "both_score", {"yes": 2.00, "no": 1.90})
    priced.execute("update core.fixtures set suspect_code = 'home_away_swapped'")
    assert {row[1] for row in rows(priced, CLV, NOW)} == {"betpawa"}
