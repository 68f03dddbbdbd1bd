"""The sender against real receivers: at least once, in order per rule, and never lost."""

import base64
import hashlib
import hmac
import random
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from palimpsest_pipeline.pipeline.push.send import FIRST_BACKOFF_S, MAX_BACKOFF_S, compute_backoff_s, is_refusal
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.push import outbox

from .outboxes import KEY, open_outbox, put_messages, put_rules, read_states, running_sender, running_sender_process
from .receiver import PATIENCE_S, Receiver, running_receiver


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[Database]:
    with open_outbox(postgres) as database:
        yield database


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


def first_ids(receiver: Receiver, path: str) -> list[str]:
    """Ids of accepted messages in the order in which each was accepted for the first time."""
    return list(dict.fromkeys(each.message_id for each in receiver.accepted(path)))


@pytest.mark.slow
def test_a_receiver_that_fails_and_a_sender_that_is_killed_lose_nothing_and_keep_the_order(
    database: Database, receiver: Receiver, tmp_path: Path
):
    """30 % of the requests fail, in three ways. The sender is killed twice, in the middle of its work."""
    chance = random.Random(5)
    receiver.answer = lambda path, number: chance.choice([500, 503, 0]) if chance.random() < 0.3 else 200
    put_rules(database, "a", "b", signing_key="TEST_WEBHOOK_KEY")
    n = 30
    variables = {"TEST_WEBHOOK_URL": f"{receiver.base_url}/hook", "TEST_WEBHOOK_KEY": KEY}
    put_messages(database, "a", range(n // 2))

    def kill_in_the_middle(n_accepted: int) -> None:
        with running_sender_process(database, tmp_path, **variables) as sender:
            receiver.wait_for(lambda: len(receiver.accepted()) >= n_accepted)
            sender.process.kill()

    kill_in_the_middle(8)
    put_messages(database, "b", range(n))
    kill_in_the_middle(24)
    put_messages(database, "a", range(n // 2, n))
    with running_sender_process(database, tmp_path, **variables):
        receiver.wait_for(lambda: len({each.message_id for each in receiver.accepted()}) == 2 * n)
    for rule in ("a", "b"):
        ids = [each.message_id for each in receiver.accepted() if each.message_id.startswith(f"{rule}-")]
        assert list(dict.fromkeys(ids)) == [f"{rule}-{number}" for number in range(n)]
        # A repetition follows its message: nothing later comes between them.
        assert all(
            first == second or ids.index(second) == place for place, (first, second) in enumerate(pairwise(ids), 1)
        )
    assert len(receiver.accepted()) <= 2 * n + 3 * 2  # each death repeats at most one message per rule
    failed = [each for each in receiver.arrivals if each.status != 200]
    assert len(failed) > n / 4


def test_each_attempt_is_signed_anew_and_sends_the_same_bytes(database: Database, receiver: Receiver, tmp_path: Path):
    receiver.answer = lambda path, number: 500 if number == 0 else 200
    put_rules(database, "a", signing_key="TEST_WEBHOOK_KEY")
    put_messages(database, "a", [1])
    variables = {"TEST_WEBHOOK_URL": f"{receiver.base_url}/hook", "TEST_WEBHOOK_KEY": KEY}
    with running_sender(database, tmp_path, **variables) as sender:
        receiver.wait_for(receiver.accepted)
    first, second = receiver.arrivals
    assert first.body == second.body == b'{"text":"a 1"}'
    assert first.headers["content-type"].startswith("application/json")
    for each in (first, second):
        signed = f"a-1.{each.headers['webhook-timestamp']}.".encode() + each.body
        digest = hmac.new(base64.b64decode(KEY.removeprefix("whsec_")), signed, hashlib.sha256).digest()
        assert each.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
        assert abs(int(each.headers["webhook-timestamp"]) - each.at) <= 2
    assert "HTTP 500" in sender.output
    assert "/hook" not in sender.output
    assert KEY not in sender.output


def test_95_of_100_messages_arrive_within_5_seconds_of_their_commit(
    database: Database, receiver: Receiver, tmp_path: Path
):
    put_rules(database, "a")
    with running_sender(database, tmp_path, TEST_WEBHOOK_URL=f"{receiver.base_url}/hook"):
        put_messages(database, "a", [0])
        receiver.wait_for(receiver.accepted)
        for number in range(1, 101):
            put_messages(database, "a", [number])
        receiver.wait_for(lambda: len(receiver.accepted()) == 101)
    with database.connect() as conn:
        written = dict(
            conn.execute("select message_id, extract(epoch from created_at)::float8 from ops.push_outbox").fetchall()
        )
    delays = sorted(each.at - written[each.message_id] for each in receiver.accepted() if each.message_id != "a-0")
    assert delays[94] < 5
    print(f"from the insert to the receiver: p50 {delays[49]:.3f} s, p95 {delays[94]:.3f} s, most {delays[-1]:.3f} s")


def test_an_idle_sender_is_woken_by_the_commit(database: Database, receiver: Receiver, tmp_path: Path):
    """It looks every two seconds anyway; on average that alone would take a second."""
    put_rules(database, "a")
    with running_sender(database, tmp_path, TEST_WEBHOOK_URL=f"{receiver.base_url}/hook"):
        for number in range(6):
            put_messages(database, "a", [number])
            receiver.wait_for(lambda number=number: len(receiver.accepted()) == number + 1)
    with database.connect() as conn:
        written = dict(
            conn.execute("select message_id, extract(epoch from created_at)::float8 from ops.push_outbox").fetchall()
        )
    delays = [each.at - written[each.message_id] for each in receiver.accepted()[1:]]
    assert sorted(delays)[2] < 0.9


@pytest.mark.parametrize(
    ("status", "says"), [(400, "HTTP 400"), (410, "HTTP 410"), (302, "redirects are not followed")]
)
def test_what_a_receiver_refuses_is_kept_and_shown_and_does_not_hold_up_the_next(
    database: Database, receiver: Receiver, tmp_path: Path, status: int, says: str
):
    receiver.answer = lambda path, number: (
        (status, {"location": f"{receiver.base_url}/elsewhere"}) if number == 0 else 200
    )
    put_rules(database, "a")
    put_messages(database, "a", [1, 2, 3])
    with running_sender(database, tmp_path, TEST_WEBHOOK_URL=f"{receiver.base_url}/hook"):
        receiver.wait_for(lambda: len(receiver.accepted()) == 2)
    assert [each.message_id for each in receiver.arrivals] == ["a-1", "a-2", "a-3"]
    assert {each.path for each in receiver.arrivals} == {"/hook"}
    state, n_attempts, last_status, last_error = read_states(database, "a")[0]
    assert (state, n_attempts, last_status) == ("failed", 1, status)
    assert says in (last_error or "")
    with database.connect() as conn:
        (shown,) = outbox.read_rule_status(conn)
        assert (shown.n_failed, shown.last_error) == (1, last_error)
        assert outbox.retry_failed(conn, "a") == 1
    with running_sender(database, tmp_path, TEST_WEBHOOK_URL=f"{receiver.base_url}/hook"):
        receiver.wait_for(lambda: "a-1" in {each.message_id for each in receiver.accepted()})


def test_a_receiver_that_asks_to_wait_gets_nothing_before_then_from_any_of_its_rules(
    database: Database, receiver: Receiver, tmp_path: Path
):
    receiver.answer = lambda path, number: (429, {"retry-after": "2"}) if number == 0 else 200
    put_rules(database, "a", "b")
    put_messages(database, "a", [1, 2])
    with running_sender(database, tmp_path, TEST_WEBHOOK_URL=f"{receiver.base_url}/hook"):
        receiver.wait_for(lambda: receiver.arrivals)
        put_messages(database, "b", [1])
        receiver.wait_for(lambda: len(receiver.accepted()) == 3)
    refused = receiver.arrivals[0]
    assert all(each.at - refused.at >= 1.9 for each in receiver.arrivals[1:])
    assert [each.message_id for each in receiver.accepted() if each.message_id[0] == "a"] == ["a-1", "a-2"]


def test_a_rule_whose_receiver_is_down_does_not_hold_up_other_rules(
    database: Database, receiver: Receiver, tmp_path: Path
):
    receiver.answer = lambda path, number: 500 if path == "/down" else 200
    put_rules(database, "a", "b")
    point_rule(database, "a", "DOWN_URL")
    put_messages(database, "a", [1, 2])
    put_messages(database, "b", range(20))
    variables = {"TEST_WEBHOOK_URL": f"{receiver.base_url}/hook", "DOWN_URL": f"{receiver.base_url}/down"}
    with running_sender(database, tmp_path, **variables):
        receiver.wait_for(lambda: len(receiver.accepted("/hook")) == 20)
        receiver.wait_for(lambda: len([each for each in receiver.arrivals if each.path == "/down"]) >= 2)
    assert {each.message_id for each in receiver.arrivals if each.path == "/down"} == {"a-1"}
    assert [state for state, *_ in read_states(database, "a")] == ["pending", "pending"]


def test_a_missing_variable_is_named_and_its_messages_wait(database: Database, receiver: Receiver, tmp_path: Path):
    put_rules(database, "a", "b", signing_key="TEST_WEBHOOK_KEY")
    point_rule(database, "a", "GONE_URL")
    put_messages(database, "a", [1])
    put_messages(database, "b", [1])
    (tmp_path / ".env").write_text(f"TEST_WEBHOOK_URL={receiver.base_url}/hook\nTEST_WEBHOOK_KEY={KEY}\n")
    with running_sender(database, tmp_path):
        receiver.wait_for(receiver.accepted)
    assert {each.message_id for each in receiver.accepted()} == {"b-1"}
    ((state, _, _, error),) = read_states(database, "a")
    assert (state, error) == ("pending", "the variable GONE_URL is not set")


def test_a_second_sender_waits_until_the_first_one_has_died(database: Database, receiver: Receiver, tmp_path: Path):
    put_rules(database, "a")
    variables = {"TEST_WEBHOOK_URL": f"{receiver.base_url}/hook"}
    with running_sender_process(database, tmp_path, **variables) as first:
        put_messages(database, "a", [1])
        receiver.wait_for(receiver.accepted)
        with running_sender_process(database, tmp_path, **variables) as second:
            put_messages(database, "a", range(2, 30))
            receiver.wait_for(lambda: len(receiver.accepted()) == 29)
            assert "sending messages" not in second.output
            first.kill()
            put_messages(database, "a", [30])
            receiver.wait_for(lambda: len({each.message_id for each in receiver.accepted()}) == 30)
    assert first_ids(receiver, "/hook") == [f"a-{number}" for number in range(1, 31)]
    assert len(receiver.arrivals) <= 31


def test_waits_grow_to_a_limit_and_are_spread():
    waits = [compute_backoff_s(attempt, 0.999) for attempt in range(1, 40)]
    assert waits == sorted(waits)
    assert FIRST_BACKOFF_S / 2 <= compute_backoff_s(1, 0) < waits[0] <= FIRST_BACKOFF_S
    assert MAX_BACKOFF_S * 0.99 < waits[-1] <= MAX_BACKOFF_S
    assert compute_backoff_s(10_000, 0.5) <= MAX_BACKOFF_S


def test_only_answers_that_say_nothing_about_the_message_are_tried_again():
    retried = [status for status in range(300, 600) if not is_refusal(status)]
    assert retried == [401, 403, 404, 407, 408, 429, *range(500, 600)]
    assert not is_refusal(None)


@pytest.mark.parametrize("status", [401, 403, 404, 407])
def test_a_proxy_that_refuses_for_a_moment_does_not_break_the_order(
    database: Database, receiver: Receiver, tmp_path: Path, status: int
):
    receiver.answer = lambda path, number: status if number < 2 else 200
    put_rules(database, "a")
    put_messages(database, "a", [1, 2])
    with running_sender(database, tmp_path, TEST_WEBHOOK_URL=f"{receiver.base_url}/hook"):
        receiver.wait_for(lambda: len(receiver.accepted()) == 2)
    assert [each.message_id for each in receiver.arrivals] == ["a-1", "a-1", "a-1", "a-2"]


@pytest.mark.parametrize("address", ["https://[abc", "http://h:99999/", f"https://{'a' * 300}/", "ftp://h/"])
def test_a_malformed_address_stops_only_its_own_rule(
    database: Database, receiver: Receiver, tmp_path: Path, address: str
):
    put_rules(database, "a", "b")
    point_rule(database, "a", "BAD_URL")
    put_messages(database, "a", [1])
    variables = {"TEST_WEBHOOK_URL": f"{receiver.base_url}/hook", "BAD_URL": address}
    with running_sender(database, tmp_path, **variables) as sender:
        for number in range(3):
            put_messages(database, "b", [number])
            receiver.wait_for(lambda number=number: len(receiver.accepted()) == number + 1)
        wait_until(lambda: read_states(database, "a")[0][1])
        assert sender.is_running()
    ((state, _, _, error),) = read_states(database, "a")
    assert (state, error) == ("pending", "the variable BAD_URL has no http(s) URL that can be used")
    assert address not in sender.output


def test_a_retry_after_that_overflows_does_not_end_the_sender(database: Database, receiver: Receiver, tmp_path: Path):
    header = {"retry-after": "Mon, 01 Jan 2024 00:00:00 +99999999999999999999"}
    receiver.answer = lambda path, number: (503, header) if number == 0 else 200
    put_rules(database, "a")
    put_messages(database, "a", [1])
    with running_sender(database, tmp_path, TEST_WEBHOOK_URL=f"{receiver.base_url}/hook"):
        receiver.wait_for(receiver.accepted)
    assert [each.message_id for each in receiver.arrivals] == ["a-1", "a-1"]


def test_a_receiver_s_wait_outlasts_the_connection_to_the_database(
    database: Database, receiver: Receiver, tmp_path: Path
):
    receiver.answer = lambda path, number: (429, {"retry-after": "4"}) if number == 0 else 200
    put_rules(database, "a", "b")
    put_messages(database, "a", [1])
    with running_sender(database, tmp_path, TEST_WEBHOOK_URL=f"{receiver.base_url}/hook") as sender:
        wait_until(lambda: read_states(database, "a")[0][1])
        with database.connect() as conn:
            ended = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'palimpsest_sender'"
            assert conn.execute(f"{ended} and datname = current_database()".encode()).rowcount == 2
        put_messages(database, "b", [1])
        receiver.wait_for(lambda: len(receiver.accepted()) == 2)
        assert sender.output.count("sending messages to traders") == 2
    assert all(each.at - receiver.arrivals[0].at >= 3.9 for each in receiver.arrivals[1:])


def test_another_address_is_used_at_once_though_the_old_one_has_asked_to_wait(
    database: Database, receiver: Receiver, tmp_path: Path
):
    receiver.answer = lambda path, number: (503, {"retry-after": "3000"}) if path == "/old" else 200
    put_rules(database, "a", "b")
    (tmp_path / ".env").write_text(f"TEST_WEBHOOK_URL={receiver.base_url}/old\n")
    put_messages(database, "a", [1])
    with running_sender(database, tmp_path):
        wait_until(lambda: read_states(database, "a")[0][1])
        put_messages(database, "b", [1])
        times = {read_last_query_time(database)}
        # After two more readings of the outbox, the sender has looked up the old address for this message.
        wait_until(lambda: times.add(read_last_query_time(database)) or len(times) > 2)
        (tmp_path / ".env").write_text(f"TEST_WEBHOOK_URL={receiver.base_url}/new\n")
        receiver.wait_for(lambda: receiver.accepted("/new"))
    assert [(each.path, each.message_id) for each in receiver.arrivals] == [("/old", "a-1"), ("/new", "b-1")]


def read_last_query_time(database: Database) -> object:
    """Return when the sender's connection to the outbox last began or ended a statement."""
    with database.connect() as conn:
        return conn.execute(
            "select max(state_change) from pg_stat_activity where usename = 'palimpsest_sender'"
            " and datname = current_database() and state = 'idle' and query like '%from ops.push_outbox%'"
        ).fetchone()


def point_rule(database: Database, rule: str, variable: str) -> None:
    """Make the rule send to the address in another variable."""
    with database.connect() as conn:
        conn.execute(
            "update ops.push_rules set definition = jsonb_set(definition, '{webhook}', to_jsonb(%s::text)) where rule = %s",
            [variable, rule],
        )


def wait_until(condition: Callable[[], object]) -> None:
    """Return when the condition holds. Raises TimeoutError."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.02)
