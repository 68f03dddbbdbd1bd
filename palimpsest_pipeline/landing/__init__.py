"""The landing: raw answers exactly as they came, kept apart from everything that is derived from them.

Belongs here: storing answers, listing what was stored, reading it back, importing recorded payloads, compacting hours
and removing them. Does not
belong here: what a body says (platforms), when to fetch (scrape), who needs an hour (defs), how long to keep what was
derived (storage).
"""

from .compaction import Compaction, compact_hour, list_compactable_hours
from .errors import LandingError, LandingIncomplete, LandingUnreadable
from .expiry import ExpiryResult, expire_hours, list_expired_hours
from .manifest import Manifest, Segment
from .reader import USAGE_SCHEMA, LandedCycles, UnreadableCycle, describe_unreadable
from .recorded_answers import RecordedPayloadError, import_payloads
from .schema import ANSWER_SCHEMA
from .writer import CycleWriter, Landing

__all__ = [
    "ANSWER_SCHEMA",
    "USAGE_SCHEMA",
    "Compaction",
    "CycleWriter",
    "ExpiryResult",
    "LandedCycles",
    "Landing",
    "LandingError",
    "LandingIncomplete",
    "LandingUnreadable",
    "Manifest",
    "RecordedPayloadError",
    "Segment",
    "UnreadableCycle",
    "compact_hour",
    "describe_unreadable",
    "expire_hours",
    "import_payloads",
    "list_compactable_hours",
    "list_expired_hours",
]
