"""The analysts' role: what it reads, and that it can do nothing else."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db import migrate, roles
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline_tests.fixtures.postgres import create_database, drop_database

READABLE = """
    select format('select count(*) from %I.%I', n.nspname, c.relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('mart', 'palimpsest') and c.relkind in ('r', 'p', 'v') and not c.relispartition
"""


@pytest.fixture(scope="module")
def elsewhere(postgres: EmbeddedPostgres) -> Iterator[str]:
    """Another database of the server, that analysts have no business in."""
    name = f"other_{uuid4().hex[:12]}"
    create_database(postgres, name)
    yield name
    drop_database(postgres, name)


@pytest.fixture(scope="module")
def admitted_url(postgres: EmbeddedPostgres, elsewhere: str) -> Iterator[str]:
    """A migrated database that analysts were let into."""
    name = f"test_{uuid4().hex[:12]}"
    create_database(postgres, name)
    migrate.upgrade(postgres.build_url(name))
    with Database(postgres.build_url(name)).connect() as conn:
        roles.ensure_role(conn)
        roles.forbid_writing(conn)
        roles.forbid_locking(conn)
        roles.forbid_entering(conn, [elsewhere])
    yield postgres.build_url(name)
    drop_database(postgres, name)


@pytest.fixture
def owner(admitted_url: str) -> Iterator[psycopg.Connection]:
    with Database(admitted_url).connect(autocommit=True) as conn:
        yield conn


@pytest.fixture
def analyst(admitted_url: str) -> Iterator[psycopg.Connection]:
    """A session of the analyst; every statement stands for itself."""
    with psycopg.connect(make_conninfo(Database(admitted_url).conninfo, user=roles.ANALYST), autocommit=True) as conn:
        yield conn


def test_it_reads_every_table_of_the_mart_and_every_view(
    owner: psycopg.Connection, analyst: psycopg.Connection
) -> None:
    queries = [query for (query,) in owner.execute(READABLE)]
    assert len(queries) > 40
    for query in queries:
        analyst.execute(query.encode())


@pytest.mark.parametrize(
    "call",
    [
        "palimpsest.find_events(search => 'a')",
        "palimpsest.prices_as_of(now(), 7)",
        "palimpsest.arbitrage()",
        "palimpsest.home_platform()",
        "palimpsest.folded('É')",
    ],
)
def test_it_calls_the_functions_also_those_that_read_core(analyst: psycopg.Connection, call: str) -> None:
    analyst.execute(f"select * from {call}".encode())


def test_a_fixture_s_history_is_read_through_its_function(
    owner: psycopg.Connection, analyst: psycopg.Connection
) -> None:
    with pytest.raises(psycopg.errors.NoDataFound, match="SportRadar id 404"):
        analyst.execute("select * from fixture_history(404)")


def test_it_finds_views_by_their_bare_names_and_in_utc(analyst: psycopg.Connection) -> None:
    analyst.execute("select * from coverage_statistics, match_rate_platform, price_comparison")
    assert analyst.execute("show timezone").fetchone() == ("UTC",)


def test_a_view_stands_before_a_table_of_its_name(analyst: psycopg.Connection) -> None:
    described = analyst.execute("select * from price_comparison").description or []
    assert "home_team" in {column.name for column in described}


def test_its_sessions_are_read_only_and_end_what_takes_long(analyst: psycopg.Connection) -> None:
    names = ("default_transaction_read_only", "statement_timeout", "idle_session_timeout")
    shown = [analyst.execute(f"show {name}".encode()).fetchone() for name in names]
    assert shown == [("on",), ("5min",), ("10min",)]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        analyst.execute("delete from mart.coverage_fixture")
    analyst.execute("set statement_timeout = 20")
    with pytest.raises(psycopg.errors.QueryCanceled):
        analyst.execute("select pg_sleep(30)")


@pytest.mark.parametrize(
    "statement",
    [
        "insert into mart.dirty_kickoff_dates values (now(), 1, now())",
        "update mart.coverage_fixture set started = true",
        "delete from palimpsest.bookmakers",
        "truncate mart.odds_alert",
        "drop view palimpsest.events",
        "create table mart.mine (a int)",
        "create table palimpsest.mine (a int)",
        "create table public.mine (a int)",
        "create temporary table mine (a int)",
        "create schema mine",
        "create role other",
        "select lo_create(0)",
        "select pg_advisory_lock(7017000001)",
        "select pg_try_advisory_lock_shared(1, 2)",
        "alter view palimpsest.events owner to palimpsest_analyst",
        "create function palimpsest.folded(x int) returns int language sql return 1",
        "copy mart.coverage_fixture to '/tmp/never'",
        "alter role palimpsest_analyst superuser",
    ],
)
def test_it_writes_nowhere_though_it_may_end_read_only(analyst: psycopg.Connection, statement: str) -> None:
    analyst.execute("set default_transaction_read_only = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        analyst.execute(statement.encode())


@pytest.mark.parametrize(
    "table", ["core.market_changes", "core.event_listings", "ops.scrape_batches", "ops.alerts", "pg_catalog.pg_authid"]
)
def test_it_does_not_read_what_lies_behind(analyst: psycopg.Connection, table: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        analyst.execute(f"select * from {table}".encode())


def test_it_does_not_enter_other_databases(admitted_url: str, elsewhere: str) -> None:
    address = make_conninfo(Database(admitted_url).conninfo, user=roles.ANALYST, dbname=elsewhere)
    with pytest.raises(psycopg.OperationalError, match="CONNECT"):
        psycopg.connect(address)


def test_what_is_made_later_is_read_too_and_an_upgrade_takes_nothing_away(
    admitted_url: str, owner: psycopg.Connection, analyst: psycopg.Connection
) -> None:
    owner.execute("create table mart.later as select 1 as a; create view palimpsest.later as select 2 as a")
    owner.execute("create function palimpsest.later_one() returns int language sql return 3")
    try:
        told = [
            analyst.execute(f"select * from {name}".encode()).fetchone()
            for name in ("mart.later", "palimpsest.later", "palimpsest.later_one()")
        ]
        assert told == [(1,), (2,), (3,)]
    finally:
        owner.execute("drop function palimpsest.later_one; drop view palimpsest.later; drop table mart.later")
    migrate.upgrade(admitted_url)
    for query in [query for (query,) in owner.execute(READABLE)]:
        analyst.execute(query.encode())
    analyst.execute("select * from palimpsest.prices_as_of(now(), 7)")


def test_a_downgrade_takes_its_grants_away_and_leaves_nothing_of_them(database_url: str) -> None:
    migrate.upgrade(database_url)
    with Database(database_url).connect(autocommit=True) as conn:
        roles.ensure_role(conn)
        migrate.downgrade_to_base(database_url)
        assert conn.execute("select count(*) from pg_default_acl").fetchone() == (0,)


def test_it_may_do_nothing_but_read_and_what_is_granted_besides_is_named(
    owner: psycopg.Connection, elsewhere: str
) -> None:
    assert roles.find_excess_rights(owner, roles.ANALYST, [elsewhere]) == []
    more = {
        "grant insert on mart.odds_alert to palimpsest_analyst": "it may write to mart.odds_alert",
        "grant usage on schema core to palimpsest_analyst": "it may use the schema core",
        "grant create on schema palimpsest to palimpsest_analyst": "it may make objects in the schema palimpsest",
        f"grant temporary on database {owner.info.dbname} to palimpsest_analyst": f"it may make temporary tables in the database {owner.info.dbname}",
        "grant execute on function lo_from_bytea to palimpsest_analyst": f"it may make large objects in the database {owner.info.dbname}",
        f"grant connect on database {elsewhere} to palimpsest_analyst": f"it may enter the database {elsewhere}",
    }
    for grant, said in more.items():
        owner.execute(grant.encode())
        try:
            assert roles.find_excess_rights(owner, roles.ANALYST, [elsewhere]) == [said]
        finally:
            owner.execute(grant.replace("grant", "revoke", 1).replace(" to ", " from ").encode())


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ("select on core.event_listings", "it may read core.event_listings"),
        ("select on ops.alerts", "it may read ops.alerts"),
        ("select (body) on ops.push_outbox", None),
        ("insert on ops.push_outbox", "it may write to ops.push_outbox"),
        ("update on ops.push_outbox", "it may write to ops.push_outbox"),
        ("update (body) on ops.push_outbox", "it may write to ops.push_outbox"),
        ("update (since) on ops.push_rules", "it may write to ops.push_rules"),
        ("usage on schema mart", "it may use the schema mart"),
        ("create on schema ops", "it may make objects in the schema ops"),
    ],
)
def test_the_sender_s_excess_rights_are_named_and_those_that_it_needs_are_not(
    owner: psycopg.Connection, elsewhere: str, right: str, said: str | None
) -> None:
    assert roles.find_excess_rights(owner, roles.SENDER_ROLE, [elsewhere]) == []
    with owner.transaction(force_rollback=True):
        owner.execute(f"grant {right} to palimpsest_sender".encode())
        assert roles.find_excess_rights(owner, roles.SENDER_ROLE, [elsewhere]) == ([] if said is None else [said])
        assert roles.find_excess_rights(owner, roles.ANALYST, [elsewhere]) == []


@pytest.mark.parametrize("function", ["pg_advisory_lock(bigint)", "pg_try_advisory_xact_lock_shared(integer, integer)"])
def test_that_it_may_lock_is_known_whichever_lock_it_is(owner: psycopg.Connection, function: str) -> None:
    assert not roles.may_lock(owner, roles.ANALYST)
    with owner.transaction(force_rollback=True):
        owner.execute(f"grant execute on function {function} to palimpsest_analyst".encode())
        assert roles.may_lock(owner, roles.ANALYST)


def test_it_may_enter_by_name_whatever_becomes_of_the_right_of_all(owner: psycopg.Connection, elsewhere: str) -> None:
    query = """
        select privilege_type from pg_database d, aclexplode(d.datacl) a
        where d.datname = current_database() and a.grantee = 'palimpsest_analyst'::regrole
    """
    assert owner.execute(query).fetchall() == [("CONNECT",)]


def test_what_an_administrator_has_set_for_the_role_stays(owner: psycopg.Connection, admitted_url: str) -> None:
    owner.execute("alter role palimpsest_analyst set statement_timeout = '7min'")
    try:
        with Database(admitted_url).connect() as conn:
            roles.ensure_role(conn)
        with psycopg.connect(make_conninfo(Database(admitted_url).conninfo, user=roles.ANALYST)) as conn:
            assert conn.execute("show statement_timeout").fetchone() == ("7min",)
    finally:
        owner.execute("alter role palimpsest_analyst set statement_timeout = '5min'")


def test_who_may_not_make_roles_is_told_what_an_administrator_has_to_run(
    owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roles, "ANALYST", "nobody_has_made_it")
    with owner.transaction(force_rollback=True):
        owner.execute("create role modest")
        owner.execute("set local role modest")
        with pytest.raises(
            roles.RoleMissing,
            match=r"let an administrator of the server run `psql -f .*roles\.sql`, then run `palimpsest db roles`",
        ):
            roles.ensure_role(owner)


def test_databases_and_schemas_of_others_stay_open(owner: psycopg.Connection, elsewhere: str) -> None:
    others = f"others_{uuid4().hex[:12]}"
    owner.execute(f"create role {others}; create role {others}_reader".encode())
    owner.execute(f"alter database {elsewhere} owner to {others}".encode())
    owner.execute(f"grant connect on database {elsewhere} to public".encode())
    try:
        with owner.transaction(force_rollback=True):
            owner.execute(f"set local role {others}_reader".encode())
            roles.forbid_entering(owner, [elsewhere])
            roles.forbid_writing(owner)
            assert owner.execute("select has_database_privilege('public', %s, 'connect')", [elsewhere]).fetchone() == (
                True,
            )
    finally:
        owner.execute(
            f"alter database {elsewhere} owner to postgres; revoke connect on database {elsewhere} from public".encode()
        )
        owner.execute(f"drop role {others}_reader; drop role {others}".encode())
