"""`palimpsest doctor`: looks at everything a user commonly has wrong, and says how to mend it.

Belongs here: looking, and the words. Does not: mending. It starts nothing, and changes nothing but a probe file and cycles that are dead, which every
command closes.
"""

from palimpsest_pipeline.settings import Settings

from .findings import Finding, Look, look_at_all
from .machine import celery, disk, home, markets, memory, settings_known, ui_port
from .orchestration import dagster, definitions, load_definitions
from .platform_hosts import platforms_reachable
from .stores import alerts, clock, cycles, data_source, database, derived, export, first_days, landing

__all__ = ["Finding", "alerts", "clock", "cycles", "database", "derived", "examine", "export", "landing", "settings_known"]

LOOKS: dict[str, Look] = {
    "settings": settings_known,
    "markets": markets,
    "home": home,
    "database": database,
    "dagster": dagster,
    "definitions": definitions,
    "cycles": cycles,
    "clock": clock,
    "first day": first_days,
    "data source": data_source,
    "landing": landing,
    "derived": derived,
    "export": export,
    "disk": disk,
    "memory": memory,
    "ui": ui_port,
    "alerts": alerts,
    "celery": celery,
}
"""By name of its finding, the first one where there are several; in the order in which a user would mend them."""


def examine(settings: Settings, *, platforms: bool = False) -> list[Finding]:
    """Every finding, in order; of what does not answer in time, that. With `platforms` each platform is asked once."""
    load_definitions()
    return look_at_all(settings, LOOKS | ({"platforms": platforms_reachable} if platforms else {}))
