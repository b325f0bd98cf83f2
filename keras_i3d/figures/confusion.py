"""A confusion matrix as SVG: rows are true classes, columns predicted ones, shaded by share of the row."""

from collections.abc import Sequence

import numpy as np

from keras_i3d.figures.style import FAINT, GRID, HEAT, INK, percent, text
from keras_i3d.figures.svg import drawing, element, words

_GRID_WIDTH = 340
_SMALLEST_CELL, _LARGEST_CELL = 12, 64
_NAME_LENGTH = 20
_DARK_SHARE = 0.55


def confusion_matrix(counts: np.ndarray, class_names: Sequence[str], *, title: str, right: int | None = None) -> str:
    """Draw a confusion matrix.

    Every cell that is not empty says in its tooltip what was taken for what; the right answers are outlined.
    Numbers are left out where the cells are too small for them.

    Args:
        counts: int (classes, classes), at least 0; row: true class, column: predicted class. Whole floats do.
        class_names: The classes' names, in the order of the rows; long ones are cut, whole in the tooltip.
        title: The heading.
        right: How many answers are right, where that is not the sum of the diagonal.

    Returns:
        One ``<svg>`` element.

    Raises:
        ValueError: `counts` is not square with a row for each class, or holds other than whole numbers
            from 0 on.
    """
    counts = _checked(counts, len(class_names))
    cell = int(np.clip(_GRID_WIDTH // len(counts), _SMALLEST_CELL, _LARGEST_CELL))
    font_size = min(12, cell - 2)
    longest = min(max(len(name) for name in class_names), _NAME_LENGTH)
    margin = round(longest * font_size * 0.58) + 12
    left, top = margin + 18, margin + 46
    side = cell * len(counts)
    width, height = max(left + side + 4, 260), top + side + 4
    cells = _grid(len(counts), cell) + _cells(counts, class_names, cell) + _outlines(len(counts), cell)
    return drawing(
        _headings(title, left, top, side)
        + _names(class_names, left, top, cell, font_size)
        + element("g", cells, transform=f"translate({left} {top})"),
        width=width,
        height=height,
        label=f"{title}: confusion matrix, {np.trace(counts) if right is None else right} of {counts.sum()} right",
        font_size=font_size,
    )


def _checked(counts: np.ndarray, classes: int) -> np.ndarray:
    counts = np.asarray(counts)
    if classes < 1 or counts.shape != (classes, classes):
        raise ValueError(f"counts must be ({classes}, {classes}), a row for each name; received {counts.shape}")
    whole = np.rint(counts).astype(np.int64) if np.isfinite(counts).all() else None
    if whole is None or (whole != counts).any() or (whole < 0).any():
        raise ValueError(f"counts must be whole numbers from 0 on; received {counts.dtype} with others among them")
    return whole


def _headings(title: str, left: int, top: int, side: int) -> str:
    middle = top + side / 2
    pen = {"class_": "faint", "fill": FAINT, "font_size": 12, "text_anchor": "middle"}
    return (
        words(title, 48, x=0, y=16, font_size=15, font_weight=600)
        + element("text", "predicted", x=left + side / 2, y=38, **pen)
        + element("text", "true", transform=f"translate(10 {middle}) rotate(-90)", **pen)
    )


def _names(class_names: Sequence[str], left: int, top: int, cell: int, font_size: int) -> str:
    parts = []
    for index, name in enumerate(class_names):
        baseline = (index + 0.5) * cell + font_size * 0.35
        turned = f"translate({left + baseline:.1f} {top - 7}) rotate(-90)"
        parts.append(words(name, _NAME_LENGTH, x=left - 7, y=top + baseline, text_anchor="end"))
        parts.append(words(name, _NAME_LENGTH, transform=turned))
    return "".join(parts)


def _grid(classes: int, cell: int) -> str:
    side = classes * cell
    lines = "".join(f"M{index * cell} 0V{side}M0 {index * cell}H{side}" for index in range(classes + 1))
    return element("path", d=lines, class_="grid", stroke=GRID, fill="none")


def _cells(counts: np.ndarray, class_names: Sequence[str], cell: int) -> str:
    totals = counts.sum(axis=1)
    number_size = min(13.0, cell / 2.2)
    numbered = number_size >= 8 and number_size * 0.62 * len(str(counts.max())) <= cell - 4
    parts = []
    for (true_index, predicted_index), count in np.ndenumerate(counts):
        across, down, total = predicted_index * cell, true_index * cell, totals[true_index]
        share = count / total if total else 0.0
        if count:
            tooltip = (
                f"{class_names[true_index]} taken for {class_names[predicted_index]}: "
                f"{count} of {total} ({percent(share, digits=0)})"
            )
            shade = {"class_": "heat", "fill": HEAT, "fill_opacity": f"{share:.3f}"}
            title = element("title", text(tooltip))
            parts.append(element("rect", title, x=across, y=down, width=cell, height=cell, **shade))
        if numbered:
            parts.append(_number(count, share, across + cell / 2, down + cell / 2, number_size))
    return "".join(parts)


def _number(count: int, share: float, across: float, middle: float, size: float) -> str:
    kind, colour = ("on-heat", "#ffffff") if share > _DARK_SHARE else ("ink", INK)
    where = {"x": across, "y": middle + size * 0.36, "font_size": size, "text_anchor": "middle"}
    faint = None if count else "0.4"
    pen = {"class_": kind, "fill": colour, "fill_opacity": faint, "pointer_events": "none"}
    return element("text", str(count), **where, **pen)


def _outlines(classes: int, cell: int) -> str:
    """Outline the diagonal, where the right answers are."""
    pen = {"class_": "mark", "fill": "none", "stroke": INK, "pointer_events": "none"}
    corners = [index * cell + 0.5 for index in range(classes)]
    return "".join(element("rect", x=corner, y=corner, width=cell - 1, height=cell - 1, **pen) for corner in corners)
