"""The landing: unchanged raw answers of platforms, separate from all tables derived from them."""

from .errors import LandingError, LandingIncomplete, LandingUnreadable
from .expiry import ExpiryResult, expire_hours, list_expired_hours
from .import_recorded_answers import RecordedBook, RecordedPayloadError, import_payloads, read_recorded_books
from .manifest import Manifest, Segment
from .reader import USAGE_SCHEMA, LandedCycles, UnreadableCycle, describe_unreadable, measure_cycles
from .schema import ANSWER_SCHEMA
from .writer import CycleWriter, Landing

__all__ = [
    "ANSWER_SCHEMA",
    "USAGE_SCHEMA",
    "CycleWriter",
    "ExpiryResult",
    "LandedCycles",
    "Landing",
    "LandingError",
    "LandingIncomplete",
    "LandingUnreadable",
    "Manifest",
    "RecordedBook",
    "RecordedPayloadError",
    "Segment",
    "UnreadableCycle",
    "describe_unreadable",
    "expire_hours",
    "import_payloads",
    "list_expired_hours",
    "measure_cycles",
    "read_recorded_books",
]
