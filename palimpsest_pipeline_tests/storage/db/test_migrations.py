"""The database from nothing to the models' state and back, and the comparison that keeps the two together."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl
import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy.exc import IntegrityError

import palimpsest_pipeline
from palimpsest_pipeline.domain.alerts import select_notices
from palimpsest_pipeline.domain.enums import Severity
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db import migrate, reference_rows
from palimpsest_pipeline.storage.db.connection import Database, DatabaseUrlError, normalise_url
from palimpsest_pipeline.storage.db.copy_frames import copy_rows
from palimpsest_pipeline.storage.db.line_names import write_line_names
from palimpsest_pipeline.storage.db.locks import AdvisoryLock
from palimpsest_pipeline.storage.db.revisions import build_alembic_config
from palimpsest_pipeline.storage.ledger import alerts, check_verdicts, cycle_ledger
from palimpsest_pipeline.storage.odds import book_sizes, partitions
from palimpsest_pipeline.storage.tables import metadata
from palimpsest_pipeline_tests.fixtures.kickoffs import put_kickoffs
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA
from palimpsest_pipeline_tests.fixtures.postgres import copied

from ..table_rows import insert

REPOSITORY = Path(palimpsest_pipeline.__file__).parents[1]
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


AtRevision = Callable[[str], str]


@pytest.fixture
def at_revision(postgres: EmbeddedPostgres) -> Iterator[AtRevision]:
    """Makes fresh databases at a revision, and returns their URLs. Each revision is upgraded to once on each server."""
    with ExitStack() as stack:

        def make(revision: str) -> str:
            upgrade = partial(migrate.upgrade, revision=revision)
            return stack.enter_context(copied(postgres, f"revision_{revision}", upgrade))

        yield make


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


def test_up_then_down_then_up_leaves_nothing_behind_and_nothing_missing(database_url: str) -> None:
    migrate.upgrade(database_url)
    assert migrate.find_drift(database_url) == []
    with Database(database_url).connect() as conn:
        conn.execute(
            "create table core.captures_20260501 partition of core.captures for values from ('2026-05-01Z') to ('2026-05-02Z')"
        )
        conn.execute("create table core.market_changes_20260501 (like core.market_changes)")
    assert migrate.find_drift(database_url) == []
    migrate.downgrade(database_url)
    with Database(database_url).connect() as conn:
        assert conn.execute(OBJECTS).fetchall() == []
    migrate.upgrade(database_url)
    assert migrate.find_drift(database_url) == []


def test_every_step_down_and_up_again_agrees_with_the_models(database_url: str) -> None:
    migrate.upgrade(database_url)
    newest, *older = [
        script.revision for script in ScriptDirectory.from_config(build_alembic_config(None)).walk_revisions()
    ]
    for revision in older:
        migrate.downgrade(database_url, revision)
        if revision in (older[0], older[-1]):  # comparing takes most of a second
            assert any(newest in line for line in migrate.find_drift(database_url))
    migrate.upgrade(database_url)
    assert migrate.find_drift(database_url) == []


def test_an_upgrade_forgets_the_old_ledger_which_replay_writes_anew_and_keeps_the_markets(database_url: str) -> None:
    migrate.upgrade(database_url, "0004")
    with Database(database_url).connect() as conn:
        conn.execute(
            "insert into core.markets values (1, 'match_result', 'football', 'ft', '1X2', 'none', '1', '3743')"
        )
        conn.execute(
            "insert into core.unmapped_markets values (1, 'bet9ja', 'football', 'S_X', 'unknown_market', 'X', '', '{}', 2, 1)"
        )
        for mark in ("core.cycle_products values (1, 'tournaments'", "core.cycle_products values (1, 'odds_snapshots'"):
            conn.execute(f"insert into {mark}, 'digest', '1', '1', 0, now())".encode())
    migrate.upgrade(database_url, reference=reference_rows.ReferenceRows(markets=markets()))
    assert migrate.find_drift(database_url) == []
    with Database(database_url).connect() as conn:
        assert conn.execute("select market_key, family from core.markets").fetchall() == [("match_result", "result")]
        assert conn.execute("select count(*) from core.unmapped_markets").fetchone() == (0,)
        assert conn.execute("select product from core.cycle_products").fetchall() == [("tournaments",)]


def test_an_upgrade_brings_notes_to_markets_that_are_there_and_a_downgrade_keeps_the_markets(database_url: str) -> None:
    migrate.upgrade(database_url, "0011")
    with Database(database_url).connect() as conn:
        copy_rows(conn, "core.markets", markets())
    note = "Rules differ."
    migrate.upgrade(database_url, reference=reference_rows.ReferenceRows(markets=markets(note=note)))
    query = "select market_key, fair_sum, betpawa_market_id from core.markets"
    with Database(database_url).connect() as conn:
        assert conn.execute("select note from palimpsest.markets").fetchall() == [(note,)]
        stood = conn.execute(query).fetchall()
    migrate.downgrade(database_url, "0011")
    with Database(database_url).connect() as conn:
        assert conn.execute(query).fetchall() == stood == [("match_result", "1", "3743")]
    migrate.upgrade(database_url)
    assert migrate.find_drift(database_url) == []
    with Database(database_url).connect() as conn:
        assert conn.execute("select note from core.markets").fetchall() == [(None,)]


HISTORY = """
    create table core.market_changes_20260501 partition of core.market_changes for values from ('2026-05-01Z') to ('2026-05-02Z');
    create table core.market_changes_20260502 partition of core.market_changes for values from ('2026-05-02Z') to ('2026-05-03Z');
    insert into core.market_changes (listing_id, observed_at, market_id, specifier, outcome, state, off_mask, odds_milli, keyframe) values
        (1, '2026-05-01 09:00Z', 1, '', '', 'offered', 0, '{2100,null,3000}', true),
        (1, '2026-05-01 09:00Z', 2, 'total=2.5', '', 'suspended', 3, '{1800,2000}', true),
        (1, '2026-05-01 10:00Z', 2, 'total=2.5', '', 'withdrawn', 0, '{null,null}', false),
        (2, '2026-05-02 09:00Z', 3, '', 'O''Neil, "Al"', 'no_price', 0, '{null}', true);
    insert into core.current_markets (listing_id, market_id, specifier, outcome, changed_at, off_mask, state, odds_milli) values
        (1, 1, '', '', '2026-05-01 09:00Z', 0, 'offered', '{2100,null,3000}'),
        (1, 2, 'total=2.5', '', '2026-05-01 10:00Z', 0, 'withdrawn', '{null,null}'),
        (2, 3, '', 'O''Neil, "Al"', '2026-05-02 09:00Z', 0, 'no_price', '{null}');
    insert into core.cycle_products values
        (1, 'tournaments', 'digest', '1', '1', 5, '2026-05-01Z'), (1, 'odds_snapshots', 'digest', '1', '1', 4, '2026-05-01Z');
"""
FACTS = """
    select 'history', m.tableoid::regclass::text, listing_id, observed_at, market_id, specifier, outcome, state::text, coalesce(off_mask, 0),
        odds_milli, keyframe
    from core.market_changes m {lines}
    union all
    select 'present', null, listing_id, changed_at, market_id, specifier, outcome, state::text, coalesce(off_mask, 0), odds_milli, null
    from core.current_markets {lines}
    order by 1, 2, 3, 4, 5
"""
NUMBERED = FACTS.format(lines="join ops.market_lines using (line_id)").encode()
MARKS = "select product, landing_digest, parser_version, mapping_version from core.cycle_products order by 1"


def test_the_odds_history_says_the_same_after_its_markets_are_numbered_and_when_they_are_named_again(
    at_revision: AtRevision,
) -> None:
    database_url = at_revision("0007")
    with Database(database_url).connect() as conn:
        conn.execute(HISTORY)
        before, marks = conn.execute(FACTS.format(lines="").encode()).fetchall(), conn.execute(MARKS).fetchall()
    assert len(before) == 7
    migrate.upgrade(database_url)
    assert migrate.find_drift(database_url) == []
    with Database(database_url).connect() as conn:
        assert conn.execute(NUMBERED).fetchall() == before
        platforms = [f"odds_snapshots/{p}" for p in ("bet9ja", "betpawa", "sportybet")]
        assert conn.execute(MARKS).fetchall() == [
            (product, "digest", "1", "1") for product in (*platforms, "tournaments")
        ]
        assert partitions.ensure_partitions(conn, [date(2026, 5, 1), date(2026, 5, 3)]) == [
            "captures_20260501",
            "captures_20260503",
            "market_changes_20260503",
        ]
        assert conn.execute("select count(*) from ops.market_lines").fetchone() == (3,)
    migrate.downgrade(database_url, "0007")
    with Database(database_url).connect() as conn:
        assert conn.execute(FACTS.format(lines="").encode()).fetchall() == before
        assert conn.execute(MARKS).fetchall() == marks
    migrate.upgrade(database_url)
    assert migrate.find_drift(database_url) == []
    with Database(database_url).connect() as conn:
        assert conn.execute(NUMBERED).fetchall() == before


def test_a_cycle_whose_odds_stand_on_some_platforms_only_is_due_after_a_downgrade(migrated_database_url: str) -> None:
    with Database(migrated_database_url).connect() as conn:
        for cycle, platforms in ((1, ("betpawa", "bet9ja")), (2, ("betpawa", "bet9ja", "sportybet"))):
            for platform in platforms:
                conn.execute(
                    "insert into core.cycle_products values (%s, %s, 'digest', '1', '1', 4, '2026-05-01Z')",
                    [cycle, f"odds_snapshots/{platform}"],
                )
    migrate.downgrade(migrated_database_url, "0007")
    with Database(migrated_database_url).connect() as conn:
        assert conn.execute("select cycle_id, product, n_rows from core.cycle_products").fetchall() == [
            (2, "odds_snapshots", 12)
        ]


QUALITY = """
    create table core.captures_20260501 partition of core.captures for values from ('2026-05-01Z') to ('2026-05-02Z');
    insert into ops.listing_ids (listing_id, platform, external_id) values (1, 'betpawa', '1'), (2, 'betpawa', '2'), (3, 'bet9ja', '3');
    insert into core.captures
        (listing_id, observed_at, cycle_id, keyframe, n_markets_listed, n_markets_mapped, n_markets_priced, n_prices, n_changed, mapping_version,
        ingested_at)
    select listing_id, '2026-05-01Z'::timestamptz + cycle_id * interval '1 hour', cycle_id, keyframe, 9, 9, 9, 9, n_changed, '1', now()
    from (values (1, 1, true, 9), (1, 2, false, 2), (2, 2, false, 0), (3, 2, false, 12)) as c (listing_id, cycle_id, keyframe, n_changed);
    insert into mart.run_quality
        (cycle_id, platform, stage, as_of, discovered, fetched, parsed, rejected, stored, changed, confirmed, change_ratio, errors_by_class, bytes,
        wall_s, completeness, blocked_downstream, mapping_version, computed_at)
    select cycle_id, platform, stage, now(), 1, 1, 1, 1, 1, changed, confirmed, ratio, '{}', 1, 1, 'complete', false, '1', now()
    from (values (1, 'betpawa', 'storage', 0, 0, null), (2, 'betpawa', 'capture', 0, 0, null), (2, 'betpawa', 'storage', 1, 1, 0.5),
        (2, 'bet9ja', 'storage', 1, 0, 1)) as q (cycle_id, platform, stage, changed, confirmed, ratio);
"""
COUNTED = (
    "select cycle_id, platform, stage, changed, confirmed, change_ratio::float from mart.run_quality order by 1, 2, 3"
)


def test_the_quality_of_older_cycles_counts_markets_after_an_upgrade_and_captures_after_a_downgrade(
    at_revision: AtRevision,
) -> None:
    database_url = at_revision("0007")
    with Database(database_url).connect() as conn:
        conn.execute(QUALITY)
        before = conn.execute(COUNTED).fetchall()
    migrate.upgrade(database_url)
    with Database(database_url).connect() as conn:
        assert conn.execute(COUNTED).fetchall() == [
            (1, "betpawa", "storage", 0, 0, None),
            (2, "bet9ja", "storage", 9, 0, 1.0),
            (2, "betpawa", "capture", 0, 0, None),
            (2, "betpawa", "storage", 2, 16, 0.11111111),
        ]
    migrate.downgrade(database_url, "0007")
    with Database(database_url).connect() as conn:
        assert conn.execute(COUNTED).fetchall() == before


def test_an_upgrade_knows_the_largest_books_by_the_captures_that_are_stored_and_no_ages_of_older_cycles(
    at_revision: AtRevision,
) -> None:
    database_url = at_revision("0011")
    with Database(database_url).connect() as conn:
        conn.execute(QUALITY)
        before = conn.execute(COUNTED).fetchall()
    migrate.upgrade(database_url)
    asked = pl.DataFrame({"listing_id": [1, 2, 4]})
    with Database(database_url).connect() as conn:
        assert book_sizes.add_largest_books(conn, asked, [1, 2, 4]).rows() == [(1, 9), (2, 9), (4, None)]
        assert conn.execute("select distinct ages_ignored from mart.run_quality").fetchall() == [(None,)]
        book_sizes.save_largest_books(conn, date(2026, 5, 1))
    migrate.downgrade(database_url, "0011")
    with Database(database_url).connect() as conn:
        assert conn.execute(COUNTED).fetchall() == before


def test_an_upgrade_knows_the_books_of_days_that_left_postgres_by_the_last_one(at_revision: AtRevision) -> None:
    database_url = at_revision("0011")
    seen_at = datetime(2026, 4, 20, tzinfo=UTC)
    with Database(database_url).connect() as conn:
        conn.execute(
            QUALITY.replace(
                "(listing_id, platform, external_id) values (1, 'betpawa', '1'), (2, 'betpawa', '2'), (3, 'bet9ja', '3')",
                "(platform, external_id) values ('betpawa', '1'), ('betpawa', '2'), ('bet9ja', '3')",
            )
        )
        put_kickoffs(
            conn,
            seen_at,
            {7: seen_at + timedelta(days=1), 8: seen_at + timedelta(days=1), 1: seen_at + timedelta(days=1)},
        )
        conn.execute(
            "update core.event_listings set n_markets_priced = case external_id when '7' then 30 when '8' then 0 else 99 end"
        )
        ids = dict(conn.execute("select external_id, listing_id from core.event_listings").fetchall())
    migrate.upgrade(database_url)
    asked = pl.DataFrame({"listing_id": [ids["7"], ids["8"], ids["1"]]})
    with Database(database_url).connect() as conn:
        known = book_sizes.add_largest_books(conn, asked, list(ids.values()))
        assert known["n_markets"].to_list() == [30, None, 9], "where there are captures they say it"
        assert conn.execute("select listing_id, observed_at, cycle_id from core.largest_books").fetchall() == [
            (ids["7"], seen_at, 1)
        ]


LEDGER = """
    insert into ops.scrape_batches values
        (1, 'manual', 'full', null, 'betpawa', '2026-05-01Z', 'run', 'partial', '2026-05-01Z', '2026-05-01Z', '2026-05-01Z'),
        (2, 'manual', 'full', null, 'betpawa', '2026-05-01Z', 'run', 'running', '2026-05-01Z', '2026-05-01Z', null);
    insert into ops.scrape_runs values
        (1, 'betpawa', 'completed', '2026-05-01Z', '2026-05-01Z', 3, 2, 2, 9, 99, '{}', 1, 2, ''),
        (2, 'betpawa', 'running', '2026-05-01Z', '2026-05-01Z', 3, 2, 2, 9, 99, '{}', 1, 2, '');
    insert into ops.event_scrape_status values
        (1, 'betpawa', '7', 7, 'completed', 1, null, '', 200, '2026-05-01Z', '2026-05-01Z', 99, 12),
        (1, 'betpawa', '8', 8, 'failed', 3, 'transient', 'reset', null, '2026-05-01Z', '2026-05-01Z', 0, 12);
"""
STATUSES = """
    select
        (select array_agg(status::text order by cycle_id) from ops.scrape_batches),
        (select array_agg(status::text order by cycle_id) from ops.scrape_runs),
        (select array_agg(status::text order by external_id) from ops.event_scrape_status)
"""


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004", "0005", "0006"])
def test_a_ledger_of_any_older_revision_is_kept_on_the_way_up_and_back(database_url: str, revision: str) -> None:
    migrate.upgrade(database_url, revision)
    with Database(database_url).connect() as conn:
        conn.execute(LEDGER)
        before = conn.execute(STATUSES).fetchone()
    migrate.upgrade(database_url)
    assert migrate.find_drift(database_url) == []
    with Database(database_url).connect() as conn:
        assert conn.execute(STATUSES).fetchone() == before
        assert conn.execute(
            "select count(*) from palimpsest.event_scrape_status where observed_at is null"
        ).fetchone() == (2,)
        assert conn.execute(
            "select count(*) from palimpsest.scrape_runs where capture_s is null and floor_s is null"
        ).fetchone() == (2,)
    migrate.downgrade(database_url, revision)
    with Database(database_url).connect() as conn:
        assert conn.execute(STATUSES).fetchone() == before


def test_what_older_words_cannot_say_of_a_cycle_is_failed_after_a_downgrade(migrated_database_url: str) -> None:
    with Database(migrated_database_url).connect() as conn:
        conn.execute(LEDGER)
        conn.execute("update ops.scrape_batches set status = 'interrupted' where cycle_id = 1")
        conn.execute(
            "update ops.scrape_runs set status = 'cancelled', capture_s = 1, floor_s = 1, clock_offset_s = 3600 where cycle_id = 1"
        )
        conn.execute(
            "update ops.event_scrape_status set status = 'interrupted', observed_at = received_at where external_id = '8'"
        )
    migrate.downgrade(migrated_database_url, "0006")
    with Database(migrated_database_url).connect() as conn:
        assert conn.execute(STATUSES).fetchone() == (
            ["failed", "running"],
            ["failed", "running"],
            ["completed", "failed"],
        )
    migrate.upgrade(migrated_database_url)
    assert migrate.find_drift(migrated_database_url) == []


def test_what_is_said_of_refused_answers_stays_in_the_message_after_a_downgrade(migrated_database_url: str) -> None:
    with Database(migrated_database_url).connect() as conn:
        conn.execute(LEDGER)
        assert conn.execute("select distinct refused, refusal from ops.scrape_runs").fetchall() == [(0, "")]
        cycle_ledger.record_refusals(conn, 1, BETPAWA, n_read=1, n_refused=1, example="$.id", max_refused_share=0.05)
    migrate.downgrade(migrated_database_url, "0011")
    with Database(migrated_database_url).connect() as conn:
        row = conn.execute("select status, message from ops.scrape_runs where cycle_id = 1").fetchone()
        assert row == ("partial", "1 of 2 answers were refused, e.g. $.id")
    migrate.upgrade(migrated_database_url)
    assert migrate.find_drift(migrated_database_url) == []


def test_signs_of_life_of_runs_are_kept_when_machine_and_first_day_are_added_and_taken_away(
    at_revision: AtRevision,
) -> None:
    database_url = at_revision("0011")
    row = "insert into ops.run_heartbeats (run_id, job, host, pid, started_at, heartbeat_at) values ('r', 'full_cycle', 'h', 7, now(), now())"
    with Database(database_url).connect() as conn:
        conn.execute(row)
    migrate.upgrade(database_url)
    with Database(database_url).connect() as conn:
        assert conn.execute("select pid, machine, first_day from ops.run_heartbeats").fetchall() == [(7, None, None)]
        conn.execute("update ops.run_heartbeats set machine = 'boot pid:[1]', first_day = '2026-03-04'")
    migrate.downgrade(database_url, "0021")
    with Database(database_url).connect() as conn:
        assert conn.execute("select pid, machine from ops.run_heartbeats").fetchall() == [(7, "boot pid:[1]")]
    migrate.downgrade(database_url, "0011")
    with Database(database_url).connect() as conn:
        assert conn.execute("select pid from ops.run_heartbeats").fetchall() == [(7,)]


def test_an_upgrade_has_derived_what_is_to_come_alone(database_url: str) -> None:
    """What has begun has no present, and its alerts would be of years of history."""
    migrate.upgrade(database_url, "0010")
    with Database(database_url).connect() as conn:
        now = datetime.now(UTC)
        put_kickoffs(conn, now, {1: now - timedelta(minutes=1), 2: now + timedelta(hours=1)})
    migrate.upgrade(database_url)
    with Database(database_url).connect() as conn:
        assert conn.execute("select product, sr_id from mart.dirty_fixtures order by product").fetchall() == [
            ("odds_alerts", 2),
            ("prices", 2),
        ]


REFUSED_KICKOFF: Final = """
    insert into core.cycles values (1, '2026-05-01Z', 'manual', 'full', 'betpawa', '2026-05-01 00:01Z');
    insert into core.listing_claims (listing_id, claim_hash, platform, sport, kind, tournament_external_id, tournament_name, home_team, away_team,
        kickoff_at) select listing_id, 5, 'betpawa', 'football', 'match', 't', 'T', 'A', 'B', null from core.event_listings;
    insert into core.listing_observations (cycle_id, listing_id, claim_hash, observed_at, seen_in)
        select 1, listing_id, 5, '2026-05-01Z', 'listing' from core.event_listings;
    update core.event_listings set kickoff_at = null;
    update core.fixtures set kickoff_max_delta_s = 5000000000;
"""
KICKOFFS: Final = """
    select c.kickoff_at, e.kickoff_at, f.kickoff_max_delta_s
    from core.listing_claims c join core.event_listings e using (listing_id) cross join core.fixtures f
"""


def test_a_refused_kickoff_and_a_great_difference_survive_and_the_step_down_gives_the_older_code_what_it_needs(
    at_revision: AtRevision,
) -> None:
    database_url = at_revision("0011")
    with Database(database_url).connect() as conn:
        put_kickoffs(conn, datetime(2026, 5, 1, tzinfo=UTC), {7: datetime(2026, 5, 2, tzinfo=UTC)})
    migrate.upgrade(database_url)
    with Database(database_url).connect() as conn:
        conn.execute(REFUSED_KICKOFF)
        assert conn.execute(KICKOFFS).fetchall() == [(None, None, 5_000_000_000)]
    migrate.downgrade(database_url, "0011")
    with Database(database_url).connect() as conn:
        midnight = datetime(2026, 5, 1, tzinfo=UTC)
        assert conn.execute(KICKOFFS).fetchall() == [(midnight, midnight, 2**31 - 1)]
    migrate.upgrade(database_url)
    assert migrate.find_drift(database_url) == []


CLAIMED: Final = """
    insert into core.cycles values (1, '2026-05-01Z', 'manual', 'full', 'betpawa', '2026-05-01 00:01Z');
    insert into core.listing_claims (listing_id, claim_hash, platform, sport, kind, tournament_external_id, tournament_name, home_team, away_team,
        kickoff_at) select listing_id, 5, 'betpawa', 'football', 'match', 't', 'T', 'A', 'B', kickoff_at from core.event_listings;
    insert into core.listing_observations (cycle_id, listing_id, claim_hash, observed_at, seen_in)
        select 1, listing_id, 5, '2026-05-01Z', 'listing' from core.event_listings;
    insert into core.kickoff_versions (listing_id, observed_from, kickoff_at, version)
        select listing_id, from_at, at, version from core.event_listings cross join (values
            ('2026-04-01Z'::timestamptz, '2026-05-02Z'::timestamptz, 1), ('2026-04-02Z', '2099-12-31Z', 2), ('2026-04-03Z', '2026-05-02Z', 3),
            ('2026-04-04Z', '2026-05-03Z', 4)) as v (from_at, at, version) where external_id in ('7', '8');
"""


def test_an_upgrade_refuses_the_absurd_kickoffs_that_were_stored_before(at_revision: AtRevision) -> None:
    database_url = at_revision("0011")
    now, good, absurd = (datetime(*day, tzinfo=UTC) for day in ((2026, 5, 1), (2026, 5, 3), (2099, 12, 31)))
    with Database(database_url).connect() as conn:
        put_kickoffs(conn, now, {7: good, 8: absurd, 9: good})
        # The third listing is another one of the first match, and the match had its absurd kickoff.
        conn.execute(
            "update core.event_listings set fixture_sr_id = 7, is_primary = false, kickoff_at = %s where external_id = '9'",
            [absurd],
        )
        conn.execute("update core.fixtures set effective_kickoff = %s where sr_id = 7", [absurd])
        conn.execute("delete from core.fixtures where sr_id = 9")
        conn.execute(CLAIMED)
    migrate.upgrade(database_url)
    with Database(database_url).connect() as conn:
        listed = conn.execute(
            "select external_id, kickoff_at, fixture_sr_id, is_primary from core.event_listings order by 1"
        ).fetchall()
        assert listed == [("7", good, 7, True), ("8", None, None, False), ("9", None, 7, False)]
        assert conn.execute("select kickoff_at from core.listing_claims order by listing_id").fetchall() == [
            (good,),
            (None,),
            (None,),
        ]
        assert conn.execute("select sr_id, effective_kickoff from core.fixtures").fetchall() == [(7, good)]
        versions = conn.execute(
            "select distinct observed_from, kickoff_at, version from core.kickoff_versions order by 1"
        ).fetchall()
        assert versions == [
            (datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC), 1),
            (datetime(2026, 4, 4, tzinfo=UTC), datetime(2026, 5, 3, tzinfo=UTC), 2),
        ]


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
        conn.execute("comment on view palimpsest.events is 'other'")  # so that the views are made anew
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
# A migration makes the function home_platform, which the views use.
VIEW_IDS: Final = """
    select oid from pg_class where relnamespace = 'palimpsest'::regnamespace union all
    select oid from pg_proc where pronamespace = 'palimpsest'::regnamespace and proname <> 'home_platform' order by 1
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


def test_an_upgrade_that_is_repeated_leaves_the_views_as_they_stand(
    migrated_database_url: str, conn: psycopg.Connection
) -> None:
    before = conn.execute(VIEW_IDS).fetchall()
    assert len(before) > 40
    migrate.upgrade(migrated_database_url)
    assert conn.execute(VIEW_IDS).fetchall() == before


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
    for file in migrate.list_view_files():
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


def test_the_alembic_command_does_the_same_from_the_checkout(database_url: str) -> None:
    environment = {**os.environ, "PALIMPSEST_DATABASE_URL": database_url}
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True, timeout=60)
    assert migrate.find_drift(database_url) == []
    command = [sys.executable, "-m", "alembic", "-x", f"url={database_url}", "downgrade", "base"]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, timeout=60)
    with Database(database_url).connect() as conn:
        assert conn.execute(OBJECTS).fetchall() == []


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
        (
            "alter table mart.run_quality drop constraint ck_run_quality_change_ratio_is_ratio",
            "ck_run_quality_change_ratio_is_ratio",
        ),
        ("alter type core.market_state add value 'other'", "core.market_state"),
        ("create table mart.extra (a int)", "mart.extra"),
        ("drop view palimpsest.market_odds", "palimpsest.market_odds"),
        ("drop function palimpsest.prices_as_of", "palimpsest.prices_as_of"),
    ],
)
def test_a_change_by_hand_is_named(
    migrated_database_url: str, conn: psycopg.Connection, change: str, told: str
) -> None:
    conn.execute(change.encode())
    found = migrate.find_drift(migrated_database_url)
    assert len(found) == 1
    assert told in found[0]


def test_an_empty_database_is_told_apart_from_an_old_one(database_url: str) -> None:
    assert migrate.find_drift(database_url) == ["the database holds no tables of ours: run palimpsest db upgrade"]


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


LEAKED = "ProxyError: 407, message='Proxy Authentication Required', url='http://marker:m%40/rker@127.0.0.1:8080'"
HIDDEN = "ProxyError: 407, message='Proxy Authentication Required', url='http://***@127.0.0.1:8080'"


def test_an_upgrade_takes_credentials_out_of_every_message_and_keeps_the_rest(at_revision: AtRevision) -> None:
    database_url = at_revision("0011")
    with Database(database_url).connect() as conn:
        conn.execute(
            """
            insert into ops.scrape_batches (cycle_id, trigger, scope, home_platform, partition_hour, status, started_at, heartbeat_at)
            values (1, 'manual', 'full', 'betpawa', '2026-05-01Z', 'failed', '2026-05-01Z', '2026-05-01Z')
            """
        )
        runs = {
            "betpawa": f"twice {LEAKED}; {LEAKED}",
            "bet9ja": "https://example.com answers, write to me@example.com",
        }
        for platform, message in runs.items():
            conn.execute(
                """
                insert into ops.scrape_runs
                    (cycle_id, platform, status, started_at, finished_at, discovered, targets, fetched, requests, bytes, errors_by_class, message)
                values (1, %s, 'failed', now(), now(), 0, 0, 0, 1, 0, '{}', %s)
                """,
                [platform, message],
            )
        for host in ("sportybet", "me:marker@host"):
            conn.execute("insert into ops.host_state values (%s, now(), %s, now())", [host, LEAKED])
        conn.execute(
            "insert into core.discovery_manifest values (1, 'bet9ja', '*', null, 0, 'failed', %s)",
            [f"tree: transient: {LEAKED}"],
        )
    migrate.upgrade(database_url)
    assert migrate.find_drift(database_url) == []
    with Database(database_url).connect() as conn:
        messages = dict(conn.execute("select platform, message from ops.scrape_runs").fetchall())
        assert messages == {**runs, "betpawa": f"twice {HIDDEN}; {HIDDEN}"}
        assert conn.execute("select host, cycle_id, reason from ops.host_state").fetchall() == [
            ("sportybet", 0, HIDDEN)
        ]
        assert conn.execute("select missing from core.discovery_manifest").fetchone() == (f"tree: transient: {HIDDEN}",)
    migrate.downgrade(database_url, "0011")
    with Database(database_url).connect() as conn:
        assert conn.execute("select host, reason from ops.host_state").fetchall() == [("sportybet", HIDDEN)]


def test_the_record_of_exported_days_comes_and_goes_with_its_rows(
    conn: psycopg.Connection, migrated_database_url: str
) -> None:
    conn.execute("insert into ops.exported_days values ('2026-05-01', '2026-05-02 01:10Z', 7)")
    conn.close()
    migrate.downgrade(migrated_database_url, "0011")
    migrate.upgrade(migrated_database_url)
    assert migrate.find_drift(migrated_database_url) == []
    with Database(migrated_database_url).connect() as again:
        assert again.execute("select count(*) from ops.exported_days").fetchone() == (0,)


def test_what_is_landed_and_what_failed_come_and_go_and_leave_what_was_derived(
    conn: psycopg.Connection, migrated_database_url: str
) -> None:
    conn.execute(
        "insert into ops.landed_cycles (cycle_id, partition_hour, scope, platforms, digest, is_whole, is_gone, problem) "
        "values (1, '2026-05-01 09:00Z', 'full', '{bet9ja}', 'digest', true, false, '')"
    )
    conn.execute("insert into ops.cycle_failures values (1, 'tournaments', 'digest', '1', '1', 'no', now())")
    conn.execute("insert into core.cycle_products values (1, 'home_events', 'digest', '1', '1', 5, '2026-05-01Z')")
    wanted = (
        '[{"platforms": ["bet9ja"], "parser": "1", "mapping": "1"}]',
        '[{"schema": "core", "product": "tournaments", "scopes": null, "by_platform": false},'
        ' {"schema": "core", "product": "home_events", "scopes": ["full"], "by_platform": false}]',
    )
    query = "select cycle_id, product, reason, can_be_derived, has_failed from ops.due_products(%s, %s)"
    assert conn.execute(query, wanted).fetchall() == [(1, "tournaments", "not derived", True, True)]
    conn.close()
    migrate.downgrade(migrated_database_url, "0019")
    with Database(migrated_database_url).connect() as before:
        assert before.execute("select to_regclass('ops.landed_cycles'), to_regproc('ops.due_products')").fetchone() == (
            None,
            None,
        )
    migrate.upgrade(migrated_database_url)
    assert migrate.find_drift(migrated_database_url) == []
    with Database(migrated_database_url).connect() as again:
        assert again.execute(query, wanted).fetchall() == []
        assert again.execute("select product from core.cycle_products").fetchall() == [("home_events",)]


PRESENT = """
    insert into mart.price_comparison (
        sr_id, market_key, specifier, outcome_key, platform, home_platform, as_of, home_last_confirmed_at, platform_last_confirmed_at, skew_s,
        home_state, platform_state, comparable, mapping_version, computed_at
    )
    values (7, 'match_result', '', '1', 'bet9ja', 'betpawa', now(), now(), now(), 0, 'offered', 'offered', true, '1', now());
    insert into mart.availability_gap (
        sr_id, market_key, specifier, platform, home_platform, as_of, gap_type, never_offered_home, never_offered_platform, minutes_to_kickoff,
        mapping_version, computed_at
    )
    values (8, 'match_result', '', 'bet9ja', 'betpawa', now(), 'both', true, true, 60, '1', now());
    insert into mart.dirty_fixtures values ('prices', 8, '2026-06-26Z'), ('odds_alerts', 8, '2026-06-26Z');
"""
DUE = "select product, sr_id, marked_at > '2026-06-27Z' from mart.dirty_fixtures order by 1, 2"


def test_fixtures_with_prices_side_by_side_or_gaps_are_due_after_an_upgrade_and_after_a_downgrade(
    database_url: str,
) -> None:
    migrate.upgrade(database_url, "0023")
    with Database(database_url).connect() as conn:
        conn.execute(PRESENT)
    migrate.upgrade(database_url)
    assert migrate.find_drift(database_url) == []
    with Database(database_url).connect() as conn:
        assert conn.execute(DUE).fetchall() == [
            ("odds_alerts", 7, True),
            ("odds_alerts", 8, False),
            ("prices", 7, True),
            ("prices", 8, False),
        ]
        for view in ("price_comparison", "best_prices", "margins_now", "gaps", "gaps_by_tournament"):
            assert conn.execute(f"select * from palimpsest.{view}".encode()).fetchall() == []
        conn.execute("delete from mart.dirty_fixtures")
        for table, sr_id in (("price_comparison", 7), ("availability_gap", 8)):
            insert(conn, f"mart.{table}", {"sr_id": sr_id})
    migrate.downgrade(database_url, "0023")
    with Database(database_url).connect() as conn:
        assert conn.execute(DUE).fetchall() == [
            (product, sr_id, True) for product in ("odds_alerts", "prices") for sr_id in (7, 8)
        ]
        conn.execute(PRESENT.rpartition("insert")[0])
    migrate.upgrade(database_url)
    assert migrate.find_drift(database_url) == []


def write_alert(conn: psycopg.Connection, key: str, partition: str | None) -> None:
    subject, _, error_class = key.partition("/")[2].rpartition("/")
    conn.execute(
        "insert into ops.alerts (alert_key, opened_at, severity, subject, error_class, message, partition_key, n_seen, last_seen_at, told_by,"
        " closing_told_by) values (%s, '2026-06-26Z', 'error', %s, %s, 'no', %s, 1, '2026-06-26 09:00Z', '{log}', '{}')",
        [key, subject, error_class, partition],
    )


def open_alerts(database_url: str) -> dict[str, str | None]:
    with Database(database_url).connect() as conn:
        return {
            alert.alert_key: alert.partition_key for alert in alerts.read_latest_alerts(conn) if alert.closed_at is None
        }


BAD_CHECK = "core/odds_snapshots:history_equals_current"
CYCLES_SQL = """
    insert into core.cycles
    select cycle_id, hour::timestamptz, 'manual', 'full', 'betpawa', hour::timestamptz
    from (values (7, '2026-06-26 05:00Z'), (9, '2026-06-26 05:00Z'), (11, '2026-06-26 05:00Z'), (12, '2026-06-26 06:00Z')) v (cycle_id, hour);
    insert into core.cycle_products
    select cycle_id, product, 'd', '1', '1', 5, '2026-06-26 08:00Z'
    from (
        values (7, 'odds_snapshots/betpawa'), (9, 'odds_snapshots/bet9ja'), (11, 'tournaments'), (12, 'odds_snapshots/betpawa')
    ) v (cycle_id, product);
"""
"""Cycles 7 and 9 have odds of the hour 05:00, cycle 11 has none."""
OLDER_ALERTS = {
    "run/__ASSET_JOB:core__odds_snapshots/Broken": "2026-06-25-23:00, 2026-06-26-05:00, 2026-06-26-07:00",
    "run/full_cycle/Broken": "2026-06-26-05:00",
    f"check/{BAD_CHECK}/CheckFailed": "2026-06-26-05:00",
    f"check/{BAD_CHECK}/UnreadableRecord": "2026-06-26-06:00",
    "check/mart/run_quality:no_stage_is_empty/CheckFailed": "2026-06-26-05:00",
    "run/export/Broken": "2026-06-25",
    "run/__ASSET_JOB:mart__open_close/Broken": "2026-06-25",
    "run/full_cycle/RunFailure": None,
}


def test_what_is_wrong_in_hours_stays_open_and_names_days_and_cycles_after_an_upgrade(database_url: str) -> None:
    migrate.upgrade(database_url, "0022")
    with Database(database_url).connect() as conn:
        conn.execute(CYCLES_SQL)
        for key, partition in OLDER_ALERTS.items():
            write_alert(conn, key, partition)
    migrate.upgrade(database_url)
    assert migrate.find_drift(database_url) == []
    assert open_alerts(database_url) == {
        **{key: partition for key, partition in OLDER_ALERTS.items() if "run_quality" not in key},
        "run/__ASSET_JOB:core__odds_snapshots/Broken": "2026-06-25, 2026-06-26",
        "run/full_cycle/Broken": "2026-06-26",
        f"check/{BAD_CHECK}/CheckFailed": "7, 9",
        f"check/{BAD_CHECK}/UnreadableRecord": "2026-06-26",
    }
    with Database(database_url).connect() as conn:
        verdicts = check_verdicts.read_bad_verdicts_by_check(conn, [BAD_CHECK])
        assert [(verdict.cycle_id, at) for _, at, verdict in verdicts] == [
            (cycle_id, datetime(2026, 6, 26, 9, tzinfo=UTC)) for cycle_id in (7, 9)
        ]
        hour = "2026-06-26-05:00"
        mend = f"[seen in the hour {hour}, when checks judged hours: `palimpsest backfill {hour} {hour} --again` has its cycles judged one by one]"
        assert verdicts[0][2].description == f"no {mend}"
        assert check_verdicts.list_unjudged_cycles(conn, BAD_CHECK, [7, 9, 12], "core", "odds_snapshots") == [
            7,
            9,
            12,
        ], "the next replay judges the bad ones again"
        (closed,) = [alert for alert in alerts.read_latest_alerts(conn) if alert.closed_at is not None]
        assert (
            closed.message
            == "no [closed when checks of hours became checks of cycles: if the trouble lasts, a new alert tells of it]"
        )
        assert not select_notices(
            [closed], "log", datetime.now(UTC) + timedelta(hours=1), timedelta(0), Severity.WARN
        ), "no end is told that was none"


def test_alerts_of_cycles_and_days_are_of_hours_after_a_downgrade_or_end_untold(migrated_database_url: str) -> None:
    with Database(migrated_database_url).connect() as conn:
        conn.execute(CYCLES_SQL)
        for key, partition in (
            ("cycle/core/odds_snapshots/Broken", "7, 9"),
            (f"check/{BAD_CHECK}/CheckFailed", "7, 9, 12"),
            ("check/mart/run_quality:no_stage_is_empty/CheckFailed", "99"),
            ("run/full_cycle/Broken", "2026-06-26"),
            ("run/__ASSET_JOB:core__odds_snapshots/Broken", "2026-06-25, 2026-06-26"),
            ("run/__ASSET_JOB:mart__open_close/Broken", "2026-06-25, 2026-06-26"),
            ("run/export/Broken", "2026-06-25"),
            ("run/full_cycle/RunFailure", None),
        ):
            write_alert(conn, key, partition)
    migrate.downgrade(migrated_database_url, "0022")
    assert open_alerts(migrated_database_url) == {
        f"check/{BAD_CHECK}/CheckFailed": "2026-06-26-06:00",
        "run/__ASSET_JOB:mart__open_close/Broken": "2026-06-25, 2026-06-26",
        "run/export/Broken": "2026-06-25",
        "run/full_cycle/RunFailure": None,
    }
    with Database(migrated_database_url).connect() as conn:
        found = {alert.alert_key for alert in alerts.read_latest_alerts(conn) if alert.closed_at is not None}
        assert "cycle/core/odds_snapshots/Broken" not in found, "the older code does not know such alerts"
        assert len(found) == 3
    migrate.upgrade(migrated_database_url)
    assert migrate.find_drift(migrated_database_url) == []
    assert open_alerts(migrated_database_url)[f"check/{BAD_CHECK}/CheckFailed"] == "12"


def test_platforms_become_rows_and_earlier_cycles_cover_the_three_known_ones(at_revision: AtRevision) -> None:
    database_url = at_revision("0027")
    with Database(database_url).connect() as conn:
        conn.execute("insert into core.bookmakers values ('betpawa', 'BetPawa', 1), ('sportybet', 'SportyBet', 2)")
        conn.execute("insert into ops.listing_ids (platform, external_id) values ('bet9ja', '7'), ('betpawa', '8')")
        conn.execute("insert into ops.landed_cycles values (1, '2026-05-01 09:00Z', 'full', 'd', true, false, '')")
        conn.execute(LEDGER)
    migrate.upgrade(database_url)
    assert migrate.find_drift(database_url) == []
    with Database(database_url).connect() as conn:
        assert conn.execute("select * from ops.platforms order by trust_rank").fetchall() == [
            ("betpawa", "BetPawa", 1),
            ("sportybet", "SportyBet", 2),
            ("bet9ja", "bet9ja", 100),
        ]
        assert conn.execute("select platforms from ops.landed_cycles").fetchone() == (
            ["bet9ja", "betpawa", "sportybet"],
        ), "in the order by which due products are found"
        assert conn.execute("select distinct platforms from ops.scrape_batches").fetchall() == [([],)]
        with pytest.raises(psycopg.errors.ForeignKeyViolation), conn.transaction():
            conn.execute("insert into ops.listing_ids (platform, external_id) values ('msport', '9')")
        conn.execute("insert into ops.platforms values ('msport', 'MSport', 40)")
        conn.execute("insert into core.rejects values (1, 'msport', 'detail', '9', '$', 'bad', true, 1)")
        conn.execute("delete from core.rejects")
    migrate.downgrade(database_url, "0027")
    with Database(database_url).connect() as conn:
        assert conn.execute("select platform from core.bookmakers order by 1").fetchall() == [
            ("bet9ja",),
            ("betpawa",),
            ("sportybet",),
        ]


def test_a_downgrade_that_would_lose_a_platform_is_refused(migrated_database_url: str) -> None:
    with Database(migrated_database_url).connect() as conn:
        conn.execute("insert into ops.platforms values ('msport', 'MSport', 40)")
        conn.execute("insert into ops.listing_ids (platform, external_id) values ('msport', '9')")
    with pytest.raises(IntegrityError, match="ck_listing_ids_platform"):
        migrate.downgrade(migrated_database_url, "0027")


def test_undelivered_messages_of_removed_rules_are_cancelled_and_a_downgrade_sends_none_of_them(
    at_revision: AtRevision,
) -> None:
    def read_states() -> list[tuple[str, str]]:
        with Database(database_url).connect() as conn:
            return conn.execute("select message_id, state from ops.push_outbox order by message_seq").fetchall()

    database_url = at_revision("0032")
    with Database(database_url).connect() as conn:
        conn.execute(
            "insert into ops.push_rules values ('here', 'gaps', '{}', 'd', now(), null), ('gone', 'gaps', '{}', 'd', now(), now())"
        )
        for rule in ("here", "gone", "never"):
            for state in ("pending", "delivered", "failed"):
                conn.execute(
                    "insert into ops.push_outbox (message_id, rule, subject, fires_at, created_at, body, state, n_attempts, next_attempt_at)"
                    " values (%s, %s, '1', now(), now(), '{}', %s, 0, now())",
                    [f"{rule}-{state}", rule, state],
                )
    migrate.upgrade(database_url)
    assert migrate.find_drift(database_url) == []
    kept = [("here-pending", "pending"), ("here-delivered", "delivered"), ("here-failed", "failed")]

    def list_ended(state: str) -> list[tuple[str, str]]:
        return [
            (f"{rule}-{was}", "delivered" if was == "delivered" else state)
            for rule in ("gone", "never")
            for was in ("pending", "delivered", "failed")
        ]

    assert read_states() == kept + list_ended("cancelled")
    migrate.downgrade(database_url, "0032")
    assert read_states() == kept + list_ended("failed")
    with Database(database_url).connect() as conn, pytest.raises(psycopg.errors.CheckViolation):
        conn.execute("update ops.push_outbox set state = 'cancelled'")
    migrate.upgrade(database_url)
    assert migrate.find_drift(database_url) == []


LINES = """
    insert into core.markets (market_id, market_key, sport, period, family, name, line_kind, fair_sum)
        values (1, 'match_result', 'football', 'ft', 'result', 'Match result', 'none', '1'),
            (3, 'first_scorer', 'football', 'ft', 'player', 'First scorer', 'none', null);
    insert into core.market_outcomes (market_id, ordinal, outcome_key, name)
        values (1, 1, '1', 'Home'), (1, 2, 'x', 'Draw'), (1, 3, '2', 'Away'), (3, 1, 'none', 'No goal');
    insert into ops.market_lines (market_id, specifier, outcome)
        values (1, '', ''), (2, 'total=2.5', ''), (3, '', 'none'), (3, '', 'Salah');
"""


def test_lines_that_are_there_get_names(at_revision: AtRevision) -> None:
    database_url = at_revision("0034")
    with Database(database_url).connect() as conn:
        conn.execute(LINES)
    for _ in range(2):
        migrate.upgrade(database_url)
        assert migrate.find_drift(database_url) == []
        with Database(database_url).connect() as conn:
            query = "select line_id, market, winners_k, outcome_keys, outcomes, outcome_orders from ops.line_names"
            assert conn.execute(query).fetchall() == [
                (1, "Match result", 1, ["1", "x", "2"], ["Home", "Draw", "Away"], [1, 2, 3]),
                (3, "First scorer", None, ["none"], ["No goal"], [1]),
                (4, "First scorer", None, [], [], []),
            ]
            assert write_line_names(conn) == 0
        migrate.downgrade(database_url, "0034")
