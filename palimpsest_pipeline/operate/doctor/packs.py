"""The check of packs: whether each active platform has a pack that can be used.

Knows no Dagster.
"""

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.platforms.packs import PackError, load_packs
from palimpsest_pipeline.settings import Settings

from .findings import Finding


def check_packs(settings: Settings) -> Finding:
    """Return whether the active platforms can be scraped.

    The finding names the platforms that are left out, and the packs that cannot be read.
    """
    pipeline, problems = Pipeline(settings), dict(load_packs().problems)
    for platform in settings.platforms:
        try:
            pipeline.get_adapter(platform)
        except PackError as error:
            problems[platform] = str(error)
    if problems:
        text = "; ".join(problems[name] for name in sorted(problems))
        return Finding("packs", False, f"{text}. Repair or uninstall the pack, or correct PALIMPSEST_PLATFORMS")
    return Finding("packs", True, f"{', '.join(settings.platforms)} can be scraped")
