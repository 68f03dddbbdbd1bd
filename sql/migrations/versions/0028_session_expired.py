"""A failure class of its own for a cookie that a site no longer accepts."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

TABLE = "event_scrape_status"
CONSTRAINT = "ck_event_scrape_status_failureclass"
OLD = ("transient", "rate_limited", "blocked", "not_found", "contract_broken", "permanent")
NEW = ("transient", "rate_limited", "blocked", "session_expired", "not_found", "contract_broken", "permanent")


def upgrade() -> None:
    _allow(NEW)


def downgrade() -> None:
    op.execute(f"update ops.{TABLE} set error_class = 'blocked' where error_class = 'session_expired'")
    _allow(OLD)


def _allow(classes: tuple[str, ...]) -> None:
    op.drop_constraint(op.f(CONSTRAINT), TABLE, schema="ops")
    op.create_check_constraint(op.f(CONSTRAINT), TABLE, sa.column("error_class").in_(classes), schema="ops")
