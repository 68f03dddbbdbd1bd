"""Comments of tables, columns, functions and types in plain English."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# fmt: off
COMMENTS = (
    (
        "Ledger: which cycles ran and how they fared. Not derived from anything; no replay drops it.",
        "Ledger of cycles and requests, with their results. It is not derived from anything, and no replay drops it.",
        "schema ops",
    ),
    (
        "What the platforms said: listings, fixtures, odds history. Derived from the landing.",
        "The content of the platforms' answers: listings, fixtures, odds history. Derived from the landing.",
        "schema core",
    ),
    (
        "Line in a canonical specifier: its total or handicap, else its number or minute, e.g. 2.5 in total=2.5; null without.",
        "Number in a canonical specifier: its total or handicap, otherwise its number or minute, e.g. 2.5 in total=2.5; null without one.",
        "function core.specifier_line(text)",
    ),
    (
        "Id of an answer: its listing, and its instant to the hundredth of a second.",
        "Id of an answer, made from its listing and its instant to the hundredth of a second.",
        "function core.snapshot_id(integer, timestamptz)",
    ),
    (
        "Home platform of the latest cycle: events and odds_snapshots are its rows.",
        "Home platform of the latest cycle. The views events and odds_snapshots show its rows.",
        "function palimpsest.home_platform()",
    ),
    (
        "Due products of landed cycles: those not derived from the content landed now with these versions of parser and mapping. One row per product and cycle. The content of a cycle that is gone is not compared. cycle_id: cycle; partition_hour: UTC hour it belongs to; schema: core or mart; product: its name in cycle_products; reason: why it is due, the first that applies; can_be_derived: the cycle is whole in the landing; is_gone: the cycle is no longer in the landing; has_failed: it was tried with this content and these versions, and failed.",
        "Due products of landed cycles: products that were not derived from the present content of the landing with these versions of parser and mapping. One row per product and cycle. The content of a cycle that is gone is not compared. cycle_id: cycle; partition_hour: UTC hour of the cycle; schema: core or mart; product: its name in cycle_products; reason: first reason that applies; can_be_derived: true when the cycle is whole in the landing; is_gone: true when the cycle is no longer in the landing; has_failed: true when a derivation from this content with these versions failed.",
        "function ops.due_products",
    ),
    (
        "Who of home and a competitor cannot be backed on a market that the other one lists, and how",
        "Gap between home and a competitor: which of them does not offer a market, and how",
        "type mart.gap_type",
    ),
    (
        "What can be said of a market, or of a whole listing, over a stretch of time",
        "State of a market, or of a whole listing, over a period",
        "type mart.availability_state",
    ),
    (
        "Name for people.",
        "Display name.",
        "column core.sports.name", "column core.bookmakers.name",
    ),
    (
        "Canonical market, as history rows hold it.",
        "Number of the canonical market. History rows refer to it.",
        "column core.markets.market_id",
    ),
    (
        "Part of the match it settles on: ft, 1h, 2h, ...",
        "Part of the match whose result decides the market: ft, 1h, 2h, ...",
        "column core.markets.period",
    ),
    (
        "Name for people: the home vocabulary's where it sells the market.",
        "Display name: BetPawa's name if BetPawa sells the market, otherwise the canonical name.",
        "column core.markets.name",
    ),
    (
        "What its line is: none, total, handicap, ...",
        "Kind of its line: none, total, handicap, ...",
        "column core.markets.line_kind",
    ),
    (
        "Sum of fair probabilities over the outcomes (1, 2, overlap(x)); null when unknown: then no margin.",
        "Sum of the fair probabilities of all outcomes: 1, 2 or overlap(x); null when unknown, and then the market has no margin.",
        "column core.markets.fair_sum",
    ),
    (
        "BetPawa's market type id, where it sells the market.",
        "BetPawa's market type id; null when BetPawa does not sell the market.",
        "column core.markets.betpawa_market_id",
    ),
    (
        "What to know before its prices are compared: rules that differ between platforms; null when nothing.",
        "Note on comparing its prices, such as rules that differ between platforms; null without one.",
        "column core.markets.note",
    ),
    (
        "Outcomes of each canonical market. The ordinal is the place in the price arrays and is append-only.",
        "Outcomes of each canonical market. The ordinal is the position in the price arrays and is append-only.",
        "table core.market_outcomes",
    ),
    (
        "Place in odds_milli, from 1.",
        "Position in odds_milli, from 1.",
        "column core.market_outcomes.ordinal",
    ),
    (
        "Name for people: BetPawa's label where it has one.",
        "Display name: BetPawa's label if it has one.",
        "column core.market_outcomes.name",
    ),
    (
        "Cycles that core has read from the landing: the facts a derived row needs about its cycle.",
        "Cycles that core has read from the landing, with the facts that derived rows need about their cycle.",
        "table core.cycles",
    ),
    (
        "UTC hour (Dagster partition) it belongs to.",
        "UTC hour (Dagster partition) of the cycle.",
        "column core.cycles.partition_hour",
    ),
    (
        "What started it.",
        "Trigger: scheduled, sensor, manual, on_demand or import.",
        "column core.cycles.trigger", "column ops.scrape_batches.trigger",
    ),
    (
        "What it covers.",
        "Scope of the cycle: full, kickoff, events or recorded.",
        "column core.cycles.scope",
    ),
    (
        "Home platform in force when it was scraped.",
        "Home platform in the settings when the cycle was scraped.",
        "column core.cycles.home_platform",
    ),
    (
        "Instant its statements are about: the last discovery answer, or the last answer where nothing was discovered.",
        "Instant that the cycle describes: its last discovery answer, or its last answer when it had no discovery.",
        "column core.cycles.as_of",
    ),
    (
        "What core has derived from which cycle. Committed with the rows it speaks of.",
        "Products that core has derived from each cycle. A row is committed together with the rows of its product.",
        "table core.cycle_products",
    ),
    (
        "What was derived (the asset's name).",
        "Product that was derived: the name of its asset.",
        "column core.cycle_products.product", "column mart.cycle_products.product",
    ),
    (
        "Digest of the cycle's landing manifest it was derived from.",
        "Digest of the landing manifest from which the product was derived.",
        "column core.cycle_products.landing_digest", "column mart.cycle_products.landing_digest",
    ),
    (
        "Per full cycle, platform and tournament: what was declared, what was received. Only complete proves absence.",
        "Declared and received listings per full cycle, platform and tournament. Only 'complete' proves that a listing is absent.",
        "table core.discovery_manifest",
    ),
    (
        "The platform's own tournament id; '*' is the platform's tree as a whole.",
        "The platform's own tournament id; '*' is the platform's tournament tree as a whole.",
        "column core.discovery_manifest.external_id",
    ),
    (
        "Listings the platform declares; null when it declares none.",
        "Listings that the platform declares; null when it declares no number.",
        "column core.discovery_manifest.declared",
    ),
    (
        "What is missing, in words; empty when complete.",
        "Description of the missing part; empty when complete.",
        "column core.discovery_manifest.missing",
    ),
    (
        "One row per platform and tournament: that platform's latest claim.",
        "One row per platform and tournament, with the platform's latest claim.",
        "table core.tournament_listings",
    ),
    (
        "ISO 3166 code (alpha-2, or a subdivision such as GB-ENG); null when it is no country.",
        "ISO 3166 code (alpha-2, or a subdivision such as GB-ENG); null when the name is not a country.",
        "column core.tournament_listings.country_iso",
    ),
    (
        "Since when a complete discovery lacks it; null while listed (soft delete).",
        "Time from which complete discoveries lack it; null while it is listed (soft delete).",
        "column core.tournament_listings.deleted_at",
    ),
    (
        "Versions of what a platform says about a listing, by content. A postponed kickoff is a new version.",
        "Versions of a platform's claim about a listing, by content. A postponed kickoff is a new version.",
        "table core.listing_claims",
    ),
    (
        "match; or simulated, antepost: counted and left out of coverage.",
        "match, simulated or antepost. The last two are counted, but coverage leaves them out.",
        "column core.listing_claims.kind",
    ),
    (
        "Kickoff the platform claims; null when it was refused as absurd.",
        "Kickoff that the platform states; null when it was refused as absurd.",
        "column core.listing_claims.kickoff_at",
    ),
    (
        "SportRadar id the platform states.",
        "SportRadar id that the platform states.",
        "column core.listing_claims.sr_id", "column core.event_listings.sr_id",
    ),
    (
        "Genius Sports id the platform states.",
        "Genius Sports id that the platform states.",
        "column core.listing_claims.genius_id", "column core.event_listings.genius_id",
    ),
    (
        "One row per cycle and listing seen in it, with the claim it made. Every as-of question about listings starts here.",
        "One row per cycle and listing that the cycle saw, with the platform's claim. Every as-of query of listings starts here.",
        "table core.listing_observations",
    ),
    (
        "The claim it made.",
        "Claim of the platform about the listing at that time (listing_claims).",
        "column core.listing_observations.claim_hash",
    ),
    (
        "When the answer that showed it last in this cycle was received.",
        "Arrival time of the last answer in this cycle that showed the listing.",
        "column core.listing_observations.observed_at",
    ),
    (
        "listing: discovery showed it; detail: only its own answer did.",
        "listing: discovery showed the listing; detail: only the answer with its odds showed it.",
        "column core.listing_observations.seen_in",
    ),
    (
        "Markets the platform declares for it; null when it declares none.",
        "Markets that the platform declares for the listing; null when it declares no number.",
        "column core.listing_observations.n_markets_declared",
    ),
    (
        "One row per listing: the platform's latest claim, and the fixture it belongs to.",
        "One row per listing, with the platform's latest claim and the listing's fixture.",
        "table core.event_listings",
    ),
    (
        "Kickoff the platform claims now; null when it was refused as absurd.",
        "Kickoff that the platform states now; null when it was refused as absurd.",
        "column core.event_listings.kickoff_at",
    ),
    (
        "Fixture it belongs to; null when unidentified.",
        "Fixture of the listing; null when it could not be identified.",
        "column core.event_listings.fixture_sr_id",
    ),
    (
        "sportradar: by its own id; genius: through another listing that carries both ids; null when unidentified.",
        "Evidence for the fixture. sportradar: the listing's own id; genius: another listing with both ids; null: not identified.",
        "column core.event_listings.match_method",
    ),
    (
        "The one listing that speaks for its platform on this fixture: not taken off; of kickoffs more than 6 hours apart the later one that ever had a price; then the largest book of all answers; then the smallest id.",
        "True for the primary listing: the one listing that represents its platform on this fixture. Order of choice: a listing that is still listed; of kickoffs more than 6 hours apart, the later one of those that ever had a price; the largest book of all answers; the smallest id.",
        "column core.event_listings.is_primary",
    ),
    (
        "Markets with a price in its latest answer; null before the first.",
        "Markets with a price in its latest answer; null before the first answer.",
        "column core.event_listings.n_markets_priced",
    ),
    (
        "Cycle of last_seen_at.",
        "Cycle of the answer at last_seen_at.",
        "column core.event_listings.last_cycle_id",
    ),
    (
        "Since when complete discoveries lack it before its kickoff; null while listed (soft delete).",
        "Time from which complete discoveries before its kickoff lack it; null while it is listed (soft delete).",
        "column core.event_listings.deleted_at",
    ),
    (
        "Kickoffs a platform has claimed for a listing, each from the answer that first showed it.",
        "Kickoffs that a platform has stated for a listing, each with the first answer that showed it.",
        "table core.kickoff_versions",
    ),
    (
        "Kickoff claimed.",
        "Kickoff that the platform stated.",
        "column core.kickoff_versions.kickoff_at",
    ),
    (
        "1 for the first claim, counting up.",
        "Number of the claim, from 1.",
        "column core.kickoff_versions.version",
    ),
    (
        "Tournaments across platforms. The key never rests on a name.",
        "Tournaments across platforms. The key never depends on a name.",
        "table core.tournaments",
    ),
    (
        "sr:<SportRadar tournament id> where one is known, else <platform>:<external id>.",
        "sr:<SportRadar tournament id> if it is known, otherwise <platform>:<external id>.",
        "column core.tournaments.tournament_key",
    ),
    (
        "Country of the most trusted platform's claim.",
        "Country in the most trusted platform's claim.",
        "column core.tournaments.country",
    ),
    (
        "Name of the most trusted platform's claim.",
        "Name in the most trusted platform's claim.",
        "column core.tournaments.display_name",
    ),
    (
        "Which platform tournament belongs to which tournament, and by what evidence.",
        "Link of each platform tournament to a tournament, with its evidence.",
        "table core.tournament_links",
    ),
    (
        "sportradar: own id; votes: shared fixtures; alone: nothing links it.",
        "Evidence for the link. sportradar: its own SportRadar id; votes: shared fixtures; alone: no other platform's tournament is linked.",
        "column core.tournament_links.method",
    ),
    (
        "Shared fixtures that vote for the link.",
        "Number of shared fixtures that vote for the link.",
        "column core.tournament_links.n_votes",
    ),
    (
        "Share of its matched fixtures that vote for the link, 0 to 1; 1 for its own id.",
        "Share of its matched fixtures that vote for the link, 0 to 1; 1 for a link by its own id.",
        "column core.tournament_links.confidence",
    ),
    (
        "One row per real match (SportRadar id), joined from its listings each time: order of arrival cannot matter.",
        "One row per real match (SportRadar id), computed from its listings each time, so the order of arrival does not matter.",
        "table core.fixtures",
    ),
    (
        "Country of the claim that was chosen.",
        "Country in the chosen claim.",
        "column core.fixtures.country",
    ),
    (
        "Tournament name of the claim that was chosen.",
        "Tournament name in the chosen claim.",
        "column core.fixtures.tournament_name",
    ),
    (
        "Home side of the claim that was chosen.",
        "Home side in the chosen claim.",
        "column core.fixtures.home_team",
    ),
    (
        "Away side of the claim that was chosen.",
        "Away side in the chosen claim.",
        "column core.fixtures.away_team",
    ),
    (
        "Whose claim was chosen: home, else by trust.",
        "Platform whose claim was chosen: home, otherwise the most trusted platform.",
        "column core.fixtures.metadata_source",
    ),
    (
        "Kickoff of the claim that was chosen; one for all uses.",
        "Kickoff in the chosen claim. All computations use this kickoff.",
        "column core.fixtures.effective_kickoff",
    ),
    (
        "How many platforms list it.",
        "Number of platforms that list it.",
        "column core.fixtures.n_platforms",
    ),
    (
        "Some platform has home and away swapped.",
        "True when a platform has home and away swapped.",
        "column core.fixtures.rotated", "column mart.coverage_fixture.rotated",
    ),
    (
        "kickoff_mismatch, home_away_swapped, duplicate_sr_id; null when nothing is odd. Flagged, never merged.",
        "kickoff_mismatch, home_away_swapped or duplicate_sr_id; null without a suspicion. Suspicious fixtures are marked, never merged.",
        "column core.fixtures.suspect_code",
    ),
    (
        "One row per listing and answer with its odds: confirms everything that market_changes holds up to then.",
        "One row per listing and answer with its odds. An answer confirms the content of market_changes up to then.",
        "table core.captures",
    ),
    (
        "When the answer was received, less its age in the edge cache.",
        "Arrival time of the answer, less its age in the edge cache.",
        "column core.captures.observed_at", "column core.largest_books.observed_at",
    ),
    (
        "... of which the vocabulary knows.",
        "(market, line) pairs of the answer that the vocabulary knows.",
        "column core.captures.n_markets_mapped",
    ),
    (
        "Canonical (market, line) pairs with an outcome that can be backed; a platform's pair may hold two of them.",
        "Canonical (market, line) pairs with an outcome that can be backed. One pair of a platform may contain two of them.",
        "column core.captures.n_markets_priced",
    ),
    (
        "Priced outcomes left out: another market of the answer has the bet, or another feed the market; null: written before these were counted.",
        "Priced outcomes left out because another market of the answer has the same bet, or another feed has the market; null in rows written before this count existed.",
        "column core.captures.n_prices_merged",
    ),
    (
        "Rows of market_changes it wrote: what differs from the answer before on the same day, everything on a keyframe.",
        "Rows of market_changes that the answer wrote: the differences from the previous answer of the same day, or all markets in a keyframe.",
        "column core.captures.n_changed",
    ),
    (
        "First answer of the listing's UTC day: all its markets are written.",
        "True for a keyframe: the first answer of the listing's UTC day, for which all markets are written.",
        "column core.captures.keyframe",
    ),
    (
        "Of days that have left Postgres: each answer that priced more markets of its listing than any before it. Which listing is primary rests on them and on captures.",
        "For days that have left Postgres: each answer that priced more markets of its listing than any earlier answer. Together with captures, these rows decide which listing is primary.",
        "table core.largest_books",
    ),
    (
        "Cycle that asked for it.",
        "Cycle that requested the answer.",
        "column core.largest_books.cycle_id",
    ),
    (
        "Answer that showed the change.",
        "Time of the answer that showed the change.",
        "column core.market_changes.observed_at",
    ),
    (
        "Bit i-1 set: outcome i cannot be backed though it is in the answer; null: none is off.",
        "Bit i-1 is set when outcome i is in the answer but cannot be backed; null when there is no such outcome.",
        "column core.market_changes.off_mask",
    ),
    (
        "Market on a line: ops.market_lines.",
        "Line, which is a market with one specifier: ops.market_lines.",
        "column core.market_changes.line_id", "column core.current_markets.line_id", "column mart.price_comparison.line_id",
    ),
    (
        "offered, suspended, no_price; withdrawn: the answer lacks it.",
        "offered, suspended or no_price; withdrawn: the answer lacks the market.",
        "column core.market_changes.state",
    ),
    (
        "Written because a day begins, not because it changed.",
        "True when the row was written because a new day began, not because the market changed.",
        "column core.market_changes.keyframe",
    ),
    (
        "Decimal odds x 1000 by outcome ordinal; null: no price.",
        "Decimal odds x 1000, at the outcome's ordinal; null without a price.",
        "column core.market_changes.odds_milli", "column core.current_markets.odds_milli",
    ),
    (
        "Last known state of each market of each listing. Moves forward in observed_at only.",
        "Newest known state of each market of each listing. Its observed_at never decreases.",
        "table core.current_markets",
    ),
    (
        "Answer since which it stands so (a keyframe does not count as change).",
        "Time of the answer that last changed the market (a keyframe is not a change).",
        "column core.current_markets.changed_at",
    ),
    (
        "Bit i-1 set: outcome i cannot be backed; null: none is off.",
        "Bit i-1 is set when outcome i cannot be backed; null when there is no such outcome.",
        "column core.current_markets.off_mask",
    ),
    (
        "State.",
        "State of the market: offered, suspended, no_price or withdrawn.",
        "column core.current_markets.state",
    ),
    (
        "Answer since which it is in this state, at whatever prices.",
        "Time of the answer that began this state, whatever the prices.",
        "column core.current_markets.state_since",
    ),
    (
        "Per cycle: markets seen that the vocabulary does not know. Their prices wait in the landing.",
        "Markets per cycle that the vocabulary does not know. Their prices stay in the landing until a replay.",
        "table core.unmapped_markets",
    ),
    (
        "Names of the parts of its specifiers, sorted, joined by |; '' when it comes without.",
        "Names of the parts of its specifiers, sorted, joined by |; '' without specifiers.",
        "column core.unmapped_markets.specifier_schema", "column mart.unmapped_market.specifier_schema",
    ),
    (
        "One specifier it came with.",
        "Example of a specifier.",
        "column core.unmapped_markets.sample_specifier", "column mart.unmapped_market.sample_specifier",
    ),
    (
        "Some outcome ids and names.",
        "Examples of outcome ids and names.",
        "column core.unmapped_markets.sample_outcomes",
    ),
    (
        "Listings in the cycle that carry it, sorted.",
        "Listings of the cycle with this market, sorted.",
        "column core.unmapped_markets.listing_ids",
    ),
    (
        "First answer of the cycle that shows it.",
        "Time of the first answer of the cycle that shows it.",
        "column core.unmapped_markets.first_observed_at",
    ),
    (
        "Last answer of the cycle that shows it.",
        "Time of the last answer of the cycle that shows it.",
        "column core.unmapped_markets.last_observed_at",
    ),
    (
        "Per cycle: (answer, market, specifier) triples seen, by family and by what the vocabulary said.",
        "Number of (answer, market, specifier) triples per cycle, by family and by the vocabulary's result.",
        "table core.mapping_counts",
    ),
    (
        "'' when mapped, else unknown_market, unknown_param or no_matching_outcomes.",
        "unknown_market, unknown_param or no_matching_outcomes; '' when mapped.",
        "column core.mapping_counts.error_class",
    ),
    (
        "Triples.",
        "Number of (answer, market, specifier) triples.",
        "column core.mapping_counts.n_markets",
    ),
    (
        "Listings that carry one, sorted; empty when mapped.",
        "Listings with such a triple, sorted; empty when mapped.",
        "column core.mapping_counts.listing_ids",
    ),
    (
        "Answers and entries that were refused, with the place in the JSON: nothing is dropped silently.",
        "Refused answers and entries, with the place in the JSON. Nothing is dropped silently.",
        "table core.rejects",
    ),
    (
        "Listing it is about; '' when unknown.",
        "External id of the listing; '' when unknown.",
        "column core.rejects.external_id",
    ),
    (
        "Where in the JSON.",
        "Path to the refused entry in the JSON.",
        "column core.rejects.path",
    ),
    (
        "Why, in words.",
        "Reason in words.",
        "column core.rejects.reason", "column ops.host_state.reason",
    ),
    (
        "The whole answer was refused, not one entry in it.",
        "True when the whole answer was refused, false for one entry of it.",
        "column core.rejects.whole_answer",
    ),
    (
        "How often in the cycle.",
        "Number of occurrences in the cycle.",
        "column core.rejects.occurrences",
    ),
    (
        "Kickoff dates on which a cycle changed something since their life was last derived.",
        "Kickoff dates on which a cycle changed a fixture and whose derived rows are due.",
        "table mart.dirty_kickoff_dates",
    ),
    (
        "Cycle that changed something.",
        "Cycle that changed a fixture of this date.",
        "column mart.dirty_kickoff_dates.cycle_id",
    ),
    (
        "What each platform offered of each market of a fixture, from when to when; market_key '*' is the listing as a whole.",
        "Intervals in which a platform offered, suspended or lacked a market of a fixture; market_key '*' is the listing as a whole.",
        "table mart.availability_interval",
    ),
    (
        "Since when: the answer or discovery that shows it, the kickoff, or when the last look grew too old.",
        "Start of the interval: the answer or discovery that shows it, the kickoff, or the moment when the last observation became too old.",
        "column mart.availability_interval.valid_from",
    ),
    (
        "Until when, not included: valid_from of the next interval; null: it still holds.",
        "End of the interval, not included: valid_from of the next interval; null while the interval lasts.",
        "column mart.availability_interval.valid_to",
    ),
    (
        "What it was, or why nothing is known.",
        "State in the interval, or the reason why it is not known.",
        "column mart.availability_interval.state",
    ),
    (
        "Outcomes that could be backed at its begin; null when not observed, and for the listing.",
        "Outcomes that could be backed at the start of the interval; null when not observed, and for the listing as a whole.",
        "column mart.availability_interval.n_outcomes_active",
    ),
    (
        "Outcomes listed at its begin; null when not observed, and for the listing.",
        "Outcomes listed at the start of the interval; null when not observed, and for the listing as a whole.",
        "column mart.availability_interval.n_outcomes",
    ),
    (
        "Cycle that showed it first; null when no cycle did (kickoff, silence).",
        "First cycle that showed the state; null when no cycle did (kickoff, or no observation).",
        "column mart.availability_interval.first_cycle",
    ),
    (
        "Last cycle that confirmed it; null like first_cycle.",
        "Last cycle that confirmed the state; null like first_cycle.",
        "column mart.availability_interval.last_cycle",
    ),
    (
        "Looks that showed it so, the first included.",
        "Observations that showed the state, including the first.",
        "column mart.availability_interval.n_confirmations",
    ),
    (
        "Last look that showed it so; null without one.",
        "Time of the last observation that showed the state; null without one.",
        "column mart.availability_interval.last_confirmed_at",
    ),
    (
        "Why nothing is known, or why it ended, in words; '' when an answer says it.",
        "Reason why the state is not known, or why it ended, in words; '' when an answer shows it.",
        "column mart.availability_interval.reason_detail",
    ),
    (
        "Latest cycle it rests on: nothing later was known.",
        "Time of the latest cycle used. Nothing later was known.",
        "column mart.availability_interval.as_of", "column mart.open_close.as_of", "column mart.listing_lead_time.as_of", "column mart.market_margin.as_of", "column mart.margin_ttk_bucket.as_of", "column mart.gap_count.as_of",
    ),
    (
        "First and last price of each outcome before the effective kickoff, each with how far it can be trusted.",
        "First and last price of each outcome before the effective kickoff, each with its quality.",
        "table mart.open_close",
    ),
    (
        "First price that could be backed before kickoff; null without one.",
        "First price before kickoff that could be backed; null without one.",
        "column mart.open_close.open_odds",
    ),
    (
        "Answer that showed it.",
        "Time of the answer that showed this price.",
        "column mart.open_close.open_observed_at",
    ),
    (
        "How near it is to the first price there was; null without one.",
        "Quality of the opening price: how close it is to the first price that existed; null without one.",
        "column mart.open_close.open_quality",
    ),
    (
        "Last cycle before it that proved that there was no price; null when none did.",
        "Last earlier cycle that proved that there was no price; null when none did.",
        "column mart.open_close.prev_absent_cycle",
    ),
    (
        "Last price that could be backed before kickoff; null without one, and while kickoff is to come.",
        "Last price before kickoff that could be backed; null without one, and until kickoff.",
        "column mart.open_close.close_odds",
    ),
    (
        "Answer since which it stood.",
        "Time of the answer with which this price began.",
        "column mart.open_close.close_observed_at",
    ),
    (
        "Last answer before kickoff that showed it.",
        "Time of the last answer before kickoff that showed this price.",
        "column mart.open_close.close_last_confirmed_at",
    ),
    (
        "How near it is to the price at kickoff; null while kickoff is to come.",
        "Quality of the closing price: how close it is to the price at kickoff; null until kickoff.",
        "column mart.open_close.close_quality",
    ),
    (
        "Kickoff that open and close refer to.",
        "Kickoff for which open and close were computed.",
        "column mart.open_close.effective_kickoff",
    ),
    (
        "Number of that kickoff among those claimed, from 1.",
        "Number of that kickoff among the platform's claims, from 1.",
        "column mart.open_close.kickoff_version",
    ),
    (
        "Changes of its price or of whether it could be backed, before kickoff, the first price not counted.",
        "Changes before kickoff of the price, or of whether it could be backed; the first price does not count.",
        "column mart.open_close.n_changes",
    ),
    (
        "How long before kickoff each platform listed and priced a fixture, and who was first.",
        "Time before kickoff at which each platform listed and priced a fixture, compared with home.",
        "table mart.listing_lead_time",
    ),
    (
        "Markets priced in that answer.",
        "Markets with a price in that answer.",
        "column mart.listing_lead_time.first_market_depth",
    ),
    (
        "No complete discovery before first_listed_at proves that it was not listed: it may be older.",
        "True when no complete discovery before first_listed_at proves that it was not listed, so it may have been listed earlier.",
        "column mart.listing_lead_time.listed_censored",
    ),
    (
        "Kickoff the platform claimed then; null when all it claimed were refused as absurd.",
        "Kickoff that the platform stated at that time; null when all stated kickoffs were refused as absurd.",
        "column mart.listing_lead_time.kickoff_at_first_listing",
    ),
    (
        "Kickoff that the lead refers to.",
        "Kickoff for which the lead was computed.",
        "column mart.listing_lead_time.effective_kickoff",
    ),
    (
        "lead_days_listed less that of the home platform: positive when this platform was earlier; null when home does not list it.",
        "lead_days_listed minus that of the home platform, positive when this platform was earlier; null when home does not list it.",
        "column mart.listing_lead_time.home_lead_diff_days",
    ),
    (
        "... up to 24 h before kickoff.",
        "Markets priced in the last answer up to 24 h before kickoff; null without one.",
        "column mart.listing_lead_time.n_markets_at_24h",
    ),
    (
        "... up to 1 h before kickoff.",
        "Markets priced in the last answer up to 1 h before kickoff; null without one.",
        "column mart.listing_lead_time.n_markets_at_1h",
    ),
    (
        "What ended it: kickoff, dropped before it, unknown; null while it is listed.",
        "Reason for the end: kickoff, dropped (before kickoff) or unknown; null while it is listed.",
        "column mart.listing_lead_time.ended_by",
    ),
    (
        "Margins of the markets in PALIMPSEST_MAIN_MARKETS on each platform, before kickoff: one row for each stretch in which the prices stood still.",
        "Margins of the markets in PALIMPSEST_MAIN_MARKETS on each platform, before kickoff. One row for each period with unchanged prices.",
        "table mart.market_margin",
    ),
    (
        "Answer that first showed these prices, or showed them again after they had ceased to stand.",
        "Time of the answer that first showed these prices, or showed them again after a period without them.",
        "column mart.market_margin.observed_from",
    ),
    (
        "Last answer that showed them.",
        "Time of the last answer that showed them.",
        "column mart.market_margin.last_confirmed_at",
    ),
    (
        "Until when they are taken to stand: the answer with other prices or without the market, a complete discovery without the listing, the kickoff, or when the last answer grew too old (PALIMPSEST_NOT_OBSERVED_AFTER_MINUTES); null while they stand.",
        "Time until which the prices count as valid: the answer with other prices or without the market, a complete discovery without the listing, the kickoff, or the moment when the last answer became too old (PALIMPSEST_NOT_OBSERVED_AFTER_MINUTES); null while they are valid.",
        "column mart.market_margin.observed_to",
    ),
    (
        "Outcomes of the complete set; null when they are not enumerated.",
        "Outcomes of the complete set; null when the vocabulary does not enumerate them.",
        "column mart.market_margin.n_expected",
    ),
    (
        "Sum of the inverse odds of what can be backed; null when nothing can.",
        "Sum of 1 / odds over the outcomes that can be backed; null when there are none.",
        "column mart.market_margin.sum_inverse",
    ),
    (
        "What can be said of the margin.",
        "Result of the margin calculation.",
        "column mart.market_margin.margin_status",
    ),
    (
        "(sum of inverse odds - 1) x 100 over every price whatever its state and winners_k: for reconciliation with figures of that kind only.",
        "(sum of 1 / odds - 1) x 100 over every price, whatever its state and winners_k: only for comparison with figures of that kind.",
        "column mart.market_margin.margin_reference_pct",
    ),
    (
        "Decimal odds by outcome key of what can be backed.",
        "Decimal odds of the outcomes that can be backed, by outcome key.",
        "column mart.market_margin.odds_vector",
    ),
    (
        "Margins of the markets in PALIMPSEST_MAIN_MARKETS by time to kickoff, over the fixtures of a tournament on a kickoff date, weighted by how long they stood.",
        "Margins of the markets in PALIMPSEST_MAIN_MARKETS by time to kickoff, over the fixtures of a tournament on a kickoff date, weighted by duration.",
        "table mart.margin_ttk_bucket",
    ),
    (
        "reference4: four buckets; trader10: ten.",
        "Division of the time to kickoff. reference4: four buckets; trader10: ten.",
        "column mart.margin_ttk_bucket.bucket_scheme",
    ),
    (
        "Time to kickoff, its lesser end included: 7d+, 3-7d, 24-72h, <24h; 7d+, 3-7d, 1-3d, 12-24h, 6-12h, 3-6h, 1-3h, 15-60m, <15m. In-play has no rows: nothing after kickoff is used.",
        "Time to kickoff, including the lower end. reference4: 7d+, 3-7d, 24-72h, <24h; trader10: 7d+, 3-7d, 1-3d, 12-24h, 6-12h, 3-6h, 1-3h, 15-60m, <15m. There are no rows after kickoff.",
        "column mart.margin_ttk_bucket.ttk_bucket",
    ),
    (
        "Home platform it was computed for.",
        "Home platform for which it was computed.",
        "column mart.margin_ttk_bucket.home_platform", "column mart.gap_count.home_platform", "column mart.compared_listing.home_platform", "column mart.coverage_fixture.home_platform", "column mart.coverage_tournament.home_platform", "column mart.match_rate_platform.home_platform",
    ),
    (
        "Minutes in which a margin stood, over all fixtures and lines.",
        "Minutes with a margin, over all fixtures and lines.",
        "column mart.margin_ttk_bucket.n_observed_minutes",
    ),
    (
        "Median margin: the least one that was not exceeded in half of the minutes.",
        "Median margin over time: the smallest margin that was not exceeded in half of the minutes.",
        "column mart.margin_ttk_bucket.margin_p50",
    ),
    (
        "Least margin.",
        "Smallest margin.",
        "column mart.margin_ttk_bucket.margin_min",
    ),
    (
        "Home's margin less the platform's, weighted by the minutes in which both stood on the same line; null for home, and without such minutes.",
        "Home's margin minus the platform's, weighted by the minutes in which both had a margin on the same line; null for home, and without such minutes.",
        "column mart.margin_ttk_bucket.home_minus_platform_tw_mean",
    ),
    (
        "Minutes in which any line had a margin / minutes of the bucket up to as_of, both summed over these fixtures; an open-ended bucket begins when a platform first listed the fixture.",
        "Minutes in which any line had a margin, divided by the minutes of the bucket up to as_of, both summed over these fixtures. An open-ended bucket begins when a platform first listed the fixture.",
        "column mart.margin_ttk_bucket.observed_share",
    ),
    (
        "Mean over the later half of the fixtures by kickoff (the middle one among them) of each one's mean weighted by minutes, less that over the earlier half, percentage points; null below four fixtures.",
        "Trend in percentage points: mean margin of the later half of the fixtures by kickoff (including the middle one) minus that of the earlier half. Each fixture counts with its mean weighted by minutes. Null below four fixtures.",
        "column mart.margin_ttk_bucket.trend_pp",
    ),
    (
        "How many markets home and a competitor offered so many hours before kickoff, and how many only one of them did.",
        "Number of markets that home and a competitor both offered, or only one of them, at fixed hours before kickoff.",
        "table mart.gap_count",
    ),
    (
        "Hours before the effective kickoff: 72, 24, 1, 0, as things stood up to that instant. Hours that are to come have no row, nor those at which one of the two had not listed the fixture yet.",
        "Hours before the effective kickoff: 72, 24, 1 or 0. The counts describe the state up to that instant. There is no row for a future instant, or for one at which home or the competitor had not listed the fixture yet.",
        "column mart.gap_count.hours_before",
    ),
    (
        "Markets that the competitor offered and home listed, suspended or without a price.",
        "Markets that the competitor offered and home listed as suspended or without a price.",
        "column mart.gap_count.n_home_suspended",
    ),
    (
        "Markets that home offered and the competitor listed, suspended or without a price.",
        "Markets that home offered and the competitor listed as suspended or without a price.",
        "column mart.gap_count.n_platform_suspended",
    ),
    (
        "Fixtures that a cycle touched since what is derived of them was last derived.",
        "Fixtures that a cycle changed and whose derived rows are due.",
        "table mart.dirty_fixtures",
    ),
    (
        "What is due: prices (comparisons and gaps), odds_alerts.",
        "Product that is due: prices (comparisons and gaps) or odds_alerts.",
        "column mart.dirty_fixtures.product",
    ),
    (
        "When the listings that price_comparison and availability_gap rest on were seen. Written with these.",
        "Observation times of the listings behind price_comparison and availability_gap. Written together with these.",
        "table mart.compared_listing",
    ),
    (
        "Last answer of the listing; null without one.",
        "Time of the listing's last answer; null without one.",
        "column mart.compared_listing.answered_at",
    ),
    (
        "Home's last answer on the fixture; null when home does not list it.",
        "Time of home's last answer about the fixture; null when home does not list it.",
        "column mart.compared_listing.home_answered_at",
    ),
    (
        "Between these two answers, seconds, never negative; null of home itself, and where one of the two has none or is dropped.",
        "Time between these two answers in seconds, never negative; null for home itself, and when one of the two listings has no answer or is dropped.",
        "column mart.compared_listing.skew_s",
    ),
    (
        "Since when complete discoveries lack it; null while it is listed.",
        "Time from which complete discoveries lack it; null while it is listed.",
        "column mart.compared_listing.dropped_at",
    ),
    (
        "Latest answer of any platform on the fixture, or discovery that lacks it: nothing later was known.",
        "Time of the latest answer of any platform about the fixture, or of the latest discovery that lacks it. Nothing later was known.",
        "column mart.compared_listing.as_of",
    ),
    (
        "Its answer and home's are no further apart than PALIMPSEST_MAX_SKEW_S, and nothing makes it doubtful that both listings offer the same bets (suspect_code kickoff_mismatch, home_away_swapped). False of home itself.",
        "True when its answer and home's are at most PALIMPSEST_MAX_SKEW_S apart, and both listings are not suspected of offering different bets (suspect_code kickoff_mismatch or home_away_swapped). False for home itself.",
        "column mart.compared_listing.comparable",
    ),
    (
        "Home's prices of each market and line against each competitor's, as they stand, of markets that both list and fixtures that have not begun: what palimpsest.compared_prices shows outcome by outcome. A row changes when a price does.",
        "Current prices of home and each competitor per market and line, for markets that both list and fixtures that have not begun. The view palimpsest.compared_prices shows them by outcome. A row changes when a price changes.",
        "table mart.price_comparison",
    ),
    (
        "Best state of the outcomes on home; withdrawn: it is no longer there.",
        "Best state of the outcomes on home; withdrawn: home no longer has the market.",
        "column mart.price_comparison.home_state",
    ),
    (
        "The same on the competitor.",
        "Best state of the outcomes on the competitor; withdrawn: the competitor no longer has the market.",
        "column mart.price_comparison.platform_state",
    ),
    (
        "Margin of the market on the competitor.",
        "Margin of the market on the competitor; null when it cannot be computed.",
        "column mart.price_comparison.platform_margin",
    ),
    (
        "Fair probability of an outcome x its odds on home; null without a margin.",
        "Fair probability of an outcome times its odds on home; null without a margin.",
        "column mart.price_comparison.home_share",
    ),
    (
        "The same on the competitor.",
        "Fair probability of an outcome times its odds on the competitor; null without a margin.",
        "column mart.price_comparison.platform_share",
    ),
    (
        "Sum of the inverse best odds over the market's outcomes, of answers near each other; null unless every outcome of a complete set has one.",
        "Sum of 1 / best odds over the market's outcomes, from answers at most PALIMPSEST_MAX_SKEW_S apart; null unless the set is complete and every outcome has a best price.",
        "column mart.price_comparison.cross_book_sum_inverse",
    ),
    (
        "Bit i-1 set: outcome i cannot be backed on home though it is there; null: none is off.",
        "Bit i-1 is set when outcome i is listed on home but cannot be backed there; null when there is no such outcome.",
        "column mart.price_comparison.home_off_mask",
    ),
    (
        "The same on the competitor.",
        "Bit i-1 is set when outcome i is listed on the competitor but cannot be backed there; null when there is no such outcome.",
        "column mart.price_comparison.platform_off_mask",
    ),
    (
        "Bit i-1 set: on outcome i home offers most together with others; null: on none.",
        "Bit i-1 is set when home shares the best price of outcome i with another platform; null when there is no such outcome.",
        "column mart.price_comparison.home_tied_best_mask",
    ),
    (
        "That sum is below the number of outcomes that win: backing each at its best price wins; null without it.",
        "True when cross_book_sum_inverse is below the number of outcomes that win, so that backing each outcome at its best price wins; null without that sum.",
        "column mart.price_comparison.arb",
    ),
    (
        "Decimal odds x 1000 of home by outcome ordinal (a single outcome: one place); null: no price.",
        "Decimal odds x 1000 of home, at the outcome's ordinal (one position for a single outcome); null without a price.",
        "column mart.price_comparison.home_odds_milli",
    ),
    (
        "The same of the competitor.",
        "Decimal odds x 1000 of the competitor, at the outcome's ordinal (one position for a single outcome); null without a price.",
        "column mart.price_comparison.platform_odds_milli",
    ),
    (
        "What best_platform offers, by outcome.",
        "Decimal odds x 1000 of best_platform, by outcome.",
        "column mart.price_comparison.best_odds_milli",
    ),
    (
        "By outcome who offers most, of home and competitors whose answers are near its and each other's; home, then by trust, where several do; null when home cannot be backed.",
        "Platform with the best price, by outcome, among home and the competitors whose answers are close to home's and to each other's in time; of equal prices home's, then the most trusted platform's; null when the outcome cannot be backed on home.",
        "column mart.price_comparison.best_platform",
    ),
    (
        "By outcome 1 + how many comparable competitors offer more; null when home is comparable with none.",
        "Rank of home by outcome: 1 + the number of comparable competitors with a better price; null when home is comparable with none.",
        "column mart.price_comparison.rank_home",
    ),
    (
        "Markets that home and a competitor do not both offer, as they stand, of fixtures that both list or have listed and that have not begun: palimpsest.compared_gaps shows them with their names and how long they last. A row changes when a state does.",
        "Current markets that home and a competitor do not both offer, of fixtures that both list or have listed and that have not begun. The view palimpsest.compared_gaps shows them with their names and durations. A row changes when a state changes.",
        "table mart.availability_gap",
    ),
    (
        "Market on a line, all its outcomes together: ops.market_lines, outcome ''.",
        "Line, with all its outcomes together: ops.market_lines, outcome ''.",
        "column mart.availability_gap.line_id",
    ),
    (
        "Answer (event_dropped: discovery) since which home is in that state, whatever its prices do; null: never seen there.",
        "Time of the answer (event_dropped: of the discovery) that began home's state, whatever the prices; null when home never showed the market.",
        "column mart.availability_gap.home_state_since",
    ),
    (
        "Answer (event_dropped: discovery) since which the competitor is in that state; null: never seen there.",
        "Time of the answer (event_dropped: of the discovery) that began the competitor's state; null when the competitor never showed the market.",
        "column mart.availability_gap.platform_state_since",
    ),
    (
        "home_missing, platform_missing: one offers it, the other lacks it; ..._suspended_only: ... lists it, suspended or without a price; both: neither offers it, one lists it; unknown: one was not looked at within PALIMPSEST_MAX_SKEW_S of as_of (a dropped listing needs no look).",
        "home_missing: the competitor offers the market, home lacks it; platform_missing: the reverse; home_suspended_only: the competitor offers it, home lists it suspended or without a price; platform_suspended_only: the reverse; both: one lists it, neither offers it; unknown: one was not observed within PALIMPSEST_MAX_SKEW_S of as_of (a dropped listing needs no answer).",
        "column mart.availability_gap.gap_type",
    ),
    (
        "State on home, the best of its outcomes'; null: never seen there.",
        "Best state of the outcomes on home; null when home never showed the market.",
        "column mart.availability_gap.home_state",
    ),
    (
        "State on the competitor, the best of its outcomes'; null: never seen there.",
        "Best state of the outcomes on the competitor; null when the competitor never showed the market.",
        "column mart.availability_gap.platform_state",
    ),
    (
        "Place in PALIMPSEST_MAIN_MARKETS, from 1; null for other markets.",
        "Position in PALIMPSEST_MAIN_MARKETS, from 1; null for other markets.",
        "column mart.availability_gap.market_priority",
    ),
    (
        "Episodes that traders are told of, in the last PALIMPSEST_ODDS_ALERT_DAYS before kickoff: one row from where a threshold is passed until things have calmed down. Of prices one row a market, its outcomes together.",
        "Episodes of alerts to traders, in the last PALIMPSEST_ODDS_ALERT_DAYS before kickoff. An episode begins when a threshold is passed and ends when the market is calm again. A price alert has one row per market, for all its outcomes.",
        "table mart.odds_alert",
    ),
    (
        "Hash of what it is about and of opened_at: the same episode has the same id whenever it is derived.",
        "Hash of the alert's subject and of opened_at: an episode has the same id in every derivation.",
        "column mart.odds_alert.alert_id",
    ),
    (
        "price_move: a price is far from what it was a window earlier. direction_disagreement: home's and the competitor's moved apart. home_outlier: home's is far from the median of two or more competitors'. market_disappeared: was offered, an answer lacks it. market_returned: is offered again after that. event_dropped: a complete discovery lacks the listing.",
        "price_move: a price is far from its value one window earlier. direction_disagreement: home's and the competitor's price moved in opposite directions. home_outlier: home's price is far from the median of two or more competitors. market_disappeared: an answer lacks a market that was offered. market_returned: such a market is offered again. event_dropped: a complete discovery lacks the listing.",
        "column mart.odds_alert.alert_type",
    ),
    (
        "How large the change of the implied probability (1 / odds) was at its peak: PALIMPSEST_ODDS_ALERT_LEVELS. What has no size: event_dropped is high, market_disappeared medium in PALIMPSEST_MAIN_MARKETS, all else low.",
        "Size of the change of the implied probability (1 / odds) at its peak, by PALIMPSEST_ODDS_ALERT_LEVELS. Of the types without a size, event_dropped is high, market_disappeared is medium in PALIMPSEST_MAIN_MARKETS, and all others are low.",
        "column mart.odds_alert.severity",
    ),
    (
        "Platform it is about.",
        "Platform that the alert is about.",
        "column mart.odds_alert.platform",
    ),
    (
        "Outcome that was furthest off, at the peak; '' where no price is compared.",
        "Outcome with the largest deviation at the peak; '' when no price is compared.",
        "column mart.odds_alert.outcome_key",
    ),
    (
        "Instant of baseline_odds: a window before peak_at (of direction_disagreement they may be older by PALIMPSEST_MAX_SKEW_S); home_outlier: peak_at; null without a price.",
        "Time of baseline_odds: one window before peak_at (for direction_disagreement up to PALIMPSEST_MAX_SKEW_S earlier); for home_outlier peak_at; null without a price.",
        "column mart.odds_alert.baseline_at",
    ),
    (
        "The outcome's price then; home_outlier: median of the competitors'.",
        "The outcome's price at baseline_at; for home_outlier the median of the competitors.",
        "column mart.odds_alert.baseline_odds",
    ),
    (
        "What peak_change_rel was when it opened, of the outcome that was furthest off then.",
        "Value of peak_change_rel when the alert opened, for the outcome with the largest deviation at that time.",
        "column mart.odds_alert.change_rel",
    ),
    (
        "Window over which prices moved, minutes; null where none is compared over time.",
        "Window over which prices moved, in minutes; null when no prices are compared over time.",
        "column mart.odds_alert.window_minutes",
    ),
    (
        "Competitor that moved the other way; null but for it.",
        "Competitor that moved in the opposite direction; null for types other than direction_disagreement.",
        "column mart.odds_alert.competitor",
    ),
    (
        "Its price at the peak.",
        "The competitor's price at the peak.",
        "column mart.odds_alert.competitor_odds",
    ),
    (
        "Its change over the window, at the peak.",
        "Change of the competitor's price over the window, at the peak.",
        "column mart.odds_alert.competitor_change_rel",
    ),
    (
        "Answer that passed the threshold; event_dropped: discovery that lacked the listing.",
        "Time of the answer that passed the threshold; for event_dropped, of the discovery that lacked the listing.",
        "column mart.odds_alert.opened_at",
    ),
    (
        "Answer that first showed it at its largest; null where no price is compared.",
        "Time of the answer that first showed the largest deviation; null when no price is compared.",
        "column mart.odds_alert.peak_at",
    ),
    (
        "current_odds / baseline_odds - 1; of direction_disagreement, where the smaller of both changes counts, home's.",
        "current_odds / baseline_odds - 1. For direction_disagreement this is home's change, and the smaller of both changes decides the peak.",
        "column mart.odds_alert.peak_change_rel",
    ),
    (
        "Look with which it was over (calm, not to be backed any more, back again; market_returned: a window later), or the kickoff; null while open.",
        "Time of the observation that ended the alert (prices are calm, the market cannot be backed any more, or it is back; market_returned: one window later), or the kickoff; null while open.",
        "column mart.odds_alert.closed_at",
    ),
    (
        "open, acknowledged, closed.",
        "open, acknowledged or closed.",
        "column mart.odds_alert.status",
    ),
    (
        "Latest look at the fixture before its kickoff: nothing later was known.",
        "Time of the latest observation of the fixture before its kickoff. Nothing later was known.",
        "column mart.odds_alert.as_of",
    ),
    (
        "What the mart has derived from which cycle. Committed with the rows it speaks of.",
        "Products that the mart has derived from each cycle. A row is committed together with the rows of its product.",
        "table mart.cycle_products",
    ),
    (
        "Who lists which fixture, as of each cycle.",
        "Fixtures and the platforms that list them, as of each cycle.",
        "table mart.coverage_fixture",
    ),
    (
        "Instant the row is about.",
        "Instant that the row describes.",
        "column mart.coverage_fixture.as_of", "column mart.coverage_tournament.as_of", "column mart.match_rate_platform.as_of",
    ),
    (
        "Country of the chosen claim.",
        "Country in the chosen claim.",
        "column mart.coverage_fixture.country",
    ),
    (
        "Tournament name of the chosen claim.",
        "Tournament name in the chosen claim.",
        "column mart.coverage_fixture.tournament_name",
    ),
    (
        "Home side of the chosen claim.",
        "Home side in the chosen claim.",
        "column mart.coverage_fixture.home_team",
    ),
    (
        "Away side of the chosen claim.",
        "Away side in the chosen claim.",
        "column mart.coverage_fixture.away_team",
    ),
    (
        "Kickoff: home's claim, else by trust.",
        "Kickoff in home's claim, otherwise in the most trusted platform's.",
        "column mart.coverage_fixture.effective_kickoff",
    ),
    (
        "Whose claim that is.",
        "Platform of that claim.",
        "column mart.coverage_fixture.kickoff_source",
    ),
    (
        "effective_kickoff is not after as_of.",
        "True when effective_kickoff is not after as_of.",
        "column mart.coverage_fixture.started",
    ),
    (
        "matched: home and a competitor; home_only; competitor_only; undetermined: a platform could not be looked at.",
        "matched: home and a competitor list it; home_only; competitor_only; undetermined: a platform could not be observed.",
        "column mart.coverage_fixture.fixture_class",
    ),
    (
        "kickoff_mismatch, home_away_swapped, duplicate_sr_id; null when nothing is odd.",
        "kickoff_mismatch, home_away_swapped or duplicate_sr_id; null without a suspicion.",
        "column mart.coverage_fixture.suspect_code",
    ),
    (
        "complete: every platform's discovery of this cycle; carried: some platform's earlier one; partial: some platform could not be looked at.",
        "complete: this cycle's discovery of every platform; carried: an earlier discovery of some platform; partial: some platform could not be observed.",
        "column mart.coverage_fixture.evidence",
    ),
    (
        "Oldest discovery it rests on, when carried.",
        "Time of the oldest discovery used, when carried.",
        "column mart.coverage_fixture.stale_since",
    ),
    (
        "Coverage per tournament, competitor (or any of them) and universe, as of each cycle. Sums to match_rate_platform.",
        "Coverage per tournament and competitor (or any of them), with and without fixtures that have started, as of each cycle. It adds up to match_rate_platform.",
        "table mart.coverage_tournament",
    ),
    (
        "Competitor compared with home; 'any' is all of them together.",
        "Competitor compared with home; 'any' is all competitors together.",
        "column mart.coverage_tournament.platform",
    ),
    (
        "Universe: true counts started fixtures too.",
        "True when fixtures that have started are counted too.",
        "column mart.coverage_tournament.include_started", "column mart.match_rate_platform.include_started",
    ),
    (
        "Fixtures on one of the two where the other could not be looked at.",
        "Fixtures on one of the two while the other could not be observed.",
        "column mart.coverage_tournament.n_undetermined",
    ),
    (
        "Listings of the competitor (any: of all platforms) without a SportRadar id.",
        "Listings of the competitor (row 'any': of all platforms) without a SportRadar id.",
        "column mart.coverage_tournament.n_unidentified",
    ),
    (
        "The competitor has fixtures here and home has none.",
        "True when the competitor has fixtures here and home has none.",
        "column mart.coverage_tournament.platform_gap",
    ),
    (
        "Home has fixtures here and the competitor has none.",
        "True when home has fixtures here and the competitor has none.",
        "column mart.coverage_tournament.home_gap",
    ),
    (
        "Platform; 'all' is the union.",
        "Platform; 'all' is all platforms together.",
        "column mart.match_rate_platform.platform",
    ),
    (
        "Match listings.",
        "Listings of matches.",
        "column mart.match_rate_platform.n_listings",
    ),
    (
        "... that belong to a fixture.",
        "Listings of matches that belong to a fixture.",
        "column mart.match_rate_platform.n_listings_with_sr",
    ),
    (
        "... that are on home too (home row and 'all': on some competitor too).",
        "Fixtures that are also on home (in the rows of home and 'all': also on a competitor).",
        "column mart.match_rate_platform.n_matched_fixtures",
    ),
    (
        "Row 'all': matched / union; null elsewhere.",
        "Row 'all': matched fixtures / all fixtures; null in other rows.",
        "column mart.match_rate_platform.overall_match_rate",
    ),
    (
        "Linked listings / listings whose fixture home lists; 1 by construction, kept as a check.",
        "Linked listings / listings whose fixture home lists. Always 1; kept as a check.",
        "column mart.match_rate_platform.link_accuracy",
    ),
    (
        "Row 'all': fixtures known to be on home only. Platform row: on home and known to be missing here.",
        "Row 'all': fixtures known to be on home only. Row of a platform: fixtures on home that are known to be missing there.",
        "column mart.match_rate_platform.n_home_only",
    ),
    (
        "Row 'all': fixtures known to be missing on home. Platform row: those of them listed here.",
        "Row 'all': fixtures known to be missing on home. Row of a platform: those of them that it lists.",
        "column mart.match_rate_platform.n_competitor_only",
    ),
    (
        "Fixtures whose class is unknown since a platform could not be looked at.",
        "Fixtures whose class is unknown because a platform could not be observed.",
        "column mart.match_rate_platform.n_undetermined",
    ),
    (
        "Row 'all': all fixtures. Platform row: fixtures on home or here.",
        "Row 'all': all fixtures. Row of a platform: fixtures on home or there.",
        "column mart.match_rate_platform.n_union",
    ),
    (
        "Of this cycle's discovery: complete, partial or failed.",
        "Completeness of this cycle's discovery: complete, partial or failed.",
        "column mart.match_rate_platform.completeness",
    ),
    (
        "What the row rests on.",
        "Evidence for the row: complete, carried or partial.",
        "column mart.match_rate_platform.evidence",
    ),
    (
        "Change of n_fixtures against the cycle before, as a share of it; null for the first.",
        "Change of n_fixtures since the previous cycle, as a share of that cycle's; null for the first.",
        "column mart.match_rate_platform.delta_vs_prev",
    ),
    (
        "How complete and how fast each stage of each platform's part of a cycle was.",
        "Completeness and speed of each stage of a cycle on each platform.",
        "table mart.run_quality",
    ),
    (
        "Entries promised: declared listings, targets, or parsed answers; null when none is declared.",
        "Expected entries: declared listings, targets or parsed answers; null when none is declared.",
        "column mart.run_quality.declared",
    ),
    (
        "Answers read.",
        "Answers that could be parsed.",
        "column mart.run_quality.parsed",
    ),
    (
        "Rows of history stand behind it: captures (storage), listings (discovery).",
        "Rows stored in the history: captures (storage) or listings (discovery).",
        "column mart.run_quality.stored",
    ),
    (
        "Markets that changed since the answer before; an answer's at most as many as it has. Keyframes do not count.",
        "Markets that changed since the previous answer, at most the number of markets in the answer. Keyframes do not count.",
        "column mart.run_quality.changed",
    ),
    (
        "Markets that stand as in the answer before. Keyframes do not count.",
        "Markets that are unchanged since the previous answer. Keyframes do not count.",
        "column mart.run_quality.confirmed",
    ),
    (
        "Answers whose Age header was not believed, being unreadable or above an hour: they count as observed when they arrived; null: written before these were counted.",
        "Answers whose Age header was ignored because it was unreadable or above one hour; their arrival time is used instead. Null in rows written before this count existed.",
        "column mart.run_quality.ages_ignored",
    ),
    (
        "First request to last answer, seconds.",
        "Time from the first request to the last answer, in seconds.",
        "column mart.run_quality.wall_s",
    ),
    (
        "1 - fetched / trailing median of earlier cycles of the same scope that were complete in this stage; null without a history.",
        "1 - fetched / median of earlier cycles of the same scope that were complete in this stage; null without such cycles.",
        "column mart.run_quality.drop_vs_median",
    ),
    (
        "The stage failed, so nothing of this platform was derived from the cycle.",
        "True when the stage failed, so that nothing of this platform was derived from the cycle.",
        "column mart.run_quality.blocked_downstream",
    ),
    (
        "How much of what each platform showed in a cycle the market vocabulary knows, by market family.",
        "Share of the markets that each platform showed in a cycle and that the market vocabulary knows, by market family.",
        "table mart.mapping_coverage",
    ),
    (
        "Market family of the vocabulary; unknown: markets that it does not have.",
        "Market family of the vocabulary; unknown: markets that the vocabulary lacks.",
        "column mart.mapping_coverage.family",
    ),
    (
        "... of which every outcome is known.",
        "Triples whose outcomes are all known.",
        "column mart.mapping_coverage.n_mapped",
    ),
    (
        "... whose market id is not in the vocabulary.",
        "Triples whose market id is not in the vocabulary.",
        "column mart.mapping_coverage.n_unknown_market",
    ),
    (
        "... whose specifier the vocabulary cannot read.",
        "Triples whose specifier the vocabulary cannot read.",
        "column mart.mapping_coverage.n_unknown_param",
    ),
    (
        "... with an outcome that the vocabulary lacks.",
        "Triples with an outcome that the vocabulary lacks.",
        "column mart.mapping_coverage.n_no_matching_outcomes",
    ),
    (
        "Matches with a market that is not mapped: listings that state the same id are one match.",
        "Matches with a market that is not mapped. Listings that state the same id are one match.",
        "column mart.mapping_coverage.n_fixtures_affected",
    ),
    (
        "Markets seen that the vocabulary does not know, over all cycles, ranked by the matches that carry them.",
        "Markets that the vocabulary does not know, over all cycles, ranked by the number of matches with them.",
        "table mart.unmapped_market",
    ),
    (
        "1 is carried by most matches of its platform, then by most occurrences.",
        "Rank on the platform: 1 is the market in the most matches, then with the most occurrences.",
        "column mart.unmapped_market.impact_rank",
    ),
    (
        "new; acknowledged, ignored: as the vocabulary's triage says; mapped: the vocabulary knows the market now, and a replay of the hours from first_seen to last_seen brings its prices in.",
        "new; acknowledged or ignored by the vocabulary's triage; mapped: the vocabulary knows the market now, and a replay of the hours from first_seen to last_seen adds its prices.",
        "column mart.unmapped_market.status",
    ),
    (
        "Why it is acknowledged or ignored.",
        "Reason why it is acknowledged or ignored.",
        "column mart.unmapped_market.reason",
    ),
    (
        "What the vocabulary said: unknown_market, unknown_param, no_matching_outcomes.",
        "Results of the vocabulary: unknown_market, unknown_param or no_matching_outcomes.",
        "column mart.unmapped_market.error_classes",
    ),
    (
        "Some outcome ids and names, as a JSON array.",
        "Examples of outcome ids and names, as a JSON array.",
        "column mart.unmapped_market.sample_outcomes",
    ),
    (
        "Matches that carry it: fixtures, and listings that belong to none.",
        "Matches with this market: fixtures, and listings without a fixture.",
        "column mart.unmapped_market.n_fixtures",
    ),
    (
        "First answer that shows it.",
        "Time of the first answer that shows it.",
        "column mart.unmapped_market.first_seen",
    ),
    (
        "Last answer that shows it.",
        "Time of the last answer that shows it.",
        "column mart.unmapped_market.last_seen",
    ),
    (
        "Canonical market it may be, for a person to judge; null when none is alike enough. Never applied.",
        "Proposed canonical market, for a person to judge; null when none is similar enough. A proposal is never applied by itself.",
        "column mart.unmapped_market.proposed_market_key",
    ),
    (
        "What speaks for the proposal.",
        "Evidence for the proposal.",
        "column mart.unmapped_market.proposal_evidence",
    ),
    (
        "Version of the market vocabulary it is judged by.",
        "Version of the market vocabulary behind the status.",
        "column mart.unmapped_market.mapping_version",
    ),
    (
        "One row per cycle (one scrape of all platforms): what started it, what it covers, how it ended.",
        "One row per cycle (one scrape of all platforms) with its trigger, scope and status.",
        "table ops.scrape_batches",
    ),
    (
        "Cycle: UTC digits of its begin down to the millisecond, so ids sort by time.",
        "Id of the cycle: the digits of its UTC start time to the millisecond, so ids sort by time.",
        "column ops.scrape_batches.cycle_id",
    ),
    (
        "What it covers. Only full cycles discover.",
        "Scope of the cycle: full, kickoff, events or recorded. Only full cycles have a discovery.",
        "column ops.scrape_batches.scope",
    ),
    (
        "SportRadar ids asked for, when the scope is kickoff or events.",
        "Requested SportRadar ids, when the scope is kickoff or events.",
        "column ops.scrape_batches.sr_ids",
    ),
    (
        "Slot of the kickoff cadence that it was begun for; null in other scopes.",
        "Slot of the kickoff cadence for which the cycle was started; null in other scopes.",
        "column ops.scrape_batches.slot_at",
    ),
    (
        "Home platform in force.",
        "Home platform in the settings at that time.",
        "column ops.scrape_batches.home_platform",
    ),
    (
        "UTC hour (Dagster partition) the cycle belongs to.",
        "UTC hour (Dagster partition) of the cycle.",
        "column ops.scrape_batches.partition_hour",
    ),
    (
        "running; completed: all platforms; partial: some; failed: none; cancelled: somebody ended it; interrupted: its process died.",
        "running; completed: all platforms; partial: some; failed: none; cancelled: stopped on request; interrupted: its process died.",
        "column ops.scrape_batches.status",
    ),
    (
        "Begin of the cycle.",
        "Start of the cycle.",
        "column ops.scrape_batches.started_at",
    ),
    (
        "Last sign of life of the process that runs it.",
        "Last heartbeat of the process that runs the cycle.",
        "column ops.scrape_batches.heartbeat_at",
    ),
    (
        "End of the cycle, of an interrupted one its last sign of life; null while it runs.",
        "End of the cycle, or the last heartbeat of an interrupted one; null while it runs.",
        "column ops.scrape_batches.finished_at",
    ),
    (
        "One row per cycle and platform: that platform's part of the batch.",
        "One row per cycle and platform: the platform's part of the batch.",
        "table ops.scrape_runs",
    ),
    (
        "Cycle (batch) the run belongs to.",
        "Cycle (batch) of the run.",
        "column ops.scrape_runs.cycle_id",
    ),
    (
        "As of the batch; running until the platform's part is over.",
        "Status as of the batch; running until the platform's part is finished.",
        "column ops.scrape_runs.status",
    ),
    (
        "First request.",
        "Time of the first request.",
        "column ops.scrape_runs.started_at",
    ),
    (
        "Last answer; while it runs, the last one so far.",
        "Time of the last answer; while the cycle runs, of the last answer so far.",
        "column ops.scrape_runs.finished_at",
    ),
    (
        "Match listings that discovery found (0 in a cycle that does not discover).",
        "Match listings that discovery saw (0 in a cycle without a discovery).",
        "column ops.scrape_runs.discovered",
    ),
    (
        "Listings that capture asked for.",
        "Listings that capture requested.",
        "column ops.scrape_runs.targets",
    ),
    (
        "Why it is not completed, in words; empty when it is.",
        "Reason why it is not completed, in words; empty when it is.",
        "column ops.scrape_runs.message",
    ),
    (
        "How far the host's clock is ahead of ours in seconds, the median of its answers; null when none told.",
        "Seconds by which the host's clock is ahead of ours, the median of its answers; null when no answer has a time.",
        "column ops.scrape_runs.clock_offset_s",
    ),
    (
        "First request of the capture to its last answer in seconds; null without a capture, or written before this was kept.",
        "Seconds from the first request of the capture to its last answer; null without a capture, and in rows written before this was recorded.",
        "column ops.scrape_runs.capture_s",
    ),
    (
        "Least seconds in which the host's budget allows requests of the durations measured; null like capture_s.",
        "Shortest time in seconds in which the host's budget allows these requests with their measured durations; null like capture_s.",
        "column ops.scrape_runs.floor_s",
    ),
    (
        "Answers that core refused, of those that can be had (matches in play left out); 0 before the cycle is derived, or before this was kept.",
        "Answers that core refused, without those of matches in play; 0 before the cycle is derived, and in rows written before this was recorded.",
        "column ops.scrape_runs.refused",
    ),
    (
        "What message says of refused answers, at its end; empty while few were refused.",
        "Sentence about refused answers at the end of message; empty while few were refused.",
        "column ops.scrape_runs.refusal",
    ),
    (
        "One row per cycle and listing asked for: how the request for its odds went.",
        "One row per cycle and requested listing, with the result of the request for its odds.",
        "table ops.event_scrape_status",
    ),
    (
        "SportRadar id of the fixture, where known.",
        "SportRadar id of the fixture, if known.",
        "column ops.event_scrape_status.sr_id",
    ),
    (
        "completed; failed; cancelled: the cycle was ended before the verdict; interrupted: its process died before the verdict was landed.",
        "completed; failed; cancelled: the cycle was stopped before the verdict; interrupted: its process died before the verdict was landed.",
        "column ops.event_scrape_status.status",
    ),
    (
        "Requests sent for it.",
        "Requests sent for the listing.",
        "column ops.event_scrape_status.attempts",
    ),
    (
        "What was wrong, in words; empty when completed.",
        "Description of the error; empty when completed.",
        "column ops.event_scrape_status.error_detail",
    ),
    (
        "HTTP status of the last attempt; null when no answer came.",
        "HTTP status of the last attempt; null without an answer.",
        "column ops.event_scrape_status.http_status",
    ),
    (
        "Last body byte, or the instant the failure was known.",
        "Arrival time of the last body byte, or the time at which the failure was known.",
        "column ops.event_scrape_status.received_at",
    ),
    (
        "From the first request to the verdict in ms, waits between tries included.",
        "Milliseconds from the first request to the verdict, including waits between attempts.",
        "column ops.event_scrape_status.duration_ms",
    ),
    (
        "Instant that the good answer shows: received_at less its age in an edge cache; null when not completed, or written before this was kept.",
        "Time that the good answer shows: received_at less its age in an edge cache; null when not completed, and in rows written before this was recorded.",
        "column ops.event_scrape_status.observed_at",
    ),
    (
        "UTC hour it belongs to: its folder in the landing.",
        "UTC hour of the cycle: its folder in the landing.",
        "column ops.landed_cycles.partition_hour",
    ),
    (
        "What it covers; null when its manifest cannot be read.",
        "Scope of the cycle; null when its manifest cannot be read.",
        "column ops.landed_cycles.scope",
    ),
    (
        "Its manifest and every segment that it names are there, so that it can be derived.",
        "True when its manifest and every segment that it names exist, so that it can be derived.",
        "column ops.landed_cycles.is_whole",
    ),
    (
        "It is no longer in the landing: its hour has expired, or somebody removed it.",
        "True when the cycle is no longer in the landing: its hour has expired, or somebody removed it.",
        "column ops.landed_cycles.is_gone",
    ),
    (
        "Why it is not whole although it is there, in words; otherwise empty.",
        "Reason why a cycle in the landing is not whole, in words; otherwise empty.",
        "column ops.landed_cycles.problem",
    ),
    (
        "Product that could not be derived, as in the cycle_products of core and mart.",
        "Product that could not be derived, as in the tables cycle_products of core and mart.",
        "column ops.cycle_failures.product",
    ),
    (
        "Digest of the landing manifest it was tried with; null when it was gone.",
        "Digest of the landing manifest used; null when it was gone.",
        "column ops.cycle_failures.landing_digest",
    ),
    (
        "Version of the parsers it was tried with.",
        "Version of the parsers used.",
        "column ops.cycle_failures.parser_version",
    ),
    (
        "Version of the market vocabulary it was tried with.",
        "Version of the market vocabulary used.",
        "column ops.cycle_failures.mapping_version",
    ),
    (
        "The error: its class and message, without secrets.",
        "Class and message of the error, without secrets.",
        "column ops.cycle_failures.error",
    ),
    (
        "When it failed last.",
        "When it last failed.",
        "column ops.cycle_failures.failed_at",
    ),
    (
        "Integer id of each listing's natural key. Outlives every replay, so that history rows keep their meaning.",
        "Integer id of each listing's natural key. Ids survive every replay, so that history rows keep their meaning.",
        "table ops.listing_ids",
    ),
    (
        "Integer id of a market on a line. Outlives every replay, so that history rows keep their meaning.",
        "Integer id of each line, which is a market with one specifier. Ids survive every replay, so that history rows keep their meaning.",
        "table ops.market_lines",
    ),
    (
        "Market on a line.",
        "Id of a line, which is a market with one specifier.",
        "column ops.market_lines.line_id",
    ),
    (
        "'' for a whole market; the outcome's name where a market has open outcomes (one line an outcome).",
        "'' for a whole market; the outcome's name where a market has open outcomes (one line per outcome).",
        "column ops.market_lines.outcome",
    ),
    (
        "How large each table, and each day of the odds history, was when somebody looked.",
        "Measured sizes of each table, and of each day of the odds history.",
        "table ops.storage_samples",
    ),
    (
        "Table with its schema; landing and export for what is in files.",
        "Table with its schema; 'landing' and 'export' for files.",
        "column ops.storage_samples.table_name",
    ),
    (
        "UTC day of the rows; the day of sampled_at for a table that is not kept by day.",
        "UTC day of the rows; for a table without days, the day of sampled_at.",
        "column ops.storage_samples.day",
    ),
    (
        "Rows: of a day of history counted, else as the planner estimates; of files the answers or rows in them.",
        "Number of rows: counted for a day of history, otherwise the planner's estimate; for files, the answers or rows in them.",
        "column ops.storage_samples.n_rows",
    ),
    (
        "Prices in them; null where rows hold none.",
        "Number of prices in them; null when the rows have no prices.",
        "column ops.storage_samples.n_prices",
    ),
    (
        "Bytes of the rows, with what is kept out of line; of files their size.",
        "Bytes of the rows, including values stored out of line; for files, their size.",
        "column ops.storage_samples.heap_bytes",
    ),
    (
        "UTC days of the odds history that were exported: the archive must have each of them.",
        "UTC days of the odds history that were exported. The archive must have each of them.",
        "table ops.exported_days",
    ),
    (
        "What runs at the same time tell each other about a host: one row per host in trouble and cycle that found it so.",
        "Host problems that concurrent cycles share: one row per host with a problem and cycle that reported it.",
        "table ops.host_state",
    ),
    (
        "Cycle that found it.",
        "Cycle that reported the problem.",
        "column ops.host_state.cycle_id",
    ),
    (
        "Nobody asks this host before then.",
        "No request is sent to this host before then.",
        "column ops.host_state.blocked_until",
    ),
    (
        "Since when the pipeline knew of which kickoff: what its cadence went by. No replay changes its past.",
        "Kickoffs that the kickoff cadence knew, with the time from which it knew them. No replay changes past rows.",
        "table ops.known_kickoffs",
    ),
    (
        "When core first held it, until the fixture's next row.",
        "When core learned this kickoff. It holds until the fixture's next row.",
        "column ops.known_kickoffs.known_from",
    ),
    (
        "Its effective kickoff; null when nobody listed it any more, or it had been before this was known.",
        "Effective kickoff of the fixture; null when no platform lists it any more, or when its kickoff moved into the past.",
        "column ops.known_kickoffs.kickoff_at",
    ),
    (
        "One row per Dagster run that this pipeline's code executes: whether its process is alive. Kept for some days.",
        "One row per Dagster run that executes this pipeline's code, with the heartbeat of its process. Kept for some days.",
        "table ops.run_heartbeats",
    ),
    (
        "Dagster run.",
        "Id of the Dagster run.",
        "column ops.run_heartbeats.run_id",
    ),
    (
        "Its job.",
        "Name of its job.",
        "column ops.run_heartbeats.job",
    ),
    (
        "Begin of the execution.",
        "Start of the execution.",
        "column ops.run_heartbeats.started_at",
    ),
    (
        "Last sign of life of the process.",
        "Last heartbeat of the process.",
        "column ops.run_heartbeats.heartbeat_at",
    ),
    (
        "Machine, its boot and its process namespace: within them the pid names one process; null when not known.",
        "The machine, its boot and its process namespace, within which the pid is unique; null when not known.",
        "column ops.run_heartbeats.machine",
    ),
    (
        "One row per trouble from when it was first seen until it was over: what alerts were sent of.",
        "One row per problem for which alerts are sent, from its first occurrence to its end.",
        "table ops.alerts",
    ),
    (
        "What the trouble is, without its occurrences: <kind>/<subject>/<error class>.",
        "Identity of the problem, without its occurrences: <kind>/<subject>/<error class>.",
        "column ops.alerts.alert_key",
    ),
    (
        "When it was first seen.",
        "Time of the first occurrence.",
        "column ops.alerts.opened_at",
    ),
    (
        "How bad it was at its worst.",
        "Highest severity so far.",
        "column ops.alerts.severity",
    ),
    (
        "What has it: a job, the asset of a product, or a check with its asset.",
        "Subject of the problem: a job, the asset of a product, or a check with its asset.",
        "column ops.alerts.subject",
    ),
    (
        "What is wrong and what to do, in words: of the last occurrence.",
        "Problem and remedy in words, from the last occurrence.",
        "column ops.alerts.message",
    ),
    (
        "Days or cycles that have the trouble, separated by commas; for a job that runs day after day only the latest; null without any.",
        "Days or cycles with the problem, separated by commas; only the latest for a job that runs day after day; null without any.",
        "column ops.alerts.partition_key",
    ),
    (
        "Occurrences.",
        "Number of occurrences.",
        "column ops.alerts.n_seen",
    ),
    (
        "Last occurrence.",
        "Time of the last occurrence.",
        "column ops.alerts.last_seen_at",
    ),
    (
        "Channels that have told its begin.",
        "Channels that have announced its start.",
        "column ops.alerts.told_by",
    ),
    (
        "When the last of all channels had told its begin; null until then.",
        "When all channels had announced its start; null until then.",
        "column ops.alerts.told_at",
    ),
    (
        "When it was over; null while it lasts.",
        "When the problem ended; null while it lasts.",
        "column ops.alerts.closed_at",
    ),
    (
        "Channels that have told its end.",
        "Channels that have announced its end.",
        "column ops.alerts.closing_told_by",
    ),
    (
        "When the last of all channels had told its end; null until then.",
        "When all channels had announced its end; null until then.",
        "column ops.alerts.closing_told_at",
    ),
    (
        "Severity of the violations; without violations it means nothing.",
        "Severity of the violations. It has no meaning without violations.",
        "column ops.cycle_checks.severity",
    ),
    (
        "Episodes of mart.odds_alert that somebody has seen. No derivation changes it.",
        "Episodes of mart.odds_alert that somebody has acknowledged. No derivation changes it.",
        "table ops.acknowledged_odds_alerts",
    ),
    (
        "Episode.",
        "Id of the episode.",
        "column ops.acknowledged_odds_alerts.alert_id",
    ),
    (
        "When.",
        "When the episode was acknowledged.",
        "column ops.acknowledged_odds_alerts.acknowledged_at",
    ),
    (
        "Who, as he named himself.",
        "Name of the person who acknowledged it, as that person gave it.",
        "column ops.acknowledged_odds_alerts.acknowledged_by",
    ),
    (
        "Versions of the players that a listing's markets name, by content: a change of squad is a new version.",
        "Versions of the list of players that a listing's markets name, by content. A change of squad is a new version.",
        "table core.player_lists",
    ),
    (
        "Name as the platform writes it; several spellings have a row each.",
        "Name as the platform writes it. Several spellings have one row each.",
        "column core.player_lists.name",
    ),
    (
        "Team as the platform writes it; '' when it does not.",
        "Team as the platform writes it; '' when it gives none.",
        "column core.player_lists.team",
    ),
    (
        "One row per cycle and listing whose answers name players, with the list they made.",
        "One row per cycle and listing whose answers name players, with its player list.",
        "table core.player_list_observations",
    ),
    (
        "The list.",
        "Hash of the player list.",
        "column core.player_list_observations.list_hash",
    ),
    (
        "One row per fixture, platform and player: who he is proposed to be, derived anew from the fixture's listings each time.",
        "One row per fixture, platform and player, with the proposed SportRadar player. Computed from the fixture's listings each time.",
        "table core.player_links",
    ),
    (
        "One name of his, as the platform writes it.",
        "One spelling of the player's name on the platform.",
        "column core.player_links.player_name",
    ),
    (
        "sportradar_id: the platform's own id; same_name: equal names; name_contained: a weaker proposal, all words of one name are in the other; null when none is proposed.",
        "sportradar_id: the platform's own id; same_name: equal names; name_contained: a weaker proposal, because one name contains all words of the other; null when none is proposed.",
        "column core.player_links.evidence",
    ),
    (
        "proposed; ambiguous: several fit, none is chosen; none: nobody fits.",
        "proposed; ambiguous: several players fit, none is chosen; none: no player fits.",
        "column core.player_links.status",
    ),
)
# fmt: on
"""The earlier comment, the new one, and the objects that have them."""


def upgrade() -> None:
    for _, text, *objects in COMMENTS:
        _write_comment(text, objects)


def downgrade() -> None:
    for text, _, *objects in COMMENTS:
        _write_comment(text, objects)


def _write_comment(text: str, objects: list[str]) -> None:
    quoted = text.replace("'", "''")
    for name in objects:
        op.get_bind().exec_driver_sql(f"comment on {name} is '{quoted}'")  # a colon in a text is no parameter
