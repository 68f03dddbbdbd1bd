"""Checks of prices as they stand: laws that hold on every row, and that no fixture is forgotten."""

import dagster as dg

from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.storage.derivation import dirty_fixtures
from palimpsest_pipeline.storage.marts import current_price_laws, current_prices

from .checks import result

DERIVE_AGAIN = (
    "The next full cycle derives all of them anew; if it stays, the derivation is wrong: please report it with the fixture and what"
    " `palimpsest compare SR_ID --json` says."
)


@dg.asset_check(asset=current_prices.COMPARISON.split("."), blocking=True)
def comparisons_do_not_contradict_themselves(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Comparable are prices that can be backed, the best is no worse than home, a tie is no win, ranks, differences and probabilities are what they
    say, and nothing is from after the kickoff."""
    with pipeline.connect() as conn:
        return result(current_price_laws.violations(conn, current_prices.COMPARISON), DERIVE_AGAIN)


@dg.asset_check(asset=current_prices.GAP.split("."), blocking=True)
def gaps_agree_with_their_states(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """The type of a gap is what the states of both sides say, it is open since the later of the two, and nothing is from after the kickoff."""
    with pipeline.connect() as conn:
        return result(current_price_laws.violations(conn, current_prices.GAP), DERIVE_AGAIN)


@dg.asset_check(asset=current_prices.COMPARISON.split("."))
def no_fixture_is_due_for_long(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """No fixture on which a cycle bore waits longer than PALIMPSEST_FIXTURES_OVERDUE_MINUTES for what is derived of it."""
    limit_s = pipeline.settings.fixtures_overdue_minutes * 60
    with pipeline.connect() as conn:
        waiting = {product: dirty_fixtures.waiting(conn, product) for product in FixtureProduct}
    behind = [f"{product} of {n} fixtures, for {waits_s / 60:.0f} min" for product, (n, waits_s) in waiting.items() if waits_s > limit_s]
    return dg.AssetCheckResult(
        passed=not behind,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Behind: {'; '.join(behind)}. Launch the job present in the UI; the next full cycle derives them, too." if behind else None,
        metadata={f"{product}_due": n for product, (n, _) in waiting.items()},
    )
