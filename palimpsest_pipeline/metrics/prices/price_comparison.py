"""Home's price of each outcome compared with each competitor's, and the best prices of all platforms.

Takes and returns frames. The columns of the frames are in `comparison_frames`.

Prices are compared for equal bets: the same market, specifier and outcome of the vocabulary. Outcomes that the
vocabulary does not name (players under each platform's own ids) are left out.

Two prices are comparable when both can be backed, the answers that show them are near each other in time, and the
listings are not suspected of offering different bets. The market's key determines how many of its outcomes win, so this
number is equal on both sides.

Best prices, their sum and an arbitrage combine the prices of several platforms. For these, the answers of all used
platforms must be near each other, not only near home's.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarketState
from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI, MASK_BITS
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from ..comparison_frames import add_as_of
from ..history_rows import refuse_unnamed
from ..lifecycle_frames import FrameSchema
from .fair_prices import compute_multiplicative_share
from .margins import MARGIN_TOLERANCE, compute_margin_figures, expand_outcomes

COMPARISON_SCHEMA: Final[FrameSchema] = {
    "sr_id": pl.Int64,
    "market_key": pl.String,
    "specifier": pl.String,
    "outcome_key": pl.String,
    "platform": pl.String,
    "as_of": INSTANT,
    "home_odds": pl.Float64,
    "platform_odds": pl.Float64,
    "home_last_confirmed_at": INSTANT,
    "platform_last_confirmed_at": INSTANT,
    "skew_s": pl.Float64,
    "home_state": pl.String,
    "platform_state": pl.String,
    "comparable": pl.Boolean,
    "diff_abs": pl.Float64,
    "diff_rel": pl.Float64,
    "fair_home_prob": pl.Float64,
    "fair_platform_prob": pl.Float64,
    "best_platform": pl.String,
    "best_odds": pl.Float64,
    "home_is_best": pl.Boolean,
    "home_tied_best": pl.Boolean,
    "rank_home": pl.Int16,
    "home_margin": pl.Float64,
    "platform_margin": pl.Float64,
    "margin_diff": pl.Float64,
    "cross_book_sum_inverse": pl.Float64,
    "arb": pl.Boolean,
}

COMPARED_LINES_SCHEMA: Final = {
    **get_frame_schema("mart.price_comparison", "line_id"),
    **dict.fromkeys(("market_key", "specifier", "outcome"), pl.String()),
}
"""One row per line and competitor.

Arrays and masks are ordered by the ordinal of the outcome, and null instead of empty. A line of one open outcome
(`outcome` is not '') has arrays of length one. `home_state` and `platform_state` are values of MarketState: the best
state of the outcomes. `home_share` and `platform_share` are the factors that turn the inverse of a price into its fair
probability. All other columns are as in `COMPARISON_SCHEMA`.
"""
COMPARED_LISTINGS_SCHEMA: Final = get_frame_schema(
    "mart.compared_listing", "home_platform", "mapping_version", "computed_at"
)
"""One row per fixture and platform.

`comparable` is true when the platform's prices can be compared with home's: both answers are near each other, and the
fixture is not suspected of having different bets on both sides. It is false for home itself. `skew_s` is the time
between both answers. It is null for home itself, and where one side has no answer or is dropped.
"""

_LINE_COLUMNS: Final = ("sr_id", "market_key", "specifier", "outcome")
_BIT_BY_ORDINAL: Final = pl.Series([0, *(1 << n for n in range(MASK_BITS)), 0], dtype=pl.Int64)
_OFFERED, _SUSPENDED, _NO_PRICE, _WITHDRAWN = (state.value for state in MarketState)


def build_price_comparison(
    markets: pl.DataFrame,
    listings: pl.DataFrame,
    outcomes: pl.DataFrame,
    sets: pl.DataFrame,
    *,
    platforms: Sequence[str],
    max_skew_s: float,
    suspects: Sequence[int] = (),
) -> pl.DataFrame:
    """Return one row per outcome and competitor, columns `COMPARISON_SCHEMA`, grouped by competitor.

    The rows are the outcomes of markets that both sides list, if at least one side has the outcome priced or suspended.

    `markets` and `listings` are as in `comparison_frames`; `outcomes` and `sets` are as in `find_open_close`.
    `platforms` are home, then the competitors, the most trusted first. If several platforms have the same best price,
    the first of them is named. Listings of other platforms are left out. A dropped listing counts as having no markets.
    Prices from answers more than `max_skew_s` apart are not comparable. `suspects` are fixtures whose listings may not
    offer the same bets: their prices are not comparable.

    Fixtures are independent of each other, so a caller may process them in groups.
    """
    home, *competitors = platforms
    compared = _compare_outcomes(markets, listings, outcomes, sets, platforms, max_skew_s, suspects)
    if compared is None:
        return pl.DataFrame(schema=COMPARISON_SCHEMA)
    return pl.concat([_build_competitor_rows(*compared, home, competitor) for competitor in competitors])


def compare_lines(
    markets: pl.DataFrame,
    listings: pl.DataFrame,
    outcomes: pl.DataFrame,
    sets: pl.DataFrame,
    *,
    platforms: Sequence[str],
    max_skew_s: float,
    suspects: Sequence[int] = (),
) -> pl.DataFrame:
    """Return the compared prices line by line, in the compact form in which they are stored.

    The result has the columns `COMPARED_LINES_SCHEMA`: one row per line and competitor for which
    `build_price_comparison` has a row. The arguments are those of `build_price_comparison`. Fixtures are independent of
    each other.
    """
    compared = _compare_outcomes(markets, listings, outcomes, sets, platforms, max_skew_s, suspects)
    if compared is None:
        return pl.DataFrame(schema=COMPARED_LINES_SCHEMA)
    return _build_lines(*compared, platforms)


def compare_listings(
    listings: pl.DataFrame, *, platforms: Sequence[str], max_skew_s: float, suspects: Sequence[int] = ()
) -> pl.DataFrame:
    """Return the last answers of `platforms` and whether they are comparable with home's.

    The result has the columns `COMPARED_LISTINGS_SCHEMA`. The arguments are those of `build_price_comparison`. Fixtures
    that were never observed are left out.
    """
    home = platforms[0]
    dated_listings = add_as_of(listings).filter(pl.col("platform").is_in(platforms))
    answers = _pivot_answers(_select_live(dated_listings), platforms)
    pairs = [
        answers.select(
            "sr_id",
            platform=pl.lit(platform),
            comparable=pl.lit(value=False) if platform == home else _are_near(home, platform, max_skew_s, suspects),
            home_answered_at=f"answered_{home}",
            skew_s=None if platform == home else _compute_skew_s(home, platform),
        )
        for platform in platforms
    ]
    rows = dated_listings.join(pl.concat(pairs, how="vertical_relaxed"), on=("sr_id", "platform"), how="left")
    rows = rows.with_columns(pl.col("comparable").fill_null(value=False))
    return rows.select(pl.col(name).cast(dtype) for name, dtype in COMPARED_LISTINGS_SCHEMA.items())


def _compare_outcomes(
    markets: pl.DataFrame,
    listings: pl.DataFrame,
    outcomes: pl.DataFrame,
    sets: pl.DataFrame,
    platforms: Sequence[str],
    max_skew_s: float,
    suspects: Sequence[int],
) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    """Return the outcomes of all lines (`_add_comparisons`), and the lines (`_add_line_figures`).

    Return None when there is no line.
    """
    live = _select_live(add_as_of(listings).filter(pl.col("platform").is_in(platforms)))
    rows = _select_market_rows(markets, live, outcomes)
    lines = _number_lines(rows, live, platforms)
    if lines.is_empty():
        return None
    compared = _add_outcome_keys(
        _add_comparisons(_expand_prices(lines, rows, platforms), lines, platforms, max_skew_s, suspects),
        lines,
        outcomes,
    )
    return compared, _add_line_figures(lines, rows, compared, sets, platforms)


def _select_live(listings: pl.DataFrame) -> pl.DataFrame:
    """Return the listings that are not dropped and have an answer."""
    return listings.filter(pl.col("dropped_at").is_null(), pl.col("answered_at").is_not_null())


def _pivot_answers(live: pl.DataFrame, platforms: Sequence[str]) -> pl.DataFrame:
    """Return one row per fixture: sr_id, as_of, and the last answer of each platform (`answered_`)."""
    answered = (
        pl.when(pl.col("platform") == platform).then("answered_at").min().alias(f"answered_{platform}")
        for platform in platforms
    )
    return live.group_by("sr_id").agg(pl.col("as_of").first(), *answered)


def _select_market_rows(markets: pl.DataFrame, live: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """Return the market rows of `live` listings whose outcomes the vocabulary names.

    The columns are `row` (a number), the columns of a line, platform, state, off_mask, odds_milli, `start` (the
    position of the row's first price among all prices) and `n` (the number of its prices; null when the market is
    withdrawn).
    """
    named_outcomes = outcomes.select("market_key", outcome="outcome_key").unique()
    live_markets = markets.join(live.select("sr_id", "platform"), on=("sr_id", "platform"), how="semi")
    whole_markets, single_outcomes = (
        live_markets.filter(pl.col("outcome") == ""),
        live_markets.filter(pl.col("outcome") != ""),
    )
    rows = pl.concat([whole_markets, single_outcomes.join(named_outcomes, on=("market_key", "outcome"), how="semi")])
    n = pl.col("odds_milli").list.len().cast(pl.Int64)
    unless_withdrawn = pl.when(pl.col("state") != _WITHDRAWN)
    places = {"n": unless_withdrawn.then(n), "start": n.cum_sum() - n}
    return rows.select(
        *_LINE_COLUMNS, "platform", "state", unless_withdrawn.then("off_mask").fill_null(0), "odds_milli", **places
    ).with_row_index("row")


def _number_lines(rows: pl.DataFrame, live: pl.DataFrame, platforms: Sequence[str]) -> pl.DataFrame:
    """Return the lines of markets that home and a competitor list, numbered by `line`.

    Further columns are as_of, and for each platform: `row_` (null: the platform never had the line), `gone_` (it had
    the line once), `listed_` (it lists the market) and `answered_` (its last answer). The platform's name follows each
    prefix.
    """
    when_by_platform = {platform: pl.when(pl.col("platform") == platform) for platform in platforms}
    is_listed = pl.col("state") != _WITHDRAWN
    lines = rows.group_by(_LINE_COLUMNS).agg(
        *(when.then("row").min().alias(f"row_{platform}") for platform, when in when_by_platform.items()),
        *(when.then(is_listed).any().alias(f"listed_{platform}") for platform, when in when_by_platform.items()),
        *(when.then(~is_listed).any().alias(f"gone_{platform}") for platform, when in when_by_platform.items()),
    )
    listed = [f"listed_{platform}" for platform in platforms]
    if (lines["outcome"] != "").any():  # A market with several lines is listed when any of them is.
        lines = lines.with_columns(pl.col(listed).any().over("sr_id", "market_key", "specifier"))
    is_compared = pl.col(listed[0]) & pl.any_horizontal(listed[1:])
    return (
        lines.filter(is_compared)
        .join(_pivot_answers(live, platforms), on="sr_id")
        .sort(_LINE_COLUMNS)
        .with_row_index("line")
    )


def _expand_prices(lines: pl.DataFrame, rows: pl.DataFrame, platforms: Sequence[str]) -> pl.DataFrame:
    """Return the outcomes of all lines, in the order of the lines.

    The columns are line, ordinal (the position in the line), and for each platform its price (`price_`, decimal odds x
    1000, above 1.00; null without a price) and whether the outcome is suspended (`off_`). The platform's name follows
    each prefix.
    """
    row_columns = [rows.select(_take_columns(lines, platform, "start", "n", "off_mask")) for platform in platforms]
    places = pl.concat([lines.select("line"), *row_columns], how="horizontal").with_columns(
        ordinal=pl.int_ranges(1, pl.max_horizontal(f"n_{platform}" for platform in platforms) + 1)
    )
    all_prices = pl.lit(rows["odds_milli"].explode(empty_as_null=False))
    columns = []
    for platform in platforms:
        place = pl.when(pl.col("ordinal") <= pl.col(f"n_{platform}")).then(
            pl.col(f"start_{platform}") + pl.col("ordinal") - 1
        )
        price = all_prices.gather(place)
        columns += [
            pl.when(price > EVENS_MILLI).then(price).alias(f"price_{platform}"),
            ((pl.col(f"off_mask_{platform}") & _ordinal_bit()) != 0).fill_null(value=False).alias(f"off_{platform}"),
        ]
    return places.explode("ordinal").select("line", pl.col("ordinal").cast(pl.Int16), *columns)


def _ordinal_bit() -> pl.Expr:
    """Return 2 ** (ordinal - 1), or 0 beyond the mask."""
    return pl.lit(_BIT_BY_ORDINAL).gather(pl.min_horizontal("ordinal", MASK_BITS + 1))


def _take_columns(lines: pl.DataFrame, platform: str, *columns: str) -> pl.Expr:
    """Return columns of the platform's row of each line as `<column>_<platform>`, or null."""
    return pl.col(columns).gather(pl.lit(lines[f"row_{platform}"])).name.suffix(f"_{platform}")


def _add_comparisons(
    prices: pl.DataFrame, lines: pl.DataFrame, platforms: Sequence[str], max_skew_s: float, suspects: Sequence[int]
) -> pl.DataFrame:
    """Return `prices` with the comparisons of each outcome.

    Added columns: `comparable_` with each competitor's name (comparable with home); best_platform and best (decimal
    odds x 1000) among the platforms whose answers are near each other; and home_is_best, home_tied_best and rank_home
    among the comparable platforms.
    """
    home, *competitors = platforms
    can_back = {
        platform: pl.col(f"price_{platform}").is_not_null() & ~pl.col(f"off_{platform}") for platform in platforms
    }
    near = lines.select(_are_near(home, c, max_skew_s, suspects).alias(c) for c in competitors)
    comparable = {
        f"comparable_{c}": can_back[home] & can_back[c] & pl.lit(near[c]).gather(pl.col("line")) for c in competitors
    }
    legs = _select_legs(prices.select("line", **comparable), lines, near, home, competitors, max_skew_s)
    # Answers near home's are almost always near each other. Then the prices for best price and arbitrage are the
    # comparable prices, and are not computed again.
    leg = "comparable" if legs is near else "leg"
    leg_columns = (
        {}
        if legs is near
        else {f"leg_{c}": can_back[home] & can_back[c] & pl.lit(legs[c]).gather(pl.col("line")) for c in competitors}
    )
    price = {
        home: pl.when(can_back[home]).then(f"price_{home}"),
        **{c: pl.when(f"comparable_{c}").then(f"price_{c}") for c in competitors},
    }
    offers = {home: price[home], **{c: pl.when(f"{leg}_{c}").then(f"price_{c}") for c in competitors}}
    best = pl.max_horizontal(offers.values())
    n_more, n_same = (
        pl.sum_horizontal(flag.fill_null(value=False) for flag in flags)
        for flags in ([price[c] > price[home] for c in competitors], [price[c] == price[home] for c in competitors])
    )
    is_compared = pl.when(pl.any_horizontal(f"comparable_{c}" for c in competitors))
    return prices.with_columns(**comparable, **leg_columns).with_columns(
        best=best,
        best_platform=pl.coalesce(pl.when(offers[p] == best).then(pl.lit(p)) for p in platforms),
        home_is_best=is_compared.then((n_more == 0) & (n_same == 0)),
        home_tied_best=is_compared.then((n_more == 0) & (n_same > 0)),
        rank_home=is_compared.then(1 + n_more),
    )


def _select_legs(
    comparable: pl.DataFrame,
    lines: pl.DataFrame,
    near: pl.DataFrame,
    home: str,
    competitors: Sequence[str],
    max_skew_s: float,
) -> pl.DataFrame:
    """Return `near` without competitors whose answers are too far from another competitor's on the line.

    Of two such competitors the one whose answer is nearer to home's is kept; if both are equally near, the more
    trusted. A competitor without a price on the line that is comparable with home's (`comparable`) removes no other.
    The result is `near` itself when no competitor is removed.
    """
    for one, other in combinations(competitors, 2):
        both_listed = pl.lit(near[one]) & pl.lit(near[other]) & pl.col(f"listed_{one}") & pl.col(f"listed_{other}")
        is_far = lines.select(
            (both_listed & (_compute_skew_s(one, other) > max_skew_s)).fill_null(value=False)
        ).to_series()
        if is_far.any():
            far_prices = comparable.filter(pl.lit(is_far).gather(pl.col("line")))
            has = [
                lines["line"].is_in(far_prices.filter(f"comparable_{c}")["line"].unique().implode())
                for c in (one, other)
            ]
            is_far = is_far & has[0] & has[1]
            one_stays = lines.select(_compute_skew_s(home, one) <= _compute_skew_s(home, other)).to_series()
            near = near.with_columns(
                (pl.col(one) & ~(is_far & ~one_stays)).alias(one), (pl.col(other) & ~(is_far & one_stays)).alias(other)
            )
    return near


def _are_near(home: str, competitor: str, max_skew_s: float, suspects: Sequence[int]) -> pl.Expr:
    """Return whether the answers of two platforms are near each other and the fixture is not suspect."""
    return ~pl.col("sr_id").is_in(list(suspects)) & _compute_skew_s(home, competitor).le(max_skew_s).fill_null(
        value=False
    )


def _compute_skew_s(one: str, other: str) -> pl.Expr:
    return (pl.col(f"answered_{one}") - pl.col(f"answered_{other}")).abs().dt.total_seconds(fractional=True)


def _add_line_figures(
    lines: pl.DataFrame, rows: pl.DataFrame, compared: pl.DataFrame, sets: pl.DataFrame, platforms: Sequence[str]
) -> pl.DataFrame:
    """Return `lines`, in their order, with the figures of the whole market.

    Added columns: cross_book_sum_inverse (the sum of the inverses of the best prices), arb (an arbitrage exists), and
    for each platform its margin (`margin_`) and the factor that turns the inverse of a price into its fair probability
    (`share_`).
    """
    usable_sets = sets.filter(pl.all_horizontal(pl.col("winners_k", "outcome_mask").is_not_null()))
    ids = usable_sets.select("market_key", "market_id").unique()
    used_rows = pl.concat([lines[f"row_{platform}"] for platform in platforms]).drop_nulls().unique()
    whole_markets = (
        rows.filter(pl.col("outcome") == "", pl.col("state") != _WITHDRAWN)
        .join(ids, on="market_key")
        .join(used_rows.to_frame("row"), on="row", how="semi")
    )
    group_keys = ("row", "market_id")
    margins = compute_margin_figures(expand_outcomes(whole_markets, group_keys), group_keys, sets)
    row_figures = rows.select("row").join(
        margins.select("row", "margin", share=compute_multiplicative_share()),
        on="row",
        how="left",
        maintain_order="left",
    )
    best = (
        compared.filter(pl.col("best").is_not_null())
        .group_by("line")
        .agg(sum_inverse=(EVENS_MILLI / pl.col("best")).sum(), outcome_mask=_ordinal_bit().sum())
        .cast({"outcome_mask": pl.Int64})
        .join(lines.select("line", "market_key").filter(lines["outcome"] == ""), on="line")
        .join(usable_sets, on=("market_key", "outcome_mask"))
        .select(
            "line",
            cross_book_sum_inverse="sum_inverse",
            arb=pl.col("sum_inverse") / pl.col("winners_k") - 1 < -MARGIN_TOLERANCE,
        )
    )
    return pl.concat(
        [
            lines.join(best, on="line", how="left", maintain_order="left"),
            *(row_figures.select(_take_columns(lines, p, "margin", "share")) for p in platforms),
        ],
        how="horizontal",
    )


def _add_outcome_keys(compared: pl.DataFrame, lines: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """Return `compared` with `outcome_key`.

    Raises ValueError on an outcome of a whole market without a name in `outcomes`.
    """
    codes = outcomes.select("market_key").unique().sort("market_key").with_row_index("market")
    names = (
        outcomes.unique(("market_key", "ordinal"))
        .join(codes, on="market_key")
        .select("outcome_key", place=_combine_place())
    )
    numbered = lines.select("market_key", "outcome").join(codes, on="market_key", how="left", maintain_order="left")
    single = pl.when(pl.col("outcome") != "").then("outcome")
    named_outcomes = (
        compared.with_columns(
            numbered.select("market", single=single).select(pl.all().gather(pl.lit(compared["line"])))
        )
        .with_columns(place=_combine_place())
        .join(names, on="place", how="left", maintain_order="left")
        .with_columns(outcome_key=pl.coalesce("single", "outcome_key"))
    )
    unnamed_outcomes = named_outcomes.filter(pl.col("outcome_key").is_null())
    refuse_unnamed(unnamed_outcomes.join(lines.select("line", "market_key"), on="line"))
    return named_outcomes.drop("market", "single", "place")


def _combine_place() -> pl.Expr:
    """Return market and ordinal as one number."""
    return pl.col("market").cast(pl.Int64) * (1 << 16) + pl.col("ordinal")


def _build_competitor_rows(compared: pl.DataFrame, lines: pl.DataFrame, home: str, competitor: str) -> pl.DataFrame:
    """Return the rows of one competitor, columns `COMPARISON_SCHEMA`."""
    sides = {"home": home, "platform": competitor}
    has = [pl.col(f"price_{platform}").is_not_null() | pl.col(f"off_{platform}") for platform in sides.values()]
    outcomes = compared.filter(pl.lit(lines[f"listed_{competitor}"]).gather(pl.col("line")), pl.any_horizontal(has))
    line_columns = lines.select(
        "sr_id",
        "market_key",
        "specifier",
        "as_of",
        "cross_book_sum_inverse",
        "arb",
        platform=pl.lit(competitor),
        skew_s=_compute_skew_s(home, competitor),
        margin_diff=pl.col(f"margin_{home}") - pl.col(f"margin_{competitor}"),
        **{f"{side}_last_confirmed_at": pl.col(f"answered_{platform}") for side, platform in sides.items()},
        **{f"{side}_margin": pl.col(f"margin_{platform}") for side, platform in sides.items()},
        **{f"{side}_share": pl.col(f"share_{platform}") for side, platform in sides.items()},
        **{f"{side}_gone": pl.col(f"gone_{platform}") for side, platform in sides.items()},
    )
    price = {side: pl.col(f"price_{platform}") for side, platform in sides.items()}
    comparable = pl.col(f"comparable_{competitor}")
    states = {
        f"{side}_state": pl.when(f"off_{platform}")
        .then(pl.lit(_SUSPENDED))
        .when(price[side].is_not_null())
        .then(pl.lit(_OFFERED))
        .when(f"{side}_gone")
        .then(pl.lit(_WITHDRAWN))
        .otherwise(pl.lit(_NO_PRICE))
        for side, platform in sides.items()
    }
    computed = {
        **states,
        "home_odds": _convert_to_odds(price["home"]),
        "platform_odds": _convert_to_odds(price["platform"]),
        "best_odds": _convert_to_odds(pl.col("best")),
        "comparable": comparable,
        "diff_abs": pl.when(comparable).then(_convert_to_odds(price["home"] - price["platform"])),
        "diff_rel": pl.when(comparable).then(price["home"] / price["platform"] - 1),
        "fair_home_prob": EVENS_MILLI / price["home"] * pl.col("home_share"),
        "fair_platform_prob": EVENS_MILLI / price["platform"] * pl.col("platform_share"),
    }
    rows = pl.concat([outcomes, line_columns[outcomes["line"]]], how="horizontal")
    return rows.select(
        computed.get(name, pl.col(name)).cast(dtype).alias(name) for name, dtype in COMPARISON_SCHEMA.items()
    )


def _build_lines(compared: pl.DataFrame, lines: pl.DataFrame, platforms: Sequence[str]) -> pl.DataFrame:
    """Return the rows of all competitors, columns `COMPARED_LINES_SCHEMA`."""
    home, *competitors = platforms
    masks = {**{f"off_mask_{p}": f"off_{p}" for p in platforms}, "home_tied_best_mask": "home_tied_best"}
    arrays = {
        **{f"odds_{p}": f"price_{p}" for p in platforms},
        "best_odds_milli": "best",
        "best_platform": "best_platform",
        "rank_home": "rank_home",
    }
    backable = {f"can_{p}": pl.col(f"price_{p}").is_not_null() & ~pl.col(f"off_{p}") for p in platforms}
    line_arrays = (
        compared.with_columns(bit=_ordinal_bit(), **backable)
        .group_by("line", maintain_order=True)
        .agg(
            *(pl.col(column).alias(name) for name, column in arrays.items()),
            *(pl.col(column).count().alias(f"n_{name}") for name, column in arrays.items()),
            *(pl.when(column).then("bit").sum().cast(pl.Int64).alias(name) for name, column in masks.items()),
            pl.col(backable).any(),
        )
        .with_columns(
            *(pl.when(pl.col(f"n_{name}") > 0).then(name).alias(name) for name in arrays),
            *(pl.when(pl.col(name) != 0).then(name).alias(name) for name in masks),
        )
    )
    rows = pl.concat([line_arrays, lines[line_arrays["line"]].drop("line")], how="horizontal").with_columns(
        pl.when(f"can_{p}")
        .then(pl.lit(_OFFERED))
        .when(pl.col(f"off_mask_{p}").is_not_null())
        .then(pl.lit(_SUSPENDED))
        .when(f"gone_{p}")
        .then(pl.lit(_WITHDRAWN))
        .otherwise(pl.lit(_NO_PRICE))
        .alias(f"state_{p}")
        for p in platforms
    )
    return pl.concat([_select_competitor(rows, home, competitor) for competitor in competitors])


def _select_competitor(rows: pl.DataFrame, home: str, competitor: str) -> pl.DataFrame:
    """Return the competitor's lines on which either side has a price or a suspended outcome."""
    sides = {"home": home, "platform": competitor}
    has = [
        pl.col(f"{column}_{platform}").is_not_null() for platform in sides.values() for column in ("odds", "off_mask")
    ]
    columns = {"state": "state", "odds_milli": "odds", "off_mask": "off_mask", "margin": "margin", "share": "share"}
    sided = {
        f"{side}_{name}": pl.col(f"{column}_{platform}")
        for side, platform in sides.items()
        for name, column in columns.items()
    }
    lines = rows.filter(f"listed_{competitor}", pl.any_horizontal(has)).with_columns(
        platform=pl.lit(competitor), **sided
    )
    return lines.select(pl.col(name).cast(dtype) for name, dtype in COMPARED_LINES_SCHEMA.items())


def _convert_to_odds(milli: pl.Expr) -> pl.Expr:
    # Polars divides by a constant by multiplying with its inverse: 1900 / 1000 is 1.9000000000000001 unless it is
    # rounded.
    return (milli / EVENS_MILLI).round(3)
