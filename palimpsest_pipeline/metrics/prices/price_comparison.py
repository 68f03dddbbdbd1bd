"""Home's price of each outcome beside each competitor's: who offers more, by how much, and what the best of all comes
to. Frames in, frames out; shapes in `comparison_frames`.

Platforms are compared on bets that are the same: same market, specifier and outcome of the vocabulary. Outcomes that
the vocabulary does not name, which are players under each platform's own ids, are left out.

Two prices are comparable when both can be backed, the answers that show them are near each other in time, and nothing
makes it doubtful that both listings offer the same bets. A market's key says how many of its outcomes win, so that is
the same on both sides.

Best prices, their sum and an arbitrage combine the prices of several platforms: all their answers are near each other,
not only near home's.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarketState
from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI, MASK_BITS
from palimpsest_pipeline.domain.schemas import INSTANT

from ..comparison_frames import add_as_of
from ..lifecycle_frames import FrameSchema
from .fair_prices import compute_multiplicative_share
from .margins import ROUNDING_TOLERANCE, compute_margin_figures, expand_outcomes

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
COMPARISON_KEY: Final = ("sr_id", "market_key", "specifier", "outcome_key", "platform")

COMPARED_LINES_SCHEMA: Final[FrameSchema] = {
    "sr_id": pl.Int64,
    "market_key": pl.String,
    "specifier": pl.String,
    "outcome": pl.String,
    "platform": pl.String,
    "home_state": pl.String,
    "platform_state": pl.String,
    "home_odds_milli": pl.List(pl.Int32),
    "platform_odds_milli": pl.List(pl.Int32),
    "home_off_mask": pl.Int64,
    "platform_off_mask": pl.Int64,
    "best_odds_milli": pl.List(pl.Int32),
    "best_platform": pl.List(pl.String),
    "rank_home": pl.List(pl.Int16),
    "home_tied_best_mask": pl.Int64,
    "home_margin": pl.Float64,
    "platform_margin": pl.Float64,
    "home_share": pl.Float64,
    "platform_share": pl.Float64,
    "cross_book_sum_inverse": pl.Float64,
    "arb": pl.Boolean,
}
"""A row per line and competitor. Arrays and masks go by the ordinal of the outcome, and are null where they would say
nothing; where a market has a row an outcome (`outcome` is not '') they have one place. `home_state`, `platform_state`:
words of MarketState, the best of the outcomes'.
`home_share`, `platform_share`: what the inverse of a price is multiplied by to be its fair probability. All else is as
in `COMPARISON_SCHEMA`."""
COMPARED_LISTINGS_SCHEMA: Final[FrameSchema] = {
    "sr_id": pl.Int64,
    "platform": pl.String,
    "comparable": pl.Boolean,
    "answered_at": INSTANT,
    "home_answered_at": INSTANT,
    "skew_s": pl.Float64,
    "dropped_at": INSTANT,
    "as_of": INSTANT,
    "kickoff_at": INSTANT,
}
"""A row per fixture and platform. `comparable`: its prices can be compared with home's, for they were answered near
each other, and nothing makes it doubtful that both offer the same bets; false of home itself. `skew_s`: between both
answers; null of home itself, and where one of the two has none or is dropped."""

_LINE_COLUMNS: Final = ("sr_id", "market_key", "specifier", "outcome")
_BIT_BY_ORDINAL: Final = pl.Series([0, *(1 << n for n in range(MASK_BITS)), 0], dtype=pl.Int64)
OFFERED, SUSPENDED, NO_PRICE, WITHDRAWN = (state.value for state in MarketState)


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
    """One row per outcome and competitor, columns `COMPARISON_SCHEMA`, fixture by fixture: of markets that home and the
    competitor both list, the outcomes that one of them has at a price or held off.

    `markets`, `listings`: as in `comparison_frames`. `outcomes`, `sets`: as `find_open_close` takes them. `platforms`:
    home first, then its competitors in order of trust, which decides who of several is named best; listings of others
    are left out. A listing that is dropped lists nothing. `suspects`: fixtures
    whose listings may not offer the same bets: nothing of them is comparable.

    No fixture depends on another one, so a caller may give some at a time.
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
    """Return the facts that the rows of `build_price_comparison` follow from, columns `COMPARED_LINES_SCHEMA`: a row
    per line and competitor of which it has any.

    Takes what `build_price_comparison` takes. No fixture depends on another one.
    """
    compared = _compare_outcomes(markets, listings, outcomes, sets, platforms, max_skew_s, suspects)
    if compared is None:
        return pl.DataFrame(schema=COMPARED_LINES_SCHEMA)
    return _build_lines(*compared, platforms)


def compare_listings(
    listings: pl.DataFrame, *, platforms: Sequence[str], max_skew_s: float, suspects: Sequence[int] = ()
) -> pl.DataFrame:
    """Return when these platforms' listings were seen and whether they are comparable with home's, columns
    `COMPARED_LISTINGS_SCHEMA`.

    Takes what `build_price_comparison` takes. Fixtures that were never looked at are left out.
    """
    home = platforms[0]
    seen = add_as_of(listings).filter(pl.col("platform").is_in(platforms))
    answers = _pivot_answers(_select_live(seen), platforms)
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
    rows = seen.join(pl.concat(pairs, how="vertical_relaxed"), on=("sr_id", "platform"), how="left")
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
    """The outcomes of all lines (`_add_comparisons`, named), and the lines with their figures (`_add_line_figures`).

    None without any line.
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
    """Listings that are not dropped and were answered."""
    return listings.filter(pl.col("dropped_at").is_null(), pl.col("answered_at").is_not_null())


def _pivot_answers(live: pl.DataFrame, platforms: Sequence[str]) -> pl.DataFrame:
    """A row per fixture: sr_id, as_of, and of each platform its last answer (`answered_`)."""
    answered = (
        pl.when(pl.col("platform") == platform).then("answered_at").min().alias(f"answered_{platform}")
        for platform in platforms
    )
    return live.group_by("sr_id").agg(pl.col("as_of").first(), *answered)


def _select_market_rows(markets: pl.DataFrame, live: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """Market rows of live listings whose outcomes the vocabulary names: `row` (their place), the columns of a line,
    platform, state, off_mask, odds_milli, and which place their first price has in all prices (`start`) of how many
    (`n`; null when withdrawn: what it had is none)."""
    named = outcomes.select("market_key", outcome="outcome_key").unique()
    ours = markets.join(live.select("sr_id", "platform"), on=("sr_id", "platform"), how="semi")
    whole, single = ours.filter(pl.col("outcome") == ""), ours.filter(pl.col("outcome") != "")
    rows = pl.concat([whole, single.join(named, on=("market_key", "outcome"), how="semi")])
    n = pl.col("odds_milli").list.len().cast(pl.Int64)
    there = pl.when(pl.col("state") != WITHDRAWN)
    places = {"n": there.then(n), "start": n.cum_sum() - n}
    return rows.select(
        *_LINE_COLUMNS, "platform", "state", there.then("off_mask").fill_null(0), "odds_milli", **places
    ).with_row_index("row")


def _number_lines(rows: pl.DataFrame, live: pl.DataFrame, platforms: Sequence[str]) -> pl.DataFrame:
    """Lines of markets that home and a competitor list, numbered by `line`, with as_of and of each platform: `row_`
    (null: never had the line), `gone_` (had it once), `listed_` (it lists the market), `answered_`."""
    of_platform = {platform: pl.when(pl.col("platform") == platform) for platform in platforms}
    there = pl.col("state") != WITHDRAWN
    lines = rows.group_by(_LINE_COLUMNS).agg(
        *(when.then("row").min().alias(f"row_{platform}") for platform, when in of_platform.items()),
        *(when.then(there).any().alias(f"listed_{platform}") for platform, when in of_platform.items()),
        *(when.then(~there).any().alias(f"gone_{platform}") for platform, when in of_platform.items()),
    )
    listed = [f"listed_{platform}" for platform in platforms]
    if (lines["outcome"] != "").any():  # a market with several lines is listed when any of them is
        lines = lines.with_columns(pl.col(listed).any().over("sr_id", "market_key", "specifier"))
    compared = pl.col(listed[0]) & pl.any_horizontal(listed[1:])
    return (
        lines.filter(compared)
        .join(_pivot_answers(live, platforms), on="sr_id")
        .sort(_LINE_COLUMNS)
        .with_row_index("line")
    )


def _expand_prices(lines: pl.DataFrame, rows: pl.DataFrame, platforms: Sequence[str]) -> pl.DataFrame:
    """The outcomes of all lines: line, ordinal (its place in the line), and of each platform what it pays (`price_`,
    thousandths, above evens; null without a price), and whether it holds it off (`off_`). In the order of lines."""
    of_row = [rows.select(_take_columns(lines, platform, "start", "n", "off_mask")) for platform in platforms]
    places = pl.concat([lines.select("line"), *of_row], how="horizontal").with_columns(
        ordinal=pl.int_ranges(1, pl.max_horizontal(f"n_{platform}" for platform in platforms) + 1)
    )
    all_prices = pl.lit(rows["odds_milli"].explode(empty_as_null=False))
    found = []
    for platform in platforms:
        place = pl.when(pl.col("ordinal") <= pl.col(f"n_{platform}")).then(
            pl.col(f"start_{platform}") + pl.col("ordinal") - 1
        )
        price = all_prices.gather(place)
        found += [
            pl.when(price > EVENS_MILLI).then(price).alias(f"price_{platform}"),
            ((pl.col(f"off_mask_{platform}") & _ordinal_bit()) != 0).fill_null(value=False).alias(f"off_{platform}"),
        ]
    return places.explode("ordinal").select("line", pl.col("ordinal").cast(pl.Int16), *found)


def _ordinal_bit() -> pl.Expr:
    """2 ** (ordinal - 1); nought beyond the mask."""
    return pl.lit(_BIT_BY_ORDINAL).gather(pl.min_horizontal("ordinal", MASK_BITS + 1))


def _take_columns(lines: pl.DataFrame, platform: str, *columns: str) -> pl.Expr:
    """These columns of the rows that the lines have on the platform, as `<column>_<platform>`; null where it has
    none.
    """
    return pl.col(columns).gather(pl.lit(lines[f"row_{platform}"])).name.suffix(f"_{platform}")


def _add_comparisons(
    prices: pl.DataFrame, lines: pl.DataFrame, platforms: Sequence[str], max_skew_s: float, suspects: Sequence[int]
) -> pl.DataFrame:
    """`prices` with, of each competitor, whether it is comparable with home (`comparable_`); who is best of those near
    each other: best_platform, best (thousandths); and how home compares with each: home_is_best, home_tied_best,
    rank_home."""
    home, *competitors = platforms
    can = {platform: pl.col(f"price_{platform}").is_not_null() & ~pl.col(f"off_{platform}") for platform in platforms}
    near = lines.select(_are_near(home, c, max_skew_s, suspects).alias(c) for c in competitors)
    comparable = {f"comparable_{c}": can[home] & can[c] & pl.lit(near[c]).gather(pl.col("line")) for c in competitors}
    legs = _select_legs(prices.select("line", **comparable), lines, near, home, competitors, max_skew_s)
    # What is near home's answer is almost always near each other's: then a leg is what is comparable, and nothing is
    # worked out twice.
    leg = "comparable" if legs is near else "leg"
    of_legs = (
        {}
        if legs is near
        else {f"leg_{c}": can[home] & can[c] & pl.lit(legs[c]).gather(pl.col("line")) for c in competitors}
    )
    price = {
        home: pl.when(can[home]).then(f"price_{home}"),
        **{c: pl.when(f"comparable_{c}").then(f"price_{c}") for c in competitors},
    }
    offers = {home: price[home], **{c: pl.when(f"{leg}_{c}").then(f"price_{c}") for c in competitors}}
    best = pl.max_horizontal(offers.values())
    n_more, n_same = (
        pl.sum_horizontal(told.fill_null(value=False) for told in tellings)
        for tellings in ([price[c] > price[home] for c in competitors], [price[c] == price[home] for c in competitors])
    )
    is_compared = pl.when(pl.any_horizontal(f"comparable_{c}" for c in competitors))
    return prices.with_columns(**comparable, **of_legs).with_columns(
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
    """`near`, less those that are too long before or after another one on the line: of two, the one nearer to home
    stays, then the one more trusted. `near` itself when there are none. Who has no price on the line that is comparable
    with home's (`comparable`) pushes nobody out."""
    for one, other in combinations(competitors, 2):
        both = pl.lit(near[one]) & pl.lit(near[other]) & pl.col(f"listed_{one}") & pl.col(f"listed_{other}")
        far = lines.select((both & (_compute_skew_s(one, other) > max_skew_s)).fill_null(value=False)).to_series()
        if far.any():
            of_far = comparable.filter(pl.lit(far).gather(pl.col("line")))
            has = [
                lines["line"].is_in(of_far.filter(f"comparable_{c}")["line"].unique().implode()) for c in (one, other)
            ]
            far = far & has[0] & has[1]
            one_stays = lines.select(_compute_skew_s(home, one) <= _compute_skew_s(home, other)).to_series()
            near = near.with_columns(
                (pl.col(one) & ~(far & ~one_stays)).alias(one), (pl.col(other) & ~(far & one_stays)).alias(other)
            )
    return near


def _are_near(home: str, competitor: str, max_skew_s: float, suspects: Sequence[int]) -> pl.Expr:
    """Whether what both offer can be compared: they were answered near each other, and the fixture is no suspect."""
    return ~pl.col("sr_id").is_in(list(suspects)) & _compute_skew_s(home, competitor).le(max_skew_s).fill_null(
        value=False
    )


def _compute_skew_s(one: str, other: str) -> pl.Expr:
    return (pl.col(f"answered_{one}") - pl.col(f"answered_{other}")).abs().dt.total_seconds(fractional=True)


def _add_line_figures(
    lines: pl.DataFrame, rows: pl.DataFrame, compared: pl.DataFrame, sets: pl.DataFrame, platforms: Sequence[str]
) -> pl.DataFrame:
    """`lines`, in their order, with what is said of a market as a whole: of each platform its margin (`margin_`) and by
    what an inverse is multiplied to be a fair probability (`share_`); cross_book_sum_inverse, arb."""
    can_have_one = sets.filter(pl.all_horizontal(pl.col("winners_k", "outcome_mask").is_not_null()))
    ids = can_have_one.select("market_key", "market_id").unique()
    used = pl.concat([lines[f"row_{platform}"] for platform in platforms]).drop_nulls().unique()
    whole = (
        rows.filter(pl.col("outcome") == "", pl.col("state") != WITHDRAWN)
        .join(ids, on="market_key")
        .join(used.to_frame("row"), on="row", how="semi")
    )
    by = ("row", "market_id")
    margins = compute_margin_figures(expand_outcomes(whole, by), by, sets)
    of_row = rows.select("row").join(
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
        .join(can_have_one, on=("market_key", "outcome_mask"))
        .select(
            "line",
            cross_book_sum_inverse="sum_inverse",
            arb=pl.col("sum_inverse") / pl.col("winners_k") - 1 < -ROUNDING_TOLERANCE,
        )
    )
    return pl.concat(
        [
            lines.join(best, on="line", how="left", maintain_order="left"),
            *(of_row.select(_take_columns(lines, p, "margin", "share")) for p in platforms),
        ],
        how="horizontal",
    )


def _add_outcome_keys(compared: pl.DataFrame, lines: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """`compared` without what nobody has, with `outcome_key`.

    Raises ValueError on an outcome of a whole market without a name.
    """
    codes = outcomes.select("market_key").unique().sort("market_key").with_row_index("market")
    names = (
        outcomes.unique(("market_key", "ordinal"))
        .join(codes, on="market_key")
        .select("outcome_key", place=_combine_place())
    )
    numbered = lines.select("market_key", "outcome").join(codes, on="market_key", how="left", maintain_order="left")
    single = pl.when(pl.col("outcome") != "").then("outcome")
    named = (
        compared.with_columns(
            numbered.select("market", single=single).select(pl.all().gather(pl.lit(compared["line"])))
        )
        .with_columns(place=_combine_place())
        .join(names, on="place", how="left", maintain_order="left")
        .with_columns(outcome_key=pl.coalesce("single", "outcome_key"))
    )
    nameless = named.filter(pl.col("outcome_key").is_null())
    if nameless.height:
        line, ordinal = nameless.select("line", "ordinal").row(0)
        market = lines["market_key"][line]
        raise ValueError(
            f"no name is given for outcome {ordinal} of market {market}: the history knows more than the vocabulary that was given"
        )
    return named.drop("market", "single", "place")


def _combine_place() -> pl.Expr:
    """Market and ordinal as one number."""
    return pl.col("market").cast(pl.Int64) * (1 << 16) + pl.col("ordinal")


def _build_competitor_rows(compared: pl.DataFrame, lines: pl.DataFrame, home: str, competitor: str) -> pl.DataFrame:
    """The rows of one competitor, as COMPARISON has them."""
    sides = {"home": home, "platform": competitor}
    has = [pl.col(f"price_{platform}").is_not_null() | pl.col(f"off_{platform}") for platform in sides.values()]
    found = compared.filter(pl.lit(lines[f"listed_{competitor}"]).gather(pl.col("line")), pl.any_horizontal(has))
    of_line = lines.select(
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
        .then(pl.lit(SUSPENDED))
        .when(price[side].is_not_null())
        .then(pl.lit(OFFERED))
        .when(f"{side}_gone")
        .then(pl.lit(WITHDRAWN))
        .otherwise(pl.lit(NO_PRICE))
        for side, platform in sides.items()
    }
    told = {
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
    rows = pl.concat([found, of_line[found["line"]]], how="horizontal")
    return rows.select(
        told.get(name, pl.col(name)).cast(dtype).alias(name) for name, dtype in COMPARISON_SCHEMA.items()
    )


def _build_lines(compared: pl.DataFrame, lines: pl.DataFrame, platforms: Sequence[str]) -> pl.DataFrame:
    """The rows of all competitors, as COMPARED_LINES has them."""
    home, *competitors = platforms
    masks = {**{f"off_mask_{p}": f"off_{p}" for p in platforms}, "home_tied_best_mask": "home_tied_best"}
    arrays = {
        **{f"odds_{p}": f"price_{p}" for p in platforms},
        "best_odds_milli": "best",
        "best_platform": "best_platform",
        "rank_home": "rank_home",
    }
    backable = {f"can_{p}": pl.col(f"price_{p}").is_not_null() & ~pl.col(f"off_{p}") for p in platforms}
    of_lines = (
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
    rows = pl.concat([of_lines, lines[of_lines["line"]].drop("line")], how="horizontal").with_columns(
        pl.when(f"can_{p}")
        .then(pl.lit(OFFERED))
        .when(pl.col(f"off_mask_{p}").is_not_null())
        .then(pl.lit(SUSPENDED))
        .when(f"gone_{p}")
        .then(pl.lit(WITHDRAWN))
        .otherwise(pl.lit(NO_PRICE))
        .alias(f"state_{p}")
        for p in platforms
    )
    return pl.concat([_select_competitor(rows, home, competitor) for competitor in competitors])


def _select_competitor(rows: pl.DataFrame, home: str, competitor: str) -> pl.DataFrame:
    """Those of `rows` in which home and the competitor have anything, as COMPARED_LINES has them."""
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
    # Polars divides by a literal through its inverse: 1900 / 1000 is 1.9000000000000001 unless it is rounded.
    return (milli / EVENS_MILLI).round(3)
