"""The landing: raw answers exactly as they came, kept apart from everything that is derived from them.

Belongs here: storing answers, listing what was stored, reading it back, importing recorded payloads. Does not belong here: what a body says
(platforms), when to fetch (scrape), how long to keep what was derived (storage).
"""

from .manifest import Manifest, Segment, daily_bytes
from .recorded import RecordedPayloadError, import_payloads
from .schema import SCHEMA
from .store import CycleWriter, Landing, LandingError, LandingIncomplete

__all__ = [
    "SCHEMA",
    "CycleWriter",
    "Landing",
    "LandingError",
    "LandingIncomplete",
    "Manifest",
    "RecordedPayloadError",
    "Segment",
    "daily_bytes",
    "import_payloads",
]
