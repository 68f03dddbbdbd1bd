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
comment on column palimpsest.alerts.subject is 'Subject of the problem: a job, the asset of a product, or a check with its asset.';
comment on column palimpsest.alerts.error_class is 'Class of the error.';
comment on column palimpsest.alerts.partition_key is 'Days or cycles with the problem, separated by commas; only the latest for a job that runs day after day; null without any.';
comment on column palimpsest.alerts.message is 'Problem and remedy in words, from the last occurrence.';
comment on column palimpsest.alerts.opened_at is 'Time of the first occurrence.';
comment on column palimpsest.alerts.closed_at is 'When the problem ended; null while it lasts.';
comment on column palimpsest.alerts.lasted is 'Duration of the problem, up to now while it lasts.';
comment on column palimpsest.alerts.n_seen is 'Number of occurrences.';
comment on column palimpsest.alerts.last_seen_at is 'Time of the last occurrence.';
comment on column palimpsest.alerts.told_at is 'When all channels had announced its start; null until then.';
comment on column palimpsest.alerts.closing_told_at is 'When all channels had announced its end; null until then.';
