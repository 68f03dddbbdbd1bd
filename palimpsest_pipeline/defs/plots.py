"""Small plots that Dagster shows inline beside an asset's figures.

Does not belong here: reading the values to plot.
"""

import math
from base64 import b64encode
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import dagster as dg

INLINE_LIMIT_CHARACTERS: Final = 1000
"""Length of a Markdown text above which Dagster's UI shows a link instead of the text."""
PLOT_WIDTH, PLOT_HEIGHT, PLOT_MARGIN = 160, 32, 3
MAX_POINTS: Final = 80
SERIES_COLOURS: Final = ("#4c8bf5", "#9aa0a6")
"""Colours of the first series and of the compared series. Both are visible on white and on black."""

Values = Sequence[float | None]


def draw_svg(*series: Values) -> str:
    """Return one or two series, oldest value first, as an SVG with lines on one scale.

    None, NaN and infinite values interrupt the line. A single value between interruptions is drawn as a dot.
    """
    numbers = [value for values in series for value in map(_to_finite, values) if value is not None]
    low, high = min(numbers, default=0.0), max(numbers, default=0.0)
    paths = [
        f'<path d="{_draw_path([_to_finite(value) for value in values], low, high)}" stroke="{colour}"/>'
        for values, colour in reversed(list(zip(series, SERIES_COLOURS, strict=False)))
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{PLOT_WIDTH}" height="{PLOT_HEIGHT}"'
        f' viewBox="0 0 {PLOT_WIDTH} {PLOT_HEIGHT}">'
    )
    return f'{head}<g fill="none" stroke-width="2" stroke-linecap="round">{"".join(paths)}</g></svg>'


def draw_plot(values: Values, floor: Values = ()) -> dg.MarkdownMetadataValue | None:
    """Return a plot with its smallest, largest and last value as text; None if there are no values.

    `floor` is a second series, drawn in grey. Dagster shows the plot inline and limits its length, so neighbouring
    values of a long series are averaged until the text is short enough.
    """
    numbers = [value for value in map(_to_finite, values) if value is not None]
    if not numbers:
        return None
    caption = f"{_format_number(min(numbers))} to {_format_number(max(numbers))}, last {_format_number(numbers[-1])}"
    points = min(max(len(values), len(floor)), MAX_POINTS)
    while (
        len(text := _format_markdown(caption, *(_thin_values(each, points) for each in (values, floor) if len(each))))
        >= INLINE_LIMIT_CHARACTERS
    ):
        points //= 2
    return dg.MetadataValue.md(text)


def draw_plots(**series: Values | tuple[Values, Values]) -> dict[str, dg.MarkdownMetadataValue]:
    """Return metadata `<name>_plot` for each series that has a value.

    A series is a sequence of values, or a pair of the values and their floor (`draw_plot`).
    """
    plots = {
        f"{name}_plot": draw_plot(*each) if isinstance(each, tuple) else draw_plot(each)
        for name, each in series.items()
    }
    return {name: plot for name, plot in plots.items() if plot is not None}


def _format_markdown(caption: str, *series: Values) -> str:
    return f"![{caption}](data:image/svg+xml;base64,{b64encode(draw_svg(*series).encode()).decode()}) {caption}"


def _to_finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _format_number(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e12 else f"{value:.4g}"


def _thin_values(values: Values, points: int) -> Values:
    """Return at most `points` values, each the mean of neighbouring values; unknown values are ignored."""
    if len(values) <= points:
        return values
    edges = [round(n * len(values) / points) for n in range(points + 1)]
    return [_compute_mean([v for v in map(_to_finite, values[a:b]) if v is not None]) for a, b in pairwise(edges)]


def _compute_mean(values: Sequence[float]) -> float | None:
    return sum(value / len(values) for value in values) if values else None


def _draw_path(values: Values, low: float, high: float) -> str:
    """Return the path data of a series.

    Coordinates are whole numbers, because decimals take two more characters.
    """
    spread = high / 2 - low / 2  # halved, because high - low may overflow to infinity
    step = (PLOT_WIDTH - 2 * PLOT_MARGIN) / max(len(values) - 1, 1)
    commands, drawing = [], False
    for n, value in enumerate(values):
        if value is None:
            drawing = False
            continue
        x = round(PLOT_MARGIN + n * step) if len(values) > 1 else PLOT_WIDTH // 2
        share = 0.5 if spread == 0 else (value / 2 - low / 2) / spread
        y = round(PLOT_HEIGHT - PLOT_MARGIN - share * (PLOT_HEIGHT - 2 * PLOT_MARGIN))
        is_dot = not drawing and (n + 1 == len(values) or values[n + 1] is None)
        commands.append(f"{'L' if drawing else 'M'}{x} {y}{'h2' if is_dot else ''}")
        drawing = True
    return "".join(commands)
