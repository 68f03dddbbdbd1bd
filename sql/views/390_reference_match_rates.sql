-- It counts rows, not fixtures: a fixture that a competitor lists twice counts twice in its rate, and each side uses its own kickoff. Soft-deleted rows
-- count too. Links come from a join, so none is lost because of the order of arrival; only this differs from the original computation.
create view palimpsest.reference_match_rates as
with latest as (
    select c.as_of from palimpsest.coverage_cycles c where c.is_latest
),
home as (
    select e.fixture_sr_id as sr_id, e.kickoff_at
    from core.event_listings e
    where e.platform = (select palimpsest.home_platform()) and e.is_primary and e.fixture_sr_id is not null
),
competitor as (
    select
        e.platform::text as platform,
        coalesce(e.fixture_sr_id, e.sr_id) as sr_id,
        h.sr_id is not null as linked,
        e.sr_id in (select x.sr_id from home x) as linkable,
        e.kickoff_at > (select l.as_of from latest l) as upcoming
    from core.event_listings e
    left join home h on h.sr_id = e.fixture_sr_id
    where e.kind = 'match' and e.platform <> (select palimpsest.home_platform())
),
by_rows as (
    select
        coalesce(platform, 'overall') as platform,
        count(*)::integer as all_rows,
        count(*) filter (where linked)::integer as all_linked_rows,
        count(*) filter (where upcoming)::integer as upcoming_rows,
        count(*) filter (where upcoming and linked)::integer as upcoming_linked_rows,
        count(*) filter (where linkable)::integer as linkable_rows,
        count(*) filter (where linkable and linked)::integer as linkable_linked_rows,
        count(distinct sr_id)::integer as distinct_sr_ids
    from competitor
    group by grouping sets ((platform), ())
),
by_fixture as (
    select
        (select count(distinct sr_id) from competitor where linked and upcoming)::integer as matched,
        (
            select count(*) from home h
            where h.kickoff_at > (select l.as_of from latest l) and not exists (select from competitor c where c.sr_id = h.sr_id)
        )::integer as home_only,
        (select count(distinct sr_id) from competitor where not linked and upcoming)::integer as competitor_only
)
select
    r.platform,
    r.all_rows,
    r.all_linked_rows,
    round(100.0 * r.all_linked_rows / nullif(r.all_rows, 0), 2) as all_match_rate_pct,
    r.upcoming_rows,
    r.upcoming_linked_rows,
    round(100.0 * r.upcoming_linked_rows / nullif(r.upcoming_rows, 0), 2) as upcoming_match_rate_pct,
    r.linkable_rows,
    round(100.0 * r.linkable_linked_rows / nullif(r.linkable_rows, 0), 2) as link_accuracy_pct,
    r.distinct_sr_ids,
    f.matched,
    f.home_only,
    f.competitor_only,
    f.matched + f.home_only + f.competitor_only as total,
    round(100.0 * f.matched / nullif(f.matched + f.home_only + f.competitor_only, 0), 2) as overall_match_rate_pct,
    (select l.as_of from latest l) as as_of
from by_rows r
left join by_fixture f on r.platform = 'overall';

comment on view palimpsest.reference_match_rates is 'Match rates as earlier scrapers computed them, in per cent and by rows. They serve only to reconcile figures with those scrapers (see coverage_statistics). Key: platform.';
comment on column palimpsest.reference_match_rates.platform is 'Competitor; ''overall'' is all competitors together.';
comment on column palimpsest.reference_match_rates.all_rows is 'Its event rows, past and upcoming, including duplicates and deleted ones.';
comment on column palimpsest.reference_match_rates.all_linked_rows is 'Rows among all_rows whose fixture home has listed.';
comment on column palimpsest.reference_match_rates.all_match_rate_pct is '100 x all_linked_rows / all_rows, two decimals.';
comment on column palimpsest.reference_match_rates.upcoming_rows is 'Its event rows whose own kickoff is after as_of.';
comment on column palimpsest.reference_match_rates.upcoming_linked_rows is 'Rows among upcoming_rows whose fixture home has listed.';
comment on column palimpsest.reference_match_rates.upcoming_match_rate_pct is '100 x upcoming_linked_rows / upcoming_rows, two decimals.';
comment on column palimpsest.reference_match_rates.linkable_rows is 'Its event rows with a SportRadar id that home has.';
comment on column palimpsest.reference_match_rates.link_accuracy_pct is '100 x linked rows among linkable_rows / linkable_rows, two decimals.';
comment on column palimpsest.reference_match_rates.distinct_sr_ids is 'Different SportRadar ids among all_rows.';
comment on column palimpsest.reference_match_rates.matched is 'Row ''overall'': home events with a linked row whose own kickoff is after as_of; null in other rows, like the next four columns.';
comment on column palimpsest.reference_match_rates.home_only is 'Home events with home''s kickoff after as_of whose id no row of a competitor has.';
comment on column palimpsest.reference_match_rates.competitor_only is 'Different SportRadar ids of rows without a link whose own kickoff is after as_of.';
comment on column palimpsest.reference_match_rates.total is 'matched + home_only + competitor_only.';
comment on column palimpsest.reference_match_rates.overall_match_rate_pct is '100 x matched / total, two decimals.';
comment on column palimpsest.reference_match_rates.as_of is 'Time that separates past from upcoming kickoffs: that of the latest coverage (coverage_cycles).';
