"""A state of their own for messages whose rule was removed before they were delivered."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

TABLE = "push_outbox"
CONSTRAINT = "ck_push_outbox_pushstate"
OLD = ("pending", "delivered", "failed")
NEW = ("pending", "delivered", "failed", "cancelled")
OLD_COMMENTS = {
    "state": "pending, delivered, or failed: the receiver refused it, and it is not sent again.",
    "subject": "What the rule's cooldown holds for: a fixture, or a market of it on platforms.",
}
NEW_COMMENTS = {
    "state": "pending; delivered; failed: the receiver refused it, and it is not sent again by itself; cancelled: its rule was removed before it was "
    "delivered.",
    "subject": "What the rule's cooldown holds for: a fixture, or a market and line of it.",
}


def upgrade() -> None:
    _allow(NEW, NEW_COMMENTS)
    op.execute(
        "update ops.push_outbox m set state = 'cancelled' where m.state in ('pending', 'failed')"
        " and not exists (select from ops.push_rules r where r.rule = m.rule and r.removed_at is null)"
    )


def downgrade() -> None:
    # The older program sends failed messages only when a user asks for it.
    op.execute("update ops.push_outbox set state = 'failed' where state = 'cancelled'")
    _allow(OLD, OLD_COMMENTS)


def _allow(states: tuple[str, ...], comments: dict[str, str]) -> None:
    op.drop_constraint(op.f(CONSTRAINT), TABLE, schema="ops")
    op.create_check_constraint(op.f(CONSTRAINT), TABLE, sa.column("state").in_(states), schema="ops")
    for column, comment in comments.items():
        op.alter_column(TABLE, column, comment=comment, schema="ops")
