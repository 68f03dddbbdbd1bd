"""Price leads: pairs of events on two platforms, the earlier one first."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0029"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
TO_DERIVE = """
insert into mart.dirty_fixtures (product, sr_id, marked_at)
select 'odds_alerts', sr_id, clock_timestamp() from core.fixtures where effective_kickoff > now()
on conflict (product, sr_id) do nothing
"""


def upgrade() -> None:
    op.create_table(
        "price_lead",
        sa.Column("sr_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="SportRadar id."),
        sa.Column(
            "lead_type",
            _one_of("priceleadtype", "move", "suspension"),
            autoincrement=False,
            nullable=False,
            comment="move: the fair probability of an outcome rose by PALIMPSEST_PRICE_LEAD_MIN_RISE or more, so its price became shorter (a fall is a rise of other outcomes). suspension: an answer no longer offers a market that the answer before offered.",
        ),
        sa.Column("market_key", sa.Text(), autoincrement=False, nullable=False, comment="Market of the vocabulary."),
        sa.Column(
            "specifier",
            sa.Text(),
            autoincrement=False,
            nullable=False,
            comment="Canonical specifier; '' when the market has none.",
        ),
        sa.Column(
            "leader",
            sa.String(24),
            autoincrement=False,
            nullable=False,
            comment="Platform of the earlier event. Of events with the same middle, the first in alphabetical order.",
        ),
        sa.Column(
            "follower", sa.String(24), autoincrement=False, nullable=False, comment="Platform of the later event."
        ),
        sa.Column(
            "leader_at",
            INSTANT,
            autoincrement=False,
            nullable=False,
            comment="Time of the leader's first answer with the new state.",
        ),
        sa.Column(
            "leader_after", INSTANT, nullable=False, comment="Time of the leader's last answer with the old state."
        ),
        sa.Column(
            "follower_at", INSTANT, nullable=False, comment="Time of the follower's first answer with the new state."
        ),
        sa.Column(
            "follower_after", INSTANT, nullable=False, comment="Time of the follower's last answer with the old state."
        ),
        sa.Column(
            "outcome_key",
            sa.Text(),
            nullable=False,
            comment="Outcome that rose most on both platforms; '' for a suspension.",
        ),
        sa.Column(
            "leader_probability_before",
            sa.Double(),
            nullable=True,
            comment="The outcome's fair probability (multiplicative) at leader_after; null for a suspension.",
        ),
        sa.Column("leader_probability", sa.Double(), nullable=True, comment="The same at leader_at."),
        sa.Column("follower_probability_before", sa.Double(), nullable=True, comment="The same at follower_after."),
        sa.Column("follower_probability", sa.Double(), nullable=True, comment="The same at follower_at."),
        sa.Column(
            "lag_s",
            sa.Double(),
            nullable=False,
            comment="Time from the leader's event to the follower's, seconds: the middle of lag_min_s and lag_max_s.",
        ),
        sa.Column(
            "lag_min_s",
            sa.Double(),
            nullable=False,
            comment="Shortest possible lag, seconds: follower_after - leader_at. If it is not negative, the order is proven.",
        ),
        sa.Column(
            "lag_max_s",
            sa.Double(),
            nullable=False,
            comment="Longest possible lag, seconds: follower_at - leader_after.",
        ),
        sa.Column(
            "lag_limited_by",
            _one_of("laglimit", "polling", "not_observed"),
            nullable=False,
            comment="Why the lag is known within bounds only. not_observed: a platform was not observed during a part of its interval. polling: both were observed; between the two answers a market may have been without prices.",
        ),
        sa.Column(
            "steam_at",
            INSTANT,
            nullable=True,
            comment="First answer of the steam to which both moves belong; null when they belong to none. A steam is a series of moves of an outcome on PALIMPSEST_PRICE_LEAD_STEAM_PLATFORMS or more platforms, each at most PALIMPSEST_PRICE_LEAD_STEAM_MINUTES after the previous one.",
        ),
        sa.Column(
            "steam_platforms",
            sa.SmallInteger(),
            nullable=True,
            comment="Number of platforms of the steam; null without one.",
        ),
        sa.Column("kickoff_date", sa.Date(), nullable=False, comment="UTC date of the effective kickoff."),
        sa.Column("mapping_version", sa.Text(), nullable=False, comment="Version of the market vocabulary."),
        sa.PrimaryKeyConstraint(
            "sr_id",
            "lead_type",
            "market_key",
            "specifier",
            "leader",
            "follower",
            "leader_at",
            name=op.f("pk_price_lead"),
        ),
        schema="mart",
        comment="Pairs of events on two platforms, the earlier one first, in markets of PALIMPSEST_MAIN_MARKETS and in the last PALIMPSEST_ODDS_ALERT_DAYS before kickoff. An event happened after the last answer with the old state and not after the first answer with the new state; the middle of this interval places it in time. Two events are a pair when each is the other's nearest on the two platforms, at most PALIMPSEST_PRICE_LEAD_WINDOW_MINUTES apart.",
    )
    op.create_index(op.f("ix_price_lead_kickoff_date"), "price_lead", ["kickoff_date"], schema="mart")
    op.execute(TO_DERIVE)


def downgrade() -> None:
    op.drop_table("price_lead", schema="mart")


def _one_of(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)
