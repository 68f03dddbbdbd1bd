"""`palimpsest doctor`: checks for the common problems of an installation, with their solutions.

The checks start nothing, and change only two things: they write a probe file, and close dead cycles, as every command
does.
"""

from palimpsest_pipeline.settings import Settings

from .dagster_health import check_dagster, check_definitions, load_definitions
from .findings import Check, Finding, run_checks
from .machine import (
    check_broker,
    check_disk_space,
    check_home_folder,
    check_market_settings,
    check_memory,
    check_settings,
    check_ui_port,
)
from .platform_hosts import check_active_platforms, check_platforms
from .stores import (
    check_alerts,
    check_clock,
    check_data_source,
    check_database,
    check_dead_cycles,
    check_derived_products,
    check_export,
    check_landing,
    check_push,
)

CHECKS_BY_NAME: dict[str, Check] = {
    "settings": check_settings,
    "packs": check_active_platforms,
    "markets": check_market_settings,
    "home": check_home_folder,
    "database": check_database,
    "dagster": check_dagster,
    "definitions": check_definitions,
    "cycles": check_dead_cycles,
    "clock": check_clock,
    "data source": check_data_source,
    "landing": check_landing,
    "derived": check_derived_products,
    "export": check_export,
    "disk": check_disk_space,
    "memory": check_memory,
    "ui": check_ui_port,
    "alerts": check_alerts,
    "push": check_push,
    "celery": check_broker,
}
"""The checks, by the name of their first finding, in the order in which a user should solve problems."""


def run_doctor(settings: Settings, *, platforms: bool = False) -> list[Finding]:
    """Return every finding, in order. A check that exceeds the time limit gets a finding that says so.

    With `platforms` each platform gets one request.
    """
    load_definitions()
    return run_checks(settings, CHECKS_BY_NAME | ({"platforms": check_platforms} if platforms else {}))
