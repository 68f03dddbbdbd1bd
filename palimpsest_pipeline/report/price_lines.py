"""Price movements for the page: the instants of changes, and the new values. Takes and returns frames.

A value is a price x 1000. It is positive while the price can be backed. It is negative when this was the last price and
it cannot be backed now. It is `MISSING_PRICE` where the platform was not observed or there was no price yet. An offer
is one line of a market of a fixture on one platform; its outcomes share the instants of changes. A stretch is a span
without a price change.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import polars as pl

from palimpsest_pipeline.domain.enums import AvailabilityState
from palimpsest_pipeline.domain.schemas import INSTANT

from .page_data import number_keys, pack_json, to_epoch_s, to_epoch_s_column

MISSING_PRICE: Final = 0
MAX_PRICE_BYTES: Final = 5_000_000
"""Maximum size of all price histories in the page together."""
MAX_LINES: Final = 3
"""Maximum number of lines (specifiers) of a market that the page shows per fixture."""
UNSEEN_STATES: Final = (AvailabilityState.NOT_OBSERVED.value, AvailabilityState.CLOSED_AT_KICKOFF.value)
OFFER_KEY: Final = ("sr_id", "specifier", "platform")


def filter_priced_since(stretches: pl.DataFrame, since: datetime) -> pl.DataFrame:
    """Return the stretches that end after `since` or have no end."""
    return stretches.filter(pl.col("ends_at").is_null() | (pl.col("ends_at") > since))


def rank_main_lines(stretches: pl.DataFrame, max_lines: int = MAX_LINES) -> pl.DataFrame:
    """Return for each fixture the `max_lines` lines that most platforms price.

    The columns are sr_id, specifier and rank (from 1). Of lines that equally many platforms price, the one with the
    most even prices comes first.
    """
    typical = pl.col("odds_milli").median().over("sr_id", "specifier", "outcome_key")
    return (
        stretches.with_columns(typical=typical)
        .group_by("sr_id", "specifier")
        .agg(n=pl.col("platform").n_unique(), spread=pl.col("typical").max() / pl.col("typical").min())
        .sort("sr_id", pl.col("n") * -1, "spread", "specifier")
        .with_columns(rank=pl.int_range(1, pl.len() + 1).over("sr_id"))
        .filter(pl.col("rank") <= max_lines)
        .select("sr_id", "specifier", "rank")
    )


def append_current(
    stretches: pl.DataFrame, states: pl.DataFrame, current: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return `stretches` and `states`, extended by `current` where it was observed after them.

    All frames are of one market, as `storage.marts.page_prices` reads them. The history of an offer ends at one look,
    and the current state may come from a later one. If the history ends as not observed, the current state begins at
    the last look.
    """
    looked_until = pl.max_horizontal(pl.coalesce("ends_at", "last_confirmed_at"), "begins_at")
    is_unseen = (pl.col("ends_at").is_null() & (pl.col("state") == AvailabilityState.NOT_OBSERVED.value)).any()
    known_offers = states.group_by(OFFER_KEY).agg(known_until=looked_until.max(), unseen=is_unseen)
    later = (
        current.join(known_offers, on=OFFER_KEY, how="left")
        .filter(pl.col("known_until").is_null() | (pl.col("last_confirmed_at") > pl.col("known_until")))
        .with_columns(pl.when(pl.col("unseen")).then("last_confirmed_at").otherwise("known_until").alias("known_until"))
    )
    offer_rows = later.unique(OFFER_KEY).with_columns(begins_at=pl.max_horizontal("state_since", "known_until"))
    price_rows = later.with_columns(
        begins_at=pl.max_horizontal("changed_at", "known_until"), ends_at=pl.lit(None, INSTANT)
    )
    return (
        pl.concat(
            [
                _close_stretches(stretches, price_rows, (*OFFER_KEY, "outcome_key")),
                price_rows.drop_nulls("odds_milli").select(stretches.columns),
            ]
        ),
        pl.concat(
            [
                _close_stretches(states, offer_rows, OFFER_KEY),
                offer_rows.with_columns(ends_at=pl.lit(None, INSTANT)).select(states.columns),
            ]
        ),
    )


def _close_stretches(rows: pl.DataFrame, later: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Return `rows` with an end for each: where it has none, the begin of the row of `later` with its key."""
    ends = rows.join(later.select(*key, until="begins_at"), on=key, how="left")
    return (
        ends.with_columns(pl.coalesce("ends_at", "until").alias("ends_at"))
        .filter(pl.col("ends_at").is_null() | (pl.col("begins_at") < pl.col("ends_at")))
        .drop("until")
    )


def compute_turning_points(
    stretches: pl.DataFrame, states: pl.DataFrame, outcomes: Sequence[str], since: datetime
) -> pl.DataFrame:
    """Return the values of `outcomes` at each instant at which one of them changes.

    The columns are sr_id, specifier, platform, at and values; the rows are sorted by the first four. The last row of an
    offer is its end. The frames are of one market, as `storage.marts.page_prices` reads them. Stretches that begin
    before `since` begin at `since`; an offer without a price after `since` is left out.
    """
    begin = pl.lit(since, INSTANT)
    begins, ends = pl.max_horizontal("begins_at", begin), pl.coalesce("ends_at", "last_confirmed_at")
    offers = filter_priced_since(stretches, since).select(OFFER_KEY).unique()
    instants = pl.concat(
        [
            stretches.select(*OFFER_KEY, at=begins),
            stretches.drop_nulls("ends_at").select(*OFFER_KEY, at="ends_at"),
            states.select(*OFFER_KEY, at=begins),
            states.select(*OFFER_KEY, at=ends).drop_nulls("at"),
        ]
    )
    grid = instants.filter(pl.col("at") >= begin).unique().join(offers, on=OFFER_KEY, how="semi").sort("at")
    state = states.select(*OFFER_KEY, "begins_at", "state").sort("begins_at")
    turns = grid.join_asof(state, left_on="at", right_on="begins_at", by=OFFER_KEY, check_sortedness=False).drop(
        "begins_at"
    )
    price = stretches.select(*OFFER_KEY, "outcome_key", "begins_at", "ends_at", "odds_milli").sort("begins_at")
    is_seen = pl.col("state").is_null() | ~pl.col("state").is_in(UNSEEN_STATES)
    for outcome in outcomes:
        outcome_prices = price.filter(outcome_key=outcome).drop("outcome_key")
        holds = pl.col("ends_at").is_null() | (pl.col("at") < pl.col("ends_at"))
        value = pl.when(~is_seen).then(MISSING_PRICE).when(holds).then("odds_milli").otherwise(-pl.col("odds_milli"))
        turns = (
            turns.join_asof(outcome_prices, left_on="at", right_on="begins_at", by=OFFER_KEY, check_sortedness=False)
            .with_columns(value.fill_null(MISSING_PRICE).cast(pl.Int32).alias(f"value:{outcome}"))
            .drop("begins_at", "ends_at", "odds_milli", strict=False)
        )
    value_columns = [f"value:{outcome}" for outcome in outcomes]
    same_offer = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in OFFER_KEY)
    is_last = pl.any_horizontal(pl.col(name) != pl.col(name).shift(-1) for name in OFFER_KEY).fill_null(value=True)
    is_repeat = (
        same_offer & pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in value_columns)
    ).fill_null(value=False)
    return (
        turns.sort(*OFFER_KEY, "at")
        .filter(~is_repeat | is_last)
        .select(*OFFER_KEY, "at", pl.concat_list(value_columns).alias("values"))
    )


@dataclass
class PriceHistories:
    """Price lines of many fixtures, packed into compressed parts until the page's size limit is reached.

    The page unpacks a part (shard) when the user selects one of its fixtures. `index` maps market, then fixture, to the
    number of the part.
    """

    budget_bytes: int
    since: datetime
    platforms: Sequence[str]
    shards: list[str] = field(default_factory=list)
    index: dict[str, dict[int, int]] = field(default_factory=dict)
    left_out_counts: dict[str, int] = field(default_factory=dict)
    """Market to the number of its fixtures that did not fit into the size limit."""
    last_confirmed_at: datetime | None = None
    """The instant of the latest look at any of the lines."""

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.shards))

    @property
    def is_full(self) -> bool:
        return self.size_bytes >= self.budget_bytes

    def add(self, market: str, stretches: pl.DataFrame, states: pl.DataFrame, outcomes: Sequence[str]) -> None:
        """Add the lines of a market of some fixtures. Fixtures without a price in it get no line.

        Rows of platforms that are not on the page are ignored, such as those of a platform that is no longer active.
        """
        stretches, states = (rows.filter(pl.col("platform").is_in(self.platforms)) for rows in (stretches, states))
        lines = rank_main_lines(filter_priced_since(stretches, self.since))
        main_stretches = stretches.join(lines, on=["sr_id", "specifier"], how="semi")
        turns = compute_turning_points(
            main_stretches, states.join(lines, on=["sr_id", "specifier"], how="semi"), outcomes, self.since
        ).join(lines, on=["sr_id", "specifier"], how="left")
        if turns.is_empty():
            return
        offers = self._group_offers(turns)
        last_at: datetime = turns.select(pl.col("at").max()).item()
        self.last_confirmed_at = last_at if self.last_confirmed_at is None else max(self.last_confirmed_at, last_at)
        self.index.setdefault(market, {}).update(dict.fromkeys(offers, len(self.shards)))
        self.shards.append(pack_json(offers))

    def record_left_out(self, market: str, n_fixtures: int) -> None:
        """Count fixtures of a market that did not fit into the size limit."""
        self.left_out_counts[market] = self.left_out_counts.get(market, 0) + n_fixtures

    def _group_offers(self, turns: pl.DataFrame) -> dict[int, list[list[Any]]]:
        """Return each fixture's offers: [specifier, position of the platform, seconds, values].

        Each number of seconds counts from the previous instant, the first one from 1970. The values are one list per
        outcome. Lines of rank 1 come first.
        """
        position_by_platform = number_keys(self.platforms)
        rows = (
            turns.with_columns(
                at_s=to_epoch_s_column("at"),
                place=pl.col("platform").replace_strict(position_by_platform, return_dtype=pl.Int8),
            )
            .group_by("sr_id", "rank", "specifier", "place", maintain_order=True)
            .agg(pl.col("at_s").diff().fill_null(pl.col("at_s").first()), "values")
            .sort("sr_id", "rank", "place")
        )
        offers: dict[int, list[list[Any]]] = {}
        for sr_id, _, specifier, at_place, steps, values in rows.iter_rows():
            offers.setdefault(sr_id, []).append(
                [specifier, at_place, steps, [list(each) for each in zip(*values, strict=True)]]
            )
        return offers

    @property
    def since_s(self) -> int:
        return to_epoch_s(self.since)
