"""Inline plots: always small enough to be inline, always a picture, and right about what it shows."""

import re
from base64 import b64decode
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.defs.plots import (
    INLINE_LIMIT_CHARACTERS,
    PLOT_HEIGHT,
    PLOT_MARGIN,
    PLOT_WIDTH,
    draw_plot,
    draw_svg,
)

values = st.lists(st.one_of(st.none(), st.floats()), max_size=300)
finite = st.floats(allow_nan=False, allow_infinity=False)
SVG = "{http://www.w3.org/2000/svg}"


def paths(svg: str) -> list[str]:
    return [path.attrib["d"] for path in ElementTree.fromstring(svg).iter(f"{SVG}path")]


def points(path: str) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for x, y in re.findall(r"[ML](\d+) (\d+)", path)]


@given(values, values)
def test_a_plot_is_inline_and_an_image_with_every_point_in_sight_whatever_it_shows(first, second):
    found = draw_plot(first, second)
    if found is None:
        assert not any(value is not None and abs(value) < float("inf") for value in first)
        return
    text = found.md_str
    assert text is not None
    assert len(text) < INLINE_LIMIT_CHARACTERS
    image = re.fullmatch(r"!\[([^\]]+)\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\) \1", text)
    assert image is not None
    for path in paths(b64decode(image[2]).decode()):
        assert all(
            PLOT_MARGIN <= x <= PLOT_WIDTH - PLOT_MARGIN and PLOT_MARGIN <= y <= PLOT_HEIGHT - PLOT_MARGIN
            for x, y in points(path)
        )


@given(st.lists(finite, min_size=2, max_size=60))
def test_a_higher_value_is_never_drawn_below_a_lower_one_and_time_goes_to_the_right(series):
    drawn = points(paths(draw_svg(series))[0])
    assert [x for x, _ in drawn] == sorted(x for x, _ in drawn)
    by_value = [y for _, (_, y) in sorted(zip(series, drawn, strict=True), key=lambda pair: pair[0])]
    assert by_value == sorted(by_value, reverse=True)


def test_a_missing_value_is_a_gap_and_one_between_gaps_a_dot():
    (path,) = paths(draw_svg([1, 2, None, 3, None, float("nan"), 2, 1]))
    assert path == "M3 29L25 16M69 3h2M135 16L157 29"


@pytest.mark.parametrize(
    ("series", "path"), [([5, 5, 5], "M3 16L80 16L157 16"), ([7], "M80 16h2"), ([], ""), ([None], "")]
)
def test_what_does_not_vary_is_drawn_in_the_middle(series, path):
    assert paths(draw_svg(series)) == [path]


def test_the_words_say_least_greatest_and_last():
    found = draw_plot([0.81234567, 0.95, None, 0.9, None])
    assert found is not None
    assert found.md_str is not None
    assert found.md_str.endswith(" 0.8123 to 0.95, last 0.9")
    large = draw_plot([123456.0, 7890.0])
    assert large is not None
    assert large.md_str is not None
    assert large.md_str.endswith(" 7,890 to 123,456, last 7,890")


def test_nothing_to_show_is_no_plot():
    assert draw_plot([]) is None
    assert draw_plot([None, float("inf")], [1.0]) is None


def test_a_long_series_keeps_its_shape():
    ramp = draw_plot([float(n) for n in range(1000)])
    assert ramp is not None
    svg = b64decode(re.search(r"base64,([^)]+)", ramp.md_str or "")[1]).decode()
    drawn = points(paths(svg)[0])
    assert len(drawn) >= 20
    assert drawn[0][1] > drawn[len(drawn) // 2][1] > drawn[-1][1]
