"""Checks of the platforms: their packs, and one request each to the base URL.

The request is sent with the HTTP client of the scrapes.

Imports no Dagster.
"""

import asyncio
from dataclasses import replace
from typing import Final

from palimpsest_pipeline.domain.enums import PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.platforms.packs import PackError, load_packs
from palimpsest_pipeline.settings import Settings, name_platform_variable
from palimpsest_pipeline.wire.client import PlatformClient

from .findings import Finding, Problem, doctor_check

TOTAL_TIMEOUT_S: Final = 8.0
_CONNECT_TIMEOUT_S: Final = 5.0


@doctor_check("packs")
def check_active_platforms(settings: Settings) -> str:
    """Check whether the active platforms can be scraped.

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
        raise Problem(f"{text}. Repair or uninstall the pack, or correct PALIMPSEST_PLATFORMS")
    return f"{', '.join(settings.platforms)} can be scraped"


def check_platforms(settings: Settings) -> list[Finding]:
    """Return a finding for each platform.

    A good answer does not prove that a scrape succeeds, and a refused request does not prove that it fails.
    """
    pipeline = Pipeline(settings)

    async def probe_platforms() -> list[Finding]:
        return await asyncio.gather(*(_probe_platform(pipeline, platform) for platform in pipeline.platforms))

    return asyncio.run(probe_platforms())


async def _probe_platform(pipeline: Pipeline, platform: Platform) -> Finding:
    host = replace(
        pipeline.build_host_config(platform),
        connect_timeout_s=_CONNECT_TIMEOUT_S,
        read_timeout_s=TOTAL_TIMEOUT_S,
        total_timeout_s=TOTAL_TIMEOUT_S,
    )
    async with PlatformClient(host, pipeline.clock) as client:
        answer = await client.send(Request(platform, PayloadKind.TREE, "/"), 1, lambda _: None)
    return judge_answer(platform, host.base_url, answer)


def judge_answer(platform: Platform, base_url: str, answer: Answer) -> Finding:
    """Return the finding for one answer to a request for the base URL."""
    return doctor_check(f"platform {platform}")(_examine_answer)(platform, base_url, answer)


def _examine_answer(platform: Platform, base_url: str, answer: Answer) -> str:
    if answer.status is None:
        raise Problem(
            f"{base_url} cannot be reached: {answer.failure_detail.rstrip('.')}. Check the network, "
            "or set a proxy for it"
        )
    text = f"{base_url} answers with status {answer.status}"
    if answer.status in (401, 403, 407, 451):
        raise Problem(
            f"{text}: the platform refuses this address, as it commonly does for data centres. The API may behave "
            f"differently, but probably refuses it too: set {name_platform_variable(platform, 'proxy')}, and the "
            "headers that a browser sends"
        )
    if answer.status == 429 or answer.status >= 500:
        raise Problem(f"{text}: it is overloaded, or limits this address; try again later")
    return f"{text}: it can be reached; only a scrape shows whether its API answers"
