"""The schema of a database: made from nothing, kept, dropped, and compared with the declared tables."""

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.storage.db import migrate, reference_rows
from palimpsest_pipeline.storage.db.connection import Database, DatabaseUrlError, normalise_url
from palimpsest_pipeline.storage.db.drift import find_drift
from palimpsest_pipeline.storage.db.locks import AdvisoryLock
from palimpsest_pipeline.storage.db.revisions import SchemaOutOfDate, compute_revision, list_view_files
from palimpsest_pipeline.storage.odds import partitions
from palimpsest_pipeline.tables import metadata

OBJECTS = """
    select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    union all
    select 'schema ' || nspname from pg_namespace where nspname !~ '^(pg_|information_schema$|public$)'
    union all
    select 'type ' || typname from pg_type t join pg_namespace n on n.oid = t.typnamespace where n.nspname in ('public', 'core', 'ops', 'mart')
    union all
    select 'function ' || proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in ('public', 'core', 'palimpsest')
"""


@pytest.fixture
def conn(migrated_database_url: str) -> Iterator[psycopg.Connection]:
    """A migrated database; every statement commits at once."""
    with Database(migrated_database_url).connect(autocommit=True) as connection:
        yield connection


def markets(**changes: object) -> pl.DataFrame:
    row = {
        "market_id": 1,
        "market_key": "match_result",
        "sport": "football",
        "period": "ft",
        "family": "result",
        "name": "1X2",
        "line_kind": "none",
        "fair_sum": "1",
        "betpawa_market_id": "3743",
        **changes,
    }
    return pl.DataFrame([row], schema_overrides={"market_id": pl.Int16})


def test_an_upgrade_makes_what_is_declared_and_base_drops_it_with_its_rows(database_url: str) -> None:
    migrate.upgrade(database_url, reference=reference_rows.ReferenceRows(markets=markets()))
    assert find_drift(database_url) == []
    with Database(database_url).connect() as conn:
        conn.execute("insert into ops.platforms values ('msport', 'MSport', 40)")
        conn.execute("insert into ops.listing_ids (platform, external_id) values ('msport', '9')")
        partitions.ensure_partitions(conn, [date(2026, 5, 1)])
        conn.execute("create table core.market_changes_20260430 (like core.market_changes)")  # a detached day
    assert find_drift(database_url) == []
    migrate.downgrade_to_base(database_url)
    with Database(database_url).connect() as conn:
        assert conn.execute(OBJECTS).fetchall() == []
    migrate.downgrade_to_base(database_url)
    migrate.upgrade(database_url)
    assert find_drift(database_url) == []


def test_a_database_of_another_version_is_left_alone_until_it_is_dropped(
    migrated_database_url: str, conn: psycopg.Connection
) -> None:
    conn.execute("update ops.alembic_version set version_num = '0035'")
    sentence = f"schema 0035, not {compute_revision()}.*db downgrade base.*db upgrade.*backfill --stale"
    with pytest.raises(SchemaOutOfDate, match=sentence):
        migrate.upgrade(migrated_database_url)
    (difference,) = find_drift(migrated_database_url)
    assert "schema 0035" in difference
    migrate.downgrade_to_base(migrated_database_url)
    migrate.upgrade(migrated_database_url)
    assert find_drift(migrated_database_url) == []


def test_the_revision_follows_from_what_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    def compute() -> str:
        compute_revision.cache_clear()
        return compute_revision()

    revision = compute()
    assert compute() == revision
    try:
        with monkeypatch.context() as patch:
            patch.setattr(metadata.tables["core.fixtures"].c.home_team, "nullable", True)
            assert compute() != revision
        assert compute() == revision
    finally:
        compute_revision.cache_clear()


@pytest.mark.parametrize(
    "foreign_object",
    [
        "create view public.theirs as select * from palimpsest.market_odds",
        "create materialized view public.theirs as select * from core.fixtures",
        "create table public.theirs (platform varchar(24) references ops.platforms)",
        "create table public.theirs (a int, state core.market_state)",
        "create function public.theirs() returns bigint language sql return (select count(*) from core.fixtures)",
    ],
)
def test_what_others_built_on_ours_is_named_and_keeps_it(
    migrated_database_url: str, conn: psycopg.Connection, foreign_object: str
) -> None:
    conn.execute(foreign_object.encode())
    with pytest.raises(migrate.DependentObjectsError, match="theirs"):
        migrate.downgrade_to_base(migrated_database_url)
    assert find_drift(migrated_database_url) == []


def test_views_that_have_changed_wait_for_a_view_of_others(
    migrated_database_url: str, conn: psycopg.Connection
) -> None:
    conn.execute("create view public.theirs as select * from palimpsest.market_odds")
    migrate.upgrade(migrated_database_url)
    conn.execute("comment on view palimpsest.events is 'other'")  # so that the views are created again
    with pytest.raises(migrate.DependentObjectsError, match=r"view theirs depends on view palimpsest\.market_odds"):
        migrate.upgrade(migrated_database_url)


def test_an_upgrade_that_is_repeated_keeps_rows_and_grants(
    migrated_database_url: str, conn: psycopg.Connection
) -> None:
    conn.execute(
        "insert into ops.host_state (host, cycle_id, blocked_until, reason, updated_at) values ('host', 1, now(), '', now())"
    )
    role = f"analyst_{conn.info.dbname}"
    conn.execute(f"create role {role}".encode())
    try:
        conn.execute(f"grant select on palimpsest.events to {role}".encode())
        conn.execute("revoke all on function palimpsest.prices_as_of from public")
        conn.execute(f"grant execute on function palimpsest.prices_as_of to {role}".encode())
        conn.execute("comment on view palimpsest.events is 'other'")  # so that the views are created again
        migrate.upgrade(migrated_database_url)
        may_call = "select has_function_privilege(%s, 'palimpsest.prices_as_of'::regproc, 'execute')"
        assert [conn.execute(may_call, [who]).fetchone() for who in (role, "public")] == [(True,), (False,)]
        assert conn.execute("select count(*) from ops.host_state").fetchone() == (1,)
        assert conn.execute("select has_table_privilege(%s, 'palimpsest.events', 'select')", [role]).fetchone() == (
            True,
        )
        assert conn.execute(
            "select has_table_privilege(%s, 'palimpsest.tournaments', 'select')", [role]
        ).fetchone() == (False,)
    finally:
        conn.execute(f"drop owned by {role}".encode())
        conn.execute(f"drop role {role}".encode())


VIEWS: Final = """
    select c.relname, pg_get_viewdef(c.oid), d.objsubid, d.description
    from pg_class c left join pg_description d on d.objoid = c.oid and d.classoid = 'pg_class'::regclass
    where c.relnamespace = 'palimpsest'::regnamespace and c.relkind = 'v'
    union all
    select p.proname, pg_get_functiondef(p.oid), null, obj_description(p.oid, 'pg_proc') from pg_proc p
    where p.pronamespace = 'palimpsest'::regnamespace
    order by 1, 3
"""
VIEW_IDS: Final = """
    select oid from pg_class where relnamespace = 'palimpsest'::regnamespace union all
    select oid from pg_proc where pronamespace = 'palimpsest'::regnamespace order by 1
"""


def test_tables_have_the_storage_parameters_that_the_models_declare(conn: psycopg.Connection) -> None:
    stored = dict(
        conn.execute(
            "select oid::regclass::text, reloptions from pg_class where reloptions is not null and relkind = 'r'"
        ).fetchall()
    )
    options = {table.fullname: table.dialect_options["postgresql"]["with"] for table in metadata.tables.values()}
    declared = {
        table: [f"{name}={value}" for name, value in values.items()] for table, values in options.items() if values
    }
    assert {table: stored.get(table) for table in declared} == declared
    assert "core.event_listings" in declared


@pytest.mark.parametrize(
    "change",
    [
        "drop view palimpsest.market_odds",
        "drop function palimpsest.prices_as_of",
        "drop view palimpsest.market_odds; create view palimpsest.market_odds as select 1 as a",
        "comment on view palimpsest.events is 'other'",
        "comment on column palimpsest.events.id is 'other'",
    ],
)
def test_an_upgrade_puts_views_right_that_somebody_has_changed(
    migrated_database_url: str, conn: psycopg.Connection, change: str
) -> None:
    before = conn.execute(VIEWS).fetchall()
    conn.execute("create or replace view palimpsest.of_a_user as select 1 as a")
    theirs = conn.execute("select 'palimpsest.of_a_user'::regclass::oid").fetchone()
    conn.execute(change.encode())
    migrate.upgrade(migrated_database_url)
    assert conn.execute("select 'palimpsest.of_a_user'::regclass::oid").fetchone() == theirs
    conn.execute("drop view palimpsest.of_a_user")
    assert conn.execute(VIEWS).fetchall() == before


def test_an_upgrade_follows_the_files_of_the_views(
    migrated_database_url: str, conn: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in list_view_files():
        shutil.copy(file, tmp_path)
    files = sorted(tmp_path.iterdir())
    files[-1].write_text(files[-1].read_text() + "\n-- The newest words.")
    before = conn.execute(VIEW_IDS).fetchall()
    monkeypatch.setattr(migrate, "list_view_files", lambda: files)
    migrate.upgrade(migrated_database_url)
    after = conn.execute(VIEW_IDS).fetchall()
    assert set(after).isdisjoint(before)
    migrate.upgrade(migrated_database_url)
    assert conn.execute(VIEW_IDS).fetchall() == after


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("alter table core.fixtures alter column home_team drop not null", "core.fixtures.home_team"),
        (
            "alter table core.fixtures alter column kickoff_max_delta_s type integer",
            "core.fixtures.kickoff_max_delta_s",
        ),
        ("comment on column core.fixtures.sr_id is 'other'", "core.fixtures.sr_id"),
        ("comment on table core.fixtures is 'other'", "core.fixtures"),
        ("alter table core.fixtures add column extra text", "core.fixtures.extra"),
        ("alter table ops.host_state drop column reason", "ops.host_state.reason"),
        ("drop index core.ix_cycles_as_of", "ix_cycles_as_of"),
        ("alter table ops.scrape_runs drop constraint fk_scrape_runs_cycle_id", "fk_scrape_runs_cycle_id"),
        ("create table mart.extra (a int)", "mart.extra"),
        ("drop view palimpsest.market_odds", "palimpsest.market_odds"),
        ("drop function palimpsest.prices_as_of", "palimpsest.prices_as_of"),
    ],
)
def test_a_change_by_hand_is_named(
    migrated_database_url: str, conn: psycopg.Connection, change: str, told: str
) -> None:
    conn.execute(change.encode())
    found = find_drift(migrated_database_url)
    assert len(found) == 1
    assert told in found[0]


def test_an_empty_database_is_told_apart_from_an_old_one(database_url: str) -> None:
    (sentence,) = find_drift(database_url)
    assert sentence.startswith("the database has no tables of ours: run `palimpsest db upgrade`")


def test_every_schema_table_view_and_column_says_what_it_means(conn: psycopg.Connection) -> None:
    silent = conn.execute(
        """
        select n.nspname || '.' || c.relname || coalesce('.' || a.attname, '')
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where n.nspname in ('ops', 'core', 'mart', 'palimpsest') and c.relkind in ('r', 'p', 'v') and c.relname <> 'alembic_version'
            and (coalesce(obj_description(c.oid, 'pg_class'), '') = '' or coalesce(col_description(c.oid, a.attnum), '') = '')
        union all
        select nspname from pg_namespace where nspname in ('ops', 'core', 'mart', 'palimpsest') and obj_description(oid, 'pg_namespace') is null
        union all
        select proname from pg_proc where pronamespace = 'palimpsest'::regnamespace and obj_description(oid, 'pg_proc') is null
        """
    ).fetchall()
    assert silent == []


def test_a_view_passes_the_comments_of_its_columns_on_unless_it_has_its_own(conn: psycopg.Connection) -> None:
    def read_comment(column: str) -> str:
        relation, _, name = column.rpartition(".")
        row = conn.execute(
            "select col_description(attrelid, attnum) from pg_attribute where attrelid = %s::regclass and attname = %s",
            [relation, name],
        ).fetchone()
        assert row is not None
        return str(row[0])

    declared = str(metadata.tables["mart.coverage_fixture"].c.fixture_class.comment)
    assert read_comment("palimpsest.coverage_events.availability") == declared, "under another name"
    chosen = read_comment("palimpsest.fixtures.kickoff")
    assert read_comment("palimpsest.upcoming_fixtures.kickoff") == chosen
    assert read_comment("palimpsest.price_comparison.kickoff") == chosen, "through two views"
    assert read_comment("palimpsest.markets.market_key") == "Market, as in all other views.", "its own"
    assert read_comment("palimpsest.events.name") == "Both sides, home side first.", "computed, not passed on"


def test_a_migration_waits_for_no_other_for_ever(
    migrated_database_url: str, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT_S", 0.1)
    conn.execute("select pg_advisory_lock(%s)", [AdvisoryLock.MIGRATION])
    with pytest.raises(migrate.MigrationLockError, match="another migration runs"):
        migrate.upgrade(migrated_database_url)


def test_reference_rows_are_written_once_and_corrected_in_place(
    migrated_database_url: str, conn: psycopg.Connection
) -> None:
    given = reference_rows.ReferenceRows(
        sports=pl.DataFrame({"sport": ["football"], "name": ["Football"]}),
        markets=markets(),
        outcomes=pl.DataFrame({"market_id": [1, 1], "ordinal": [1, 2], "outcome_key": ["1", "X"], "name": ["1", "X"]}),
    )
    migrate.upgrade(migrated_database_url, reference=given)
    with Database(migrated_database_url).connect() as other:
        assert reference_rows.write_reference_rows(other, given) == {
            "sports": 0,
            "markets": 0,
            "outcomes": 0,
        }
        assert reference_rows.write_reference_rows(
            other, reference_rows.ReferenceRows(markets=markets(name="Match result", fair_sum=None))
        ) == {"markets": 1}
    assert conn.execute("select name, fair_sum from core.markets").fetchall() == [("Match result", None)]


@pytest.mark.parametrize("change", [{"market_key": "other"}, {"sport": "tennis"}])
def test_a_market_id_never_changes_its_meaning(
    migrated_database_url: str, conn: psycopg.Connection, change: dict[str, str]
) -> None:
    with conn.transaction():
        reference_rows.write_reference_rows(conn, reference_rows.ReferenceRows(markets=markets()))
    with pytest.raises(reference_rows.ReferenceConflictError, match="append-only"):
        migrate.upgrade(migrated_database_url, reference=reference_rows.ReferenceRows(markets=markets(**change)))
    assert conn.execute("select market_key, sport from core.markets").fetchall() == [("match_result", "football")]


def test_an_outcome_ordinal_never_changes_its_meaning(conn: psycopg.Connection) -> None:
    outcome = pl.DataFrame({"market_id": [1], "ordinal": [1], "outcome_key": ["1"], "name": ["1"]})
    with conn.transaction():
        reference_rows.write_reference_rows(conn, reference_rows.ReferenceRows(markets=markets(), outcomes=outcome))
    with pytest.raises(reference_rows.ReferenceConflictError, match="ordinal"), conn.transaction():
        reference_rows.write_reference_rows(
            conn, reference_rows.ReferenceRows(outcomes=outcome.with_columns(outcome_key=pl.lit("2")))
        )


def test_a_plain_postgres_address_gets_the_driver_and_another_is_refused_without_its_password() -> None:
    assert normalise_url("postgresql://me:secret@host/db") == "postgresql+psycopg://me:secret@host/db"
    assert normalise_url("postgresql+psycopg://host/db?host=/tmp/x") == "postgresql+psycopg://host/db?host=%2Ftmp%2Fx"
    for url in (
        "mysql://me:secret@host/db",
        "postgresql+psycopg2://me:secret@host/db",
        "host/db",
        "postgresql://me:secret@host",
    ):
        with pytest.raises(DatabaseUrlError) as refused:
            normalise_url(url)
        assert "secret" not in str(refused.value)
    assert "secret" not in repr(Database("postgresql://me:secret@host/db"))
