"""Specifiers: what is written is read back as the same, and a line that says something else is never taken for a
number.
"""

from decimal import Decimal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.markets.specifiers import build_schemas, extract_line, find_candidate_keys, split_parts
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary

numbers = st.decimals(-99_999, 99_999, places=2).map(str) | st.integers(-999, 999).map(str)


def resolved(*instances: tuple[str, str, str]) -> pl.DataFrame:
    """The keys of (platform, market id, specifier) instances of football."""
    frame = pl.DataFrame(
        [
            (number, platform, "football", market, specifier)
            for number, (platform, market, specifier) in enumerate(instances)
        ],
        schema={
            "instance": pl.UInt32,
            "platform": pl.String,
            "sport": pl.String,
            "market_id": pl.String,
            "specifier": pl.String,
        },
        orient="row",
    )
    return find_candidate_keys(
        frame, split_parts(frame, load_installed_vocabulary()), load_installed_vocabulary()
    ).sort("instance", "key_id")


@settings(max_examples=50, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=20))
def test_canonical_text_is_read_as_itself(values: list[str]) -> None:
    once = resolved(*(("sportybet", "18", f"total={value}") for value in values))["text"].to_list()
    again = resolved(*(("sportybet", "18", text) for text in once))["text"].to_list()
    assert once == again
    assert [Decimal(text.removeprefix("total=")) for text in once] == [Decimal(value) for value in values]


@settings(max_examples=50, deadline=None)
@given(st.integers(-400, 400), st.integers(0, 12), st.integers(0, 12))
def test_the_platforms_write_one_line_in_one_text(quarters: int, home: int, away: int) -> None:
    line = f"{Decimal(quarters) / 4:f}"
    asian = resolved(("betpawa", "3774", str(quarters)), ("sportybet", "16", f"hcp={line}"), ("bet9ja", "S_AH", line))
    assert asian["text"].n_unique() == 1
    assert Decimal(asian["text"][0].removeprefix("hcp=")) == Decimal(line)
    european = resolved(("sportybet", "14", f"hcp={home}:{away}"), ("betpawa", "4724", str(4 * (home - away))))
    assert european["text"].unique().to_list() == [f"hcp={home - away}"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["total", "hcp", "minute", "x"]), st.sampled_from(["1", "2.5", "0:1", "=", ""])),
        min_size=1,
        max_size=4,
    )
)
def test_parts_of_a_specifier_are_what_it_is_written_of(pairs: list[tuple[str, str]]) -> None:
    text = "|".join(f"{name}={value}" for name, value in pairs)
    given_parts = split_parts(
        pl.DataFrame(
            {"instance": [0], "platform": ["sportybet"], "specifier": [text]}, schema_overrides={"instance": pl.UInt32}
        ),
        load_installed_vocabulary(),
    )
    assert given_parts.select("part", "value").rows() == pairs
    assert build_schemas(given_parts)["specifier_schema"].to_list() == ["|".join(sorted({name for name, _ in pairs}))]


ODD = [
    "٣",
    "٣:١",
    "1e5",
    "99999999",
    "2.125",
    "9" * 400,
    str(-(2**63)),
    f"{2**63 - 1}:0",
    "0:1:2",
    "",
    " 2.5",
    "2.5\n",
    "\0",
    "2.5\0",
    "NaN",
    "--1",
    "+-1",
    "++1",
]
MARKETS = [
    ("sportybet", "18", "total="),
    ("sportybet", "14", "hcp="),
    ("betpawa", "3774", ""),
    ("bet9ja", "S_OU", ""),
    ("bet9ja", "S_AH", ""),
]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(MARKETS), st.sampled_from(ODD) | st.text(max_size=6)), min_size=1, max_size=8)
)
def test_a_value_that_no_line_can_hold_is_an_unknown_line(values: list[tuple[tuple[str, str, str], str]]) -> None:
    found = resolved(*((platform, market, name + value) for (platform, market, name), value in values))
    for instance, text, line in found.select(
        "instance", "text", extract_line(pl.col("text")).alias("line")
    ).iter_rows():
        assert values[instance][1] not in ODD
        assert Decimal(text.partition("=")[2]) == line


def test_a_part_that_is_there_twice_stands_for_no_other() -> None:
    specifiers = ["minute=10|total=2.5", "total=2.5|total=3.5", "minute=5|minute=10", "minute=10|total=2.5|total=2.5"]
    found = resolved(*(("sportybet", "900313", specifier) for specifier in specifiers))
    assert found.select("instance", "text").rows() == [(0, "minute=10|total=2.5")]


def test_the_line_is_the_total_then_the_handicap_then_the_only_number() -> None:
    texts = [
        "total=2.5",
        "minute=10|total=0.5",
        "hcp=-1|quarternr=2",
        "goalnr=1",
        "score=0:1",
        "goals=1-2",
        "",
        "total=12345678",
        "total=0.125",
    ]
    lines = pl.DataFrame({"text": texts}).select(extract_line(pl.col("text"))).to_series().to_list()
    assert lines == [Decimal("2.5"), Decimal("0.5"), Decimal(-1), Decimal(1), None, None, None, None, None]
