"""What the README says of settings, failures and statuses is what the code has."""

import re
from pathlib import Path

import pytest

from palimpsest_pipeline.domain.enums import FailureClass, RunStatus
from palimpsest_pipeline.settings import Bet9jaSettings, BetpawaSettings, PlatformSettings, Settings, SportybetSettings
from palimpsest_pipeline.wire.retry_rules import FAILURE_RULES

README = (Path(__file__).parents[2] / "README.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in README.splitlines() if line.startswith("| ")]


def row(name: str) -> list[str]:
    """The only row of a table in which `name` stands for itself in one of the first two cells."""
    (found,) = [cells for cells in ROWS if name in cells[:2]]
    return found


def test_every_setting_that_is_named_exists():
    named = set(re.findall(r"PALIMPSEST_[A-Z0-9_]*[A-Z0-9]", README)) - {
        f"PALIMPSEST_{platform}" for platform in ("BETPAWA", "SPORTYBET", "BET9JA")
    }
    assert len(named) > 5
    assert named <= set(Settings(_env_file=None).to_masked_dict())


def test_every_setting_of_a_platform_is_listed_and_no_other():
    listed = {name.lower() for name in re.findall(r"`…__([A-Z_]+)`", README)}
    assert listed == set(PlatformSettings.model_fields) - {"base_url"}


def test_the_limits_that_are_listed_are_the_defaults():
    platforms = (BetpawaSettings(), SportybetSettings(), Bet9jaSettings())
    assert row("`…__MAX_IN_FLIGHT`")[2] == ", ".join(str(p.max_in_flight) for p in platforms)
    assert (
        row("`…__MIN_GAP_S`, `…__JITTER_S`")[2]
        == ", ".join(f"{p.min_gap_s:g} + {p.jitter_s:g}" for p in platforms) + " s"
    )


@pytest.mark.parametrize("failure", FailureClass)
def test_the_table_of_failures_is_the_one_in_force(failure: FailureClass):
    assert row(f"`{failure}`")[2] == ("yes" if FAILURE_RULES[failure].is_retryable else "no")


@pytest.mark.parametrize("status", RunStatus)
def test_every_status_is_explained(status: RunStatus):
    assert all(row(f"`{status}`"))
