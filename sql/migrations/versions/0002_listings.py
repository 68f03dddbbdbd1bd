"""What the platforms list: reference rows, listings, fixtures, tournaments, and the functions that views need."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
COMPLETENESS = ("complete", "partial", "failed")
LISTING_KIND = ("match", "simulated", "antepost")
PAYLOAD_KIND = ("tree", "listing", "detail")
PLATFORM = ("betpawa", "sportybet", "bet9ja")
SCOPE = ("full", "events", "recorded")
SPORT = ("football", "basketball", "tennis")
TRIGGER = ("scheduled", "sensor", "manual", "on_demand", "import")


SPECIFIER_LINE = r"""
create function core.specifier_line(specifier text) returns numeric
language sql immutable parallel safe
return coalesce(
    substring(specifier from '(?:^|\|)(?:total|hcp)=([-+]?[0-9]+(?:\.[0-9]+)?)(?:$|\|)'),
    substring(specifier from '(?:^|\|)(?:goalnr|cornernr|bookingnr|quarternr|setnr|minute|minsnr)=([0-9]+)(?:$|\|)')
)::numeric
"""
NATURAL_ID = """
create function core.natural_id(namespace text, external_id text) returns bigint
language sql immutable strict parallel safe
return ('x' || left(md5(namespace || ':' || external_id), 15))::bit(60)::bigint
"""
SNAPSHOT_ID = """
create function core.snapshot_id(listing_id integer, observed_at timestamptz) returns bigint
language sql immutable strict parallel safe
return (listing_id::bigint << 38)
     + floor(extract(epoch from (observed_at - timestamptz '1970-01-01 00:00:00+00')) * 100)::bigint
"""
HOME_PLATFORM = """
create function palimpsest.home_platform() returns text
language sql stable parallel safe
return (select c.home_platform from core.cycles c order by c.cycle_id desc limit 1)
"""
FUNCTIONS = {
    "core.specifier_line(text)": (
        SPECIFIER_LINE,
        "Line in a canonical specifier: its total or handicap, else its number or minute, e.g. 2.5 in total=2.5; null without.",
    ),
    "core.natural_id(text, text)": (
        NATURAL_ID,
        "Integer id of a natural key: the same on every server and after every replay.",
    ),
    "core.snapshot_id(integer, timestamptz)": (
        SNAPSHOT_ID,
        "Id of an answer: its listing, and its instant to the hundredth of a second.",
    ),
    "palimpsest.home_platform()": (
        HOME_PLATFORM,
        "Home platform of the latest cycle: events and odds_snapshots are its rows.",
    ),
}


def upgrade() -> None:
    _sports()
    _bookmakers()
    _markets()
    _market_outcomes()
    _cycles()
    _cycle_products()
    _discovery_manifest()
    _tournament_listings()
    _listing_claims()
    _listing_observations()
    _event_listings()
    _kickoff_versions()
    _tournaments()
    _tournament_links()
    _fixtures()
    for signature, (definition, comment) in FUNCTIONS.items():
        op.get_bind().exec_driver_sql(definition)  # as it stands: a colon in it is no parameter
        op.execute(f"comment on function {signature} is '{comment}'")


def downgrade() -> None:
    for signature in reversed(FUNCTIONS):
        op.execute(f"drop function {signature}")
    op.drop_table("fixtures", schema="core")
    op.drop_table("tournament_links", schema="core")
    op.drop_table("tournaments", schema="core")
    op.drop_table("kickoff_versions", schema="core")
    op.drop_table("event_listings", schema="core")
    op.drop_table("listing_observations", schema="core")
    op.drop_table("listing_claims", schema="core")
    op.drop_table("tournament_listings", schema="core")
    op.drop_table("discovery_manifest", schema="core")
    op.drop_table("cycle_products", schema="core")
    op.drop_table("cycles", schema="core")
    op.drop_table("market_outcomes", schema="core")
    op.drop_table("markets", schema="core")
    op.drop_table("bookmakers", schema="core")
    op.drop_table("sports", schema="core")


def one_of(name: str, words: tuple[str, ...]) -> sa.Enum:
    """Text restricted to these words by a check constraint."""
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)


def _sports() -> None:
    op.create_table(
        "sports",
        sa.Column("sport", one_of("sport", SPORT), nullable=False, comment="Sport."),
        sa.Column("name", sa.Text, nullable=False, comment="Name for people."),
        sa.PrimaryKeyConstraint("sport", name=op.f("pk_sports")),
        schema="core",
        comment="Sports of the market vocabulary.",
    )


def _bookmakers() -> None:
    op.create_table(
        "bookmakers",
        sa.Column("platform", one_of("platform", PLATFORM), nullable=False, comment="Platform."),
        sa.Column("name", sa.Text, nullable=False, comment="Name for people."),
        sa.Column("trust_rank", sa.SmallInteger, nullable=False, comment="1 is trusted first."),
        sa.PrimaryKeyConstraint("platform", name=op.f("pk_bookmakers")),
        schema="core",
        comment="The platforms, in order of trust in names, country and kickoff (after the home platform).",
    )


def _markets() -> None:
    op.create_table(
        "markets",
        sa.Column(
            "market_id",
            sa.SmallInteger,
            nullable=False,
            autoincrement=False,
            comment="Canonical market, as history rows hold it.",
        ),
        sa.Column("market_key", sa.Text, nullable=False, comment="Canonical market key."),
        sa.Column("sport", one_of("sport", SPORT), nullable=False, comment="Sport."),
        sa.Column("period", sa.Text, nullable=False, comment="Part of the match it settles on: ft, 1h, 2h, ..."),
        sa.Column(
            "name", sa.Text, nullable=False, comment="Name for people: the home vocabulary's where it sells the market."
        ),
        sa.Column("line_kind", sa.Text, nullable=False, comment="What its line is: none, total, handicap, ..."),
        sa.Column(
            "fair_sum",
            sa.Text,
            nullable=True,
            comment="Sum of fair probabilities over the outcomes (1, 2, overlap(x)); null when unknown: then no margin.",
        ),
        sa.Column(
            "betpawa_market_id", sa.Text, nullable=True, comment="BetPawa's market type id, where it sells the market."
        ),
        sa.PrimaryKeyConstraint("market_id", name=op.f("pk_markets")),
        sa.UniqueConstraint("market_key", name=op.f("uq_markets_market_key")),
        schema="core",
        comment="Canonical markets of the vocabulary that ships with the package. market_id is append-only.",
    )


def _market_outcomes() -> None:
    op.create_table(
        "market_outcomes",
        sa.Column("market_id", sa.SmallInteger, nullable=False, autoincrement=False, comment="Canonical market."),
        sa.Column(
            "ordinal", sa.SmallInteger, nullable=False, autoincrement=False, comment="Place in odds_milli, from 1."
        ),
        sa.Column("outcome_key", sa.Text, nullable=False, comment="Canonical outcome key."),
        sa.Column("name", sa.Text, nullable=False, comment="Name for people: BetPawa's label where it has one."),
        sa.PrimaryKeyConstraint("market_id", "ordinal", name=op.f("pk_market_outcomes")),
        sa.ForeignKeyConstraint(["market_id"], ["core.markets.market_id"], name=op.f("fk_market_outcomes_market_id")),
        sa.UniqueConstraint("market_id", "outcome_key", name=op.f("uq_market_outcomes_market_id_outcome_key")),
        schema="core",
        comment="Outcomes of each canonical market. The ordinal is the place in the price arrays and is append-only.",
    )


def _cycles() -> None:
    op.create_table(
        "cycles",
        sa.Column("cycle_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Cycle."),
        sa.Column("partition_hour", INSTANT, nullable=False, comment="UTC hour (Dagster partition) it belongs to."),
        sa.Column("trigger", one_of("trigger", TRIGGER), nullable=False, comment="What started it."),
        sa.Column("scope", one_of("scope", SCOPE), nullable=False, comment="What it covers."),
        sa.Column(
            "home_platform",
            one_of("platform", PLATFORM),
            nullable=False,
            comment="Home platform in force when it was scraped.",
        ),
        sa.Column(
            "as_of",
            INSTANT,
            nullable=False,
            comment="Instant its statements are about: the last discovery answer, or the last answer where nothing was discovered.",
        ),
        sa.PrimaryKeyConstraint("cycle_id", name=op.f("pk_cycles")),
        schema="core",
        comment="Cycles that core has read from the landing: the facts a derived row needs about its cycle.",
    )
    op.create_index(op.f("ix_cycles_as_of"), "cycles", ["as_of"], unique=False, schema="core")
    op.create_index(op.f("ix_cycles_partition_hour"), "cycles", ["partition_hour"], unique=False, schema="core")


def _cycle_products() -> None:
    op.create_table(
        "cycle_products",
        sa.Column("cycle_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Cycle."),
        sa.Column("product", sa.Text, nullable=False, comment="What was derived (the asset's name)."),
        sa.Column(
            "landing_digest",
            sa.Text,
            nullable=False,
            comment="Digest of the cycle's landing manifest it was derived from.",
        ),
        sa.Column("parser_version", sa.Text, nullable=False, comment="Version of the parsers."),
        sa.Column("mapping_version", sa.Text, nullable=False, comment="Version of the market vocabulary."),
        sa.Column("n_rows", sa.Integer, nullable=False, comment="Rows written."),
        sa.Column("computed_at", INSTANT, nullable=False, comment="When it was derived."),
        sa.PrimaryKeyConstraint("cycle_id", "product", name=op.f("pk_cycle_products")),
        schema="core",
        comment="What core has derived from which cycle. Committed with the rows it speaks of.",
    )


def _discovery_manifest() -> None:
    op.create_table(
        "discovery_manifest",
        sa.Column("cycle_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Cycle."),
        sa.Column("platform", one_of("platform", PLATFORM), nullable=False, comment="Platform."),
        sa.Column(
            "external_id",
            sa.Text,
            nullable=False,
            comment="The platform's own tournament id; '*' is the platform's tree as a whole.",
        ),
        sa.Column(
            "declared", sa.Integer, nullable=True, comment="Listings the platform declares; null when it declares none."
        ),
        sa.Column("received", sa.Integer, nullable=False, comment="Listings received."),
        sa.Column(
            "completeness", one_of("completeness", COMPLETENESS), nullable=False, comment="complete, partial or failed."
        ),
        sa.Column("missing", sa.Text, nullable=False, comment="What is missing, in words; empty when complete."),
        sa.PrimaryKeyConstraint("cycle_id", "platform", "external_id", name=op.f("pk_discovery_manifest")),
        schema="core",
        comment="Per full cycle, platform and tournament: what was declared, what was received. Only complete proves absence.",
    )


def _tournament_listings() -> None:
    op.create_table(
        "tournament_listings",
        sa.Column("platform", one_of("platform", PLATFORM), nullable=False, comment="Platform."),
        sa.Column("external_id", sa.Text, nullable=False, comment="The platform's own tournament id."),
        sa.Column("sport", one_of("sport", SPORT), nullable=False, comment="Sport."),
        sa.Column("name", sa.Text, nullable=False, comment="Name as the platform writes it."),
        sa.Column("country_raw", sa.Text, nullable=True, comment="Country or region as the platform writes it."),
        sa.Column(
            "country_iso",
            sa.Text,
            nullable=True,
            comment="ISO 3166 code (alpha-2, or a subdivision such as GB-ENG); null when it is no country.",
        ),
        sa.Column(
            "sr_tournament_id",
            sa.BigInteger,
            nullable=True,
            comment="SportRadar's tournament id, where the platform publishes it.",
        ),
        sa.Column("first_seen_at", INSTANT, nullable=False, comment="First time an answer showed it."),
        sa.Column("last_seen_at", INSTANT, nullable=False, comment="Last time an answer showed it."),
        sa.Column(
            "deleted_at",
            INSTANT,
            nullable=True,
            comment="Since when a complete discovery lacks it; null while listed (soft delete).",
        ),
        sa.PrimaryKeyConstraint("platform", "external_id", name=op.f("pk_tournament_listings")),
        schema="core",
        comment="One row per platform and tournament: that platform's latest claim.",
    )


def _listing_claims() -> None:
    op.create_table(
        "listing_claims",
        sa.Column("listing_id", sa.Integer, nullable=False, autoincrement=False, comment="Listing."),
        sa.Column(
            "claim_hash", sa.BigInteger, nullable=False, autoincrement=False, comment="Hash of the claim's content."
        ),
        sa.Column("platform", one_of("platform", PLATFORM), nullable=False, comment="Platform."),
        sa.Column("sport", one_of("sport", SPORT), nullable=False, comment="Sport."),
        sa.Column(
            "kind",
            one_of("listingkind", LISTING_KIND),
            nullable=False,
            comment="match; or simulated, antepost: counted and left out of coverage.",
        ),
        sa.Column("tournament_external_id", sa.Text, nullable=False, comment="The platform's own tournament id."),
        sa.Column("tournament_name", sa.Text, nullable=False, comment="Tournament name as the platform writes it."),
        sa.Column("country_raw", sa.Text, nullable=True, comment="Country or region as the platform writes it."),
        sa.Column(
            "sr_tournament_id",
            sa.BigInteger,
            nullable=True,
            comment="SportRadar's tournament id, where the platform publishes it.",
        ),
        sa.Column("home_team", sa.Text, nullable=False, comment="Home side as the platform writes it."),
        sa.Column("away_team", sa.Text, nullable=False, comment="Away side as the platform writes it."),
        sa.Column("kickoff_at", INSTANT, nullable=False, comment="Kickoff the platform claims."),
        sa.Column("sr_id", sa.BigInteger, nullable=True, comment="SportRadar id the platform states."),
        sa.Column("genius_id", sa.BigInteger, nullable=True, comment="Genius Sports id the platform states."),
        sa.PrimaryKeyConstraint("listing_id", "claim_hash", name=op.f("pk_listing_claims")),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["ops.listing_ids.listing_id"], name=op.f("fk_listing_claims_listing_id")
        ),
        schema="core",
        comment="Versions of what a platform says about a listing, by content. A postponed kickoff is a new version.",
    )


def _listing_observations() -> None:
    op.create_table(
        "listing_observations",
        sa.Column("cycle_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Cycle."),
        sa.Column("listing_id", sa.Integer, nullable=False, autoincrement=False, comment="Listing."),
        sa.Column("claim_hash", sa.BigInteger, nullable=False, comment="The claim it made."),
        sa.Column(
            "observed_at",
            INSTANT,
            nullable=False,
            comment="When the answer that showed it last in this cycle was received.",
        ),
        sa.Column(
            "seen_in",
            one_of("payloadkind", PAYLOAD_KIND),
            nullable=False,
            comment="listing: discovery showed it; detail: only its own answer did.",
        ),
        sa.Column(
            "n_markets_declared",
            sa.Integer,
            nullable=True,
            comment="Markets the platform declares for it; null when it declares none.",
        ),
        sa.PrimaryKeyConstraint("cycle_id", "listing_id", name=op.f("pk_listing_observations")),
        sa.ForeignKeyConstraint(
            ["listing_id", "claim_hash"],
            ["core.listing_claims.listing_id", "core.listing_claims.claim_hash"],
            name=op.f("fk_listing_observations_listing_id_claim_hash"),
        ),
        schema="core",
        comment="One row per cycle and listing seen in it, with the claim it made. Every as-of question about listings starts here.",
    )
    op.create_index(
        op.f("ix_listing_observations_listing_id_observed_at"),
        "listing_observations",
        ["listing_id", "observed_at"],
        unique=False,
        schema="core",
    )


def _event_listings() -> None:
    op.create_table(
        "event_listings",
        sa.Column("listing_id", sa.Integer, nullable=False, autoincrement=False, comment="Listing."),
        sa.Column("platform", one_of("platform", PLATFORM), nullable=False, comment="Platform."),
        sa.Column("external_id", sa.Text, nullable=False, comment="The platform's own event id."),
        sa.Column("sport", one_of("sport", SPORT), nullable=False, comment="Sport."),
        sa.Column("kind", one_of("listingkind", LISTING_KIND), nullable=False, comment="match, simulated or antepost."),
        sa.Column("tournament_external_id", sa.Text, nullable=False, comment="The platform's own tournament id."),
        sa.Column("tournament_name", sa.Text, nullable=False, comment="Tournament name as the platform writes it."),
        sa.Column("country_raw", sa.Text, nullable=True, comment="Country or region as the platform writes it."),
        sa.Column(
            "sr_tournament_id",
            sa.BigInteger,
            nullable=True,
            comment="SportRadar's tournament id, where the platform publishes it.",
        ),
        sa.Column("home_team", sa.Text, nullable=False, comment="Home side as the platform writes it."),
        sa.Column("away_team", sa.Text, nullable=False, comment="Away side as the platform writes it."),
        sa.Column("kickoff_at", INSTANT, nullable=False, comment="Kickoff the platform claims now."),
        sa.Column("sr_id", sa.BigInteger, nullable=True, comment="SportRadar id the platform states."),
        sa.Column("genius_id", sa.BigInteger, nullable=True, comment="Genius Sports id the platform states."),
        sa.Column(
            "fixture_sr_id", sa.BigInteger, nullable=True, comment="Fixture it belongs to; null when unidentified."
        ),
        sa.Column(
            "match_method",
            sa.Text,
            nullable=True,
            comment="sportradar: by its own id; genius: through another listing that carries both ids; null when unidentified.",
        ),
        sa.Column(
            "is_primary",
            sa.Boolean,
            nullable=False,
            comment="The one listing that speaks for its platform on this fixture (most priced markets, then smallest id).",
        ),
        sa.Column(
            "n_markets_priced",
            sa.Integer,
            nullable=True,
            comment="Markets with a price in its latest answer; null before the first.",
        ),
        sa.Column("first_seen_at", INSTANT, nullable=False, comment="First time an answer showed it."),
        sa.Column("last_seen_at", INSTANT, nullable=False, comment="Last time an answer showed it."),
        sa.Column("last_cycle_id", sa.BigInteger, nullable=False, comment="Cycle of last_seen_at."),
        sa.Column(
            "deleted_at",
            INSTANT,
            nullable=True,
            comment="Since when complete discoveries lack it before its kickoff; null while listed (soft delete).",
        ),
        sa.PrimaryKeyConstraint("listing_id", name=op.f("pk_event_listings")),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["ops.listing_ids.listing_id"], name=op.f("fk_event_listings_listing_id")
        ),
        sa.UniqueConstraint("platform", "external_id", name=op.f("uq_event_listings_platform_external_id")),
        schema="core",
        comment="One row per listing: the platform's latest claim, and the fixture it belongs to.",
    )
    op.create_index(
        op.f("ix_event_listings_fixture_sr_id"), "event_listings", ["fixture_sr_id"], unique=False, schema="core"
    )
    op.create_index(op.f("ix_event_listings_genius_id"), "event_listings", ["genius_id"], unique=False, schema="core")
    op.create_index(op.f("ix_event_listings_kickoff_at"), "event_listings", ["kickoff_at"], unique=False, schema="core")
    op.create_index(
        op.f("ix_event_listings_platform_tournament_external_id"),
        "event_listings",
        ["platform", "tournament_external_id"],
        unique=False,
        schema="core",
    )


def _kickoff_versions() -> None:
    op.create_table(
        "kickoff_versions",
        sa.Column("listing_id", sa.Integer, nullable=False, autoincrement=False, comment="Listing."),
        sa.Column("observed_from", INSTANT, nullable=False, comment="First answer with this kickoff."),
        sa.Column("kickoff_at", INSTANT, nullable=False, comment="Kickoff claimed."),
        sa.Column("version", sa.SmallInteger, nullable=False, comment="1 for the first claim, counting up."),
        sa.PrimaryKeyConstraint("listing_id", "observed_from", name=op.f("pk_kickoff_versions")),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["ops.listing_ids.listing_id"], name=op.f("fk_kickoff_versions_listing_id")
        ),
        schema="core",
        comment="Kickoffs a platform has claimed for a listing, each from the answer that first showed it.",
    )


def _tournaments() -> None:
    op.create_table(
        "tournaments",
        sa.Column(
            "tournament_key",
            sa.Text,
            nullable=False,
            comment="sr:<SportRadar tournament id> where one is known, else <platform>:<external id>.",
        ),
        sa.Column("sport", one_of("sport", SPORT), nullable=False, comment="Sport."),
        sa.Column("country", sa.Text, nullable=True, comment="Country of the most trusted platform's claim."),
        sa.Column("display_name", sa.Text, nullable=False, comment="Name of the most trusted platform's claim."),
        sa.PrimaryKeyConstraint("tournament_key", name=op.f("pk_tournaments")),
        schema="core",
        comment="Tournaments across platforms. The key never rests on a name.",
    )


def _tournament_links() -> None:
    op.create_table(
        "tournament_links",
        sa.Column("platform", one_of("platform", PLATFORM), nullable=False, comment="Platform."),
        sa.Column("external_id", sa.Text, nullable=False, comment="The platform's own tournament id."),
        sa.Column("tournament_key", sa.Text, nullable=False, comment="Tournament."),
        sa.Column(
            "method",
            sa.Text,
            nullable=False,
            comment="sportradar: own id; votes: shared fixtures; alone: nothing links it.",
        ),
        sa.Column("n_votes", sa.Integer, nullable=False, comment="Shared fixtures that vote for the link."),
        sa.Column(
            "confidence",
            sa.Double,
            nullable=False,
            comment="Share of its matched fixtures that vote for the link, 0 to 1; 1 for its own id.",
        ),
        sa.PrimaryKeyConstraint("platform", "external_id", name=op.f("pk_tournament_links")),
        sa.ForeignKeyConstraint(
            ["tournament_key"], ["core.tournaments.tournament_key"], name=op.f("fk_tournament_links_tournament_key")
        ),
        schema="core",
        comment="Which platform tournament belongs to which tournament, and by what evidence.",
    )


def _fixtures() -> None:
    op.create_table(
        "fixtures",
        sa.Column("sr_id", sa.BigInteger, nullable=False, autoincrement=False, comment="SportRadar id."),
        sa.Column("sport", one_of("sport", SPORT), nullable=False, comment="Sport."),
        sa.Column("tournament_key", sa.Text, nullable=False, comment="Tournament."),
        sa.Column("country", sa.Text, nullable=True, comment="Country of the claim that was chosen."),
        sa.Column("tournament_name", sa.Text, nullable=False, comment="Tournament name of the claim that was chosen."),
        sa.Column("home_team", sa.Text, nullable=False, comment="Home side of the claim that was chosen."),
        sa.Column("away_team", sa.Text, nullable=False, comment="Away side of the claim that was chosen."),
        sa.Column(
            "metadata_source",
            one_of("platform", PLATFORM),
            nullable=False,
            comment="Whose claim was chosen: home, else by trust.",
        ),
        sa.Column(
            "effective_kickoff",
            INSTANT,
            nullable=False,
            comment="Kickoff of the claim that was chosen; one for all uses.",
        ),
        sa.Column(
            "kickoff_max_delta_s",
            sa.Integer,
            nullable=False,
            comment="Largest difference between the platforms' kickoffs, seconds.",
        ),
        sa.Column("platforms", pg.ARRAY(sa.Text), nullable=False, comment="Platforms that list it, in order of trust."),
        sa.Column("n_platforms", sa.SmallInteger, nullable=False, comment="How many platforms list it."),
        sa.Column("n_listings_by_platform", pg.JSONB, nullable=False, comment="Listings per platform."),
        sa.Column("rotated", sa.Boolean, nullable=False, comment="Some platform has home and away swapped."),
        sa.Column(
            "suspect_code",
            sa.Text,
            nullable=True,
            comment="kickoff_mismatch, home_away_swapped, duplicate_sr_id; null when nothing is odd. Flagged, never merged.",
        ),
        sa.PrimaryKeyConstraint("sr_id", name=op.f("pk_fixtures")),
        schema="core",
        comment="One row per real match (SportRadar id), joined from its listings each time: order of arrival cannot matter.",
    )
    op.create_index(
        op.f("ix_fixtures_effective_kickoff"), "fixtures", ["effective_kickoff"], unique=False, schema="core"
    )
