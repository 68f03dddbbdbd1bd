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
    (
        "listing_claims",
        "core",
        "kickoff_at",
        "Kickoff the platform claims.",
        "Kickoff the platform claims; null when it was refused as absurd.",
    ),
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

# Kickoffs stored before there was a limit, which an answer of today would not be believed. A fixture keeps a row where another listing has a kickoff.
REFUSE = (
    """update core.event_listings set kickoff_at = null
    where kickoff_at not between last_seen_at - interval '1095 days' and last_seen_at + interval '1095 days'""",
    """update core.listing_claims c set kickoff_at = null
    where exists (
        select from core.listing_observations o where o.listing_id = c.listing_id and o.claim_hash = c.claim_hash
            and c.kickoff_at not between o.observed_at - interval '1095 days' and o.observed_at + interval '1095 days'
    )""",
    """with gone as (
        delete from core.kickoff_versions
        where kickoff_at not between observed_from - interval '1095 days' and observed_from + interval '1095 days'
        returning listing_id, observed_from
    ),
    kept as (
        select v.listing_id, v.observed_from, v.kickoff_at,
            lag(v.kickoff_at) over (partition by v.listing_id order by v.observed_from) as before
        from core.kickoff_versions v
        where v.listing_id in (select listing_id from gone) and (v.listing_id, v.observed_from) not in (select listing_id, observed_from from gone)
    ),
    repeated as (
        delete from core.kickoff_versions v using kept k
        where (v.listing_id, v.observed_from) = (k.listing_id, k.observed_from) and k.kickoff_at = k.before
    )
    update core.kickoff_versions v set version = n.version
    from (
        select listing_id, observed_from, row_number() over (partition by listing_id order by observed_from) as version
        from kept where kickoff_at is distinct from before
    ) n
    where (v.listing_id, v.observed_from) = (n.listing_id, n.observed_from)""",
    """update core.fixtures f set effective_kickoff = d.kickoff_at
    from (select fixture_sr_id, min(kickoff_at) as kickoff_at, max(last_seen_at) as seen_at from core.event_listings group by fixture_sr_id) d
    where d.fixture_sr_id = f.sr_id and d.kickoff_at is not null
        and f.effective_kickoff not between d.seen_at - interval '1095 days' and d.seen_at + interval '1095 days'""",
    """update core.event_listings set fixture_sr_id = null, match_method = null, is_primary = false
    where fixture_sr_id in (select fixture_sr_id from core.event_listings group by fixture_sr_id having max(kickoff_at) is null)""",
    "delete from core.fixtures f where not exists (select from core.event_listings e where e.fixture_sr_id = f.sr_id)",
)


def upgrade() -> None:
    for table, schema in DELTAS:
        op.alter_column(table, "kickoff_max_delta_s", type_=sa.BigInteger(), schema=schema)
    for table, schema, column, _, comment in REFUSABLE:
        op.alter_column(table, column, existing_type=INSTANT, nullable=True, comment=comment, schema=schema)
    for column, _, comment in BEST:
        op.alter_column("price_comparison", column, comment=comment, schema="mart")
    for statement in REFUSE:
        op.execute(statement)
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
