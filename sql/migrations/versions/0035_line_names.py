"""Names of each line's market and outcomes in one table, which the views join instead of three."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

FILL_SQL = r"""
insert into ops.line_names
    (line_id, winners_k, market_key, market, specifier, outcome_keys, outcomes, outcome_orders)
select
    l.line_id, case when m.fair_sum ~ '^\d+$' then m.fair_sum::smallint end, m.market_key, m.name, l.specifier,
    coalesce(o.keys, '{}'), coalesce(o.names, '{}'), coalesce(o.ordinals, '{}')
from ops.market_lines l
join core.markets m using (market_id)
cross join lateral (
    select array_agg(outcome_key order by ordinal) as keys, array_agg(name order by ordinal) as names,
        array_agg(ordinal order by ordinal) as ordinals
    from core.market_outcomes
    where market_id = l.market_id and (l.outcome = '' or outcome_key = l.outcome)
) o
order by l.line_id
"""


def upgrade() -> None:
    op.create_table(
        "line_names",
        sa.Column(
            "line_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="Line, which is a market with one specifier: ops.market_lines.",
        ),
        sa.Column(
            "winners_k",
            sa.SmallInteger(),
            nullable=True,
            comment="Number of outcomes of the market that win; null when unknown.",
        ),
        sa.Column("market_key", sa.Text(), nullable=False, comment="Market of the vocabulary."),
        sa.Column("market", sa.Text(), nullable=False, comment="Its display name."),
        sa.Column(
            "specifier",
            sa.Text(),
            nullable=False,
            comment="Canonical specifier, e.g. total=2.5; '' when the market has none.",
        ),
        sa.Column(
            "outcome_keys",
            pg.ARRAY(sa.Text()),
            nullable=False,
            comment="Keys of the outcomes, in the order of price arrays. A line of a single outcome has one, or none if "
            "the vocabulary does not list it.",
        ),
        sa.Column(
            "outcomes",
            pg.ARRAY(sa.Text()),
            nullable=False,
            comment="Display names of the outcomes, in the same order.",
        ),
        sa.Column(
            "outcome_orders",
            pg.ARRAY(sa.SmallInteger()),
            nullable=False,
            comment="Ordinals of the outcomes in the vocabulary, in the same order.",
        ),
        sa.PrimaryKeyConstraint("line_id", name=op.f("pk_line_names")),
        schema="ops",
        comment="Names of each line's market and outcomes, copied from the vocabulary. Views join this one table "
        "instead of ops.market_lines, core.markets and core.market_outcomes: for a small query, Postgres takes longer "
        "to plan the three joins than to run it.",
    )
    op.create_index(op.f("ix_line_names_market_key"), "line_names", ["market_key"], schema="ops")
    op.execute("lock table ops.market_lines in share mode")  # a process of an older version may create lines
    op.execute(FILL_SQL)
    op.execute("analyze ops.line_names")


def downgrade() -> None:
    op.drop_table("line_names", schema="ops")
