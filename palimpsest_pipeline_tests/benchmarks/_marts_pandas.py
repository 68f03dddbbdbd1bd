"""The derived tables in pandas, by the rules that the SQL beside it has: columns at once, no loop over rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from ._marts_files import (
    HOME_FIRST,
    INPUTS,
    MAIN_MARKETS,
    MAX_SKEW_S,
    SILENCE_LIMIT,
    WORDS,
    partition_file,
    word_file,
)

MARKET: Final = ["sr_id", "market_key", "specifier"]
BOOK: Final = [*MARKET, "platform"]
HOME, *COMPETITORS = HOME_FIRST
STATES: Final = ["offered", "suspended", "no_price", "withdrawn"]
NOT_LISTED: Final = 3


def read_partition(folder: Path, table: str, partition: int) -> list[pd.DataFrame]:
    """The INPUTS of the table."""
    return [pd.read_parquet(partition_file(folder, name, partition)) for name in INPUTS[table]]


def read_words(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    outcomes, sets = (pd.read_parquet(word_file(folder, name)) for name in WORDS)
    return outcomes, sets


def _as_of(listings: pd.DataFrame) -> pd.DataFrame:
    seen = listings[["answered_at", "dropped_at"]].max(axis=1)
    return listings.assign(as_of=seen.groupby(listings["sr_id"]).transform("max"))


def _prices(markets: pd.DataFrame) -> pd.DataFrame:
    """One row an outcome: price (above evens, else missing), off, bit."""
    listed = markets[(markets["outcome"] == "") & (markets["state"] != "withdrawn")]
    counts = listed["odds_milli"].str.len().to_numpy()
    rows = listed.loc[np.repeat(listed.index, counts), [*BOOK, "off_mask"]].reset_index(drop=True)
    milli = (
        np.concatenate([np.asarray(odds, dtype=float) for odds in listed["odds_milli"]]) if len(listed) else np.empty(0)
    )
    ordinal = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows["ordinal"], rows["bit"] = ordinal + 1, np.int64(1) << ordinal
    rows["price"] = np.where(milli > 1000, milli, np.nan)
    rows["off"] = (rows["off_mask"].to_numpy() >> ordinal) & 1 == 1
    return rows.drop(columns="off_mask")


def _books(prices: pd.DataFrame) -> pd.DataFrame:
    """One row a market and platform. A bit is there once, so a sum of bits is their mask."""
    told = prices.assign(
        inverse=1000 / prices["price"],
        backable=prices["price"].notna() & ~prices["off"],
        listed_bit=np.where(prices["off"] | prices["price"].notna(), prices["bit"], 0),
    )
    told["offered"] = told["inverse"].where(told["backable"])
    grouped = told.groupby(BOOK, sort=False)
    return grouped.agg(
        n_outcomes=("backable", "sum"),
        n_priced=("price", "count"),
        any_off=("off", "any"),
        outcome_mask=("listed_bit", "sum"),
        sum_inverse=("offered", "sum"),
        sum_priced=("inverse", "sum"),
        shortest=("price", "min"),
    ).reset_index()


def _judged(books: pd.DataFrame, sets: pd.DataFrame) -> pd.DataFrame:
    """Books with winners_k, n_expected, margin_status, margin."""
    largest = sets.groupby("market_key", as_index=False)[["winners_k", "n_expected"]].max()
    found = books.merge(largest, on="market_key").merge(
        sets[["market_key", "outcome_mask", "n_expected"]].rename(columns={"n_expected": "n_in_set"}),
        on=["market_key", "outcome_mask"],
        how="left",
    )
    sum_inverse = found["sum_inverse"].where(found["n_outcomes"] > 0)
    margin = sum_inverse / found["winners_k"] - 1
    status = np.select(
        [
            found["winners_k"].isna(),
            found["any_off"],
            found["n_priced"] == 0,
            found["n_in_set"].isna(),
            ~margin.between(-0.25, 1),
            margin < -1e-12,
        ],
        ["unknown_k", "suspended_outcome", "no_price", "incomplete_outcomes", "out_of_range", "negative"],
        "ok",
    )
    return found.assign(
        sum_inverse=sum_inverse,
        n_expected=found["n_in_set"].fillna(found["n_expected"]),
        margin_status=status,
        margin=margin.where(np.isin(status, ["ok", "negative"])),
    )


def standing_margins(
    markets: pd.DataFrame, _listings: pd.DataFrame, _outcomes: pd.DataFrame, sets: pd.DataFrame
) -> pd.DataFrame:
    prices = _prices(markets)
    rows = _judged(_books(prices), sets)
    backable = prices[prices["price"].notna() & ~prices["off"]].astype({"ordinal": "int16", "price": "int32"})
    lists = backable.groupby(BOOK, sort=False).agg(ordinals=("ordinal", list), odds_milli=("price", list)).reset_index()
    rows = rows.merge(lists, on=BOOK, how="left").assign(
        payout=1 / (1 + rows["margin"]),
        margin_reference_pct=((rows["sum_priced"] - 1) * 100).where(rows["n_priced"] > 0),
    )
    columns = [
        "n_outcomes",
        "n_expected",
        "winners_k",
        "sum_inverse",
        "margin",
        "payout",
        "margin_status",
        "margin_reference_pct",
    ]
    return rows[["sr_id", "platform", "market_key", "specifier", *columns, "ordinals", "odds_milli"]]


def price_comparison(
    markets: pd.DataFrame, listings: pd.DataFrame, outcomes: pd.DataFrame, sets: pd.DataFrame
) -> pd.DataFrame:
    listings = _as_of(listings)
    live = listings[listings["dropped_at"].isna() & listings["answered_at"].notna()]
    prices = _prices(markets.merge(live[["sr_id", "platform"]], on=["sr_id", "platform"]))
    judged = _judged(_books(prices), sets)
    share = judged["winners_k"] / judged["sum_inverse"]
    judged["share"] = share.where(judged["margin"].notna() & (1000 / judged["shortest"] * share < 1))
    lines = judged.assign(lists=True).pivot(index=MARKET, columns="platform", values=["lists", "margin", "share"])
    lines.columns = [f"{name}_{platform}" for name, platform in lines.columns]
    lists = {p: lines[f"lists_{p}"].notna() for p in HOME_FIRST}
    kept = lines[lists[HOME] & (lists[COMPETITORS[0]] | lists[COMPETITORS[1]])].reset_index()
    wide = prices.pivot(index=[*MARKET, "ordinal", "bit"], columns="platform", values=["price", "off"])
    wide.columns = [f"{name}_{platform}" for name, platform in wide.columns]
    at = live.pivot(index="sr_id", columns="platform", values="answered_at").add_prefix("at_").reset_index()
    as_of = listings.groupby("sr_id", as_index=False)["as_of"].first()
    rows = wide.reset_index().merge(kept, on=MARKET).merge(at, on="sr_id").merge(as_of, on="sr_id")
    price = {p: rows[f"price_{p}"].astype(float) for p in HOME_FIRST}
    off = {p: rows[f"off_{p}"].eq(True) for p in HOME_FIRST}  # missing is not off
    can = {p: price[p].notna() & ~off[p] for p in HOME_FIRST}
    skew_s = {p: (rows[f"at_{HOME}"] - rows[f"at_{p}"]).abs().dt.total_seconds() for p in COMPETITORS}
    comparable = {p: can[HOME] & can[p] & (skew_s[p] <= MAX_SKEW_S) for p in COMPETITORS}
    counted = {HOME: price[HOME].where(can[HOME]), **{p: price[p].where(comparable[p]) for p in COMPETITORS}}
    first, second = COMPETITORS
    far = (rows[f"at_{first}"] - rows[f"at_{second}"]).abs().dt.total_seconds() > MAX_SKEW_S
    on_line = pd.DataFrame(comparable).groupby([rows[name] for name in MARKET], sort=False).transform("any")
    far &= on_line[first] & on_line[second]
    first_stays = skew_s[first] <= skew_s[second]
    offers = {
        HOME: counted[HOME],
        first: counted[first].where(~far | first_stays),
        second: counted[second].where(~far | ~first_stays),
    }
    best = pd.concat(offers, axis=1).max(axis=1)
    n_more, n_same = (
        sum(compare(p) for p in COMPETITORS)
        for compare in (lambda p: counted[p] > price[HOME], lambda p: counted[p] == price[HOME])
    )
    is_compared = comparable[COMPETITORS[0]] | comparable[COMPETITORS[1]]
    crossed = (
        rows.assign(inverse=1000 / best)[best.notna()]
        .groupby(MARKET, as_index=False)
        .agg(sum_inverse=("inverse", "sum"), outcome_mask=("bit", "sum"))
    )
    crossed = crossed.merge(
        sets[sets["winners_k"].notna()][["market_key", "outcome_mask", "winners_k"]], on=["market_key", "outcome_mask"]
    )
    crossed["arb"] = (crossed["sum_inverse"] / crossed["winners_k"] - 1 < -1e-12).astype("boolean")
    crossed = crossed.rename(columns={"sum_inverse": "cross_book_sum_inverse"})[
        [*MARKET, "cross_book_sum_inverse", "arb"]
    ]
    rows = rows.merge(crossed, on=MARKET, how="left").merge(
        outcomes[["market_key", "ordinal", "outcome_key"]], on=["market_key", "ordinal"]
    )

    def state(platform: str) -> np.ndarray:
        return np.select([off[platform], price[platform].notna()], ["suspended", "offered"], "no_price")

    told = rows.assign(
        home_odds=price[HOME] / 1000,
        home_last_confirmed_at=rows[f"at_{HOME}"],
        home_state=state(HOME),
        fair_home_prob=1000 / price[HOME] * rows[f"share_{HOME}"].astype(float),
        best_platform=np.select([offers[p] == best for p in HOME_FIRST], HOME_FIRST, None),
        best_odds=best / 1000,
        home_is_best=((n_more == 0) & (n_same == 0)).astype("boolean").where(is_compared),
        home_tied_best=((n_more == 0) & (n_same > 0)).astype("boolean").where(is_compared),
        rank_home=(1 + n_more).astype("Int16").where(is_compared),
        home_margin=rows[f"margin_{HOME}"].astype(float),
    )
    sides = []
    for p in COMPETITORS:
        diff = (price[HOME] - price[p]) / 1000
        platform_margin = rows[f"margin_{p}"].astype(float)
        side = told.assign(
            platform=p,
            platform_odds=price[p] / 1000,
            platform_last_confirmed_at=rows[f"at_{p}"],
            skew_s=skew_s[p],
            platform_state=state(p),
            comparable=comparable[p],
            diff_abs=diff.where(comparable[p]),
            diff_rel=(price[HOME] / price[p] - 1).where(comparable[p]),
            fair_platform_prob=1000 / price[p] * rows[f"share_{p}"].astype(float),
            platform_margin=platform_margin,
            margin_diff=told["home_margin"] - platform_margin,
        )
        has = price[HOME].notna() | off[HOME] | price[p].notna() | off[p]
        sides.append(side.loc[rows[f"lists_{p}"].notna() & has, COMPARISON])
    return pd.concat(sides, ignore_index=True)


COMPARISON: Final = [
    *(
        "sr_id",
        "market_key",
        "specifier",
        "outcome_key",
        "platform",
        "as_of",
        "home_odds",
        "platform_odds",
        "home_last_confirmed_at",
    ),
    *(
        "platform_last_confirmed_at",
        "skew_s",
        "home_state",
        "platform_state",
        "comparable",
        "diff_abs",
        "diff_rel",
        "fair_home_prob",
    ),
    *(
        "fair_platform_prob",
        "best_platform",
        "best_odds",
        "home_is_best",
        "home_tied_best",
        "rank_home",
        "home_margin",
        "platform_margin",
    ),
    *("margin_diff", "cross_book_sum_inverse", "arb"),
]


def availability_gap(
    markets: pd.DataFrame, listings: pd.DataFrame, _outcomes: pd.DataFrame, _sets: pd.DataFrame
) -> pd.DataFrame:
    listings = _as_of(listings)
    age_s = (listings["as_of"] - listings["answered_at"]).dt.total_seconds()
    listings["known"] = listings["dropped_at"].notna() | (age_s <= MAX_SKEW_S)
    ranked = markets[[*BOOK, "state_since"]].assign(rank=markets["state"].map(dict(zip(STATES, range(4), strict=True))))
    best = ranked.sort_values(["rank", "state_since"], kind="stable").drop_duplicates(BOOK)
    stands = best.pivot(index=MARKET, columns="platform", values=["rank", "state_since"])
    stands.columns = [f"{name}_{platform}" for name, platform in stands.columns]
    stands = stands.reset_index()
    home = listings[listings["platform"] == HOME][["sr_id", "as_of", "kickoff_at", "known", "dropped_at"]]
    sides = []
    for p in COMPETITORS:
        theirs = listings[listings["platform"] == p][["sr_id", "known", "dropped_at"]]
        rows = stands.merge(home.merge(theirs, on="sr_id", suffixes=("_home", "_platform")), on="sr_id").assign(
            platform=p
        )
        known = rows["known_home"] & rows["known_platform"]
        ends = {"home": HOME, "platform": p}
        rank = {side: pd.to_numeric(rows[f"rank_{q}"]) for side, q in ends.items()}
        seen = {side: rank[side].notna() for side in ends}
        dropped = {side: rows[f"dropped_at_{side}"].notna() for side in ends}
        stand = {side: rank[side].fillna(NOT_LISTED).where(~dropped[side], NOT_LISTED) for side in ends}
        since = {side: pd.to_datetime(rows[f"state_since_{q}"], utc=True) for side, q in ends.items()}
        since = {side: rows[f"dropped_at_{side}"].fillna(since[side]).where(seen[side]) for side in ends}
        later = pd.concat(since, axis=1).max(axis=1).where(known)
        words = {
            side: rank[side]
            .map(dict(enumerate(STATES)))
            .astype(object)
            .where(~(dropped[side] & seen[side]), "event_dropped")
            for side in ends
        }
        rows = rows.assign(
            gap_type=np.select(
                [
                    ~known,
                    (stand["home"] != 0) & (stand["platform"] != 0),
                    stand["home"] == NOT_LISTED,
                    stand["platform"] == NOT_LISTED,
                    stand["home"] != 0,
                ],
                ["unknown", "both", "home_missing", "platform_missing", "home_suspended_only"],
                "platform_suspended_only",
            ),
            home_state=words["home"],
            platform_state=words["platform"],
            home_state_since=since["home"],
            platform_state_since=since["platform"],
            gap_open_since=later,
            gap_minutes=(rows["as_of"] - later).dt.total_seconds() / 60,
            never_offered_home=~seen["home"],
            never_offered_platform=~seen["platform"],
            minutes_to_kickoff=(rows["kickoff_at"] - rows["as_of"]).dt.total_seconds() / 60,
            market_priority=rows["market_key"].map({key: n + 1 for n, key in enumerate(MAIN_MARKETS)}).astype("Int16"),
        )
        both_offered = (stand["home"] == 0) & (stand["platform"] == 0)
        none_listed = (stand["home"] == NOT_LISTED) & (stand["platform"] == NOT_LISTED)
        sides.append(rows.loc[~both_offered & ~none_listed, GAPS])
    return pd.concat(sides, ignore_index=True)


GAPS: Final = [
    *(
        "sr_id",
        "market_key",
        "specifier",
        "platform",
        "as_of",
        "gap_type",
        "home_state",
        "platform_state",
        "home_state_since",
    ),
    *(
        "platform_state_since",
        "gap_open_since",
        "gap_minutes",
        "never_offered_home",
        "never_offered_platform",
        "minutes_to_kickoff",
    ),
    "market_priority",
]

LINE: Final = ["listing_id", "market_key", "specifier"]
SUBJECT: Final = [*MARKET, "ordinal"]
TURNS: Final = [*SUBJECT, "low", "high"]
PAIR: Final = [*MARKET, "is_suspension", "leader", "leader_at", "follower", "follower_at"]
MIN_RISE_UNITS: Final = 30_000_000
"""In 1e-9, to which probabilities are rounded."""
LEAD_WINDOW: Final = pd.Timedelta(minutes=60)
STEAM_WINDOW: Final = pd.Timedelta(minutes=45)
STEAM_PLATFORMS: Final = 3
LOOKBACK: Final = pd.Timedelta(days=3)


def price_lead(
    lives: pd.DataFrame,
    looks: pd.DataFrame,
    changes: pd.DataFrame,
    kickoffs: pd.DataFrame,
    outcomes: pd.DataFrame,
    sets: pd.DataFrame,
) -> pd.DataFrame:
    newest = kickoffs.sort_values("version").drop_duplicates("sr_id", keep="last")[["sr_id", "kickoff_at"]]
    anchored = lives[["listing_id", "sr_id", "platform"]].merge(newest, on="sr_id")
    longest = LEAD_WINDOW + SILENCE_LIMIT
    anchored["since"] = (anchored["kickoff_at"] - LOOKBACK - longest).dt.floor("D")
    spans = _spans(changes, _answers(looks, anchored))
    happened = pd.concat([_moves(spans, sets), _suspensions(spans)], ignore_index=True).merge(anchored, on="listing_id")
    events = happened[
        (happened["at"] >= happened["kickoff_at"] - LOOKBACK) & (happened["at"] - happened["after"] <= longest)
    ].reset_index(drop=True)
    events["event"], events["middle"] = np.arange(len(events)), events["after"] + (events["at"] - events["after"]) / 2
    pairs = _with_steam(_first_pairs(_pairs(events)), _steam_events(events))
    names = outcomes[["market_key", "ordinal", "outcome_key"]].drop_duplicates()
    rows = pairs.merge(names, on=["market_key", "ordinal"], how="left").merge(newest, on="sr_id")
    observed = rows["leader_is_observed"].astype(bool) & rows["follower_is_observed"].astype(bool)
    return rows.assign(
        lead_type=np.where(rows["is_suspension"], "suspension", "move"),
        outcome_key=rows["outcome_key"].fillna(""),
        lag_s=rows["lag"].dt.total_seconds(),
        lag_min_s=(rows["follower_after"] - rows["leader_at"]).dt.total_seconds(),
        lag_max_s=(rows["follower_at"] - rows["leader_after"]).dt.total_seconds(),
        lag_limited_by=np.where(observed, "polling", "not_observed"),
        steam_platforms=rows["steam_platforms"].astype("Int16"),
        kickoff_date=rows["kickoff_at"].dt.date,
    )[LEADS]


def _answers(looks: pd.DataFrame, anchored: pd.DataFrame) -> pd.DataFrame:
    """Answers before kickoff with their watch, the answer before, and the next day's first answer."""
    seen = looks[looks["look"] != "listed"].merge(anchored[["listing_id", "kickoff_at", "since"]], on="listing_id")
    seen = seen[(seen["at"] < seen["kickoff_at"]) & (seen["at"] >= seen["since"])]
    seen = seen.assign(is_answer=seen["look"] == "answered")
    answered = seen.groupby(["listing_id", "cycle_id"])["is_answer"].transform("any")
    seen = seen[seen["is_answer"] | ~answered].sort_values(["listing_id", "at"], kind="stable")
    continues = (
        (seen["listing_id"] == seen["listing_id"].shift())
        & seen["is_answer"].shift(fill_value=False)
        & (seen["at"] - seen["at"].shift() <= SILENCE_LIMIT)
    )
    answers = seen.assign(watch=(~continues).cumsum())[seen["is_answer"]][["listing_id", "at", "watch"]]
    before = answers.groupby("listing_id")[["at", "watch"]].shift()
    answers = answers.assign(last_at=before["at"], last_watch=before["watch"], day=answers["at"].dt.floor("D"))
    days = answers.groupby(["listing_id", "day"], as_index=False)["at"].min()
    days["next_keyframe_at"] = days.groupby("listing_id")["at"].shift(-1)
    return answers.merge(days.drop(columns="at"), on=["listing_id", "day"]).drop(columns="day")


def _spans(changes: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """Times in which a line showed the same, with the answer that ended each (`until`)."""
    main = changes[(changes["outcome"] == "") & changes["market_key"].isin(MAIN_MARKETS)]
    rows = main.rename(columns={"observed_at": "at"}).merge(
        answers[["listing_id", "at", "watch", "next_keyframe_at"]], on=["listing_id", "at"]
    )
    rows = rows.sort_values([*LINE, "at"], kind="stable")
    rows["off_mask"], rows["odds"] = rows["off_mask"].fillna(0).astype("int64"), rows["odds_milli"].map(tuple)
    rows["until"] = pd.concat([rows.groupby(LINE)["at"].shift(-1), rows["next_keyframe_at"]], axis=1).min(axis=1)
    rows = rows[rows["state"] != "withdrawn"]
    before = rows.groupby(LINE)[["until", "state", "off_mask", "odds"]].shift()
    same = (before["until"] == rows["at"]) & (before[["state", "off_mask"]] == rows[["state", "off_mask"]]).all(axis=1)
    rows["span"] = (~(same & _same_odds(before["odds"], rows["odds"]))).cumsum()
    ends = rows.drop_duplicates("span", keep="last").set_index("span")["until"]
    spans = rows.drop_duplicates("span")[[*LINE, "state", "off_mask", "odds", "at", "watch", "span"]]
    ended = answers.rename(columns={"at": "until", "watch": "until_watch"}).drop(columns="next_keyframe_at")
    return spans.assign(until=spans["span"].map(ends)).merge(ended, on=["listing_id", "until"], how="left")


def _same_odds(before: pd.Series, now: pd.Series) -> pd.Series:
    """A missing price is another NaN in every row, so texts are compared."""
    return before.map(str) == now.map(str)


def _moves(spans: pd.DataFrame, sets: pd.DataFrame) -> pd.DataFrame:
    offered = spans[spans["state"] == "offered"].sort_values([*LINE, "at"], kind="stable")
    counts = offered["odds"].str.len().to_numpy()
    prices = offered.loc[np.repeat(offered.index, counts), ["span", "market_key", "off_mask"]].reset_index(drop=True)
    milli = np.concatenate([np.asarray(odds, dtype=float) for odds in offered["odds"]])
    place = np.arange(len(prices)) - np.repeat(np.cumsum(counts) - counts, counts)
    prices["ordinal"], prices["price"] = place + 1, np.where(milli > 1000, milli, np.nan)
    off = (prices["off_mask"].to_numpy() >> place) & 1 == 1
    books = (
        prices.assign(
            off=off,
            bit=np.where(off | prices["price"].notna(), np.int64(1) << place, 0),
            inverse=1000 / prices["price"],
        )
        .groupby(["span", "market_key"], as_index=False, sort=False)
        .agg(any_off=("off", "any"), outcome_mask=("bit", "sum"), total=("inverse", "sum"), shortest=("price", "min"))
        .merge(sets.dropna(subset=["winners_k"]), on=["market_key", "outcome_mask"])
    )
    books["share"] = books["winners_k"].astype(float) / books["total"]
    is_fair = (
        ~books["any_off"] & (1 / books["share"] - 1).between(-0.25, 1) & (1000 / books["shortest"] * books["share"] < 1)
    )
    priced = offered.merge(books.loc[is_fair, ["span", "share"]], on="span")
    priced["book"] = np.arange(len(priced))
    rows = prices.loc[prices["price"].notna(), ["span", "ordinal", "price"]].merge(
        priced[[*LINE, "span", "share", "book", "at", "watch", "last_at", "last_watch"]], on="span"
    )
    rows["probability"] = np.floor(1000 / rows["price"] * rows["share"] * 1e9 + 0.5) / 1e9
    rows = rows.sort_values([*LINE, "ordinal", "book"], kind="stable")
    before = rows.groupby([*LINE, "ordinal"])[["book", "last_at", "last_watch", "probability"]].shift()
    units = np.floor((rows["probability"] - before["probability"]) * 1e9 + 0.5)
    moved = (rows["book"] == before["book"] + 1) & (units >= MIN_RISE_UNITS)
    return rows.assign(
        after=before["last_at"],
        is_observed=rows["watch"] == before["last_watch"],
        probability_before=before["probability"],
        rise=units,
    )[moved][EVENT]


def _suspensions(spans: pd.DataFrame) -> pd.DataFrame:
    rows = spans.sort_values([*LINE, "at"], kind="stable")
    following = rows.groupby(LINE)[["at", "state"]].shift(-1)
    stays_offered = (following["at"] == rows["until"]) & (following["state"] == "offered")
    ended = rows[(rows["state"] == "offered") & rows["until"].notna() & ~stays_offered]
    return ended.assign(
        ordinal=0,
        after=ended["last_at"],
        at=ended["until"],
        is_observed=ended["until_watch"] == ended["last_watch"],
        probability_before=np.nan,
        probability=np.nan,
        rise=np.nan,
    )[EVENT]


def _pairs(events: pd.DataFrame) -> pd.DataFrame:
    """Events that were each other's nearest when the later answer came, one row per outcome."""
    platforms = events[[*SUBJECT, "platform"]].drop_duplicates().rename(columns={"platform": "other"})
    sides = events[[*SUBJECT, "event", "platform", "at", "middle"]].merge(platforms, on=SUBJECT)
    sides = sides[sides["platform"] != sides["other"]]
    is_low = sides["platform"] < sides["other"]
    sides = sides.assign(
        is_low=is_low,
        low=sides["platform"].where(is_low, sides["other"]),
        high=sides["other"].where(is_low, sides["platform"]),
    ).sort_values([*TURNS, "at", "platform"], kind="stable")
    middles = sides[TURNS].assign(
        of_low=sides["middle"].where(sides["is_low"]), of_high=sides["middle"].where(~sides["is_low"])
    )
    latest = middles.groupby(TURNS)[["of_low", "of_high"]].ffill()
    sides["earlier_lag"] = (sides["middle"] - latest["of_high"].where(sides["is_low"], latest["of_low"])).abs()
    before = sides.groupby(TURNS)[["event", "platform", "middle", "earlier_lag"]].shift()
    lag = sides["middle"] - before["middle"]
    is_pair = (
        before["platform"].notna()
        & (before["platform"] != sides["platform"])
        & (lag.abs() <= LEAD_WINDOW)
        & (before["earlier_lag"].isna() | (lag.abs() < before["earlier_lag"]))
    )
    leads = (lag < pd.Timedelta(0)) | ((lag == pd.Timedelta(0)) & (sides["platform"] < sides["other"]))
    numbers = pd.DataFrame(
        {
            "leader_event": sides["event"].where(leads, before["event"]),
            "follower_event": before["event"].where(leads, sides["event"]),
            "lag": lag.abs(),
        }
    )[is_pair].astype({"leader_event": "int64", "follower_event": "int64"})
    own = ["event", "platform", "at", "after", "is_observed", "probability_before", "probability", "rise"]
    sides_of = {end: events[own].add_prefix(f"{end}_") for end in ("leader", "follower")}
    pairs = numbers.merge(sides_of["leader"].assign(**events[SUBJECT]), on="leader_event").merge(
        sides_of["follower"], on="follower_event"
    )
    return pairs.rename(columns={"leader_platform": "leader", "follower_platform": "follower"}).assign(
        is_suspension=pairs["ordinal"] == 0, rise=pairs[["leader_rise", "follower_rise"]].min(axis=1)
    )


def _first_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs that were complete first, of the leader's event and of the follower's."""
    answers = pairs[[*PAIR, "lag"]].drop_duplicates()
    answers = answers.assign(
        complete_at=answers[["leader_at", "follower_at"]].max(axis=1),
        first_at=answers[["leader_at", "follower_at"]].min(axis=1),
    ).sort_values(["complete_at", "lag", "first_at", "leader"], kind="stable")
    both = [*MARKET, "is_suspension", "leader", "follower"]
    is_later = answers.duplicated([*both, "leader_at"]) | answers.duplicated([*both, "follower_at"])
    return pairs.merge(answers.loc[~is_later, PAIR], on=PAIR)


def _steam_events(events: pd.DataFrame) -> pd.Series:
    """The number of the steam, by event."""
    runs = _runs(events[(events["ordinal"] > 0) & (events["at"] - events["after"] <= STEAM_WINDOW)])
    first = runs.sort_values(["at", "platform"], kind="stable").drop_duplicates(["run", "platform"])
    first = first[first.groupby("run").cumcount() < STEAM_PLATFORMS]
    reached = first.groupby("run").agg(reached_at=("at", "max"), total=("rise", "sum"), n=("at", "size"))
    enough = reached[reached["n"] == STEAM_PLATFORMS].drop(columns="n").reset_index()
    best = (
        runs.merge(enough, on="run")
        .sort_values(["reached_at", "total", "ordinal"], ascending=[True, False, True], kind="stable")
        .drop_duplicates([*MARKET, "platform", "at"])
    )
    return _runs(best).set_index("event")["run"]


def _runs(moves: pd.DataFrame) -> pd.DataFrame:
    """Numbers sets of moves of an outcome that certainly are near each other."""
    moves = moves.sort_values([*SUBJECT, "after", "at", "platform"], kind="stable")
    backwards = moves[::-1].groupby(SUBJECT)["at"].cummin()[::-1]
    before = moves.groupby(SUBJECT)["after"].shift()
    return moves.assign(run=(~(backwards - before <= STEAM_WINDOW)).cumsum())


def _with_steam(pairs: pd.DataFrame, steams: pd.Series) -> pd.DataFrame:
    """One row per pair: about a steam's outcome, otherwise the one that rose most on both platforms."""
    leader, follower = (pairs[f"{end}_event"].map(steams) for end in ("leader", "follower"))
    pairs = pairs.assign(run=leader.where(leader == follower))
    ends = [
        pairs[["run", end, f"{end}_at"]].set_axis(["run", "platform", "at"], axis=1) for end in ("leader", "follower")
    ]
    figures = pd.concat(ends).groupby("run").agg(steam_at=("at", "min"), steam_platforms=("platform", "nunique"))
    figures = figures[figures["steam_platforms"] >= STEAM_PLATFORMS]
    return (
        pairs.merge(figures, left_on="run", right_index=True, how="left")
        .sort_values(["steam_platforms", "rise", "ordinal"], ascending=[False, False, True], kind="stable")
        .drop_duplicates(PAIR)
    )


EVENT: Final = [*LINE, "ordinal", "after", "at", "is_observed", "probability_before", "probability", "rise"]
LEADS: Final = [
    *("sr_id", "lead_type", "market_key", "specifier", "leader", "follower"),
    *("leader_at", "leader_after", "follower_at", "follower_after", "outcome_key"),
    *("leader_probability_before", "leader_probability", "follower_probability_before", "follower_probability"),
    *("lag_s", "lag_min_s", "lag_max_s", "lag_limited_by", "steam_at", "steam_platforms", "kickoff_date"),
]

TABLES: Final[dict[str, Callable[..., pd.DataFrame]]] = {
    "price_comparison": price_comparison,
    "standing_margins": standing_margins,
    "availability_gap": availability_gap,
    "price_lead": price_lead,
}
