"""The landing: raw answers exactly as they came, kept apart from everything that is derived from them.

Belongs here: storing answers, listing what was stored, reading it back, importing recorded payloads, compacting hours and removing them. Does not
belong here: what a body says (platforms), when to fetch (scrape), who needs an hour (defs), how long to keep what was derived (storage).
"""

from .compaction import Compaction, compact_hour, compactable
from .errors import LandingError, LandingIncomplete, LandingUnreadable
from .expiry import Expired, expire, over
from .manifest import Manifest, Segment
from .reader import USAGE, LandedCycles, UnreadableCycle, name_unreadable
from .recorded_answers import RecordedPayloadError, import_payloads
from .schema import SCHEMA
from .writer import CycleWriter, Landing

__all__ = [
    "SCHEMA",
    "USAGE",
    "Compaction",
    "CycleWriter",
    "Expired",
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
    "compactable",
    "expire",
    "import_payloads",
    "name_unreadable",
    "over",
]
