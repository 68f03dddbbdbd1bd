"""Price leads are paired at the time of the later answer, and steam is timed by whole intervals.

Fixtures to come are derived again. Fixtures that have begun keep their rows.
"""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

MARK_FIXTURES_SQL = """
insert into mart.dirty_fixtures (product, sr_id, marked_at)
select 'odds_alerts', sr_id, clock_timestamp() from core.fixtures where effective_kickoff > now()
on conflict (product, sr_id) do update set marked_at = excluded.marked_at
"""
COMMENTS = {
    "table mart.price_lead": (
        "Pairs of events on two platforms, the earlier one first, in markets of PALIMPSEST_MAIN_MARKETS and in "
        "the last PALIMPSEST_ODDS_ALERT_DAYS before kickoff. An event happened after the last answer with the old "
        "state and not after the first answer with the new state; the middle of this interval places it in time. "
        "Two events are a pair when each is the other's nearest on the two platforms, at most "
        "PALIMPSEST_PRICE_LEAD_WINDOW_MINUTES apart.",
        "Pairs of events on two platforms, the earlier one first, in markets of PALIMPSEST_MAIN_MARKETS and in "
        "the last PALIMPSEST_ODDS_ALERT_DAYS before kickoff. An event happened after the last answer with the old "
        "state and not after the first answer with the new state; the middle of this interval places it in time. "
        "Two events, at most PALIMPSEST_PRICE_LEAD_WINDOW_MINUTES apart, are a pair when each was the other's "
        "nearest on the two platforms at the time of the later answer. Later answers do not change a pair. An "
        "interval longer than this window and PALIMPSEST_NOT_OBSERVED_AFTER_MINUTES together makes no pair.",
    ),
    "column mart.price_lead.outcome_key": (
        "Outcome that rose most on both platforms; '' for a suspension.",
        "Outcome of the steam, otherwise the one that rose most on both platforms; '' for a suspension.",
    ),
    "column mart.price_lead.steam_at": (
        "First answer of the steam to which both moves belong; null when they belong to none. A steam is a series "
        "of moves of an outcome on PALIMPSEST_PRICE_LEAD_STEAM_PLATFORMS or more platforms, each at most "
        "PALIMPSEST_PRICE_LEAD_STEAM_MINUTES after the previous one.",
        "First answer of the steam to which both moves belong; null when they belong to none. A steam is a series "
        "of moves of an outcome on PALIMPSEST_PRICE_LEAD_STEAM_PLATFORMS or more platforms. The intervals of two "
        "successive moves together are at most PALIMPSEST_PRICE_LEAD_STEAM_MINUTES long.",
    ),
}
"""The former comment and the new one, by object."""


def upgrade() -> None:
    _change_comments(1)
    op.execute(MARK_FIXTURES_SQL)


def downgrade() -> None:
    _change_comments(0)
    op.execute(MARK_FIXTURES_SQL)


def _change_comments(place: int) -> None:
    for name, texts in COMMENTS.items():
        text = texts[place].replace("'", "''")
        op.execute(f"comment on {name} is '{text}'")
