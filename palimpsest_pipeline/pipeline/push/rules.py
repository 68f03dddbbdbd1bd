"""The file of rules for messages to traders, and the rules in force in the database.

The fields of a rule are in `domain.push_rules`.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psycopg

from palimpsest_pipeline.domain.push_rules import PushRule, PushRulesError, parse_push_rules
from palimpsest_pipeline.settings import Settings
from palimpsest_pipeline.storage.push import outbox
from palimpsest_pipeline.storage.push.sources import SOURCE_TERMS

from ..context import Pipeline

RULES_FILE: Final = "push.toml"
log = logging.getLogger(__name__)


def locate_rules(settings: Settings) -> Path:
    """Return the path of the file of rules, whether it exists or not."""
    return settings.push_rules_file.expanduser() if settings.push_rules_file else settings.home / RULES_FILE


def load_rules(pipeline: Pipeline) -> tuple[PushRule, ...] | None:
    """Return the rules of the file, or None when there is no file in the home folder.

    Raises PushRulesError when the file has a bad value, cannot be read, or is missing although a setting names it.
    """
    settings = pipeline.settings
    file = locate_rules(settings)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if settings.push_rules_file is None:
            return None
        raise PushRulesError(f"{file}: there is no such file (PALIMPSEST_PUSH_RULES_FILE)") from None
    except OSError as error:
        raise PushRulesError(f"{file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise PushRulesError(f"{file}: this is not UTF-8. Save the file as UTF-8.") from error
    return parse_push_rules(
        text,
        str(file),
        SOURCE_TERMS,
        platforms=settings.platforms,
        market_keys=frozenset(pipeline.vocabulary.markets["market_key"]),
    )


def apply_rules(pipeline: Pipeline, conn: psycopg.Connection) -> tuple[PushRule, ...] | None:
    """Read the file and make its rules the ones in force; return them, or None when there is no file.

    Without a file the rules in force stay, because only one of several machines may have it. The caller commits. Raises
    PushRulesError; then the rules in force stay too.
    """
    rules = load_rules(pipeline)
    if rules is not None:
        outbox.store_rules(conn, rules, pipeline.clock.now())
    return rules


def prepare_sending(pipeline: Pipeline, conn: psycopg.Connection, say: Callable[[str], None]) -> bool:
    """Make the rules of the file the ones in force, and return whether a sender is needed.

    It is needed when rules are in force or messages are pending, whether or not this machine has the file. For a bad
    file, `say` gets the error, and the rules in force stay. The caller commits.
    """
    try:
        apply_rules(pipeline, conn)
    except PushRulesError as error:
        say(f"{error}. Until it is corrected, the rules for messages that are in force stay")
    return outbox.has_work_for_sender(conn)


def refresh_rules(pipeline: Pipeline) -> None:
    """Make the rules of the file the ones in force, before a derivation.

    A bad file must not stop a derivation: it is logged, and the rules in force stay.
    """
    try:
        rules = load_rules(pipeline)
    except PushRulesError as error:
        log.warning("the rules for messages to traders were not read again: %s", error)
        return
    if rules is not None:
        with pipeline.connect() as conn:
            outbox.store_rules(conn, rules, pipeline.clock.now())
