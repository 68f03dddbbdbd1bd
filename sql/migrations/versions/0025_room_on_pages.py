"""Room on the pages of tables whose rows are written over in every cycle, and an early vacuum for the largest of them."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

SETTINGS = {
    "core.event_listings": {"fillfactor": 50},
    "core.tournament_listings": {"fillfactor": 50},
    "core.current_markets": {"autovacuum_vacuum_scale_factor": 0.02},
}


def upgrade() -> None:
    for table, settings in SETTINGS.items():
        op.execute(f"alter table {table} set ({', '.join(f'{name} = {value}' for name, value in settings.items())})")


def downgrade() -> None:
    for table, settings in SETTINGS.items():
        op.execute(f"alter table {table} reset ({', '.join(settings)})")
