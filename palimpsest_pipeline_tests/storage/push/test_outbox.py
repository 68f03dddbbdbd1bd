"""Rules in force, the order of messages, and the sender's role: what it may do, and all that it may not."""

import threading
from collections.abc import Iterator
from datetime import date, timedelta

import psycopg
import pytest

from palimpsest_pipeline.domain.push_rules import PushRule
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.push import outbox
from palimpsest_pipeline.storage.push.deliveries import DeliveryStore
from palimpsest_pipeline_tests.pipeline.push.outboxes import (
    SINCE,
    build_sender_url,
    connect_as_sender,
    open_outbox,
    put_messages,
    put_rules,
    read_states,
)

LATER = SINCE + timedelta(hours=1)
A = PushRule(name="a", source="odds_alerts", webhook="URL")


@pytest.fixture(scope="module")
def module_database(postgres: EmbeddedPostgres) -> Iterator[Database]:
    with open_outbox(postgres) as database:
        yield database


@pytest.fixture
def database(module_database: Database) -> Database:
    with module_database.connect() as conn:
        conn.execute("truncate ops.push_rules, ops.push_outbox")
    return module_database


def test_a_rule_holds_from_when_it_was_first_read_and_a_changed_or_returning_one_is_new(database: Database):
    def read_since() -> dict[str, object]:
        return {each.rule.name: each.since for each in outbox.read_rules(conn, "odds_alerts")}

    moved = PushRule(name="a", source="odds_alerts", webhook="OTHER")
    changed = PushRule(name="a", source="odds_alerts", webhook="OTHER", min_size=0.1)
    with database.connect() as conn:
        outbox.store_rules(conn, [A], SINCE)
        outbox.store_rules(conn, [A], LATER)
        assert read_since() == {"a": SINCE}
        outbox.store_rules(conn, [moved], LATER)
        assert read_since() == {"a": SINCE}
        assert outbox.read_rules(conn, "odds_alerts")[0].rule == moved
        outbox.store_rules(conn, [changed], LATER)
        assert read_since() == {"a": LATER}
        outbox.store_rules(conn, [], LATER)
        assert read_since() == {}
        outbox.store_rules(conn, [changed], LATER + timedelta(hours=1))
        assert read_since() == {"a": LATER + timedelta(hours=1)}
        assert outbox.read_rules(conn, "gaps") == []


def test_a_rule_that_did_not_change_is_not_written_again(database: Database):
    rule = PushRule(
        name="a", source="odds_alerts", webhook="URL", types=("price_move",), markets=("totals",), min_size=1
    )
    with database.connect() as conn:
        outbox.store_rules(conn, [rule], SINCE)
        before = conn.execute("select xmin::text, ctid::text from ops.push_rules").fetchall()
        conn.commit()
        outbox.store_rules(conn, [rule], LATER)
        assert conn.execute("select xmin::text, ctid::text from ops.push_rules").fetchall() == before


def test_messages_of_a_removed_rule_are_cancelled_and_never_sent_even_when_the_rule_returns(database: Database):
    put_rules(database, "a", "b")
    put_messages(database, "a", [1, 2, 3])
    put_messages(database, "b", [1])
    with database.connect() as conn:
        conn.execute("update ops.push_outbox set state = 'delivered' where message_id = 'a-1'")
        conn.execute("update ops.push_outbox set state = 'failed', last_error = 'no' where message_id = 'a-2'")
    put_rules(database, "b")
    assert [state for state, *_ in read_states(database, "a")] == ["delivered", "cancelled", "cancelled"]
    assert [state for state, *_ in read_states(database, "b")] == ["pending"]
    with database.connect() as conn:
        assert outbox.retry_failed(conn, "a") == 0
        status = next(each for each in outbox.read_rule_status(conn) if each.rule == "a")
        assert (status.n_pending, status.n_failed, status.n_cancelled, status.n_delivered) == (0, 0, 2, 1)
        assert (status.last_error, status.oldest_pending_at) == (None, None)
        assert outbox.read_stored_subjects(conn, "a", ["1"], SINCE - timedelta(hours=1)) == [("1", SINCE)]
    put_rules(database, "a", "b")
    assert [state for state, *_ in read_states(database, "a")] == ["delivered", "cancelled", "cancelled"]


def test_a_message_that_a_derivation_adds_after_the_removal_is_cancelled_too(database: Database):
    put_rules(database, "a")
    put_rules(database)
    put_messages(database, "a", [1])
    put_rules(database, "a")
    assert [state for state, *_ in read_states(database, "a")] == ["cancelled"]


async def test_the_sender_sees_only_messages_of_rules_in_force_and_a_refusal_after_the_removal_changes_nothing(
    database: Database,
):
    put_rules(database, "a")
    put_messages(database, "a", [1])
    address = Database(build_sender_url(database)).conninfo
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as conn:
        store = DeliveryStore(conn)
        (message,) = await store.read_first_messages()
        put_rules(database)
        put_messages(database, "a", [2])
        assert await store.read_first_messages() == []
        await store.record_refusal(message, 400, "no")
        assert [state for state, *_ in read_states(database, "a")] == ["cancelled", "pending"]


def test_a_stored_rule_that_cannot_be_used_is_left_out(database: Database, caplog: pytest.LogCaptureFixture):
    put_rules(database, "a", "b")
    with database.connect() as conn:
        conn.execute(
            "update ops.push_rules set definition = definition || '{\"min_size\": 10000000000000}' where rule = 'a'"
        )
        assert [active.rule.name for active in outbox.read_rules(conn, "odds_alerts")] == ["b"]
    assert "the stored rule a cannot be used" in caplog.text


def test_a_sender_is_needed_for_rules_in_force_and_for_pending_messages(database: Database):
    with database.connect() as conn:
        assert not outbox.has_work_for_sender(conn)
    put_messages(database, "a", [1])
    with database.connect() as conn:
        assert outbox.has_work_for_sender(conn)
    put_rules(database)
    with database.connect() as conn:
        assert not outbox.has_work_for_sender(conn)
    put_rules(database, "a")
    with database.connect() as conn:
        assert outbox.has_work_for_sender(conn)


def test_a_message_is_stored_once(database: Database):
    put_messages(database, "a", [1, 2])
    put_messages(database, "a", [2, 3])
    with database.connect() as conn:
        ids = conn.execute("select message_id from ops.push_outbox order by message_seq").fetchall()
    assert ids == [("a-1",), ("a-2",), ("a-3",)]


def test_messages_are_committed_in_the_order_of_their_numbers(database: Database):
    """A second transaction that wants to append waits until the first one has ended."""
    message = outbox.NewMessage("a-1", "a", "1", SINCE, "{}")
    with database.connect() as conn:
        outbox.add_messages(conn, [message])
        other = threading.Thread(target=put_messages, args=(database, "a", [2]))
        other.start()
        with database.connect(autocommit=True) as watching:
            waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
            while watching.execute(waiting).fetchone() != (1,):
                assert other.is_alive()
            assert watching.execute("select count(*) from ops.push_outbox").fetchone() == (0,)
        conn.commit()
        other.join()
    with database.connect() as conn:
        ids = conn.execute("select message_id from ops.push_outbox order by message_seq").fetchall()
    assert ids == [("a-1",), ("a-2",)]


def test_old_messages_are_deleted_but_not_what_still_waits_for_a_rule_in_force(database: Database):
    put_rules(database, "a")
    put_messages(database, "a", [1, 2])
    put_messages(database, "removed", [1])
    with database.connect() as conn:
        conn.execute("update ops.push_outbox set created_at = %s", [SINCE])
        conn.execute("update ops.push_outbox set state = 'delivered' where message_id = 'a-1'")
        assert outbox.delete_old_messages(conn, date(2026, 5, 1)) == 0
        assert outbox.delete_old_messages(conn, date(2026, 5, 2)) == 2
    assert [state for state, *_ in read_states(database, "a")] == ["pending"]


def test_the_sender_reads_the_outbox_and_records_deliveries(database: Database):
    put_rules(database, "a")
    put_messages(database, "a", [1])
    with connect_as_sender(database) as conn:
        assert conn.execute("select ops.claim_push_sender()").fetchone() == (True,)
        with connect_as_sender(database) as other:
            assert other.execute("select ops.claim_push_sender()").fetchone() == (False,)
        conn.execute("listen palimpsest_push")
        assert conn.execute("select count(*) from ops.push_outbox join ops.push_rules using (rule)").fetchone() == (1,)
        conn.execute(
            "update ops.push_outbox set state = 'failed', n_attempts = 1, next_attempt_at = now(), delivered_at = null,"
            " last_status = 400, last_error = 'no'"
        )
        with database.connect() as owner:
            assert outbox.is_sender_running(owner)
    with database.connect() as owner:
        assert not outbox.is_sender_running(owner)


@pytest.mark.parametrize(
    "statement",
    [
        "insert into ops.push_outbox select * from ops.push_outbox",
        "delete from ops.push_outbox",
        "truncate ops.push_outbox",
        "update ops.push_outbox set body = '{}'",
        "update ops.push_outbox set rule = 'other'",
        "update ops.push_rules set since = now()",
        "insert into ops.push_rules select * from ops.push_rules",
        "select * from ops.due_products('{}', '[]')",
        "select * from core.event_listings",
        "select * from palimpsest.odds_alerts",
        "select pg_advisory_lock(7019000003)",
        "select pg_try_advisory_lock(7019000002)",
        "create table ops.mine (a int)",
        "create table public.mine (a int)",
        "create temporary table mine (a int)",
        "create schema mine",
        "create or replace function ops.claim_push_sender() returns boolean language sql as 'select true'",
        "copy (select 1) to program 'true'",
        "select pg_read_file('/etc/passwd')",
        "alter role palimpsest_sender superuser",
        "set role palimpsest_analyst",
    ],
)
def test_the_sender_may_do_nothing_else(database: Database, statement: str):
    with connect_as_sender(database) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement.encode())


def test_the_sender_s_rights_are_these_and_no_more(database: Database):
    rights = """
        select n.nspname || '.' || c.relname
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname in ('ops', 'core', 'mart', 'palimpsest') and c.relkind in ('r', 'p', 'v')
            and (has_table_privilege('palimpsest_sender', c.oid, 'select, insert, update, delete, truncate')
                or has_any_column_privilege('palimpsest_sender', c.oid, 'select, insert, update'))
        order by 1
    """
    with database.connect() as conn:
        assert [name for (name,) in conn.execute(rights)] == ["ops.push_outbox", "ops.push_rules"]
        refused = "select has_function_privilege('public', 'ops.claim_push_sender()', 'execute')"
        assert conn.execute(refused).fetchone() == (False,)
