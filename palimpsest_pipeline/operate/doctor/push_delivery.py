"""The check of messages to traders: the file of rules, refused and waiting messages, and the sender.

Imports no Dagster.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg

from palimpsest_pipeline.domain.push_rules import PushRulesError
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.push.rules import load_rules, locate_rules
from palimpsest_pipeline.settings import Settings
from palimpsest_pipeline.storage.db.connection import Database, DatabaseUnreachable, DatabaseUrlError
from palimpsest_pipeline.storage.push import outbox

from .findings import Finding
from .stores import find_database_url

LATE_AFTER: Final = timedelta(minutes=5)
"""Age of the oldest pending message above which its delivery counts as stuck."""


def check_push(settings: Settings) -> Finding:
    """Check that the rules can be read, and that their messages are delivered."""
    try:
        rules = load_rules(Pipeline(settings))
    except PushRulesError as error:
        return Finding("push", False, f"{error}. Until it is corrected, the rules in force stay")
    text = f"{len(rules)} rules in {locate_rules(settings)}" if rules else "no rules for messages to traders"
    url = find_database_url(settings)
    if url is None:
        return Finding("push", True, text)
    try:
        with Database(url).connect() as conn:
            statuses, is_running = outbox.read_rule_status(conn), outbox.is_sender_running(conn)
    except (DatabaseUrlError, DatabaseUnreachable, psycopg.errors.UndefinedTable):
        return Finding("push", True, f"{text}; messages were not checked: see the database")
    problems = [
        f"{status.rule}: {status.n_failed} messages were refused and are not sent again ({status.last_error}); correct "
        f"the cause, then run `palimpsest odds-alerts retry {status.rule}`"
        for status in statuses
        if status.n_failed
    ]
    now = datetime.now(UTC)
    late = [status for status in statuses if status.oldest_pending_at and now - status.oldest_pending_at > LATE_AFTER]
    problems += [
        f"{status.rule}: {status.n_pending} messages wait since {status.oldest_pending_at:%Y-%m-%d %H:%M} UTC"
        + (f" ({status.last_error})" if status.last_error else "")
        for status in late
    ]
    if late and not is_running:
        problems.append("no sender runs: restart `palimpsest up`, or run `palimpsest odds-alerts send`")
    if problems:
        return Finding("push", False, "; ".join(problems))
    n_delivered = sum(status.n_delivered for status in statuses)
    sender = "the sender runs" if is_running else "no sender runs"
    return Finding("push", True, f"{text}; {n_delivered} messages delivered; {sender}" if statuses else text)
