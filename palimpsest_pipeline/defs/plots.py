"""Small plots that Dagster shows inline beside an asset's figures. Where their values come from is not known here."""

import math
from base64 import b64encode
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import dagster as dg

INLINE_LIMIT_CHARACTERS: Final = 1000
"""Characters of Markdown from which on Dagster's UI shows a link in its place."""
PLOT_WIDTH, PLOT_HEIGHT, PLOT_MARGIN = 160, 32, 3
MAX_POINTS: Final = 80
SERIES_COLOURS: Final = ("#4c8bf5", "#9aa0a6")
"""Of the first series and of what it is compared with: seen on white and on black."""

Values = Sequence[float | None]


def draw_svg(*series: Values) -> str:
    """One or two series, oldest value first, as lines on one scale; None and what is no number are gaps, a value
    between gaps is a dot.
    """
    known = [value for values in series for value in map(_to_finite, values) if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    paths = [
        f'<path d="{_draw_path([_to_finite(value) for value in values], low, high)}" stroke="{colour}"/>'
        for values, colour in reversed(list(zip(series, SERIES_COLOURS, strict=False)))
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{PLOT_WIDTH}" height="{PLOT_HEIGHT}" viewBox="0 0 {PLOT_WIDTH} {PLOT_HEIGHT}">'
    return f'{head}<g fill="none" stroke-width="2" stroke-linecap="round">{"".join(paths)}</g></svg>'


def draw_plot(values: Values, floor: Values = ()) -> dg.MarkdownMetadataValue | None:
    """A sparkline with its least, greatest and last value in words; `floor` is a second series in grey. None when there
    is no value at all.

    It is always inline: of a series that is too long to be, neighbours are put together.
    """
    known = [value for value in map(_to_finite, values) if value is not None]
    if not known:
        return None
    words = f"{_format_number(min(known))} to {_format_number(max(known))}, last {_format_number(known[-1])}"
    points = min(max(len(values), len(floor)), MAX_POINTS)
    while (
        len(text := _format_markdown(words, *(_thin_values(each, points) for each in (values, floor) if len(each))))
        >= INLINE_LIMIT_CHARACTERS
    ):
        points //= 2
    return dg.MetadataValue.md(text)


def draw_plots(**series: Values | tuple[Values, Values]) -> dict[str, dg.MarkdownMetadataValue]:
    """Metadata `<name>_plot` of each series, or series and floor, that has a value."""
    plots = {
        f"{name}_plot": draw_plot(*each) if isinstance(each, tuple) else draw_plot(each)
        for name, each in series.items()
    }
    return {name: found for name, found in plots.items() if found is not None}


def _format_markdown(words: str, *series: Values) -> str:
    return f"![{words}](data:image/svg+xml;base64,{b64encode(draw_svg(*series).encode()).decode()}) {words}"


def _to_finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _format_number(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e12 else f"{value:.4g}"


def _thin_values(values: Values, points: int) -> Values:
    """At most so many values, each the mean of neighbours that are known."""
    if len(values) <= points:
        return values
    edges = [round(n * len(values) / points) for n in range(points + 1)]
    return [_compute_mean([v for v in map(_to_finite, values[a:b]) if v is not None]) for a, b in pairwise(edges)]


def _compute_mean(values: Sequence[float]) -> float | None:
    return sum(value / len(values) for value in values) if values else None


def _draw_path(values: Values, low: float, high: float) -> str:
    """Coordinates are whole numbers: a tenth of a pixel is not seen, and takes two characters."""
    spread = high / 2 - low / 2  # halved, since the whole may be no finite number
    step = (PLOT_WIDTH - 2 * PLOT_MARGIN) / max(len(values) - 1, 1)
    found, drawing = [], False
    for n, value in enumerate(values):
        if value is None:
            drawing = False
            continue
        x = round(PLOT_MARGIN + n * step) if len(values) > 1 else PLOT_WIDTH // 2
        share = 0.5 if spread == 0 else (value / 2 - low / 2) / spread
        y = round(PLOT_HEIGHT - PLOT_MARGIN - share * (PLOT_HEIGHT - 2 * PLOT_MARGIN))
        alone = not drawing and (n + 1 == len(values) or values[n + 1] is None)
        found.append(f"{'L' if drawing else 'M'}{x} {y}{'h2' if alone else ''}")
        drawing = True
    return "".join(found)
