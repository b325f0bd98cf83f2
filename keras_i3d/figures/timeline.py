"""A video's classes over time as one SVG: a film strip, the class on top beneath it, and the curves of some classes.

A class is told by its colour, its dashes and its number at once, so that no one of them need be seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_i3d.figures.strip import GAP, film_strip
from keras_i3d.figures.style import (
    FAINT,
    GRID,
    INK,
    clock,
    drawing_on_dark,
    duration,
    percent,
    run_class,
    run_colour,
    text,
)
from keras_i3d.figures.svg import drawing, element, words

MOST = 6
_WIDTH = 960
_LEFT, _RIGHT, _LEGEND = 48, 688, 716
_STRIP_TOP, _STRIP_HEIGHT, _LEAST_FRAMES = 56, 72, 3
_BAR_HEIGHT, _CURVE_HEIGHT = 16, 216
_LEGEND_STEP = 36
_DASHES = (None, "9 4", "2 4", "12 4 2 4", "5 3", "16 4 2 4 2 4")
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_RADIUS = 8
_TRACK = "#e9ecef"  # of the bar, where the class on top is none of those drawn


@dataclass(frozen=True)
class Curves:
    """What is drawn.

    Attributes:
        names: Of the classes.
        probabilities: float (windows, classes) in [0, 1].
        middles: float (windows,) seconds, increasing.
        edges: float (windows + 1,) seconds, where what each window speaks for begins and ends.
    """

    names: Sequence[str]
    probabilities: np.ndarray
    middles: np.ndarray
    edges: np.ndarray

    @property
    def best(self) -> np.ndarray:
        """The index of the class on top, of each window."""
        return self.probabilities.argmax(axis=1)

    @property
    def seconds_on_top(self) -> np.ndarray:
        """Of each class."""
        return np.bincount(self.best, np.diff(self.edges), len(self.names))

    def notable(self, most: int) -> list[int]:
        """Return the classes that are worth a curve: the longest on top, then those with the highest peaks."""
        peaks, on_top = self.probabilities.max(axis=0), self.seconds_on_top
        order = np.lexsort((-peaks, -on_top))
        return [int(index) for index in order[:most] if on_top[index] > 0 or peaks[index] >= 0.1]

    def x(self, time_s: float | np.ndarray) -> float | np.ndarray:
        """Return pixels from the left."""
        share = (time_s - self.edges[0]) / (self.edges[-1] - self.edges[0])
        return _LEFT + share * (_RIGHT - _LEFT)


def timeline_figure(
    curves: Curves,
    stills: Sequence[tuple[float, np.ndarray]],
    *,
    title: str,
    note: str = "",
    most: int = MOST,
) -> str:
    """Draw a video's classes over time.

    Args:
        curves: Of all classes.
        stills: (seconds, uint8 (height, width, 3)) pictures of the video, of one shape, from which the strip takes
            those nearest to the middles of its places; none for no strip.
        title: The heading.
        note: A line beneath it.
        most: Curves at most, 1 to 6. What is left out is said.

    Returns:
        One ``<svg>`` element, on a ground of its own, light or dark as its viewer is.

    Raises:
        ValueError: `most` is out of range.
        MissingDependency: OpenCV, which codes the strip, is not installed.
    """
    if not 1 <= most <= MOST:
        raise ValueError(f"most must be 1 to {MOST}, the curves that are told apart; got {most}")
    chosen = curves.notable(most)
    strip, strip_height = _strip(stills, curves)
    bar_top = _STRIP_TOP + strip_height + (6 if strip else 0)
    top = bar_top + _BAR_HEIGHT + 18
    bottom = top + _CURVE_HEIGHT
    height = bottom + 48
    parts = [
        element("style", drawing_on_dark()),
        element("rect", width=_WIDTH, height=height, fill="#ffffff", class_="ground"),
        words(title, 90, x=16, y=26, font_size=16, font_weight=600),
        words(note, 130, x=16, y=45, class_="faint", fill=FAINT),
        strip,
        _bar(curves, chosen, bar_top),
        _axes(curves, top, bottom),
        _lines(curves, chosen, top, bottom),
        _legend(curves, chosen, top),
    ]
    return drawing("".join(parts), width=_WIDTH, height=height, label=_summary(title, curves, chosen))


def _strip(stills: Sequence[tuple[float, np.ndarray]], curves: Curves) -> tuple[str, float]:
    """Return the film strip and its height; each frame stands over its own time."""
    if not stills:
        return "", 0
    high, wide = stills[0][1].shape[:2]
    span = _RIGHT - _LEFT
    count = max(_LEAST_FRAMES, round((span + GAP) / (_STRIP_HEIGHT * wide / high + GAP)))
    width = (span - (count - 1) * GAP) / count
    height = width * high / wide
    times = np.array([time_s for time_s, _ in stills])
    wanted = np.interp((np.arange(count) + 0.5) / count, (0, 1), curves.edges[[0, -1]])
    frames = np.stack([stills[int(np.abs(times - time_s).argmin())][1] for time_s in wanted])
    picture = film_strip(
        frames, count=count, height=max(1, round(1.5 * height))
    )  # half as many again, for fine screens
    return (
        element(
            "image",
            href=picture,
            x=_LEFT,
            y=_STRIP_TOP,
            width=span,
            height=height,
            preserveAspectRatio="none",
        ),
        height,
    )


def _bar(curves: Curves, chosen: Sequence[int], top: float) -> str:
    """Draw which class is on top, in its colour and with its number; at most one piece for each pixel."""
    edges, best = curves.edges, curves.best
    if len(best) > _RIGHT - _LEFT:
        edges = np.linspace(edges[0], edges[-1], _RIGHT - _LEFT + 1)
        at = np.searchsorted(curves.edges, (edges[1:] + edges[:-1]) / 2, "right") - 1
        best = best[at.clip(0, len(best) - 1)]
    starts = np.flatnonzero(np.diff(best, prepend=-1))
    parts = []
    for start, end in zip(starts, [*starts[1:], len(best)], strict=True):
        left, right = curves.x(edges[start]), curves.x(edges[end])
        place = {"x": left, "y": top, "width": right - left, "height": _BAR_HEIGHT}
        number = chosen.index(best[start]) if best[start] in chosen else None
        said = f"{curves.names[best[start]]}, {clock(edges[start], digits=1)} to {clock(edges[end], digits=1)}"
        pen = {"class_": "track", "fill": _TRACK}
        if number is not None:
            pen = {"class_": f"dot {run_class(number)}", "fill": run_colour(number)}
        parts.append(element("rect", element("title", text(said)), **place, **pen))
        if number is not None and right - left >= 2 * _RADIUS + 2:
            parts.append(_badge(number, (left + right) / 2, top + _BAR_HEIGHT / 2))
    return "".join(parts)


def _axes(curves: Curves, top: float, bottom: float) -> str:
    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = bottom - share * (bottom - top)
        pen = {"class_": "axis", "stroke": FAINT} if share == 0 else {"class_": "grid", "stroke": GRID}
        parts.append(element("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, **pen))
        parts.append(_faint(percent(share, digits=0), x=_LEFT - 6, y=y + 4, text_anchor="end", font_size=11))
    start, end = curves.edges[0], curves.edges[-1]
    step = next((step for step in _STEPS_S if (end - start) / step <= 9), 3600 * max(1, round((end - start) / 28800)))
    for tick in np.arange(np.ceil(start / step - 1e-6), np.floor(end / step + 1e-6) + 1) * step:
        x = curves.x(tick)
        parts.append(element("line", x1=x, x2=x, y1=bottom, y2=bottom + 5, class_="axis", stroke=FAINT))
        parts.append(_faint(clock(tick, digits=int(step < 1)), x=x, y=bottom + 19, text_anchor="middle"))
    said = "time, h:min:s" if end >= 3600 else "time, min:s"
    parts.append(_faint(said, x=(_LEFT + _RIGHT) / 2, y=bottom + 38, text_anchor="middle"))
    return "".join(parts)


def _lines(curves: Curves, chosen: Sequence[int], top: float, bottom: float) -> str:
    """Draw the curves, the first one over the others, each with its number at its peak."""
    bands, parts, badges, taken = [], [], [], []
    for number, index in reversed(list(enumerate(chosen))):
        line, band = _points(curves, index)
        pen = {"class_": f"line {run_class(number)}", "stroke": run_colour(number), "stroke_width": 2}
        dashes = {"stroke_dasharray": _DASHES[number]}
        pairs = _pairs(line, top, bottom)
        parts.append(element("polyline", points=pairs, fill="none", stroke_linejoin="round", **pen, **dashes))
        if band is not None:
            fill = {"class_": f"dot {run_class(number)}", "fill": run_colour(number), "fill_opacity": "0.2"}
            bands.append(element("polygon", points=_pairs(band, top, bottom), **fill))
    for number, index in enumerate(chosen):
        (x, share), _ = _points(curves, index)
        spot = _free_spot(x, bottom - share * (bottom - top), taken)
        taken.append(spot)
        badges.append(_badge(number, *spot))
    return "".join(bands + parts + badges)


def _pairs(points: tuple[np.ndarray, np.ndarray], top: float, bottom: float) -> str:
    x, share = points
    return " ".join(f"{left:.1f},{bottom - part * (bottom - top):.1f}" for left, part in zip(x, share, strict=True))


def _points(curves: Curves, index: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray] | None]:
    """Return a curve, pixels across and shares; of a long video the means of each pixel, and all around least and most.

    A line from least to most and back would be a surface, which hides the curves beneath it.
    """
    values = curves.probabilities[:, index]
    share = np.concatenate([values[:1], values, values[-1:]])
    x = curves.x(np.concatenate([curves.edges[:1], curves.middles, curves.edges[-1:]]))
    if len(x) <= 2 * (_RIGHT - _LEFT):
        return (x, share), None
    firsts = np.flatnonzero(np.diff(np.floor(x), prepend=-1))
    means = np.add.reduceat(share, firsts) / np.diff([*firsts, len(x)])
    least, most = np.minimum.reduceat(share, firsts), np.maximum.reduceat(share, firsts)
    across = np.floor(x[firsts])
    return (across, means), (np.concatenate([across, across[::-1]]), np.concatenate([most, least[::-1]]))


def _free_spot(x: np.ndarray, y: np.ndarray, taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the highest point of a curve at which no number is; its peak where there is none."""
    room = np.where((x > _LEFT + _RADIUS) & (x < _RIGHT - _RADIUS), np.inf, 0)  # the ends belong to the axis
    for across, down in taken:
        room = np.minimum(room, np.hypot(x - across, y - down))
    order = np.argsort(y, kind="stable")
    free = order[(room >= 2.4 * _RADIUS)[order]]
    at = free[0] if len(free) else order[0]
    return float(x[at]), float(y[at])


def _legend(curves: Curves, chosen: Sequence[int], top: float) -> str:
    parts = []
    for number, index in enumerate(chosen):
        y = top + 4 + number * _LEGEND_STEP
        shares = curves.probabilities[:, index]
        pen = {"class_": f"line {run_class(number)}", "stroke": run_colour(number), "stroke_width": 2.5}
        rule = {"x1": _LEGEND + 14, "x2": _LEGEND + 48, "y1": y, "y2": y, "stroke_dasharray": _DASHES[number]}
        on_top = curves.seconds_on_top[index]
        lead = f"on top {clock(on_top, digits=int(on_top < 10))}" if on_top else "never on top"
        peak = f"peak {percent(shares.max(), digits=0)} at {clock(curves.middles[shares.argmax()])}"
        parts += [
            element("line", **rule, **pen),
            _badge(number, _LEGEND + 6, y),
            words(curves.names[index], 25, x=_LEGEND + 54, y=y + 4, font_weight=600),
            _faint(f"{peak}, {lead}", x=_LEGEND + 14, y=y + 19, font_size=11),
        ]
    if said := _left_out(curves, chosen):
        parts.append(_faint(said, x=_LEGEND, y=top + 4 + len(chosen) * _LEGEND_STEP + 4, font_size=11))
    return "".join(parts)


def _left_out(curves: Curves, chosen: Sequence[int]) -> str:
    others = np.delete(curves.probabilities, list(chosen), axis=1)
    if not others.shape[1]:
        return ""
    which = "one other class" if others.shape[1] == 1 else f"{others.shape[1]} other classes"
    return f"{which}, at most {percent(others.max())}"


def _badge(number: int, x: float, y: float) -> str:
    """Draw a class's number, which is read whatever the colour around it."""
    ring = {"class_": f"ground ring {run_class(number)}", "fill": "#ffffff", "stroke": run_colour(number)}
    digit = {"class_": "ink", "fill": INK, "font_size": 11, "font_weight": 600, "text_anchor": "middle"}
    circle = element("circle", cx=x, cy=y, r=_RADIUS - 1, stroke_width=1.5, **ring)
    return circle + element("text", str(number + 1), x=x, y=y + 4, **digit)


def _faint(content: str, **attributes: str | float) -> str:
    return element("text", text(content), class_="faint", fill=FAINT, **attributes)


def _summary(title: str, curves: Curves, chosen: Sequence[int]) -> str:
    on_top = curves.seconds_on_top
    said = ", ".join(f"{curves.names[index]} for {duration(on_top[index])}" for index in chosen if on_top[index])
    return f"{title}; on top: {said}"
