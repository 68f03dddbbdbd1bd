"""The analysts' role: the example queries and the views over a database that a whole pipeline has filled."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg
import pytest
from click.testing import Result
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr
from sqlalchemy import make_url
from typer.testing import CliRunner

from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.defs.life.jobs import list_due_dates
from palimpsest_pipeline.pipeline import analyst_role
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.write_core import ingest_cycle
from palimpsest_pipeline.pipeline.marts import derive_lifecycle
from palimpsest_pipeline.platforms.packs import load_packs
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.settings import load_settings
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.db import migrate, roles
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.db.revisions import sql_dir
from palimpsest_pipeline.storage.marts.dictionary.entries import VIEW_KEY_PATTERN
from palimpsest_pipeline_tests.fixtures.landed import land_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines, run_here
from palimpsest_pipeline_tests.fixtures.postgres import create_database, drop_database
from palimpsest_pipeline_tests.fixtures.snapshots import Snapshot

QUERIES: Final = {file.stem: file.read_text() for file in sorted((sql_dir() / "queries").glob("*.sql"))}
COLUMNS_FILE: Final = Path(__file__).parent / "query_columns.txt"
"""One line per example query with the columns of its answer, which are a public contract."""
EXACT_CLOSES: Final = "update mart.open_close set close_quality = 'exact' where close_odds is not null"
LEAD = """
    insert into mart.price_lead
    select sr_id, '{kind}', 'match_result', '', 'sportybet', 'betpawa', now() - interval '40 minutes', now() - interval '45 minutes',
        now() - interval '20 minutes', now() - interval '25 minutes', '{outcome}', 0.5, 0.6, 0.5, 0.6, 1200, 900, 1500, 'polling',
        {steam}, (effective_kickoff at time zone 'UTC')::date, 'v'
    from core.fixtures limit 1
"""
EXTRA_ROWS: Final = {
    "closing_line_value_by_tournament": EXACT_CLOSES,
    "our_close_against_theirs": EXACT_CLOSES,
    "who_moves_first": LEAD.format(kind="move", outcome="home", steam="null, null"),
    "steam_of_the_last_day": LEAD.format(kind="move", outcome="home", steam="now() - interval '40 minutes', 2"),
    "who_suspended_before_us": LEAD.format(kind="suspension", outcome="", steam="null, null"),
    "arbitrage_now": """
        update mart.compared_listing set answered_at = now(), home_answered_at = now();
        update mart.price_comparison
        set arb = true, best_odds_milli = array_fill(4000, array[cardinality(best_odds_milli)])
        where best_platform is not null
            and line_id in (select line_id from ops.market_lines join core.markets using (market_id) where market_key = 'match_result')
    """,
    "closes_against_each_book": "update mart.open_close set close_quality = 'exact' where close_odds is not null",
    "markets_that_pay_below_93_percent": "update mart.price_comparison set home_margin = 0.1 where home_margin is not null",
    "minutes_suspended_only_with_us": """
        update mart.availability_interval set state = 'suspended'
        where platform = palimpsest.home_platform() and state = 'offered' and market_key = 'match_result'
    """,
    "matches_that_look_wrong": "update mart.coverage_fixture set suspect_code = 'home_away_swapped'",
}
"""Statements that create rows for queries without results on a few fixtures; they are rolled back."""
MINUTES_AGO: Final = (26 * 60, 75)
"""The times of the cycles before the present one. Kickoffs and price changes lie between them."""
VIEWS: Final = """
    select c.relname::text, obj_description(c.oid, 'pg_class')
    from pg_class c where c.relnamespace = 'palimpsest'::regnamespace and c.relkind = 'v' order by 1
"""


@pytest.fixture(scope="module")
def world(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline after cycles yesterday, before some kickoffs and now, with all derived rows and the analysts' role.

    The tests do not change its content.
    """
    began = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(
        hours=49, minutes=15
    )  # most of its kickoffs are in the 48th to 51st hour
    with (
        SimulatorProcess(12, 7, clock_offset_s=-60 * MINUTES_AGO[0], epoch=began) as simulator,
        pipelines(postgres, tmp_path_factory.mktemp("analysts")) as make,
    ):
        for minutes in MINUTES_AGO:
            simulator.set_clock(-60 * minutes, stopped=True)
            pipeline = make(simulator, clock_offset_s=-60 * minutes)
            ingest_cycle(pipeline, land_cycle(pipeline))
        simulator.set_clock(0, stopped=True)
        pipeline = make(simulator)
        outcome = run_here(pipeline, "full_cycle")
        assert outcome.success, outcome.error
        for day in list_due_dates(pipeline, include_far=True):
            derive_lifecycle.derive_kickoff_date(pipeline, day)
        with pipeline.connect() as conn:
            roles.ensure_role(conn)
        yield pipeline


@pytest.fixture
def dagster_database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The name of an empty database in the place of Dagster's."""
    name = f"dagster_{uuid4().hex[:12]}"
    create_database(postgres, name)
    yield name
    drop_database(postgres, name)


@pytest.fixture
def owned_database(world: Pipeline, postgres: EmbeddedPostgres) -> Iterator[tuple[str, str]]:
    """A migrated database whose owner is no superuser: its URLs for the owner and for a superuser."""
    name = f"owned_{uuid4().hex[:12]}"
    create_database(postgres, name)
    with psycopg.connect(postgres.build_libpq_url("postgres"), autocommit=True) as admin:
        admin.execute(f"create role {name} login password 'owns'; alter database {name} owner to {name}".encode())
        as_owner = (
            make_url(postgres.build_url(name)).set(username=name, password="owns").render_as_string(hide_password=False)
        )
        migrate.upgrade(as_owner)
        yield as_owner, postgres.build_url(name)
        drop_database(postgres, name)
        admin.execute(f"drop role {name}".encode())


@pytest.fixture
def analyst(world: Pipeline) -> Iterator[psycopg.Connection]:
    with psycopg.connect(make_conninfo(world.database.conninfo, user=roles.ANALYST), autocommit=True) as conn:
        yield conn


def read_rows(conn: psycopg.Connection, query: str) -> list[dict[str, Any]]:
    cursor = conn.execute(query.encode())
    return [dict(zip((column.name for column in cursor.description or ()), row, strict=True)) for row in cursor]


def test_every_example_has_a_question_and_one_statement_over_views_and_marts() -> None:
    assert len(QUERIES) >= 20
    for name, text in QUERIES.items():
        question, _, statement = text.partition("\n")
        assert question.startswith("-- "), name
        assert "?" in question, name
        assert statement.strip().endswith(";"), name
        assert statement.count(";") == 1, name
        assert "core." not in statement, name
        assert "ops." not in statement, name


@pytest.mark.parametrize("name", QUERIES)
def test_no_example_is_about_given_platforms(name: str) -> None:
    assert not [platform for platform in load_packs().platforms if platform in QUERIES[name]]


def test_the_example_of_best_prices_shows_home_and_its_competitors(analyst: psycopg.Connection) -> None:
    prices = read_rows(analyst, QUERIES["best_prices_of_the_next_fixture"])
    odds = {(row["outcome"], row["platform"]): row["platform_odds"] for row in prices}
    odds |= {(row["outcome"], row["home_platform"]): row["home_odds"] for row in prices}
    assert all(row["best_odds"] == odds[row["outcome"], row["best_platform"]] for row in prices)
    assert len({platform for _, platform in odds}) > 1


def test_columns_of_the_example_queries(analyst: psycopg.Connection, snapshot: Snapshot) -> None:
    columns = {
        name: [column.name for column in analyst.execute(text.encode()).description or ()]
        for name, text in QUERIES.items()
    }
    snapshot(COLUMNS_FILE, "".join(f"{name}: {', '.join(names)}\n" for name, names in columns.items()))


@pytest.mark.parametrize("name", QUERIES)
def test_each_example_query_returns_rows_to_the_analyst(name: str, world: Pipeline) -> None:
    with world.connect() as conn, conn.transaction(force_rollback=True):
        if name in EXTRA_ROWS:
            assert conn.execute(EXTRA_ROWS[name].encode()).rowcount > 0
        conn.execute(f"set local role {roles.ANALYST}".encode())
        cursor = conn.execute(QUERIES[name].encode())
        assert cursor.fetchone() is not None


def test_at_its_own_close_a_price_has_no_closing_line_value(world: Pipeline) -> None:
    query = """
        select count(*) as n, bool_and(abs(v.clv) < 1e-12 and v.clv_power is not distinct from c.close_odds::float8 * c.fair_power - 1) as is_nought
        from (select distinct sr_id, platform, close_last_confirmed_at from closing_prices) k
        cross join lateral closing_line_value(k.close_last_confirmed_at, k.sr_id, seller => k.platform) v
        join closing_prices c
            on (c.sr_id, c.platform, c.market_key, c.specifier, c.outcome_key) = (v.sr_id, k.platform, v.market_key, v.specifier, v.outcome_key)
        where v.close_platform = k.platform
    """
    with world.connect() as conn, conn.transaction(force_rollback=True):
        conn.execute(EXACT_CLOSES)
        conn.execute(f"set local role {roles.ANALYST}".encode())
        conn.execute("set local search_path = palimpsest, mart")
        ((n, is_nought),) = conn.execute(query.encode()).fetchall()
        ((n_closes,),) = conn.execute("select count(*) from closing_prices").fetchall()
    assert is_nought
    assert n == n_closes > 100


def test_the_consensus_is_made_of_the_fair_prices(analyst: psycopg.Connection) -> None:
    query = """
        select count(*) as n, bool_and(c.median_power between p.lowest - 1e-12 and p.highest + 1e-12) as is_between,
            bool_and(c.best_power = p.lowest) as is_lowest, bool_and(c.n_fair = p.n) as is_counted
        from consensus c
        join (
            select sr_id, market_key, specifier, outcome_key, min(fair_power) as lowest, max(fair_power) as highest, count(fair_power) as n
            from fair_prices where is_in_consensus and not is_home group by 1, 2, 3, 4
        ) p using (sr_id, market_key, specifier, outcome_key)
        where p.n > 0
    """
    (totals,) = read_rows(analyst, query)
    assert totals["n"] > 100
    assert (totals["is_between"], totals["is_lowest"], totals["is_counted"]) == (True, True, True)
    margins = """
        select bool_and(abs(s - k) < 1e-9) as adds_up, count(*) as n from (
            select sum(f.fair_power) as s, min(m.winners_k) as k
            from fair_prices f join markets m using (market_key) where f.fair_power is not null
            group by f.sr_id, f.market_key, f.specifier, f.platform
        ) sums
    """
    (totals,) = read_rows(analyst, margins)
    assert totals["adds_up"]
    assert totals["n"] > 100


def test_the_rows_of_every_view_differ_by_the_key_that_it_names(analyst: psycopg.Connection) -> None:
    for view, comment in analyst.execute(VIEWS).fetchall():
        key_match = VIEW_KEY_PATTERN.search(comment)
        assert key_match, f"palimpsest.{view} does not name the key of its rows at its end: Key: a, b."
        repeated_key = analyst.execute(
            f"select {key_match[1]} from palimpsest.{view} group by {key_match[1]} having count(*) > 1 limit 1".encode()
        ).fetchone()
        assert repeated_key is None, f"palimpsest.{view}: {key_match[1]} = {repeated_key}"


def test_coverage_by_tournament_adds_up_to_coverage(analyst: psycopg.Connection) -> None:
    counts = ("total", "matched", "home_only", "competitor_only", "undetermined")
    (summed,) = read_rows(
        analyst, f"select {', '.join(f'sum({c})::integer as {c}' for c in counts)} from coverage_tournaments"
    )
    (whole,) = read_rows(analyst, f"select {', '.join(counts)} from coverage_statistics where platform = 'all'")
    assert summed == whole
    assert whole["total"] > 0
    (summed,) = read_rows(
        analyst,
        "select sum(betpawa)::integer as betpawa, sum(sportybet)::integer as sportybet, sum(bet9ja)::integer as bet9ja from coverage_tournaments",
    )
    assert summed == {
        row["platform"]: row["total"]
        for row in read_rows(analyst, "select platform, total from coverage_statistics where platform <> 'all'")
    }


def test_found_events_equal_the_counted_ones(analyst: psycopg.Connection) -> None:
    (whole,) = read_rows(
        analyst,
        "select matched, home_only, competitor_only, undetermined, total from coverage_statistics where platform = 'all'",
    )
    for kind in ("matched", "home_only", "competitor_only", "undetermined"):
        assert len(read_rows(analyst, f"select from find_events('{kind}')")) == whole[kind], kind
    assert len(read_rows(analyst, "select from find_events()")) == whole["total"]
    only = read_rows(analyst, "select sportradar_id, count(*) from competitor_only_events where not started group by 1")
    assert len(only) == whole["competitor_only"]


def test_the_inverse_best_prices_of_a_market_add_up_to_its_arbitrage_sum(analyst: psycopg.Connection) -> None:
    query = """
        select count(*) as n, max(abs(told - counted)) as most
        from (
            select max(cross_book_sum_inverse) as told, sum(1 / best_odds::double precision) as counted
            from best_prices where cross_book_sum_inverse is not null group by sr_id, market_key, specifier
        ) markets
    """
    (totals,) = read_rows(analyst, query)
    assert totals["n"] > 100
    assert totals["most"] < 1e-9
    (arbitrages,) = read_rows(
        analyst,
        "select count(distinct (sr_id, market_key, specifier)) as n from price_comparison where arb and kickoff > now()",
    )
    assert len(read_rows(analyst, "select from arbitrage('1 day', -1, '1 day')")) == arbitrages["n"]


def test_the_history_of_a_fixture_has_its_price_changes_in_order_with_names(analyst: psycopg.Connection) -> None:
    (fixture,) = read_rows(analyst, "select sportradar_id as id from find_events('matched') limit 1")
    history = read_rows(analyst, f"select * from fixture_history({fixture['id']})")
    changes = read_rows(analyst, f"select * from price_changes where sr_id = {fixture['id']} and is_primary")
    key = (
        "observed_at",
        "platform",
        "market_key",
        "specifier",
        "outcome_key",
        "odds",
        "previous_odds",
        "state",
        "is_active",
    )
    assert sorted(map(repr, ([row[name] for name in key] for row in history))) == sorted(
        map(repr, ([row[name] for name in key] for row in changes))
    )
    assert [row["observed_at"] for row in history] == sorted(row["observed_at"] for row in history)
    assert len({row["platform"] for row in history}) > 1
    assert all(row["market"] and row["outcome"] for row in history)
    match_results = read_rows(
        analyst, f"select * from fixture_history({fixture['id']}, 'match_result', since => now())"
    )
    assert match_results == []
    match_results = read_rows(analyst, f"select * from fixture_history({fixture['id']}, market_key => 'match_result')")
    assert match_results == [row for row in history if row["market_key"] == "match_result"]
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="no market 'result'"):
        analyst.execute(f"select * from fixture_history({fixture['id']}, 'result')".encode())


def test_on_a_foreign_server_analysts_can_be_kept_out_of_the_dagster_database(
    world: Pipeline, postgres: EmbeddedPostgres, dagster_database: str
) -> None:
    address = make_conninfo(world.database.conninfo, user=roles.ANALYST, dbname=dagster_database)
    own = world.settings.model_copy(
        update={"dagster_database_url": SecretStr(postgres.build_url(dagster_database, driver="psycopg2"))}
    )
    analyst_role.grant_analyst_access(Pipeline(own))
    psycopg.connect(address).close()
    assert analyst_role.enforce_analyst_access(Pipeline(own)) == []
    with pytest.raises(psycopg.OperationalError, match="CONNECT"):
        psycopg.connect(address)
    with psycopg.connect(postgres.build_libpq_url(dagster_database)) as conn:
        conn.execute(f"grant connect on database {dagster_database} to {roles.ANALYST}".encode())
    assert analyst_role.enforce_analyst_access(Pipeline(own)) == [
        f"{roles.ANALYST}: it may enter the database {dagster_database}"
    ]


def test_without_a_superuser_excess_rights_of_the_role_are_reported_and_a_superuser_can_revoke_them(
    owned_database: tuple[str, str],
    postgres: EmbeddedPostgres,
    dagster_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    as_owner, as_superuser = owned_database
    database = Database(as_superuser)
    locks = f"{roles.ANALYST}: it may take advisory locks, which can block the pipeline while its session lasts."
    large_objects = f"{roles.ANALYST}: it may make large objects in the database {make_url(as_owner).database}\n"

    def run_db_roles(url: str) -> Result:
        own = load_settings(
            database_url=url,
            dagster_database_url=postgres.build_url(dagster_database, driver="psycopg2"),
            home_dir=tmp_path,
        )
        for name, value in own.to_environment().items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(app, ["db", "roles"])

    def execute_as_analyst(statement: str) -> None:
        with psycopg.connect(make_conninfo(database.conninfo, user=roles.ANALYST), autocommit=True) as conn:
            conn.execute("set default_transaction_read_only = off")
            conn.execute(statement.encode())

    result = run_db_roles(as_owner)
    assert result.exit_code == 3, result.output
    assert locks in result.stderr
    assert large_objects in result.stderr
    assert "To revoke rights of everybody, run `palimpsest db roles`" in result.stderr
    execute_as_analyst("select lo_create(0), pg_advisory_lock(1)")
    for url in (as_superuser, as_owner):
        result = run_db_roles(url)
        assert result.exit_code == 0, result.output
        assert locks in result.stderr
        assert large_objects not in result.stderr
        execute_as_analyst("select pg_advisory_lock(1)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute_as_analyst("select lo_create(0)")


def test_on_a_foreign_server_an_upgrade_creates_no_role_and_renews_the_grants_of_existing_ones(
    world: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def granted() -> bool:
        with world.connect() as conn:
            return conn.execute(
                "select has_table_privilege('palimpsest_analyst', 'palimpsest.gaps', 'select')"
            ).fetchone() == (True,)

    with world.connect() as conn:
        conn.execute("revoke select on palimpsest.gaps from palimpsest_analyst")
    with monkeypatch.context() as without:
        without.setattr(roles, "ANALYST", "nobody_has_made_it")
        without.setattr(roles, "SENDER_ROLE", "nobody_has_made_it_either")
        without.setattr(roles, "sql_dir", lambda: pytest.fail("nothing is made or granted"))
        analyst_role.grant_analyst_access(world)
    assert not granted()
    with monkeypatch.context() as without:
        without.setattr(roles, "ANALYST", "missing_analyst")
        analyst_role.grant_analyst_access(world)  # the sender's role is enough
    assert granted()


def test_the_analysts_url_on_a_foreign_server_has_their_name_and_no_password(world: Pipeline) -> None:
    query = "user=me&password=hunter2&sslmode=require&options=-csearch_path%3Dcore&service=mine&passfile=/mine&sslkey=/mine&sslrootcert=/ca.pem"
    url = SecretStr(f"postgresql+psycopg://me:hunter2@db:6543/x?{query}")
    analyst_url = analyst_role.build_analyst_url(world.settings.model_copy(update={"database_url": url}))
    assert analyst_url == "postgresql://palimpsest_analyst@db:6543/x?sslmode=require&sslrootcert=%2Fca.pem"
