"""The JSON of a message to traders, and the text in it that a chat shows. No I/O."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from palimpsest_pipeline.domain.push_rules import PushRule, SourceTerms

CHAT_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
"""Characters with a meaning in chats: `<!channel>` in the name of a team would notify everybody."""
EVENT_FIELDS: Final = (
    "type",
    "severity",
    "sr_id",
    "home_team",
    "away_team",
    "tournament_key",
    "tournament",
    "country",
    "kickoff",
    "platforms",
    "market_key",
    "market",
    "specifier",
    "outcome",
    "odds_before",
    "odds_now",
    "size",
    "began_at",
    "fires_at",
    "observed_at",
)


def build_body(rule: PushRule, terms: SourceTerms, event: Mapping[str, Any]) -> str:
    """Return the JSON of a message. `event` is a row of `select_events.select_events`, by column."""
    fields = {name: _encode(event[name]) for name in EVENT_FIELDS}
    message = {
        "text": build_text(terms, event),
        "id": event["message_id"],
        "rule": rule.name,
        "source": rule.source,
        **fields,
        "size_unit": terms.size_unit,
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def build_text(terms: SourceTerms, event: Mapping[str, Any]) -> str:
    """Return one line for people: the event, its fixture and market, its prices, and the kickoff."""
    teams = f"{event['home_team']} - {event['away_team']}" if event["home_team"] else f"fixture {event['sr_id']}"
    heading = " ".join((event["type"].replace("_", " "), "/".join(event["platforms"] or ())))
    subject = " ".join(filter(None, (teams, *_name_market(event))))
    parts = [f"{heading.strip()}: {subject}", *_describe_size(terms, event), _describe_kickoff(event)]
    if places := ", ".join(filter(None, (event["country"], event["tournament"]))):
        parts.append(places)
    return " ".join(", ".join(parts).split()).translate(CHAT_ESCAPES)


def _name_market(event: Mapping[str, Any]) -> list[str]:
    market = event["market"] or (event["market_key"] if event["market_key"] != "*" else None)
    names = [market, event["specifier"], event["outcome"]]
    return ["|", *filter(None, names)] if any(names) else []


def _describe_size(terms: SourceTerms, event: Mapping[str, Any]) -> list[str]:
    before, now, size = event["odds_before"], event["odds_now"], event["size"]
    if before is not None and now is not None:
        return [f"{before:.2f} to {now:.2f}"]
    if size is None:
        return []
    return [f"for {size:.0f} min"] if terms.is_state else [f"{size:.3g} {terms.size_unit}"]


def _describe_kickoff(event: Mapping[str, Any]) -> str:
    minutes = (event["kickoff"] - event["fires_at"]).total_seconds() / 60
    return f"kickoff {event['kickoff'].astimezone(UTC):%Y-%m-%d %H:%M} UTC ({minutes:.0f} min later)"


def _encode(value: Any) -> Any:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
