"""The rules in force and the messages in the outbox, for derivations and commands. Callers commit.

The statements of the sender, which has a role of its own, are in `deliveries`.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import msgspec
import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from palimpsest_pipeline.domain.push_rules import PushRule

from ..db.locks import AdvisoryLock

OUTBOX_CHANNEL: Final = "palimpsest_push"
"""The channel on which the commit of new messages is announced to the sender."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """A rule, and the instant from which it holds."""

    rule: PushRule
    since: datetime


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be stored. `body` is its JSON."""

    message_id: str
    rule: str
    subject: str
    fires_at: datetime
    body: str


@dataclass(frozen=True, slots=True)
class RuleStatus:
    """A rule with the counts of its messages. Instants are null when there is none."""

    rule: str
    source: str
    since: datetime
    removed_at: datetime | None
    webhook: str
    n_pending: int
    n_delivered: int
    n_failed: int
    n_cancelled: int
    oldest_pending_at: datetime | None
    last_delivered_at: datetime | None
    last_error: str | None
    """The error of the oldest message that is pending or failed."""


def store_rules(conn: psycopg.Connection[Any], rules: Sequence[PushRule], now: datetime) -> None:
    """Make these rules the ones in force. A rule that is new or whose filters changed holds from `now` on.

    Messages that were not delivered when their rule was removed are cancelled. Rules that did not change are not
    written.
    """
    stored = {
        name: (digest, removed_at, definition)
        for name, digest, removed_at, definition in conn.execute(
            "select rule, digest, removed_at, definition from ops.push_rules"
        ).fetchall()
    }
    for name in sorted(stored.keys() - {rule.name for rule in rules}):
        if stored[name][1] is None:
            conn.execute("update ops.push_rules set removed_at = %s where rule = %s", [now, name])
    # Before rules are put in force: a rule that returns must not send what it left behind. A derivation that began
    # before a removal may add messages after it, so this is not only done at the removal.
    conn.execute(CANCEL_SQL)
    for rule in rules:
        digest, removed_at, definition = stored.get(rule.name, (None, None, None))
        # Through JSON, because the stored definition has lists where the rule has tuples.
        new_definition = msgspec.json.decode(msgspec.json.encode(rule))
        if (digest, removed_at, definition) == (rule.digest, None, new_definition):
            continue
        params = {
            "rule": rule.name,
            "source": rule.source,
            "definition": Jsonb(new_definition),
            "digest": rule.digest,
            "now": now,
        }
        conn.execute(STORE_RULE_SQL, params)


def read_rules(conn: psycopg.Connection[Any], source: str) -> list[ActiveRule]:
    """Return the rules in force of one source, by name.

    A rule that this version of the program cannot read is logged and left out, so that it stops no derivation.
    """
    rows = conn.execute(
        "select definition, since from ops.push_rules where source = %s and removed_at is null order by rule", [source]
    ).fetchall()
    active_rules = []
    for definition, since in rows:
        try:
            active_rules.append(ActiveRule(msgspec.convert(definition, type=PushRule), since))
        except msgspec.ValidationError as error:
            log.warning("the stored rule %s cannot be used: %s", definition.get("name"), error)
    return active_rules


def has_work_for_sender(conn: psycopg.Connection[Any]) -> bool:
    """Return whether a rule is in force or a message is pending."""
    row = conn.execute(
        "select exists (select from ops.push_rules where removed_at is null)"
        " or exists (select from ops.push_outbox where state <> 'delivered' and state = 'pending')"
    ).fetchone()
    return row == (True,)


def read_stored_ids(conn: psycopg.Connection[Any], message_ids: Sequence[str]) -> set[str]:
    """Return the ids among these that the outbox has."""
    rows = conn.execute("select message_id from ops.push_outbox where message_id = any(%s)", [list(message_ids)])
    return {message_id for (message_id,) in rows}


def read_stored_subjects(
    conn: psycopg.Connection[Any], rule: str, subjects: Sequence[str], after: datetime
) -> list[tuple[str, datetime]]:
    """Return subject and fires_at of the rule's messages about these subjects that fired after an instant.

    Cancelled messages are left out, because nobody received them.
    """
    return conn.execute(
        "select subject, fires_at from ops.push_outbox"
        " where rule = %s and subject = any(%s) and fires_at > %s and state <> 'cancelled'",
        [rule, list(subjects), after],
    ).fetchall()


def lock_outbox(conn: psycopg.Connection[Any]) -> None:
    """Let no other transaction append messages until this one ends; wait for one that has begun to."""
    conn.execute("select pg_advisory_xact_lock(%s)", [AdvisoryLock.PUSH_OUTBOX])


def add_messages(conn: psycopg.Connection[Any], messages: Iterable[NewMessage]) -> int:
    """Append messages to the outbox and announce them at the commit; return the number of new ones.

    A message whose id is stored is left out. Until the commit no other transaction appends, so that messages are
    committed in the order of their numbers: call it at the end of a transaction.
    """
    rows = [
        {"id": m.message_id, "rule": m.rule, "subject": m.subject, "fires_at": m.fires_at, "body": m.body}
        for m in messages
    ]
    if not rows:
        return 0
    lock_outbox(conn)
    with conn.cursor() as cursor:
        cursor.executemany(ADD_MESSAGE_SQL, rows)
        n_added = cursor.rowcount
    if n_added:
        conn.execute("select pg_notify(%s, '')", [OUTBOX_CHANNEL])
    return n_added


def read_rule_status(conn: psycopg.Connection[Any]) -> list[RuleStatus]:
    """Return every rule that is in force or has messages, by name, with the counts of its messages."""
    with conn.cursor(row_factory=class_row(RuleStatus)) as cursor:
        return cursor.execute(RULE_STATUS_SQL).fetchall()


def is_sender_running(conn: psycopg.Connection[Any]) -> bool:
    """Return whether a process has claimed to be the sender."""
    row = conn.execute(SENDER_SQL, {"key": int(AdvisoryLock.PUSH_SENDER)}).fetchone()
    return row is not None and bool(row[0])


def retry_failed(conn: psycopg.Connection[Any], rule: str) -> int:
    """Make the failed messages of a rule in force pending again; return their number."""
    n_retried = conn.execute(RETRY_SQL, [rule]).rowcount
    if n_retried:
        conn.execute("select pg_notify(%s, '')", [OUTBOX_CHANNEL])
    return n_retried


def delete_old_messages(conn: psycopg.Connection[Any], before: date) -> int:
    """Delete messages from before the UTC date, and return their number.

    Pending messages of rules in force are not deleted.
    """
    return conn.execute(DELETE_OLD_SQL, {"before": before}).rowcount


STORE_RULE_SQL: Final = """
insert into ops.push_rules as r (rule, source, definition, digest, since)
values (%(rule)s, %(source)s, %(definition)s, %(digest)s, %(now)s)
on conflict (rule) do update set
    source = excluded.source, definition = excluded.definition, digest = excluded.digest, removed_at = null,
    since = case when r.digest = excluded.digest and r.removed_at is null then r.since else excluded.since end
"""
# The condition on `delivered` lets Postgres use the partial index ix_push_outbox_unsent.
CANCEL_SQL: Final = """
update ops.push_outbox m set state = 'cancelled'
where m.state <> 'delivered' and m.state in ('pending', 'failed')
    and not exists (select from ops.push_rules r where r.rule = m.rule and r.removed_at is null)
"""
ADD_MESSAGE_SQL: Final = """
insert into ops.push_outbox
    (message_id, rule, subject, fires_at, created_at, body, state, n_attempts, next_attempt_at)
values (%(id)s, %(rule)s, %(subject)s, %(fires_at)s, clock_timestamp(), %(body)s, 'pending', 0, clock_timestamp())
on conflict (message_id) do nothing
"""
RULE_STATUS_SQL: Final = """
select r.rule, r.source, r.since, r.removed_at, r.definition ->> 'webhook' as webhook,
    count(*) filter (where m.state = 'pending') as n_pending,
    count(*) filter (where m.state = 'delivered') as n_delivered,
    count(*) filter (where m.state = 'failed') as n_failed,
    count(*) filter (where m.state = 'cancelled') as n_cancelled,
    min(m.created_at) filter (where m.state = 'pending') as oldest_pending_at,
    max(m.delivered_at) as last_delivered_at,
    (array_agg(m.last_error order by m.message_seq)
        filter (where m.state in ('pending', 'failed') and m.last_error is not null))[1] as last_error
from ops.push_rules r
left join ops.push_outbox m using (rule)
group by r.rule
having r.removed_at is null or count(m.message_seq) filter (where m.state <> 'delivered') > 0
order by r.rule
"""
SENDER_SQL: Final = """
select exists (
    select from pg_locks
    where locktype = 'advisory' and granted and objsubid = 1
        and database = (select oid from pg_database where datname = current_database())
        and (classid::bigint << 32) + objid::bigint = %(key)s
)
"""
RETRY_SQL: Final = """
update ops.push_outbox m set state = 'pending', next_attempt_at = clock_timestamp()
where m.rule = %s and m.state = 'failed'
    and exists (select from ops.push_rules r where r.rule = m.rule and r.removed_at is null)
"""
DELETE_OLD_SQL: Final = """
delete from ops.push_outbox m
where m.created_at < %(before)s::date::timestamp at time zone 'UTC'
    and (m.state <> 'pending'
        or not exists (select from ops.push_rules r where r.rule = m.rule and r.removed_at is null))
"""
