"""Listings are a function of what was observed: in whatever order it comes in, however often."""

from datetime import timedelta
from itertools import permutations

import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.domain.enums import Scope
from palimpsest_pipeline.storage.catalog import listings as store
from palimpsest_pipeline.storage.catalog import upcoming_fixtures
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS

from ..listing_worlds import KICKOFF, cycle, listing, listing_frame, write

WHOLE = [
    ("betpawa", "*", "complete"),
    ("betpawa", "t1", "complete"),
    ("bet9ja", "*", "complete"),
    ("bet9ja", "t1", "complete"),
]
BROKEN = [("betpawa", "*", "partial"), ("betpawa", "t1", "partial"), ("bet9ja", "*", "failed")]
STATE = {
    "event_listings": """
        select platform, external_id, home_team, kickoff_at, sr_id, first_seen_at, last_seen_at, last_cycle_id, deleted_at
        from core.event_listings order by 1, 2
    """,
    "claims": "select platform, claim_hash, kickoff_at, sr_id from core.listing_claims order by 1, 2",
    "observations": """
        select cycle_id, i.external_id, claim_hash, observed_at, seen_in
        from core.listing_observations join ops.listing_ids i using (listing_id) order by 1, 2
    """,
    "kickoffs": """
        select i.external_id, observed_from, kickoff_at, version
        from core.kickoff_versions join ops.listing_ids i using (listing_id) order by 1, 2
    """,
    "tournaments": "select * from core.tournament_listings order by 1, 2",
    "manifests": "select * from core.discovery_manifest order by 1, 2, 3",
}


def state(conn: psycopg.Connection) -> dict[str, list[tuple[object, ...]]]:
    return {name: conn.execute(query.encode()).fetchall() for name, query in STATE.items()}


def deleted(conn: psycopg.Connection) -> dict[str, object]:
    return dict(conn.execute("select external_id, deleted_at from core.event_listings").fetchall())


def empty(conn: psycopg.Connection) -> None:
    conn.execute(
        """
        truncate core.event_listings, core.kickoff_versions, core.listing_observations, core.listing_claims, core.tournament_listings,
            core.discovery_manifest, core.cycles, ops.listing_ids cascade
        """
    )


CYCLES = (
    (cycle(0), [listing("1", sr_id=7), listing("2"), listing("9", "bet9ja")], WHOLE),
    (
        cycle(30),
        [listing("1", kickoff_at=KICKOFF + timedelta(hours=2)), listing("9", "bet9ja", home_team="Arsenal FC")],
        WHOLE,
    ),
    (cycle(60), [listing("1", sr_id=7), listing("2", tournament_external_id="t2")], BROKEN),
    (cycle(90, Scope.EVENTS), [listing("9", "bet9ja", seen_in="detail")], []),
)


def test_the_state_is_the_same_whatever_the_order_and_however_often_a_cycle_is_written(
    conn: psycopg.Connection,
) -> None:
    expected = None
    for count, order in enumerate(permutations(CYCLES)):
        empty(conn)
        for facts, rows, manifests in (*order, order[0]):
            write(conn, facts, rows, manifests, manifests_first=count % 2 == 0)
        expected = expected or state(conn)
        assert state(conn) == expected
    assert expected is not None
    assert [row[1] for row in expected["event_listings"]] == ["9", "1", "2"]


def test_a_postponed_kickoff_is_a_new_version_and_so_is_its_return(conn: psycopg.Connection) -> None:
    later = KICKOFF + timedelta(days=1)
    for minutes, kickoff in ((60, KICKOFF), (0, KICKOFF), (90, later), (30, KICKOFF), (120, KICKOFF)):
        write(conn, cycle(minutes), [listing("1", kickoff_at=kickoff)])
    versions = conn.execute(
        "select version, kickoff_at, observed_from from core.kickoff_versions order by version"
    ).fetchall()
    half = timedelta(seconds=30)
    assert versions == [
        (1, KICKOFF, cycle(0).as_of - half),
        (2, later, cycle(90).as_of - half),
        (3, KICKOFF, cycle(120).as_of - half),
    ]


def test_a_listing_whose_kickoff_changes_without_end_costs_no_other_listing_anything(conn: psycopg.Connection) -> None:
    n_versions = store.MAX_KICKOFF_VERSION + 3
    write(conn, cycle(0), [listing("1")])
    write(conn, cycle(1), [listing("1", kickoff_at=KICKOFF + timedelta(hours=1))])
    conn.execute(
        """
        insert into core.listing_observations (cycle_id, listing_id, claim_hash, observed_at, seen_in)
        select cycle_id - n, listing_id, (select claim_hash from core.listing_claims where kickoff_at = %s + n %% 2 * interval '1 hour'),
            observed_at - n * interval '1 second', 'listing'
        from (select * from core.listing_observations order by observed_at limit 1) first
        cross join generate_series(1, %s) n
        """,
        [KICKOFF, n_versions - 2],
    )
    later = KICKOFF + timedelta(days=1)
    write(conn, cycle(2), [listing("1"), listing("2", kickoff_at=later)])
    versions = conn.execute(
        "select version, kickoff_at from core.kickoff_versions where kickoff_at <> %s order by observed_from", [later]
    ).fetchall()
    assert [version for version, _ in versions] == [min(n, store.MAX_KICKOFF_VERSION) for n in range(1, n_versions + 2)]
    assert versions[-1][1] == KICKOFF
    assert conn.execute("select version from core.kickoff_versions where kickoff_at = %s", [later]).fetchall() == [(1,)]


def test_only_a_complete_discovery_deletes_and_being_seen_again_undoes_it(conn: psycopg.Connection) -> None:
    both = [listing("1"), listing("2")]
    write(conn, cycle(0), both, WHOLE)
    write(conn, cycle(10), both[:1], BROKEN)
    assert deleted(conn) == {"1": None, "2": None}
    write(conn, cycle(20, Scope.EVENTS), [listing("1", seen_in="detail")])
    assert deleted(conn) == {"1": None, "2": None}
    write(conn, cycle(30), both[:1], WHOLE)
    write(conn, cycle(40), both[:1], WHOLE)
    assert deleted(conn) == {"1": None, "2": cycle(30).as_of}
    write(conn, cycle(50), both, WHOLE)
    assert deleted(conn) == {"1": None, "2": None}
    write(conn, cycle(30), both[:1], WHOLE)
    assert deleted(conn) == {"1": None, "2": None}


def test_a_match_that_has_begun_is_not_deleted_when_discovery_drops_it(conn: psycopg.Connection) -> None:
    soon = cycle(30).as_of
    write(conn, cycle(0), [listing("1", kickoff_at=soon), listing("2")], WHOLE)
    write(conn, cycle(30), [listing("2")], WHOLE)
    assert deleted(conn) == {"1": None, "2": None}


def test_a_listing_whose_kickoff_is_refused_is_seen_until_a_discovery_lacks_it_in_any_order(
    conn: psycopg.Connection,
) -> None:
    cycles = (
        (cycle(0), [listing("1"), listing("2")], WHOLE),
        (cycle(30), [listing("1", kickoff_at=None), listing("2")], WHOLE),
        (cycle(60), [listing("1", "bet9ja", kickoff_at=None), listing("2")], WHOLE),
    )
    states = []
    for order in permutations(cycles):
        empty(conn)
        for each in order:
            write(conn, *each)
        states.append(state(conn))
    assert all(found == states[0] for found in states)
    assert [(row[0], row[1], row[3], row[8]) for row in states[0]["event_listings"]] == [
        ("bet9ja", "1", None, None),
        ("betpawa", "1", None, cycle(60).as_of),
        ("betpawa", "2", KICKOFF, None),
    ]
    assert [(external_id, kickoff) for external_id, _, kickoff, _ in states[0]["kickoffs"]] == [
        ("1", KICKOFF),
        ("2", KICKOFF),
    ]


def test_within_a_cycle_the_kickoff_that_was_not_refused_counts(conn: psycopg.Connection) -> None:
    refused, stated = listing("1", kickoff_at=None, seen_in="detail"), listing("1")
    for rows in ([refused, stated], [stated, refused]):
        empty(conn)
        write(conn, cycle(0), rows, WHOLE)
        assert conn.execute("select kickoff_at from core.event_listings").fetchall() == [(KICKOFF,)]


def test_a_tournament_that_a_complete_tree_lacks_is_deleted_with_its_listings(conn: psycopg.Connection) -> None:
    other = listing("3", tournament_external_id="t3")
    write(conn, cycle(0), [listing("1"), other], [*WHOLE, ("betpawa", "t3", "complete")])
    write(conn, cycle(30), [listing("1")], WHOLE)
    assert deleted(conn) == {"1": None, "3": cycle(30).as_of}
    gone = conn.execute(
        "select external_id from core.tournament_listings where deleted_at = %s", [cycle(30).as_of]
    ).fetchall()
    assert gone == [("t3",)]


def test_a_tournament_is_the_same_whatever_the_order_of_what_is_said_of_it(conn: psycopg.Connection) -> None:
    def claim(minute: int, name: str, country: str | None, iso: str | None, sr_id: int | None) -> pl.DataFrame:
        row = ("betpawa", "t1", "football", name, country, iso, sr_id, cycle(minute).as_of)
        return pl.DataFrame([row], schema=store.TOURNAMENT_SCHEMA, orient="row")

    said = [
        claim(0, "Premier League", "England", "GB-ENG", None),
        claim(0, "England Premier League", None, None, 17),
        claim(0, "Premier League", "England", "GB-ENG", 17),
    ]
    silent = claim(30, "EPL", None, None, None)
    found = set()
    for order in permutations(said):
        for late_first in (False, True):
            empty(conn)
            conn.execute("truncate core.tournament_listings")
            for minute, rows in sorted(
                [(0, pl.concat(order)), (30, silent)], reverse=late_first, key=lambda part: part[0]
            ):
                store.write_discovery(conn, cycle(minute), pl.DataFrame(schema=store.MANIFEST_SCHEMA), rows, PLATFORMS)
            found.update(
                conn.execute(
                    "select name, country_raw, country_iso, sr_tournament_id, first_seen_at, last_seen_at from core.tournament_listings"
                )
            )
    assert found == {("EPL", "England", "GB-ENG", 17, cycle(0).as_of, cycle(30).as_of)}


def test_a_cycle_bears_on_what_it_saw_and_on_what_it_could_have_seen(conn: psycopg.Connection) -> None:
    write(conn, cycle(0), [listing("1"), listing("2"), listing("begun", kickoff_at=cycle(20).as_of)], WHOLE)
    write(conn, cycle(30), [listing("1")], WHOLE)
    write(conn, cycle(40, Scope.EVENTS), [listing("1", seen_in="detail")])

    def borne(minutes: int) -> set[str]:
        ids = upcoming_fixtures.read_listings_of_cycle(conn, cycle(minutes).cycle_id)
        return {
            name
            for (name,) in conn.execute("select external_id from core.event_listings where listing_id = any(%s)", [ids])
        }

    assert (borne(0), borne(30), borne(40)) == ({"1", "2", "begun"}, {"1", "2"}, {"1"})


def test_manifests_without_their_listings_delete_nothing(conn: psycopg.Connection) -> None:
    write(conn, cycle(0), [listing("1")], WHOLE)
    facts = cycle(30)
    store.write_discovery(
        conn,
        facts,
        pl.DataFrame([("betpawa", "*", 1, 1, "complete", "")], schema=store.MANIFEST_SCHEMA, orient="row"),
        pl.DataFrame(schema=store.TOURNAMENT_SCHEMA),
        PLATFORMS,
    )
    assert deleted(conn) == {"1": None}


def test_one_platform_is_written_without_touching_another(conn: psycopg.Connection) -> None:
    facts = cycle(0)
    store.write_cycle_facts(conn, facts)
    store.write_listings(conn, facts.cycle_id, listing_frame(facts.as_of, [listing("1")]), ["betpawa"])
    store.write_listings(
        conn, facts.cycle_id, listing_frame(facts.as_of, [listing("9", "bet9ja")]), ["bet9ja", "sportybet"]
    )
    store.write_listings(conn, facts.cycle_id, listing_frame(facts.as_of, [listing("2")]), ["betpawa"])
    assert set(deleted(conn)) == {"2", "9"}
    with pytest.raises(ValueError, match="bet9ja"):
        store.write_listings(conn, facts.cycle_id, listing_frame(facts.as_of, [listing("9", "bet9ja")]), ["betpawa"])
    with pytest.raises(ValueError, match="unknown"):
        store.write_listings(conn, 1, listing_frame(facts.as_of, []), PLATFORMS)


def test_ids_are_kept_and_new_keys_get_new_ones(conn: psycopg.Connection) -> None:
    asked = pl.DataFrame({"platform": ["betpawa", "bet9ja"], "external_id": ["1", "1"]})
    first = store.add_listing_ids(conn, asked)
    again = store.add_listing_ids(
        conn, pl.concat([asked.reverse(), pl.DataFrame({"platform": ["betpawa"], "external_id": ["Ñ"]})])
    )
    assert again["listing_id"].to_list()[:2] == first["listing_id"].to_list()[::-1]
    assert again["listing_id"].n_unique() == 3


def test_an_answer_that_leaves_an_id_out_does_not_take_it_away_within_a_cycle(conn: psycopg.Connection) -> None:
    facts = cycle(0)
    store.write_cycle_facts(conn, facts)
    rows = [
        listing("1", sr_id=7, observed_at=facts.as_of),
        listing("1", seen_in="detail", observed_at=facts.as_of + timedelta(seconds=1), home_team="A"),
    ]
    for given in (rows, rows[::-1]):
        store.write_listings(conn, facts.cycle_id, listing_frame(facts.as_of, given), PLATFORMS)
        assert conn.execute("select sr_id, home_team from core.event_listings").fetchall() == [(7, "A")]
        assert conn.execute("select seen_in, n_markets_declared from core.listing_observations").fetchall() == [
            ("listing", 10)
        ]


def test_a_listings_own_answer_overrules_a_list_that_ends_after_it(conn: psycopg.Connection) -> None:
    facts = cycle(0)
    store.write_cycle_facts(conn, facts)
    answered_at = facts.as_of - timedelta(seconds=50)
    rows = [
        listing("1", observed_at=facts.as_of, home_team="A", n_markets_declared=10),
        listing("1", seen_in="detail", observed_at=answered_at, home_team="B", n_markets_declared=None),
        listing(
            "1",
            seen_in="detail",
            observed_at=answered_at - timedelta(seconds=1),
            home_team="C",
            n_markets_declared=None,
        ),
    ]
    for given in permutations(rows):
        store.write_listings(conn, facts.cycle_id, listing_frame(facts.as_of, given), PLATFORMS)
        assert conn.execute("select home_team, last_seen_at from core.event_listings").fetchall() == [
            ("B", answered_at)
        ]
        assert conn.execute("select seen_in, n_markets_declared from core.listing_observations").fetchall() == [
            ("listing", 10)
        ]


def test_the_hash_of_a_claim_is_the_same_in_every_process() -> None:
    claim = pl.DataFrame([listing("1", observed_at=KICKOFF)], schema={"listing_id": pl.Int64, **store.LISTING_SCHEMA})
    hashes = [
        store.add_claim_hash(frame)["claim_hash"].item() for frame in (claim, claim.with_columns(n_markets_declared=1))
    ]
    assert hashes == [HASH, HASH]
    assert (
        store.add_claim_hash(claim.with_columns(country_raw=pl.lit(None, dtype=pl.String)))["claim_hash"].item() != HASH
    )


HASH = -3202673928785911905


def test_cycles_that_see_the_same_again_change_hardly_any_index(migrated_database_url: str) -> None:
    seen = [listing(str(number)) for number in range(100)]
    with Database(migrated_database_url).connect() as conn:
        for minutes in (0, 30, 60, 90):
            write(conn, cycle(minutes), seen, WHOLE)
            conn.commit()
        query = "select pg_stat_force_next_flush(), n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relid = 'core.event_listings'::regclass"
        conn.execute(query)
        conn.commit()
        _, updated, in_place = conn.execute(query).fetchone() or (None, 0, 0)
    assert updated == 300
    assert in_place > 0.9 * updated
