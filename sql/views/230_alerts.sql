create view palimpsest.alerts as
select
    a.alert_key,
    a.severity,
    a.subject,
    a.error_class,
    a.partition_key,
    a.message,
    a.opened_at,
    a.closed_at,
    coalesce(a.closed_at, now()) - a.opened_at as lasted,
    a.n_seen,
    a.last_seen_at,
    a.told_at,
    a.closing_told_at
from ops.alerts a;

comment on view palimpsest.alerts is 'One row per problem of a job or a check, from its first occurrence to its end. Without closed_at the problem lasts. Key: alert_key, opened_at.';
comment on column palimpsest.alerts.alert_key is 'Identity of the problem: run, cycle or check, its subject and the class of the error.';
comment on column palimpsest.alerts.severity is 'Highest severity so far: warn or error.';
comment on column palimpsest.alerts.lasted is 'Duration of the problem, up to now while it lasts.';
