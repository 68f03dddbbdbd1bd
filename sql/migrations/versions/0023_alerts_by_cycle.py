"""Alerts name days and cycles in place of hours. The newest verdict of a check is found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

CLOSE = """
    update ops.alerts
    set closed_at = greatest(now(), last_seen_at), closing_told_by = '{{upgrade}}', closing_told_at = now(), told_at = coalesce(told_at, now()),
        message = message || ' [closed when {reason}: if the trouble lasts, a new alert tells of it]'
    where closed_at is null and {of}
"""
OF_HOURS = "partition_key like '%:%'"
OF_CYCLES = r"partition_key ~ '^[0-9]+(, [0-9]+)*$'"
OF_DATES = r"partition_key ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}(, |$)'"

OF_JUDGED_HOURS = (
    f"closed_at is null and starts_with(alert_key, 'check/') and error_class = 'CheckFailed' and {OF_HOURS}"
)
JUDGED = """
    judged (asset, schema, product) as (
        values
            ('landing/odds_payloads', 'core', 'odds_snapshots'), ('core/odds_snapshots', 'core', 'odds_snapshots'),
            ('core/tournaments', 'core', 'tournaments'), ('mart/run_quality', 'mart', 'run_quality'),
            ('mart/mapping_coverage', 'mart', 'mapping_coverage'), ('mart/match_rate_platform', 'mart', 'coverage'),
            ('mart/coverage_tournament', 'mart', 'coverage'), ('mart/coverage_fixture', 'mart', 'coverage')
    ),
    marks as (
        select 'core' as schema, cycle_id, split_part(product, '/', 1) as product from core.cycle_products
        union
        select 'mart', cycle_id, split_part(product, '/', 1) from mart.cycle_products
    )
"""
"""Which product a check of an asset judges, and which cycles have it. A verdict on a cycle without it would never be made again."""
JUDGE = f"""
    with {JUDGED}
    insert into ops.cycle_checks (check_name, cycle_id, severity, violations, description, judged_at)
    select
        a.subject, c.cycle_id, a.severity, 1,
        a.message || ' [seen in the hour ' || h.key || ', when checks judged hours: `palimpsest backfill ' || h.key || ' ' || h.key
            || ' --again` has its cycles judged one by one]',
        a.last_seen_at
    from ops.alerts a
    cross join lateral unnest(string_to_array(a.partition_key, ', ')) as h (key)
    join judged j on j.asset = split_part(a.subject, ':', 1)
    join core.cycles c on c.partition_hour = (left(h.key, 10) || 'T' || right(h.key, 5) || 'Z')::timestamptz
    join marks m on m.schema = j.schema and m.product = j.product and m.cycle_id = c.cycle_id
    where {OF_JUDGED_HOURS}
    on conflict (check_name, cycle_id) do nothing
"""
"""The alert does not say which of the hour's cycles are bad: each counts as bad until it is derived again."""
NAME_CYCLES = f"""
    update ops.alerts a set partition_key = v.cycles
    from (select check_name, string_agg(cycle_id::text, ', ' order by cycle_id) as cycles from ops.cycle_checks where violations > 0 group by 1) v
    where v.check_name = a.subject and {OF_JUDGED_HOURS}
"""
NAME_DATES = f"""
    update ops.alerts a set partition_key = (
        select string_agg(distinct left(key, 10), ', ' order by left(key, 10)) from unnest(string_to_array(a.partition_key, ', ')) as h (key)
    )
    where closed_at is null and {OF_HOURS}
"""
NAME_HOUR = f"""
    update ops.alerts a set partition_key = c.key
    from (
        select o.alert_key, o.opened_at, max(to_char(c.partition_hour at time zone 'UTC', 'YYYY-MM-DD-HH24":"MI')) as key
        from ops.alerts o
        cross join lateral unnest(string_to_array(o.partition_key, ', ')) as h (key)
        join core.cycles c on c.cycle_id = h.key::bigint
        where o.closed_at is null and {OF_CYCLES.replace("partition_key", "o.partition_key")}
        group by 1, 2
    ) c
    where a.alert_key = c.alert_key and a.opened_at = c.opened_at
"""
"""The older code knows of a check the latest hour that fails it; its next success ends the alert."""
BY_DATE = (
    *("gap_count", "margin_ttk_bucket", "market_margin", "listing_lead_time", "availability_interval", "open_close"),
    *("odds_history_export", "fixture_life", "export"),
)
"""Jobs and assets that had dates in the older version too."""
COMMENTS = {
    "subject": (
        "What has it: a job, or a check with its asset.",
        "What has it: a job, the asset of a product, or a check with its asset.",
    ),
    "partition_key": (
        "Latest Dagster partition that had it; null without partitions.",
        "Days or cycles that have the trouble, separated by commas; for a job that runs day after day only the latest; null without any.",
    ),
}


def upgrade() -> None:
    op.execute(JUDGE)
    op.execute(NAME_CYCLES)
    # Nothing of these hours is derived that the check could judge again.
    op.execute(CLOSE.format(reason="checks of hours became checks of cycles", of=OF_JUDGED_HOURS.partition(" and ")[2]))
    op.execute(NAME_DATES)
    op.create_index("ix_cycle_checks_judged", "cycle_checks", ["check_name", "judged_at"], schema="ops")
    for name, (before, after) in COMMENTS.items():
        _comment(name, after, before)


def downgrade() -> None:
    op.execute("delete from ops.alerts where starts_with(alert_key, 'cycle/')")
    op.execute(NAME_HOUR)
    by_date = "|".join(BY_DATE)
    op.execute(
        CLOSE.format(
            reason="alerts of days became alerts of hours",
            of=f"({OF_CYCLES} or {OF_DATES} and subject !~ '({by_date})')",
        )
    )
    op.drop_index("ix_cycle_checks_judged", "cycle_checks", schema="ops")
    for name, (before, after) in COMMENTS.items():
        _comment(name, before, after)


def _comment(name: str, text: str, before: str) -> None:
    is_null = {"existing_nullable": name == "partition_key"}
    op.alter_column(
        "alerts", name, schema="ops", comment=text, existing_comment=before, existing_type=sa.Text(), **is_null
    )
