-- A name that is both an argument and a column of the result is one INOUT parameter.
create function palimpsest.find_events(
    out id bigint,
    out sportradar_id bigint,
    out sr_id bigint,
    inout availability text default 'all',
    out home_team text,
    out away_team text,
    out kickoff timestamptz,
    out started boolean,
    platform text default null,
    inout sport text default null,
    search text default null,
    out tournament_key text,
    out tournament text,
    inout country text default null,
    include_started boolean default false,
    sort text default 'kickoff',
    out platforms text[],
    out metadata_source text,
    out suspect_code text,
    out tournament_total integer,
    out tournament_matched integer,
    out tournament_home_only integer,
    out tournament_competitor_only integer,
    out tournament_undetermined integer,
    out as_of timestamptz
)
returns setof record
language plpgsql stable
as $$
#variable_conflict use_column
declare
    asked_availability constant text := availability;
    asked_platform constant text := platform;
    asked_sport constant text := sport;
    asked_country constant text := palimpsest.folded(country);
    asked_words constant text[] := string_to_array(nullif(palimpsest.folded(search), ''), ' ');
    asked_sort constant text := sort;
    asked_started constant boolean := include_started;
begin
    if asked_availability is null or asked_availability not in ('all', 'matched', 'home_only', 'competitor_only', 'undetermined') then
        raise exception 'availability cannot be %', quote_nullable(asked_availability)
            using errcode = 'invalid_parameter_value', hint = 'Write all, matched, home_only, competitor_only or undetermined.';
    end if;
    if asked_sort is null or asked_sort not in ('kickoff', 'alphabetical', 'tournament') then
        raise exception 'sort cannot be %', quote_nullable(asked_sort)
            using errcode = 'invalid_parameter_value', hint = 'Write kickoff, alphabetical or tournament.';
    end if;
    if asked_platform is not null and not exists (select from palimpsest.bookmakers b where b.platform = asked_platform) then
        raise exception 'there is no platform %', quote_literal(asked_platform)
            using errcode = 'invalid_parameter_value', hint = 'They are in palimpsest.bookmakers.';
    end if;
    return query
    -- The counts of a tournament are computed before the filters.
    with universe as (
        select
            e.*,
            count(*) over w as n,
            count(*) filter (where e.availability = 'matched') over w as n_matched,
            count(*) filter (where e.availability = 'home_only') over w as n_home_only,
            count(*) filter (where e.availability = 'competitor_only') over w as n_competitor_only,
            count(*) filter (where e.availability = 'undetermined') over w as n_undetermined
        from palimpsest.coverage_events e
        where asked_started or not e.started
        window w as (partition by e.tournament_key)
    )
    select
        u.id, u.sportradar_id, u.sr_id, u.availability::text, u.home_team, u.away_team, u.kickoff, u.started, u.sport::text, u.tournament_key, u.tournament,
        u.country, u.platforms, u.metadata_source::text, u.suspect_code,
        u.n::integer, u.n_matched::integer, u.n_home_only::integer, u.n_competitor_only::integer, u.n_undetermined::integer, u.as_of
    from universe u
    where asked_availability in ('all', u.availability)
        and (asked_platform is null or asked_platform = any(u.platforms))
        and (asked_sport is null or u.sport = asked_sport)
        and (asked_country is null or asked_country in (palimpsest.folded(u.country), palimpsest.folded(u.claimed_country)))
        and (asked_words is null or not exists (
            select from unnest(asked_words) w (word)
            where strpos(palimpsest.folded(concat_ws(' ', u.home_team, u.away_team, u.tournament, nullif(u.claimed_tournament, u.tournament))), w.word) = 0
        ))
    order by
        case when asked_sort = 'tournament' then palimpsest.folded(u.tournament) end,
        case when asked_sort = 'tournament' then u.tournament_key end,
        case when asked_sort = 'alphabetical' then palimpsest.folded(u.home_team) end,
        case when asked_sort = 'alphabetical' then palimpsest.folded(u.away_team) end,
        u.kickoff,
        u.sportradar_id;
end
$$;

comment on function palimpsest.find_events is 'Fixtures as of the latest cycle in coverage_cycles that satisfy all arguments. availability: all, matched, home_only, competitor_only or undetermined; platform: only fixtures that it lists; sport; search: words that must all be in a team''s name or the tournament''s, also in the spelling of the chosen claim, whatever the case, accents and punctuation; country: its name, compared in the same way; include_started: also fixtures that have started; sort: kickoff, alphabetical (home side first) or tournament. id: SportRadar id, negative when home does not list it; sr_id and sportradar_id: SportRadar id; tournament_total, tournament_matched, tournament_home_only, tournament_competitor_only and tournament_undetermined: number of fixtures of the whole tournament, in total or of that class, including started ones if include_started is true, whatever the other arguments. The arguments select fixtures. They never change a class.';
