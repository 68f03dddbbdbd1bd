"""The platforms of all installed packs, with their role in this installation."""

from datetime import datetime
from typing import Any

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.operate.doctor.findings import NotChecked
from palimpsest_pipeline.operate.doctor.stores import connect_if_running
from palimpsest_pipeline.platforms.packs import load_packs
from palimpsest_pipeline.settings import Settings
from palimpsest_pipeline.storage.ledger.known_platforms import read_last_answers


def list_platforms(settings: Settings) -> list[dict[str, Any]]:
    """Return a row per platform of all packs: home, the other active ones, the rest.

    The other active ones and the rest are in order of trust. `last_answer_at` is the end of the platform's last
    run with a usable book, None if not known. The database is queried only if it is running; nothing is started.
    """
    packs, last_answers = load_packs(), _read_last_answers(settings)
    active = {settings.home_platform, *settings.platforms}
    ordered = packs.order_by_trust(packs.platforms)
    return [
        {
            "platform": platform,
            "name": pack_platform.name,
            "dialect": pack_platform.pack.content.dialect.partition(":")[0].rpartition(".")[2],
            "country": pack_platform.country_code,
            "trust": pack_platform.pack.content.trust,
            "is_home": platform == settings.home_platform,
            "is_active": platform in active,
            "base_url": settings.get_platform(platform).base_url,
            "distribution": pack_platform.pack.distribution,
            "last_answer_at": last_answers.get(platform),
        }
        for platform in sorted(ordered, key=lambda one: (one != settings.home_platform, one not in active))
        for pack_platform in [packs.require(platform)]
    ]


def _read_last_answers(settings: Settings) -> dict[Platform, datetime]:
    """Return the end of each platform's last run with a usable book.

    The result is empty when the database is not running or has no tables of ours.
    """
    try:
        with connect_if_running(settings) as conn:
            return read_last_answers(conn)
    except NotChecked:
        return {}
