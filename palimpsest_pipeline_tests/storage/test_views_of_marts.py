"""The analysts' views and functions over the marts: what they make of rows that are written by hand.

The views over core are in test_views.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import psycopg
import pytest

from palimpsest_pipeline.domain.buckets import BUCKETS_BY_SCHEME
from palimpsest_pipeline.storage.db.reference_rows import write_line_names
from palimpsest_pipeline.storage.db.revisions import sql_dir
from palimpsest_pipeline.storage.marts import cycle_marts

from .table_rows import insert, rows

NOW = datetime(2096, 5, 1, 12, tzinfo=UTC)
"""What is to come must be so for the database's own clock, which views ask."""
MINUTE = timedelta(minutes=1)
LATER = NOW + timedelta(hours=5)
ENGLAND: Final = {"tournament_key": "sr:17", "country": "England"}
SPAIN: Final = {"tournament_key": "sr:8", "country": "España"}


@pytest.fixture
def conn(conn: psycopg.Connection) -> psycopg.Connection:
    """Fixtures 7 and 8 of one tournament, and three markets: the result, of which one outcome wins, double chance, of
    which two do, and the score, which has a line an outcome."""
    insert(conn, "core.tournaments", {**ENGLAND, "display_name": "Premier League"})
    named = {**ENGLAND, "tournament_name": "Premier League", "effective_kickoff": LATER}
    teams = {"home_team": "Arsenal", "away_team": "Chelsea"}
    insert(conn, "core.fixtures", {"sr_id": 7, **teams, **named}, {"sr_id": 8, **named})
    markets = (
        (1, "match_result", "1", ("1", "x", "2")),
        (2, "double_chance", "2", ("1x", "12", "x2")),
        (3, "correct_score", None, ("0:0", "1:0")),
    )
    for market_id, key, k, outcomes in markets:
        market = {"market_id": market_id, "market_key": key, "name": key.upper(), "fair_sum": k, "line_kind": "none"}
        insert(conn, "core.markets", market)
        for n, o in enumerate(outcomes, 1):
            outcome = {"market_id": market_id, "ordinal": n, "outcome_key": o, "name": o.upper()}
            insert(conn, "core.market_outcomes", outcome)
    lines = (
        "insert into ops.market_lines (market_id, specifier, outcome) values (1, '', ''), (2, '', ''), (3, '', '1:0')"
    )
    conn.execute(lines)
    write_line_names(conn)
    return conn


def insert_once(conn: psycopg.Connection, table: str, row: dict[str, Any], *key: str) -> None:
    """The row, unless there is one with its key."""
    same = " and ".join(f"{name} = %({name})s" for name in key)
    if conn.execute(f"select from {table} where {same}".encode(), row).rowcount == 0:
        insert(conn, table, row)


def line_of(conn: psycopg.Connection, market_key: str, outcome: str = "") -> int:
    row = conn.execute(
        "select line_id from ops.market_lines join core.markets using (market_id) where (market_key, outcome) = (%s, %s)",
        [market_key, outcome],
    )
    return row.fetchone()[0]


def see(conn: psycopg.Connection, sr_id: int, platforms: Iterable[str], *, comparable: bool = True) -> None:
    """Home's listing, answered at noon, and those of these competitors, answered a minute later."""
    for platform in ("betpawa", *platforms):
        is_home = platform == "betpawa"
        seen = {"as_of": NOW + MINUTE, "kickoff_at": LATER, "home_platform": "betpawa"}
        seen["answered_at"] = NOW if is_home else NOW + MINUTE
        pair = {"home_answered_at": NOW, "skew_s": None if is_home else 60, "comparable": comparable and not is_home}
        row = {"sr_id": sr_id, "platform": platform, **pair, **seen}
        insert_once(conn, "mart.compared_listing", row, "sr_id", "platform")


def compare(
    conn: psycopg.Connection,
    outcome: str,
    home: float,
    others: dict[str, float],
    *,
    sr_id: int = 7,
    market_key: str = "match_result",
    comparable: bool = True,
    home_is_off: bool = False,
    is_single: bool = False,
    **figures: Any,
) -> None:
    """Home's price of an outcome beside those of competitors, all of which can be compared, or none.

    `figures`: of the line as a whole.
    """
    see(conn, sr_id, others, comparable=comparable)
    query = "select ordinal from core.market_outcomes join core.markets using (market_id) where (market_key, outcome_key) = (%s, %s)"
    place = 1 if is_single else conn.execute(query, [market_key, outcome]).fetchone()[0]
    prices = {"betpawa": home, **(others if comparable else {})}
    best = max(prices.values())
    winners = [platform for platform, odds in prices.items() if odds == best]
    arrays: dict[str, Any] = {"home_odds_milli": round(home * 1000)}
    if not home_is_off:
        arrays |= {"best_odds_milli": round(best * 1000), "best_platform": winners[0]}
    if comparable:
        arrays["rank_home"] = 1 + sum(odds > home for odds in others.values())
    masks = {
        "home_off_mask": home_is_off,
        "home_tied_best_mask": comparable and winners[0] == "betpawa" and len(winners) > 1,
    }
    line_id = line_of(conn, market_key, outcome if is_single else "")
    for platform, odds in others.items():
        key = {"sr_id": sr_id, "line_id": line_id, "platform": platform}
        row = {**key, "home_state": "suspended" if home_is_off else "offered", "platform_state": "offered", **figures}
        insert_once(conn, "mart.price_comparison", row, *key)
        values = {**arrays, "platform_odds_milli": round(odds * 1000)}
        changes = [f"{name}[{place}] = %({name})s" for name in values]
        changes += [f"{name} = coalesce({name}, 0) | {1 << (place - 1)}" for name, is_set in masks.items() if is_set]
        statement = f"update mart.price_comparison set {', '.join(changes)} where sr_id = %(sr_id)s and line_id = %(line_id)s and platform = %(platform)s"
        conn.execute(statement.encode(), {**values, **key})


def test_a_comparison_has_the_names_of_fixture_market_and_outcome(conn: psycopg.Connection) -> None:
    compare(conn, "x", 3.1, {"sportybet": 3.0})
    compare(conn, "1:0", 8.0, {"sportybet": 7.5}, market_key="correct_score", is_single=True)
    query = """
        select home_team, tournament, market, outcome, outcome_order, winners_k, kickoff, home_odds, platform_odds
        from palimpsest.price_comparison order by market_key
    """
    assert rows(conn, query) == [
        ("Arsenal", "Premier League", "CORRECT_SCORE", "1:0", 2, None, LATER, Decimal(8), Decimal("7.5")),
        ("Arsenal", "Premier League", "MATCH_RESULT", "X", 2, 1, LATER, Decimal("3.1"), Decimal(3)),
    ]


def test_a_comparison_shows_figures_of_the_prices_and_of_their_instants(conn: psycopg.Connection) -> None:
    figures = {"home_share": 0.9, "platform_share": 0.8, "home_margin": 0.11, "platform_margin": 0.25}
    compare(conn, "1", 2.0, {"sportybet": 2.5}, **figures)
    query = """
        select diff_abs, diff_rel, fair_home_prob, fair_platform_prob, margin_diff, skew_s, home_last_confirmed_at, platform_last_confirmed_at, as_of
        from palimpsest.price_comparison
    """
    (row,) = rows(conn, query)
    assert row[:6] == pytest.approx((-0.5, -0.2, 0.45, 0.32, -0.14, 60))
    assert row[6:] == (NOW, NOW + MINUTE, NOW + MINUTE)


def test_the_best_price_of_an_outcome_is_one_row_with_a_column_per_platform(conn: psycopg.Connection) -> None:
    compare(conn, "1", 2.0, {"sportybet": 2.1, "bet9ja": 1.9}, arb=False, cross_book_sum_inverse=1.02)
    compare(conn, "1x", 3.1, {"sportybet": 3.1, "bet9ja": 3.0}, market_key="double_chance")
    query = """
        select outcome, betpawa_odds, sportybet_odds, bet9ja_odds, best_platform, best_odds, best_confirmed_at, home_is_best, home_tied_best,
            rank_home, n_compared, arb
        from palimpsest.best_prices order by outcome
    """
    one, tied = rows(conn, query)
    assert one[:7] == ("1", Decimal("2"), Decimal("2.1"), Decimal("1.9"), "sportybet", Decimal("2.1"), NOW + MINUTE)
    assert one[7:] == (False, False, 2, 2, False)
    assert tied[:7] == ("1X", Decimal("3.1"), Decimal("3.1"), Decimal("3"), "betpawa", Decimal("3.1"), NOW)
    assert tied[7:] == (False, True, 1, 2, None)


def test_an_outcome_that_cannot_be_backed_or_compared_has_no_best_price(conn: psycopg.Connection) -> None:
    compare(conn, "1", 2.0, {"sportybet": 2.1}, comparable=False)
    compare(conn, "x", 3.0, {"sportybet": 3.1}, comparable=False, home_is_off=True)
    query = "select outcome, betpawa_odds, sportybet_odds, best_platform, n_compared from palimpsest.best_prices"
    assert rows(conn, query) == [("1", Decimal(2), None, "betpawa", 0)]


def arb(conn: psycopg.Connection, **facts: Any) -> None:
    """A market of which every outcome at its best price costs 0.95."""
    for outcome, home, theirs in (("1", 2.5, 2.0), ("x", 3.0, 4.0), ("2", 3.0, 10 / 3)):
        compare(conn, outcome, home, {"sportybet": theirs}, arb=True, cross_book_sum_inverse=0.95, **facts)


FOUND = "select sr_id from palimpsest.arbitrage(%s, %s, %s, %s)"


def test_an_arbitrage_has_stakes_platforms_and_profit(conn: psycopg.Connection) -> None:
    arb(conn)
    query = """
        select home_team, market, outcomes, platforms, n_platforms, age_s, skew_s, profit, odds, stakes
        from palimpsest.arbitrage(at => %s)
    """
    ((*facts, profit, odds, stakes),) = rows(conn, query, NOW + 3 * MINUTE)
    platforms = ["betpawa", "sportybet", "sportybet"]
    assert facts == ["Arsenal", "MATCH_RESULT", ["1", "X", "2"], platforms, 2, 180, 60]
    assert sum(stakes) == pytest.approx(1)
    assert [float(price) * stake for price, stake in zip(odds, stakes, strict=True)] == pytest.approx([1 + profit] * 3)
    assert profit == pytest.approx(1 / 0.95 - 1, abs=1e-4)


def test_where_two_outcomes_win_the_profit_counts_both(conn: psycopg.Connection) -> None:
    market = {"market_key": "double_chance", "arb": True, "cross_book_sum_inverse": 1.875}
    for outcome in ("1x", "12", "x2"):
        compare(conn, outcome, 1.6, {"sportybet": 1.5}, **market)
    ((profit,),) = rows(conn, "select profit from palimpsest.arbitrage(at => %s)", NOW + MINUTE)
    assert profit == pytest.approx(2 / 1.875 - 1)


@pytest.mark.parametrize(
    ("max_age", "least_profit", "max_skew", "at", "found"),
    [
        (5 * MINUTE, 0, 2 * MINUTE, NOW + 4 * MINUTE, True),
        (5 * MINUTE, 0, 2 * MINUTE, NOW + 6 * MINUTE, False),  # home's answer is six minutes old
        (timedelta(hours=1), 0, 2 * MINUTE, NOW + 6 * MINUTE, True),
        (5 * MINUTE, 0, MINUTE / 2, NOW + 2 * MINUTE, False),  # the answers are a minute apart
        (5 * MINUTE, 0.05, 2 * MINUTE, NOW + 2 * MINUTE, True),
        (5 * MINUTE, 0.06, 2 * MINUTE, NOW + 2 * MINUTE, False),
        (timedelta(days=1), 0, 2 * MINUTE, LATER, False),  # kickoff
    ],
)
def test_an_arbitrage_is_listed_while_its_prices_are_young_and_before_kickoff(
    conn: psycopg.Connection, max_age: timedelta, least_profit: float, max_skew: timedelta, at: datetime, found: bool
) -> None:
    arb(conn)
    assert rows(conn, FOUND, max_age, least_profit, max_skew, at) == ([(7,)] if found else [])


def test_prices_that_were_answered_after_an_instant_are_no_arbitrage_of_it(conn: psycopg.Connection) -> None:
    arb(conn)
    whenever = (timedelta(days=1), 0, 2 * MINUTE)
    assert rows(conn, FOUND, *whenever, NOW + MINUTE) == [(7,)]
    assert rows(conn, FOUND, *whenever, NOW + MINUTE / 2) == []  # home had answered, the competitor had not
    assert rows(conn, FOUND, *whenever, NOW - timedelta(days=30)) == []


def test_a_market_without_a_sure_profit_is_no_arbitrage(conn: psycopg.Connection) -> None:
    compare(conn, "1", 2.0, {"sportybet": 2.1}, arb=False, cross_book_sum_inverse=1.02)
    compare(conn, "x", 2.0, {"sportybet": 2.1}, arb=None)
    assert rows(conn, FOUND, timedelta(days=1), -1, timedelta(days=1), NOW) == []


def test_margins_now_have_one_row_a_platform_and_market(conn: psycopg.Connection) -> None:
    for outcome in ("1", "x"):
        compare(conn, outcome, 2.0, {"sportybet": 2.0, "bet9ja": 2.0}, home_margin=0.05, platform_margin=0.25)
    query = "select platform, is_home, margin, payout, can_be_backed, last_confirmed_at from palimpsest.margins_now order by platform"
    assert rows(conn, query) == [
        ("bet9ja", False, 0.25, 0.8, True, NOW + MINUTE),
        ("betpawa", True, 0.05, pytest.approx(1 / 1.05), True, NOW),
        ("sportybet", False, 0.25, 0.8, True, NOW + MINUTE),
    ]


NOW_VIEWS = ("upcoming_fixtures", "price_comparison", "best_prices", "gaps", "gaps_by_tournament", "margins_now")


def test_views_of_the_present_contain_only_fixtures_that_have_not_begun(conn: psycopg.Connection) -> None:
    """Rows of a fixture that has begun stay in the tables until the next cycle; the views leave them out."""
    compare(conn, "1", 2.0, {"sportybet": 2.1})
    insert(
        conn, "mart.availability_gap", {"sr_id": 7, "line_id": line_of(conn, "double_chance"), "platform": "sportybet"}
    )
    conn.execute("delete from core.fixtures where sr_id = 8")
    assert [len(rows(conn, f"select from palimpsest.{view}")) for view in NOW_VIEWS] == [1, 1, 1, 1, 1, 2]
    conn.execute("update core.fixtures set effective_kickoff = now() where sr_id = 7")
    assert [len(rows(conn, f"select from palimpsest.{view}")) for view in NOW_VIEWS] == [0] * 6


NAMED: Final = (
    "fixtures",
    "upcoming_fixtures",
    "price_comparison",
    "best_prices",
    "gaps",
    "gaps_by_tournament",
    "margins_now",
    "margins",
    "availability",
    "open_close",
    "lead_time",
    "odds_alerts",
)


def test_a_tournament_that_platforms_spell_differently_has_one_name_and_country_in_all_views(
    conn: psycopg.Connection,
) -> None:
    """The claim that was chosen for fixture 8 is that of a platform that spells otherwise."""
    theirs = "tournament_name = 'Barclays Prem.', country = 'Great Britain'"
    conn.execute(f"update core.fixtures set {theirs} where sr_id = 8".encode())
    for sr_id in (7, 8):
        compare(conn, "1", 2.0, {"sportybet": 2.1}, sr_id=sr_id, home_margin=0.05)
        gap = {"sr_id": sr_id, "line_id": line_of(conn, "double_chance"), "platform": "sportybet"}
        insert(conn, "mart.availability_gap", gap)
        for table in ("market_margin", "availability_interval", "open_close", "listing_lead_time", "odds_alert"):
            insert(conn, f"mart.{table}", {"sr_id": sr_id, **({"alert_id": sr_id} if table == "odds_alert" else {})})
    for view in NAMED:
        found = rows(conn, f"select distinct tournament, country from palimpsest.{view}")
        assert found == [("Premier League", "England")], view


def curve(conn: psycopg.Connection, platform: str, bucket: str, margin: float, minutes: float, **facts: Any) -> None:
    key = {"tournament_key": "sr:17", "market_key": "match_result", "platform": platform, "ttk_bucket": bucket}
    defaults = {"n_fixtures": 2, "home_platform": "betpawa", "margin_tw_mean": margin, "n_observed_minutes": minutes}
    insert(conn, "mart.margin_ttk_bucket", {**key, **defaults, **facts})


def test_the_margin_league_weighs_by_minutes_and_ranks_the_dearest_first(conn: psycopg.Connection) -> None:
    cycle(conn)
    curve(conn, "betpawa", "<24h", 0.04, 100)
    curve(conn, "betpawa", "<24h", 0.08, 300, kickoff_date=date(2026, 5, 2))
    curve(conn, "betpawa", "24-72h", 0.10, 100, n_fixtures=3)
    curve(conn, "bet9ja", "<24h", 0.06, 50, home_minus_platform_tw_mean=0.01)
    curve(conn, "bet9ja", "<24h", 0.06, 150, kickoff_date=date(2026, 5, 2), home_minus_platform_tw_mean=0.03)
    curve(conn, "bet9ja", "<24h", 0.06, 800, kickoff_date=date(2026, 5, 3))
    query = """
        select ttk_bucket, platform, rank_dearest, margin_tw_mean, above_cheapest, home_minus_platform_tw_mean, n_platforms, n_fixtures, tournament,
            last_kickoff_date
        from palimpsest.margin_league order by ttk_bucket, rank_dearest
    """
    about = pytest.approx
    assert rows(conn, query) == [
        ("24-72h", "betpawa", 1, about(0.1), 0, None, 1, 3, "Premier League", date(2026, 5, 1)),
        ("<24h", "betpawa", 1, about(0.07), about(0.01), None, 2, 4, "Premier League", date(2026, 5, 2)),
        ("<24h", "bet9ja", 2, about(0.06), 0, about(0.025), 2, 6, "Premier League", date(2026, 5, 3)),
    ]


def test_dates_with_another_home_platform_are_left_out_of_figures_about_home(conn: psycopg.Connection) -> None:
    cycle(conn)
    before = {"home_platform": "sportybet", "kickoff_date": date(2026, 4, 30)}
    for platform, then, now in (("betpawa", 0.05, None), ("bet9ja", 0.09, 0.01)):
        curve(conn, platform, "<24h", 0.06, 100, home_minus_platform_tw_mean=now)
        curve(conn, platform, "<24h", 0.04, 300, home_minus_platform_tw_mean=then, **before)
    query = "select platform, margin_tw_mean, home_minus_platform_tw_mean from palimpsest.margin_league order by 1"
    about = pytest.approx
    assert rows(conn, query) == [("bet9ja", about(0.045), about(0.01)), ("betpawa", about(0.045), None)]
    for sr_id, home, n_missing in ((7, "betpawa", 4), (8, "sportybet", 90)):
        count = {"sr_id": sr_id, "platform": "bet9ja", "hours_before": 24, "home_platform": home}
        insert(conn, "mart.gap_count", {**count, "n_home_missing": n_missing})
    query = (sql_dir() / "queries" / "gaps_towards_kickoff.sql").read_text()
    assert [(row[0], row[2], row[4]) for row in rows(conn, query)] == [("bet9ja", 1, 4)]


def test_every_bucket_before_kickoff_has_its_place_on_a_curve(conn: psycopg.Connection) -> None:
    for scheme, buckets in BUCKETS_BY_SCHEME.items():
        names = [bucket.name for bucket in buckets if bucket.name != "in-play"]
        for name in names:
            curve(conn, "betpawa", name, 0.1, 1, bucket_scheme=scheme.value)
        query = "select ttk_bucket from palimpsest.margin_curves where bucket_scheme = %s and bucket_order is not null order by bucket_order"
        assert rows(conn, query, scheme.value) == [(name,) for name in names]


def test_gaps_by_tournament_add_up_to_the_gaps(conn: psycopg.Connection) -> None:
    result, double = line_of(conn, "match_result"), line_of(conn, "double_chance")
    gaps = (
        (7, result, "sportybet", "home_missing", 1),
        (7, double, "sportybet", "home_missing", None),
        (8, result, "sportybet", "home_suspended_only", 1),
        (8, result, "bet9ja", "platform_missing", 1),
        (8, double, "bet9ja", "unknown", None),
    )
    names = ("sr_id", "line_id", "platform", "gap_type", "market_priority")
    insert(conn, "mart.availability_gap", *(dict(zip(names, gap, strict=True)) for gap in gaps))
    for sr_id in (7, 8):
        see(conn, sr_id, ("sportybet", "bet9ja"))
    query = """
        select platform, tournament, n_fixtures, n_home_missing, n_home_missing_main, n_home_suspended_only, n_platform_missing,
            n_platform_missing_main, n_platform_suspended_only, n_both, n_unknown, next_kickoff
        from palimpsest.gaps_by_tournament order by platform
    """
    assert rows(conn, query) == [
        ("bet9ja", "Premier League", 1, 0, 0, 0, 1, 1, 0, 0, 1, LATER),
        ("sportybet", "Premier League", 2, 2, 1, 1, 0, 0, 0, 0, 0, LATER),
    ]
    assert rows(conn, "select count(*), count(home_team), count(market) from palimpsest.gaps") == [(5, 5, 5)]


def test_a_gap_lasts_from_the_later_of_both_states_to_the_last_look(conn: psycopg.Connection) -> None:
    see(conn, 7, ("sportybet", "bet9ja"))
    facts = {"sr_id": 7, "line_id": line_of(conn, "match_result")}
    facts |= {"platform_state": "withdrawn", "platform_state_since": NOW - 30 * MINUTE}
    ours = {"gap_type": "platform_missing", "home_state": "offered", "home_state_since": NOW - 9 * MINUTE}
    insert(conn, "mart.availability_gap", {**facts, "platform": "sportybet", **ours})
    insert(conn, "mart.availability_gap", {**facts, "platform": "bet9ja", "gap_type": "unknown"})
    query = """
        select platform, gap_open_since, gap_minutes, minutes_to_kickoff, never_offered_home, never_offered_platform, as_of
        from palimpsest.gaps order by platform
    """
    assert rows(conn, query) == [
        ("bet9ja", None, None, 299, True, False, NOW + MINUTE),
        ("sportybet", NOW - 9 * MINUTE, 10, 299, False, False, NOW + MINUTE),
    ]


def test_alerts_to_traders_name_the_person_who_acknowledged_them(conn: psycopg.Connection) -> None:
    insert(
        conn,
        "mart.odds_alert",
        {"alert_id": 1, "sr_id": 7, "market_key": "match_result", "outcome_key": "x"},
        {"alert_id": 2, "market_key": "*"},
    )
    insert(conn, "ops.acknowledged_odds_alerts", {"alert_id": 1, "acknowledged_by": "Ada"})
    query = "select alert_id, home_team, market, outcome, acknowledged_by from palimpsest.odds_alerts order by alert_id"
    assert rows(conn, query) == [(1, "Arsenal", "MATCH_RESULT", "X", "Ada"), (2, None, None, "", None)]


def test_open_alerts_to_traders_are_about_fixtures_that_have_not_begun(conn: psycopg.Connection) -> None:
    """Fixture 8 has begun since the last cycle; no platform lists fixture 9."""
    conn.execute("update core.fixtures set effective_kickoff = now() where sr_id = 8")
    facts = {"alert_type": "price_move", "status": "open"}
    insert(conn, "mart.odds_alert", *({"alert_id": n, "sr_id": n, **facts} for n in (7, 8, 9)))
    insert(conn, "mart.odds_alert", {"alert_id": 10, "sr_id": 8, "status": "closed", "closed_at": NOW})
    alerts = rows(conn, "select alert_id, status, closed_at = kickoff from palimpsest.odds_alerts order by alert_id")
    assert alerts == [(7, "open", None), (8, "closed", True), (9, "open", None), (10, "closed", False)]
    query = (sql_dir() / "queries" / "odds_alerts_that_are_open.sql").read_text()
    assert [row[3] for row in rows(conn, query)] == ["Arsenal", None]


def cycle(conn: psycopg.Connection, cycle_id: int = 1, scope: str = "full", as_of: datetime = NOW) -> None:
    """A cycle that coverage was computed as of."""
    insert(conn, "core.cycles", {"cycle_id": cycle_id, "scope": scope, "home_platform": "betpawa", "as_of": as_of})
    insert(conn, "mart.match_rate_platform", {"cycle_id": cycle_id, "platform": "all", "as_of": as_of})


def covered(conn: psycopg.Connection, *fixtures: tuple[int, str, list[str], dict[str, Any]], cycle_id: int = 1) -> None:
    """Fixtures of a cycle's coverage, of two tournaments: (SportRadar id, class, platforms, other columns)."""
    for named, name in ((ENGLAND, "Premier League"), (SPAIN, "LaLiga")):
        for include_started in (False, True):
            facts = {"platform": "any", "include_started": include_started, "display_name": name}
            insert(conn, "mart.coverage_tournament", {"cycle_id": cycle_id, **named, **facts})
    defaults = {"cycle_id": cycle_id, "home_platform": "betpawa", **ENGLAND, "tournament_name": "Premier League"}
    for sr_id, kind, platforms, facts in fixtures:
        row = {**defaults, "sr_id": sr_id, "fixture_class": kind, "platforms": platforms, "effective_kickoff": LATER}
        teams = {"home_team": f"Home {sr_id}", "away_team": f"Away {sr_id}"}
        insert(conn, "mart.coverage_fixture", {**row, **teams, **facts})


@pytest.mark.parametrize(
    ("scopes", "latest"),
    [
        # what was imported stands for nothing where somebody looks
        ({1: "full", 2: "full", 3: "recorded", 4: "kickoff"}, 2),
        ({1: "recorded", 2: "recorded"}, 2),
        ({}, None),
    ],
)
def test_all_views_of_present_coverage_show_the_same_cycle(
    conn: psycopg.Connection, scopes: dict[int, str], latest: int | None
) -> None:
    for cycle_id, scope in scopes.items():
        covered(conn, (7, "matched", ["betpawa"], {}), cycle_id=cycle_id)
        cycle(conn, cycle_id, scope)
    insert(conn, "core.cycles", {"cycle_id": 9, "scope": "full"})  # coverage is not computed yet
    cycle_rows = [] if latest is None else [(latest,)]
    for view in ("coverage_statistics", "coverage_events", "coverage_tournaments"):
        assert rows(conn, f"select distinct cycle_id from palimpsest.{view}") == cycle_rows, view
    assert rows(conn, "select count(*) from palimpsest.find_events()") == [(len(cycle_rows),)]
    assert cycle_marts.read_latest_cycle(conn) == latest
    assert cycle_marts.read_latest_rates(conn).select("cycle_id").rows() == cycle_rows


def test_match_rates_over_time_are_those_of_full_cycles(conn: psycopg.Connection) -> None:
    for hours, scope in enumerate(("recorded", "full", "full"), 1):
        cycle(conn, hours, scope, NOW + timedelta(hours=hours))
    query = (sql_dir() / "queries" / "match_rate_over_time.sql").read_text()
    assert [row[0] for row in rows(conn, query)] == [NOW + timedelta(hours=2), NOW + timedelta(hours=3)]


@pytest.fixture
def events(conn: psycopg.Connection) -> psycopg.Connection:
    """Five fixtures of two tournaments as of the latest full cycle, and one of an earlier one."""
    cycle(conn, 1)
    cycle(conn, 2)
    covered(conn, (99, "matched", ["betpawa"], {}), cycle_id=1)
    liga = {**SPAIN, "tournament_name": "LaLiga", "effective_kickoff": LATER + MINUTE}
    covered(
        conn,
        (1, "matched", ["betpawa", "bet9ja"], {"home_team": "Bodø/Glimt", "away_team": "Łódź"}),
        (2, "home_only", ["betpawa"], {"home_team": "Arsenal FC", "effective_kickoff": LATER - MINUTE}),
        (3, "competitor_only", ["sportybet"], {**liga, "home_team": "CD Ñublense", "away_team": "Real Madrid"}),
        (4, "undetermined", ["betpawa"], {**liga, "home_team": "100% Wolf_"}),
        (5, "matched", ["betpawa", "sportybet"], {"started": True, "effective_kickoff": NOW - MINUTE}),
        cycle_id=2,
    )
    return conn


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", [2, 1, -3, 4]),
        ("include_started => true", [5, 2, 1, -3, 4]),
        ("'matched'", [1]),
        ("availability => 'competitor_only'", [-3]),
        ("availability => 'home_only'", [2]),
        ("availability => 'undetermined'", [4]),
        ("platform => 'betpawa'", [2, 1, 4]),
        ("'all', 'bet9ja'", [1]),
        ("availability => 'home_only', platform => 'bet9ja'", []),
        ("sport => 'football'", [2, 1, -3, 4]),
        ("sport => 'tennis'", []),
        ("search => 'BODO glimt'", [1]),
        ("search => 'nublense'", [-3]),
        ("search => 'laliga'", [-3, 4]),
        ("search => 'madrid laliga'", [-3]),
        ("search => 'madrid premier'", []),
        ("search => '%'", [2, 1, -3, 4]),
        ("search => '100% wolf_'", [4]),
        ("search => ''", [2, 1, -3, 4]),
        ("country => 'ENGLAND'", [2, 1]),
        ("country => 'espana'", [-3, 4]),
        ("sort => 'alphabetical'", [4, 2, 1, -3]),
        ("sort => 'tournament'", [-3, 4, 2, 1]),
    ],
)
def test_events_are_found_by_all_arguments_in_the_requested_order(
    events: psycopg.Connection, asked: str, found: list[int]
) -> None:
    assert [sr_id for (sr_id,) in rows(events, f"select id from palimpsest.find_events({asked})")] == found


def test_a_tournament_that_platforms_spell_differently_is_one_and_is_found_by_either_spelling(
    conn: psycopg.Connection,
) -> None:
    cycle(conn)
    theirs = {"tournament_name": "Barclays Prem.", "country": "Great Britain", "kickoff_source": "sportybet"}
    liga = {**SPAIN, "tournament_name": "LaLiga"}
    covered(
        conn,
        (1, "matched", ["betpawa", "sportybet"], {"effective_kickoff": LATER + MINUTE}),
        (2, "competitor_only", ["sportybet"], theirs),
        (3, "matched", ["betpawa"], liga),
    )
    listed(conn, 21, "sportybet", 2)

    def find_events(arguments: str) -> list[tuple[Any, ...]]:
        return rows(conn, f"select id, tournament, country from palimpsest.find_events({arguments})")

    england = [(-2, "Premier League", "England"), (1, "Premier League", "England")]
    assert find_events("sort => 'tournament'") == [(3, "LaLiga", "España"), *england]
    assert find_events("country => 'england'") == find_events("search => 'premier league'") == england
    assert find_events("country => 'great britain'") == find_events("search => 'barclays'") == england[:1]
    assert find_events("'competitor_only', country => 'England'") == england[:1]
    assert rows(conn, "select id, tournament, country from palimpsest.competitor_only_events") == england[:1]
    claimed = "select claimed_tournament, claimed_country from palimpsest.coverage_events where id = -2"
    assert rows(conn, claimed) == [("Barclays Prem.", "Great Britain")]


def test_filters_change_neither_a_class_nor_what_a_tournament_counts(events: psycopg.Connection) -> None:
    query = """
        select id, availability, tournament_total, tournament_matched, tournament_home_only, tournament_competitor_only, tournament_undetermined
        from palimpsest.find_events({})
    """
    tournaments = {row[0]: row for row in rows(events, query.format(""))}
    assert tournaments[1] == (1, "matched", 2, 1, 1, 0, 0)
    assert tournaments[-3] == (-3, "competitor_only", 2, 0, 0, 1, 1)
    for arguments in ("'matched'", "platform => 'sportybet'", "search => 'wolf'", "country => 'england'"):
        assert all(tournaments[row[0]] == row for row in rows(events, query.format(arguments))), arguments
    assert rows(events, query.format("include_started => true, search => 'bodø'")) == [(1, "matched", 3, 2, 1, 0, 0)]


@pytest.mark.parametrize(
    ("asked", "told"), [("'some'", "availability"), ("platform => 'elsewhere'", "platform"), ("sort => 'size'", "sort")]
)
def test_an_unknown_argument_of_find_events_is_an_error(events: psycopg.Connection, asked: str, told: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=told):
        events.execute(f"select * from palimpsest.find_events({asked})".encode())


def tournament(
    conn: psycopg.Connection, platform: str, n_home: int, n_platform: int, n_matched: int, **facts: Any
) -> None:
    defaults = {"cycle_id": 1, "tournament_key": "sr:17", "platform": platform, "home_platform": "betpawa"}
    counts = {"n_home": n_home, "n_platform": n_platform, "n_matched": n_matched}
    insert(conn, "mart.coverage_tournament", {**defaults, **counts, **facts})


@pytest.mark.parametrize(
    ("n_home", "n_undetermined", "evidence", "told"),
    [
        (3, 0, "complete", (3, 2, 0, [])),
        # home has fixtures: their classes say whether it could be looked at
        (3, 3, "partial", (3, 2, None, ["bet9ja"])),
        (3, 0, "partial", (3, 2, 0, [])),
        (0, 0, "carried", (0, 2, 0, [])),
        (0, 0, "partial", (0, 2, None, ["bet9ja"])),
    ],
)
def test_an_unobserved_platform_has_no_number_in_its_column(
    conn: psycopg.Connection, n_home: int, n_undetermined: int, evidence: str, told: tuple[Any, ...]
) -> None:
    cycle(conn)
    tournament(conn, "sportybet", n_home, 2, min(n_home, 2))
    tournament(conn, "bet9ja", n_home, 0, 0, n_undetermined=n_undetermined)
    tournament(conn, "any", n_home, 2, min(n_home, 2), n_platform_only=max(0, 2 - n_home))
    for platform in ("sportybet", "bet9ja", "any"):
        tournament(conn, platform, 9, 9, 9, include_started=True)
    for platform in ("betpawa", "sportybet", "bet9ja"):
        insert(conn, "mart.match_rate_platform", {"cycle_id": 1, "platform": platform, "evidence": evidence})
    query = "select betpawa, sportybet, bet9ja, not_looked_at from palimpsest.coverage_tournaments"
    assert rows(conn, query) == [told]
    *numbers, _ = told
    assert rows(conn, "select fixtures_by_platform from palimpsest.coverage_tournaments") == [
        (dict(zip(("betpawa", "sportybet", "bet9ja"), numbers, strict=True)),)
    ]
    totals = "select total, matched, home_only, competitor_only from palimpsest.coverage_tournaments"
    assert rows(conn, totals) == [(max(n_home, 2), min(n_home, 2), 0, max(0, 2 - n_home))]


def listed(conn: psycopg.Connection, listing_id: int, platform: str, sr_id: int | None, **facts: Any) -> None:
    key = {"listing_id": listing_id, "platform": platform, "external_id": str(listing_id)}
    named = {"kind": "match", "home_team": "A", "away_team": "B", "kickoff_at": LATER}
    defaults = {"sr_id": sr_id, "fixture_sr_id": sr_id, "is_primary": True, "first_seen_at": NOW - timedelta(hours=19)}
    ids = "insert into ops.listing_ids (listing_id, platform, external_id) values (%(listing_id)s, %(platform)s, %(external_id)s)"
    conn.execute(ids, key)
    insert(conn, "core.event_listings", {**key, **named, **defaults, **facts})


def test_an_event_of_competitors_only_has_a_row_per_competitor(events: psycopg.Connection) -> None:
    listed(events, 31, "sportybet", 3, n_markets_priced=120)
    listed(events, 32, "sportybet", 3, is_primary=False)
    listed(events, 33, "bet9ja", 3, kind="match", deleted_at=NOW)  # coverage does not count it among the platforms
    listed(events, 11, "betpawa", 1)
    events.execute(
        "create table core.captures_20960501 partition of core.captures for values from ('2096-05-01Z') to ('2096-05-02Z')"
    )
    for minutes, n_prices in ((0, 400), (10, 410)):
        insert(events, "core.captures", {"listing_id": 31, "observed_at": NOW + minutes * MINUTE, "n_prices": n_prices})
    query = """
        select id, home_team, platform, external_id, platform_name, n_markets_priced, n_prices, last_confirmed_at, round(lead_days::numeric, 3)
        from palimpsest.competitor_only_events
    """
    assert rows(events, query) == [
        (-3, "CD Ñublense", "sportybet", "31", "A - B", 120, 410, NOW + 10 * MINUTE, Decimal("1.001"))
    ]


def test_match_rates_for_reconciliation_count_rows_and_are_per_cent(conn: psycopg.Connection) -> None:
    cycle(conn)
    past = {"kickoff_at": NOW - MINUTE}
    for listing_id, sr_id, facts in ((1, 1, {}), (2, 2, {}), (3, 3, past), (4, None, {})):
        listed(conn, listing_id, "betpawa", sr_id, **facts)
    rivals = [("sportybet", 1, {}), ("sportybet", 9, {}), ("sportybet", 3, past), ("bet9ja", 1, {})]
    rivals += [("bet9ja", 1, {"is_primary": False, "deleted_at": NOW}), ("bet9ja", None, {})]
    for listing_id, (platform, sr_id, facts) in enumerate(rivals, 11):
        listed(conn, listing_id, platform, sr_id, **facts)
    query = """
        select platform, all_rows, all_linked_rows, all_match_rate_pct, upcoming_rows, upcoming_linked_rows, upcoming_match_rate_pct, linkable_rows,
            link_accuracy_pct, distinct_sr_ids, matched, home_only, competitor_only, total, overall_match_rate_pct, as_of
        from palimpsest.reference_match_rates order by platform
    """
    assert rows(conn, query) == [
        ("bet9ja", 3, 2, Decimal("66.67"), 3, 2, Decimal("66.67"), 2, 100, 1, None, None, None, None, None, NOW),
        ("overall", 6, 4, Decimal("66.67"), 5, 3, Decimal(60), 4, 100, 3, 1, 1, 1, 3, Decimal("33.33"), NOW),
        ("sportybet", 3, 2, Decimal("66.67"), 2, 1, Decimal(50), 2, 100, 3, None, None, None, None, None, NOW),
    ]


@pytest.mark.parametrize(
    ("spelling", "folded"),
    [
        ("St. Étienne", "st etienne"),
        ("1. FC Köln  (W)", "1 fc koln w"),
        ("Brighton & Hove", "brighton and hove"),
        ("ŁKS Łódź", "lks lodz"),
        ("Preußen", "preussen"),
        ("Ærø", "aero"),
        ("МОСКВА", "москва"),
        ("  ", ""),
        (None, None),
    ],
)
def test_a_spelling_is_folded_without_accents_case_and_punctuation(
    conn: psycopg.Connection, spelling: str | None, folded: str | None
) -> None:
    assert rows(conn, "select palimpsest.folded(%s)", spelling) == [(folded,)]


def test_the_vocabulary_has_outcomes_and_the_number_of_winners(conn: psycopg.Connection) -> None:
    insert(conn, "core.markets", {"market_id": 4, "market_key": "scorer", "fair_sum": "overlap(1.34)"})
    query = "select market_key, winners_k, outcome_keys, outcomes from palimpsest.markets order by market_key"
    assert rows(conn, query) == [
        ("correct_score", None, ["0:0", "1:0"], ["0:0", "1:0"]),
        ("double_chance", 2, ["1x", "12", "x2"], ["1X", "12", "X2"]),
        ("match_result", 1, ["1", "x", "2"], ["1", "X", "2"]),
        ("scorer", None, [], []),
    ]


def test_the_view_of_bookmakers_marks_home(conn: psycopg.Connection) -> None:
    cycle(conn)
    assert rows(conn, "select platform from palimpsest.bookmakers where is_home") == [("betpawa",)]
