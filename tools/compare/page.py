"""The page of a comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ...errors import format_count
from ..pages import Html, Interval, Section, definitions, element, interval_chart, render_page, table
from .bootstrap import Estimate
from .comparison import Comparison, Family, Pair, Settings, count_defined
from .output import format_estimate, format_pair, make_header
from .sentences import LOWER_IS_BETTER

MAX_NAMES = 3  # in the title
MAX_SENTENCES = 6  # of the answer; with more pairs, those of the best configuration, and a table has the others
MAX_PAIRS = 6  # of configurations whose differences are drawn for each class
NOTE = (
    "Differences are of the same images, so images that are hard for all networks do not widen the intervals. "
    "With one seed of a network, an interval is about this training only, not about its recipe."
)


def build_page(comparison: Comparison, settings: Settings) -> str:
    """Builds the page as the text of an HTML file."""
    main = settings.figures[0]
    names = list(comparison.estimates[main])
    title = ", ".join(names) if len(names) <= MAX_NAMES else f"{len(names)} configurations"
    sections = [
        show_figures(comparison),
        *(show_differences(figure, pairs, settings) for figure, pairs in comparison.pairs.items()),
        *(show_family(kind, family, settings) for kind, family in comparison.by.items()),
        Section(
            "What was compared", [definitions({name: ", ".join(paths) for name, paths in comparison.sources.items()})]
        ),
        show_settings(comparison, settings),
    ]
    return render_page(f"{main}: {title}", choose_sentences(comparison, main), sections, NOTE)


def choose_sentences(comparison: Comparison, main: str) -> list[str]:
    """Returns the sentences of all pairs in the ``main`` figure; of many pairs, those of the best configuration."""
    pairs = comparison.pairs[main]
    values = {name: found.value for name, found in comparison.estimates[main].items() if math.isfinite(found.value)}
    if len(pairs) <= MAX_SENTENCES or not values:
        return [pair.sentence for pair in pairs[:MAX_SENTENCES]]
    choose, word = (min, "lowest") if main in LOWER_IS_BETTER else (max, "highest")
    best = choose(values, key=values.__getitem__)
    of_best = [pair.sentence for pair in pairs if best in (pair.first, pair.second)]
    return [f"{best} has the {word} {main}, {values[best]:.3f}.", *of_best[:MAX_SENTENCES]]


def show_figures(comparison: Comparison) -> Section:
    """Shows all figures of all configurations."""
    charts = [
        interval_chart(figure, figure, [to_interval(name, found) for name, found in estimates.items()])
        for figure, estimates in comparison.estimates.items()
    ]
    names = list(next(iter(comparison.estimates.values())))
    rows = [[name, *(format_estimate(found[name]) for found in comparison.estimates.values())] for name in names]
    caption = f"Figures of {format_count(comparison.images, 'images')} with 95 % intervals"
    return Section(
        "Figures", [element("div", *charts, class_="charts"), table(caption, ["", *comparison.estimates], rows)]
    )


def to_interval(name: str, found: Estimate) -> Interval:
    """Converts an estimate to a row of a chart."""
    return Interval(name, found.value, *found.interval)


def show_differences(figure: str, pairs: Sequence[Pair], settings: Settings) -> Section:
    """Shows the differences of all pairs in one figure."""
    named = {pair.title: pair for pair in pairs}
    rows = [[name, *format_pair(pair), pair.sentence] for name, pair in named.items()]
    header = ["", *make_header(settings), "meaning"]
    chart = draw_differences(f"Differences in {figure}", figure, named, settings)
    caption = f"Differences in {figure}, p-values corrected for {format_count(count_defined(pairs), 'differences')}"
    content = [element("div", chart, class_="charts"), table(caption, header, rows, words=[len(header) - 1])]
    return Section(f"Differences in {figure}", content)


def draw_differences(title: str, figure: str, pairs: Mapping[str, Pair], settings: Settings) -> Html:
    """Draws differences with their intervals, by name of the row."""
    nothing = math.nan, math.nan, math.nan
    rows = [
        Interval(name, *(nothing if pair.difference is None else (pair.difference.value, *pair.difference.interval)))
        for name, pair in pairs.items()
    ]
    note = f"Shaded: differences of at most {settings.rope:g}, which do not matter."
    return interval_chart(title, f"difference in {figure}", rows, rope=settings.rope, note=note)


def show_family(kind: str, family: Family, settings: Settings) -> Section:
    """Shows the differences of all classes or sizes, a chart for each pair of configurations."""
    parts = list(family.pairs)
    numbers = range(len(family.pairs[parts[0]]))
    charts: list[Html] = []
    for number in numbers[:MAX_PAIRS]:
        pairs = {part: family.pairs[part][number] for part in parts}
        title = family.pairs[parts[0]][number].title
        charts.append(draw_differences(title, family.figure, pairs, settings))
    rows = [
        [part, f"{family.images[part]:,}", pair.title, *format_pair(pair), pair.better or ""]
        for part in parts
        for pair in family.pairs[part]
    ]
    header = [kind, "images", "difference of", *make_header(settings), "better"]
    caption = f"{family.figure} by {kind}, p-values corrected for {format_count(family.size, 'differences')}"
    content = [element("div", *charts, class_="charts"), table(caption, header, rows, words=[2, len(header) - 1])]
    return Section(f"{family.figure} by {kind}", content)


def show_settings(comparison: Comparison, settings: Settings) -> Section:
    """Lists how the intervals were computed."""
    values = {
        "images": f"{comparison.images:,}",
        "resamples": f"{settings.resamples:,} of the images",
        "several seeds": "deviations of a t distribution with the variance of all configurations with several seeds",
        "seed of the resamples": str(settings.seed),
        "differences that do not matter": f"at most {settings.rope:g}",
        "difference to tell apart": f"{settings.resolution:g}",
    }
    return Section("How the intervals were computed", [definitions(values)])
