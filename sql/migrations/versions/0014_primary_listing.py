"""The largest books of days that leave Postgres are kept, for the choice of the primary listing; Age headers not believed are counted."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

AGES_IGNORED = (
    "Answers whose Age header was not believed, being unreadable or above an hour: they count as observed when they arrived; null: written before"
    " these were counted."
)


IS_PRIMARY = (
    "The one listing that speaks for its platform on this fixture (most priced markets, then smallest id).",
    "The one listing that speaks for its platform on this fixture: not taken off; of kickoffs more than 6 hours apart the later one that ever had"
    " a price; then the largest book of all answers; then the smallest id.",
)

# Listings with captures are asked by them; of the others, whose days have left Postgres, the last book is what is known.
LAST_KNOWN = """
    insert into core.largest_books (listing_id, observed_at, cycle_id, n_markets_priced)
    select listing_id, last_seen_at, last_cycle_id, n_markets_priced
    from core.event_listings e
    where n_markets_priced > 0 and not exists (select from core.captures c where c.listing_id = e.listing_id)
"""


def upgrade() -> None:
    op.add_column(
        "run_quality", sa.Column("ages_ignored", sa.Integer(), nullable=True, comment=AGES_IGNORED), schema="mart"
    )
    op.alter_column("event_listings", "is_primary", comment=IS_PRIMARY[1], schema="core")
    op.create_table(
        "largest_books",
        sa.Column("listing_id", sa.Integer(), autoincrement=False, nullable=False, comment="Listing."),
        sa.Column(
            "observed_at",
            sa.TIMESTAMP(timezone=True),
            autoincrement=False,
            nullable=False,
            comment="When the answer was received, less its age in the edge cache.",
        ),
        sa.Column("cycle_id", sa.BigInteger(), nullable=False, comment="Cycle that asked for it."),
        sa.Column(
            "n_markets_priced",
            sa.Integer(),
            nullable=False,
            comment="Canonical (market, line) pairs with an outcome that could be backed.",
        ),
        sa.PrimaryKeyConstraint("listing_id", "observed_at", name=op.f("pk_largest_books")),
        schema="core",
        comment="Of days that have left Postgres: each answer that priced more markets of its listing than any before it."
        " Which listing is primary rests on them and on captures.",
    )
    op.execute(LAST_KNOWN)


def downgrade() -> None:
    op.drop_table("largest_books", schema="core")
    op.alter_column("event_listings", "is_primary", comment=IS_PRIMARY[0], schema="core")
    op.drop_column("run_quality", "ages_ignored", schema="mart")
