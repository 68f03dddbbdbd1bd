"""Rules for messages to traders: parsed from TOML, with the line and field of each bad value.

A rule is a filter over the events of one source, such as alerts to traders, and names the webhook that gets a message
for each matching event. Addresses and keys are secret, so a rule names the environment variables that hold them.

The filter is applied in `metrics.push`.
"""

import hashlib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec

from .enums import OddsAlertLevel
from .errors import PalimpsestError
from .toml_lines import KeyLines, find_fault_line

MAX_COOLDOWN_MINUTES: Final = 7 * 24 * 60
MAX_AGE_MINUTES: Final = 24 * 60
MAX_MINUTES: Final = 365 * 24 * 60
"""The largest number of minutes in a rule's times that have no limit of their own.

A larger number would overflow the computation of an instant.
"""
DEFAULT_AGE_MINUTES: Final = 120
"""With one full cycle per hour, an event is derived at most an hour and a half after it began."""
_NAME_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
VARIABLE_PATTERN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_PLACE_PATTERN: Final = re.compile(r" - at `\$\.?([^`]*)`$")
_UNKNOWN_FIELD_PATTERN: Final = re.compile(r"unknown field `([^`]+)`")
_MISSING_FIELD_PATTERN: Final = re.compile(r"missing required field `([^`]+)`")

Minutes = Annotated[float, msgspec.Meta(ge=0, le=MAX_MINUTES)]
Size = Annotated[float, msgspec.Meta(ge=0, le=MAX_MINUTES)]
"""A size may be in minutes, so it has the same limit."""


class PushRulesError(PalimpsestError, ValueError):
    """The error for a file of rules with a bad value. The message names the file, the line and the field."""


@dataclass(frozen=True, slots=True)
class SourceTerms:
    """The description of a source's events, for checking and applying a rule."""

    name: str
    types: tuple[str, ...]
    has_severity: bool
    has_markets: bool
    """False when the events are about whole fixtures."""
    is_state: bool
    """True when the event is a state that lasts, so that its size is its age in minutes.

    Otherwise the event happened at one instant and has a size of its own.
    """
    size_unit: str
    types_without_size: tuple[str, ...] = ()
    """Types whose events have no size, so that a rule with a smallest size never selects them."""
    types_of_listings: tuple[str, ...] = ()
    """Types whose events are about a whole listing, so that a rule with markets never selects them."""


class PushRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule. An empty list and a missing value mean no restriction."""

    source: str
    webhook: str
    """Name of the environment variable that holds the webhook's address."""
    name: str = ""
    signing_key: str | None = None
    """Name of the environment variable that holds the key of the signatures.

    None: messages are not signed.
    """
    types: tuple[str, ...] = ()
    severity: OddsAlertLevel | None = None
    """The lowest severity that matches."""
    platforms: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    tournaments: tuple[str, ...] = ()
    """Keys or names of tournaments."""
    markets: tuple[str, ...] = ()
    min_minutes_to_kickoff: Minutes = 0
    max_minutes_to_kickoff: Minutes | None = None
    min_size: Size = 0
    """The smallest size that matches, in the unit of the source."""
    cooldown_minutes: Annotated[float, msgspec.Meta(ge=0, le=MAX_COOLDOWN_MINUTES)] = 0
    cooldown_per: Literal["market", "fixture"] = "market"
    """The subject of the cooldown after a message.

    It is the market and line of the fixture, on any platforms, or the whole fixture.
    """
    max_age_minutes: Annotated[float, msgspec.Meta(gt=0, le=MAX_AGE_MINUTES)] = DEFAULT_AGE_MINUTES
    """An event that becomes known later than this after it happened is not sent."""

    @property
    def digest(self) -> str:
        """Digest of everything that decides which events match. Another webhook or key does not change it."""
        fields = {name: value for name, value in msgspec.to_builtins(self).items() if name not in WEBHOOK_FIELDS}
        return hashlib.sha256(msgspec.json.encode(fields, order="sorted")).hexdigest()[:16]


WEBHOOK_FIELDS: Final = ("webhook", "signing_key")


def parse_push_rules(
    text: str,
    file: str,
    sources: Mapping[str, SourceTerms],
    *,
    platforms: Collection[str],
    market_keys: Collection[str],
) -> tuple[PushRule, ...]:
    """Return the rules of a TOML text, in its order. `file` is its name in messages.

    Raises PushRulesError for the first bad value. No message contains the value of `webhook` or `signing_key`, because
    a user may write the secret itself there by mistake.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PushRulesError(f"{file}:{find_fault_line(text, error)}: this is not TOML: {error}") from None
    lines = KeyLines(text)
    if unknown := next((key for key in content if key != "rule"), None):
        raise PushRulesError(f"{file}:{lines.find([unknown])}: {unknown}: only tables [rule.NAME] are known")
    tables = content.get("rule", {})
    if not isinstance(tables, dict):
        raise PushRulesError(f"{file}:{lines.find(['rule'])}: rule: write one table [rule.NAME] per rule")
    rules = []
    for name, values in tables.items():
        problems = _check_values(name, values, sources, platforms, market_keys)
        for keys, problem in problems:
            place = ".".join(("rule", name, *keys))
            raise PushRulesError(f"{file}:{lines.find(['rule', name, *keys])}: {place}: {problem}")
        rules.append(msgspec.structs.replace(msgspec.convert(values, type=PushRule), name=name))
    return tuple(rules)


def _check_values(
    name: str,
    values: Any,
    sources: Mapping[str, SourceTerms],
    platforms: Collection[str],
    market_keys: Collection[str],
) -> Iterator[tuple[list[str], str]]:
    """Yield the keys within the rule and the text of each fault; none when the rule is good."""
    if not _NAME_PATTERN.fullmatch(name):
        yield [], "use at most 40 lowercase letters, digits, - and _ for the name of a rule"
    if not isinstance(values, dict):
        yield [], "write a table [rule.NAME]"
        return
    if "name" in values:
        yield ["name"], "the name of a rule is the one in [rule.NAME]"
    try:
        rule = msgspec.convert(values, type=PushRule)
    except msgspec.ValidationError as error:
        yield _split_error(error)
        return
    if rule.source not in sources:
        yield ["source"], f"{rule.source!r} is no source: choose one of {', '.join(sources)}"
        return
    terms = sources[rule.source]
    for field in WEBHOOK_FIELDS:
        variable = getattr(rule, field)
        if variable is not None and not VARIABLE_PATTERN.fullmatch(variable):
            yield [field], "write the name of an environment variable that holds it, such as TRADERS_WEBHOOK_URL"
    yield from _check_missing_fields(rule, terms)
    for field, choices, noun in (
        ("types", terms.types, "type of " + terms.name),
        ("platforms", platforms, "platform"),
        ("markets", market_keys, "market of the vocabulary"),
    ):
        if unknown := [value for value in getattr(rule, field) if value not in choices]:
            hint = f": choose from {', '.join(choices)}" if field != "markets" else ""
            yield [field], f"{unknown[0]!r} is no {noun}{hint}"
    if rule.max_minutes_to_kickoff is not None and rule.max_minutes_to_kickoff < rule.min_minutes_to_kickoff:
        yield ["max_minutes_to_kickoff"], "it is below min_minutes_to_kickoff, so nothing can match"


def _check_missing_fields(rule: PushRule, terms: SourceTerms) -> Iterator[tuple[list[str], str]]:
    """Yield a fault for each filter on a field that no event of the rule has.

    Nothing could match such a filter.
    """
    types = rule.types or terms.types
    if rule.severity is not None and not terms.has_severity:
        yield ["severity"], f"events of {terms.name} have no severity"
    if rule.markets and not terms.has_markets:
        yield ["markets"], f"events of {terms.name} are about whole fixtures and have no market"
    elif rule.markets and set(types) <= set(terms.types_of_listings):
        yield ["markets"], f"events of type {' or '.join(types)} are about whole fixtures and have no market"
    if rule.min_size and set(types) <= set(terms.types_without_size):
        yield ["min_size"], f"events of type {' or '.join(types)} have no size"


def _split_error(error: msgspec.ValidationError) -> tuple[list[str], str]:
    """Return the keys that an error of decoding is about, and its text without the place."""
    text = str(error)
    place = _PLACE_PATTERN.search(text)
    keys = [key.partition("[")[0] for key in (place[1] if place else "").split(".")]
    unknown, missing = _UNKNOWN_FIELD_PATTERN.search(text), _MISSING_FIELD_PATTERN.search(text)
    problem = _PLACE_PATTERN.sub("", text)
    if missing:
        return [], f"{missing[1]} is missing"
    if unknown:
        return [unknown[1]], f"this field is not known: choose from {', '.join(PushRule.__struct_fields__)}"
    return [key for key in keys if key], problem[0].lower() + problem[1:]
