"""Kickoffs that are refused as claims, and differences between kickoffs of any size."""

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


def upgrade() -> None:
    for table, schema in DELTAS:
        op.alter_column(table, "kickoff_max_delta_s", type_=sa.BigInteger(), schema=schema)
    for table, schema, column, _, comment in REFUSABLE:
        op.alter_column(table, column, existing_type=INSTANT, nullable=True, comment=comment, schema=schema)


def downgrade() -> None:
    for statement in STAND_INS:
        op.execute(statement)
    for table, schema, column, comment, _ in REFUSABLE:
        op.alter_column(table, column, existing_type=INSTANT, nullable=False, comment=comment, schema=schema)
    for table, schema in DELTAS:
        narrowed = f"least(kickoff_max_delta_s, {MAX_INTEGER})::integer"
        op.alter_column(table, "kickoff_max_delta_s", type_=sa.Integer(), postgresql_using=narrowed, schema=schema)
