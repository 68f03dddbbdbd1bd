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

comment on view palimpsest.alerts is 'One row per trouble of a job or a check, from when it was first seen until it was over. Without closed_at: it lasts. Key: alert_key, opened_at.';
comment on column palimpsest.alerts.alert_key is 'What the trouble is: run, cycle or check, its subject and the class of the error.';
comment on column palimpsest.alerts.severity is 'How bad it was at its worst: warn or error.';
comment on column palimpsest.alerts.subject is 'What has it: a job, the asset of a product, or a check with its asset.';
comment on column palimpsest.alerts.error_class is 'Class of the error.';
comment on column palimpsest.alerts.partition_key is 'Days or cycles that have the trouble, separated by commas; for a job that runs day after day only the latest; null without any.';
comment on column palimpsest.alerts.message is 'What is wrong and what to do, in words: of the last occurrence.';
comment on column palimpsest.alerts.opened_at is 'When it was first seen.';
comment on column palimpsest.alerts.closed_at is 'When it was over; null while it lasts.';
comment on column palimpsest.alerts.lasted is 'How long it lasted, or has lasted until now.';
comment on column palimpsest.alerts.n_seen is 'Occurrences.';
comment on column palimpsest.alerts.last_seen_at is 'Last occurrence.';
comment on column palimpsest.alerts.told_at is 'When every channel had told its begin; null until then.';
comment on column palimpsest.alerts.closing_told_at is 'When every channel had told its end; null until then.';
