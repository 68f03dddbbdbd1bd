"""The check of messages to traders: the file of rules, refused and waiting messages, and the sender.

Imports no Dagster.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from palimpsest_pipeline.domain.push_rules import PushRulesError
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.push.rules import load_rules, locate_rules
from palimpsest_pipeline.settings import Settings
from palimpsest_pipeline.storage.push import outbox

from .findings import NotChecked, Problem, check
from .stores import connect_if_running, find_database_url

LATE_AFTER: Final = timedelta(minutes=5)
"""Age of the oldest pending message above which its delivery counts as stuck."""


@check("push")
def check_push(settings: Settings) -> str:
    """Check that the rules can be read, and that their messages are delivered."""
    try:
        rules = load_rules(Pipeline(settings))
    except PushRulesError as error:
        raise Problem(f"{error}. Until it is corrected, the rules in force stay") from error
    text = f"{len(rules)} rules in {locate_rules(settings)}" if rules else "no rules for messages to traders"
    if find_database_url(settings) is None:
        return text
    try:
        with connect_if_running(settings) as conn:
            statuses, is_running = outbox.read_rule_status(conn), outbox.is_sender_running(conn)
    except NotChecked as reason:
        return f"{text}; messages were {reason}"
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
        raise Problem("; ".join(problems))
    n_delivered = sum(status.n_delivered for status in statuses)
    sender = "the sender runs" if is_running else "no sender runs"
    return f"{text}; {n_delivered} messages delivered; {sender}" if statuses else text
