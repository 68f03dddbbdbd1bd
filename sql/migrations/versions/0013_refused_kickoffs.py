"""Kickoffs that are refused as claims, differences between kickoffs of any size, and best prices of answers that are near each other."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
DELTAS = (("fixtures", "core"), ("coverage_fixture", "mart"))
REFUSABLE = (
    ("listing_claims", "core", "kickoff_at", "Kickoff the platform claims.", "Kickoff the platform claims; null when it was refused as absurd."),
    (
        "event_listings",
        "core",
        "kickoff_at",
        "Kickoff the platform claims now.",
        "Kickoff the platform claims now; null when it was refused as absurd.",
    ),
    (
        "listing_lead_time",
        "mart",
        "kickoff_at_first_listing",
        "Kickoff the platform claimed then.",
        "Kickoff the platform claimed then; null when all it claimed were refused as absurd.",
    ),
)
# The older code needs a kickoff. The instant of the answer takes the place of one that was refused: such a listing counts as begun.
STAND_INS = (
    """update core.listing_claims c set kickoff_at = (
        select min(o.observed_at) from core.listing_observations o where o.listing_id = c.listing_id and o.claim_hash = c.claim_hash
    ) where c.kickoff_at is null""",
    "update core.event_listings set kickoff_at = last_seen_at where kickoff_at is null",
    "update mart.listing_lead_time set kickoff_at_first_listing = first_listed_at where kickoff_at_first_listing is null",
)
MAX_INTEGER = 2**31 - 1
BEST = (
    (
        "best_platform",
        "Who offers most, of home and the competitors comparable with it; home, then by trust, where several do; null when home cannot be backed.",
        "Who offers most, of home and competitors whose answers are near its and each other's; home, then by trust, where several do; "
        "null when home cannot be backed.",
    ),
    (
        "cross_book_sum_inverse",
        "Sum of the inverse best odds over the market's outcomes; null unless every outcome of a complete set has one.",
        "Sum of the inverse best odds over the market's outcomes, of answers near each other; null unless every outcome of a complete set has one.",
    ),
)
# The rule of best prices has changed: derive them again for fixtures to come.
TO_DERIVE = """
    insert into mart.dirty_fixtures (product, sr_id, marked_at)
    select 'prices', sr_id, clock_timestamp() from core.fixtures where effective_kickoff > now()
    on conflict do nothing
"""


def upgrade() -> None:
    for table, schema in DELTAS:
        op.alter_column(table, "kickoff_max_delta_s", type_=sa.BigInteger(), schema=schema)
    for table, schema, column, _, comment in REFUSABLE:
        op.alter_column(table, column, existing_type=INSTANT, nullable=True, comment=comment, schema=schema)
    for column, _, comment in BEST:
        op.alter_column("price_comparison", column, comment=comment, schema="mart")
    op.execute(TO_DERIVE)


def downgrade() -> None:
    for column, comment, _ in BEST:
        op.alter_column("price_comparison", column, comment=comment, schema="mart")
    for statement in STAND_INS:
        op.execute(statement)
    for table, schema, column, comment, _ in REFUSABLE:
        op.alter_column(table, column, existing_type=INSTANT, nullable=False, comment=comment, schema=schema)
    for table, schema in DELTAS:
        narrowed = f"least(kickoff_max_delta_s, {MAX_INTEGER})::integer"
        op.alter_column(table, "kickoff_max_delta_s", type_=sa.Integer(), postgresql_using=narrowed, schema=schema)
