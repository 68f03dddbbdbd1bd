"""Alerts to traders are judged by the implied probability. Fixtures to come are derived again, since their rows used the former measure."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

MARK_FIXTURES_SQL = """
insert into mart.dirty_fixtures (product, sr_id, marked_at)
select 'odds_alerts', sr_id, clock_timestamp() from core.fixtures where effective_kickoff > now()
on conflict (product, sr_id) do update set marked_at = excluded.marked_at
"""
WITHOUT_SIZE = (
    "What has no size: event_dropped is high, market_disappeared medium in PALIMPSEST_MAIN_MARKETS, all else low."
)
OF_PROBABILITY = f"How large the change of the implied probability (1 / odds) was at its peak: PALIMPSEST_ODDS_ALERT_LEVELS. {WITHOUT_SIZE}"
OF_ODDS = f"How large it was at its peak: PALIMPSEST_ODDS_ALERT_LEVELS. {WITHOUT_SIZE}"


def upgrade() -> None:
    _change_comment(OF_ODDS, OF_PROBABILITY)
    op.execute(MARK_FIXTURES_SQL)


def downgrade() -> None:
    _change_comment(OF_PROBABILITY, OF_ODDS)
    op.execute(MARK_FIXTURES_SQL)


def _change_comment(before: str, after: str) -> None:
    op.alter_column(
        "odds_alert",
        "severity",
        schema="mart",
        existing_type=sa.Text(),
        existing_nullable=False,
        existing_comment=before,
        comment=after,
    )
