"""The recorded event of each pack from which the tests of its discovery make all others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET

from .pack_support import load_pack_sample
from .sportpesa.support import game_of
from .support import loaded

BETPAWA_LIST: Final = "list_v4_excerpt_2_of_65_events_2026-09-08.json"
SPORTYBET_LIST: Final = "list_pcUpcomingEvents_football.json"
BET9JA_LIST: Final = "geteventsingroupv2_epl_trimmed.json"
BETIKA_LIST: Final = "2026-08-09_matches_football_sort2_period9_p1.json"
TEMPLATES: Final[dict[str, Callable[[Path], dict[str, Any]]]] = {
    "betpawa": lambda samples: loaded(samples, BETPAWA, BETPAWA_LIST)["responses"][0]["responses"][0],
    "sportybet": lambda samples: loaded(samples, SPORTYBET, SPORTYBET_LIST)["data"]["tournaments"][0]["events"][0],
    "bet9ja": lambda samples: loaded(samples, BET9JA, BET9JA_LIST)["D"]["E"][0],
    "msport": lambda samples: load_pack_sample(samples, "msport", "prematch.json")["data"],
    "betika": lambda samples: load_pack_sample(samples, "betika", BETIKA_LIST)["data"][0] | {"odds": []},
    "betway": lambda samples: load_pack_sample(samples, "betway", "prematch.json")["sportEvent"],
    # With a kickoff after the crawl.
    "sportpesa": lambda samples: game_of(samples, dateTimestamp=1782500400000),
}


@pytest.fixture(scope="module")
def templates(samples: Path) -> dict[str, dict[str, Any]]:
    """The event of each pack."""
    return {pack: read(samples) for pack, read in TEMPLATES.items()}


@pytest.fixture(scope="module")
def template(templates: dict[str, dict[str, Any]], request: pytest.FixtureRequest) -> dict[str, Any]:
    """The event of the pack in whose folder the test is."""
    return templates[request.path.parent.name]
