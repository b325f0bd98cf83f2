"""Learning curves of several runs as one SVG: training dashed, validation solid, names at the lines' ends."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keras_i3d.figures.style import FAINT, GRID, percent, run_class, run_colour
from keras_i3d.figures.svg import drawing, element, words

History = Sequence[Mapping[str, float]]
"""One dict per epoch: ``"epoch"`` and metrics by name, those of the validation with ``val_`` before them."""

_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 302, 52, 258
_LABEL_HEIGHT = 29


@dataclass(frozen=True)
class _Scale:
    """Axis from `low` to `high` (data) between `start` and `end` (pixels), with its ticks."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


@dataclass(frozen=True)
class _Label:
    """Words in the right margin: whose line ends at height `y` (pixels), and its last value."""

    y: float
    name: str
    value: str
    run_index: int | None


def learning_curves(histories: Mapping[str, History], *, metric: str, title: str, chance: float | None = None) -> str:
    """Draw a metric over the epochs, for each run.

    Keys that an epoch lacks are skipped and the line goes on; a NaN or an infinite value breaks the line.

    Args:
        histories: A run's name to its epochs, for example ``{"epoch": 1, "loss": 2.1, "val_loss": 1.9}``.
        metric: The key to draw; ``val_`` before it is the validation's. Metrics that begin with ``top`` or
            contain ``accuracy`` are shares in [0, 1], drawn up to 100 %.
        title: The heading.
        chance: Share in [0, 1] that guessing reaches, drawn as a dotted line.

    Returns:
        One ``<svg>`` element.

    Raises:
        ValueError: No epoch of any run has `metric`.
    """
    present = sorted({key for history in histories.values() for epoch in history for key in epoch})
    if metric not in present and f"val_{metric}" not in present:
        raise ValueError(f"no epoch has the metric {metric!r}; the keys there are: {present}")
    lines = {name: (_points(epochs, metric), _points(epochs, f"val_{metric}")) for name, epochs in histories.items()}
    share = metric.startswith("top") or "accuracy" in metric
    x, y = _epoch_axis(histories), _value_axis(lines, share)
    parts = [_frame(title, x, y, share=share)]
    labels = []
    if chance is not None:
        dots = {"stroke_width": 1.5, "stroke_dasharray": "1 4", "stroke_linecap": "round"}
        parts.append(_rule(_LEFT, y(chance), _RIGHT, y(chance), **dots))
        labels.append(_Label(y(chance), "chance", percent(chance), None))
    for run_index, (name, (training, validation)) in enumerate(lines.items()):
        parts.append(_line(training, x, y, run_index=run_index, solid=False))
        parts.append(_line(validation, x, y, run_index=run_index, solid=True))
        labels.append(_end_label(name, training, validation, run_index, y, share))
    parts.append(_key(any(line[0] for line in lines.values()), any(line[1] for line in lines.values())))
    parts.extend(_draw_labels(labels))
    return drawing("".join(parts), width=_WIDTH, height=_HEIGHT, label=_summary(title, labels))


def _points(history: History, key: str) -> list[tuple[float, float]]:
    points = []
    for position, epoch in enumerate(history, start=1):
        if epoch.get(key) is not None:
            points.append((float(epoch.get("epoch", position)), float(epoch[key])))
    return points


def _finite(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [point for point in points if math.isfinite(point[1])]


def _epoch_axis(histories: Mapping[str, History]) -> _Scale:
    epochs = [
        float(epoch.get("epoch", position))
        for history in histories.values()
        for position, epoch in enumerate(history, start=1)
    ]
    first, last = min(epochs), max(epochs)
    if first == last:
        return _Scale(first - 1, last, _LEFT, _RIGHT, (first,))
    step = max(1, math.ceil(_round_step((last - first) / 7)))
    later = [tick for tick in range(0, int(last) + 1, step) if tick >= first + step / 2]
    return _Scale(first, last, _LEFT, _RIGHT, (first, *map(float, later)))


def _value_axis(lines: Mapping[str, tuple], share: bool) -> _Scale:
    if share:
        return _Scale(0.0, 1.0, _BOTTOM, _TOP, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
    values = [value for pair in lines.values() for points in pair for _, value in _finite(points)]
    low, high = min([0.0, *values]), max([0.0, *values])
    step = _round_step((high - low) / 5) if high > low else 1.0
    first, last = math.floor(low / step), max(math.ceil(high / step), 1)
    return _Scale(first * step, last * step, _BOTTOM, _TOP, tuple(index * step for index in range(first, last + 1)))


def _round_step(step: float) -> float:
    """Round a positive distance between ticks up to 1, 2 or 5 times a power of ten."""
    magnitude = 10.0 ** math.floor(math.log10(step))
    return next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= step * 0.999)


def _frame(title: str, x: _Scale, y: _Scale, *, share: bool) -> str:
    parts = [words(title, 48, x=0, y=16, font_size=15, font_weight=600)]
    for tick in y.ticks:
        value = percent(tick, digits=0) if share else f"{tick:g}"
        parts.append(_rule(_LEFT, y(tick), _RIGHT, y(tick), class_="grid", stroke=GRID))
        parts.append(_faint(value, x=_LEFT - 8, y=y(tick) + 4, text_anchor="end"))
    for tick in x.ticks:
        parts.append(_rule(x(tick), _BOTTOM, x(tick), _BOTTOM + 4))
        parts.append(_faint(f"{tick:g}", x=x(tick), y=_BOTTOM + 18, text_anchor="middle"))
    parts.append(_rule(_LEFT, _BOTTOM, _RIGHT, _BOTTOM))
    parts.append(_faint("epoch", x=(_LEFT + _RIGHT) / 2, y=_BOTTOM + 36, text_anchor="middle"))
    return "".join(parts)


def _rule(x1: float, y1: float, x2: float, y2: float, **attributes: str | float) -> str:
    pen = {"class_": "axis", "stroke": FAINT, **attributes}
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, **pen)


def _faint(content: str, **attributes: str | float) -> str:
    return element("text", content, class_="faint", fill=FAINT, **attributes)


def _line(points: Sequence[tuple[float, float]], x: _Scale, y: _Scale, *, run_index: int, solid: bool) -> str:
    """Draw the finite stretches as lines, a stretch of one point and the end of a solid line as a dot."""
    stretches: list[list[tuple[float, float]]] = [[]]
    for epoch, value in points:
        if math.isfinite(value):
            stretches[-1].append((x(epoch), y(value)))
        elif stretches[-1]:
            stretches.append([])
    stretches = [stretch for stretch in stretches if stretch]
    kind, colour = ("validation" if solid else "training"), run_colour(run_index)
    parts = []
    for number, stretch in enumerate(stretches, start=1):
        if len(stretch) > 1:
            pairs = " ".join(f"{across:.1f},{down:.1f}" for across, down in stretch)
            pen = {"class_": f"line {kind} {run_class(run_index)}", "stroke": colour, **_pen(solid=solid)}
            parts.append(element("polyline", points=pairs, fill="none", stroke_linejoin="round", **pen))
        if len(stretch) == 1 or (solid and number == len(stretches)):
            (across, down), radius = stretch[-1], 4 if solid else 2.5
            dot = {"class_": f"dot {kind} {run_class(run_index)}", "fill": colour}
            parts.append(element("circle", cx=across, cy=down, r=radius, **dot))
    return "".join(parts)


def _pen(*, solid: bool) -> dict[str, str | float]:
    return {"stroke_width": 2.5} if solid else {"stroke_width": 1.3, "stroke_dasharray": "4 3"}


def _end_label(name: str, training: list, validation: list, run_index: int, y: _Scale, share: bool) -> _Label:
    finite = _finite(validation) or _finite(training)
    if not finite:
        return _Label(_BOTTOM, name, "no values", run_index)
    value = finite[-1][1]
    return _Label(y(value), name, percent(value) if share else f"{value:.3g}", run_index)


def _draw_labels(labels: Sequence[_Label]) -> list[str]:
    """Write the labels in the margin, pushed apart where lines end at nearly the same height."""
    distance = min(_LABEL_HEIGHT, (_BOTTOM - _TOP) / max(1, len(labels) - 1))
    order = sorted(labels, key=lambda label: label.y)
    heights: list[float] = []
    for label in order:
        heights.append(max(label.y, heights[-1] + distance) if heights else label.y)
    for position in range(len(heights) - 1, -1, -1):
        limit = _BOTTOM if position == len(heights) - 1 else heights[position + 1] - distance
        heights[position] = min(heights[position], limit)
    return [_draw_label(label, height) for label, height in zip(order, heights, strict=True)]


def _draw_label(label: _Label, height: float) -> str:
    left, weight, pen = _RIGHT + 24, 400, {}
    if label.run_index is not None:
        weight = 600
        pen = {"class_": f"line {run_class(label.run_index)}", "stroke": run_colour(label.run_index)}
    return (
        _rule(_RIGHT + 6, label.y, left - 4, height, stroke_width=1.5, **pen)
        + words(label.name, 14, x=left, y=height, font_weight=weight)
        + _faint(label.value, x=left, y=height + 13)
    )


def _key(training: bool, validation: bool) -> str:
    """Say what solid and dashed mean, for the kinds of line that are there."""
    parts, left = [], _LEFT
    for there, name, solid in ((validation, "validation", True), (training, "training", False)):
        if there:
            parts.append(_rule(left, 34, left + 22, 34, **_pen(solid=solid)))
            parts.append(_faint(name, x=left + 28, y=38))
            left += 110
    return "".join(parts)


def _summary(title: str, labels: Sequence[_Label]) -> str:
    return f"{title}; at the end: " + ", ".join(f"{label.name} {label.value}" for label in labels)
