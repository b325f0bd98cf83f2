"""TV-L1 optical flow of many pairs of pictures at once, in keras.ops: for graphs, and for what compiles them.

`keras_i3d.video.tvl1` explains the algorithm (Zach, Pock & Bischof 2007), in whose terms this is written: the flow u
and its double v, the dual variables p, the difference rho, a pyramid of pictures, warps.

In a graph the number of operations counts, and what an operation reads and writes. So a picture is a row of its pixels,
(pairs, height * width), a neighbour is a shift of the row, and what comes around its end meets a zero. Sizes are Python
integers where they are known when the graph is traced, and tensors where they are not. All pairs iterate until the
last one rests; those that rest before are held by a mask.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from keras import ops

from keras_i3d.tvl1_parameters import CUBIC, DEFAULTS, SMALLEST_SIDE, Parameters

_LEAST_GRADIENT = float(np.finfo(np.float32).eps)
_FRAME = 4  # zeros around a picture that cubic interpolation just outside of it reads


def flow(before: Any, after: Any, parameters: Parameters = DEFAULTS) -> Any:
    """Return the flow from one picture to the next, of many pairs.

    Args:
        before: float32 (pairs, height, width), grey, 0 to 255; any axis may be unknown when it is traced.
        after: Of the same shape.
        parameters: Of the algorithm.

    Returns:
        float32 (pairs, height, width, 2): x, then y, in pixels, unbounded.
    """
    return ops.stack(_from_scale(before, after, 0, parameters), axis=-1)


def _from_scale(before: Any, after: Any, scale: int, parameters: Parameters) -> tuple[Any, Any]:
    """Return the flow of pictures of a scale, which begins with that of the next smaller ones, if there are any."""
    pairs, height, width = ops.shape(before)
    smaller = [_rounded_product(side, parameters.step) for side in (height, width)]

    def from_smaller() -> tuple[Any, Any]:
        step = Fraction(parameters.step).limit_denominator(1000)
        pictures = (_resized(picture, smaller, [(step.denominator, step.numerator)] * 2) for picture in (before, after))
        ratios = list(zip(smaller, (height, width), strict=True))
        fields = _from_scale(*pictures, scale + 1, parameters)
        return tuple(_resized(u, (height, width), ratios) * (1 / parameters.step) for u in fields)

    def at_rest() -> tuple[Any, Any]:
        return ops.zeros((pairs, height, width)), ops.zeros((pairs, height, width))

    known = [side for side in smaller if isinstance(side, int)]
    if scale + 1 == parameters.scales or min(known, default=SMALLEST_SIDE) < SMALLEST_SIDE:
        start = at_rest()
    elif len(known) == 2:
        start = from_smaller()
    else:
        start = ops.cond(ops.minimum(*smaller) >= SMALLEST_SIDE, from_smaller, at_rest)
    return _solved(before, after, start, parameters)


def _rounded_product(side: Any, factor: float) -> Any:
    """Return side * factor, rounded half to even."""
    if isinstance(side, int):
        return round(side * factor)
    return ops.cast(ops.round(ops.cast(side, "float32") * factor), "int32")


def _resized(fields: Any, sizes: Any, ratios: Any) -> Any:
    """Return fields (pairs, height, width) in another size, bilinearly.

    Pixel x of the new lies at (x + .5) * ratio - .5 of the old; ratios are numerator and denominator of each axis.
    """
    for axis, (size, ratio) in enumerate(zip(sizes, ratios, strict=True), start=1):
        first, second, part = _between(size, ratio, ops.shape(fields)[axis])
        lower, upper = ops.take(fields, first, axis=axis), ops.take(fields, second, axis=axis)
        fields = lower + (upper - lower) * ops.reshape(part, (-1, 1) if axis == 1 else (-1,))
    return fields


def _between(count: Any, ratio: tuple[Any, Any], size: Any) -> tuple[Any, Any, Any]:
    """Return the two old pixels around each new one, and how far it lies from the first to the second."""
    above, below = ratio
    position = (2 * ops.arange(count, dtype="int32") + 1) * above - below  # in 1 / (2 * below)
    first = ops.floor_divide(position, 2 * below)
    part = ops.cast(position - first * (2 * below), "float32") / ops.cast(2 * below, "float32")
    inside = ops.logical_and(first >= 0, first < size - 1)
    last = ops.cast(size - 1, "int32")
    return ops.clip(first, 0, last), ops.clip(first + 1, 0, last), ops.where(inside, part, 0.0)


def _solved(before: Any, after: Any, start: tuple[Any, Any], parameters: Parameters) -> tuple[Any, Any]:
    """Return the flow of one scale, (pairs, height, width) each. The dual variables live through all its warps."""
    pairs, height, width = ops.shape(before)
    rows = (pairs, height * width)
    still = ops.reshape(before, rows)
    table = _table(after)
    inside = _inside(height, width, parameters.tau)

    def warp(number: Any, *state: Any) -> tuple[Any, ...]:
        data = _warped(table, still, state[0], state[1], (height, width), parameters)
        return (number + 1, *_converged(state, data, inside, (height, width), parameters))

    u1, u2 = (ops.reshape(u, rows) for u in start)
    duals = [ops.zeros(rows) for _ in range(4)]
    _, u1, u2, *_ = ops.while_loop(lambda number, *_: number < parameters.warps, warp, (0, u1, u2, *duals))
    return ops.reshape(u1, (pairs, height, width)), ops.reshape(u2, (pairs, height, width))


def _inside(height: Any, width: Any, value: float) -> tuple[Any, Any]:
    """Return rows that are `value` where a pixel has a neighbour to the right, and one below, and zero elsewhere."""
    place = ops.arange(height * width, dtype="int32")
    right = ops.mod(place, width) < width - 1
    below = place < (height - 1) * width
    return tuple(ops.cast(there, "float32") * value for there in (right, below))


def _converged(state: Any, data: Any, inside: Any, sizes: tuple[Any, Any], parameters: Parameters) -> Any:
    """Iterate around one warp until the flow of every pair rests, or the rounds are over."""
    pairs = ops.shape(state[0])[0]
    least_change = parameters.epsilon**2 * ops.cast(sizes[0] * sizes[1], "float32")

    def hold(change: Any, new: Any, old: Any) -> Any:
        if isinstance(pairs, int) and pairs == 1:  # the loop ends with it
            return new
        moving = ops.expand_dims(change > least_change, -1)
        return [ops.where(moving, one, other) for one, other in zip(new, old, strict=True)]

    def is_moving(limit: int) -> Any:
        return lambda number, change, *_: ops.logical_and(number < limit, ops.any(change > least_change))

    def iterate(number: Any, change: Any, *state: Any) -> tuple[Any, ...]:
        latest, *new = _iterated(state, data, inside, sizes[1], parameters)
        return (number + 1, ops.where(change > least_change, latest, change), *hold(change, new, state))

    def median_then_iterate(number: Any, change: Any, u1: Any, u2: Any, *duals: Any) -> tuple[Any, ...]:
        medians = _median(ops.concatenate([u1, u2], axis=0), sizes)
        u1, u2 = hold(change, (medians[:pairs], medians[pairs:]), (u1, u2))
        _, *state = ops.while_loop(is_moving(parameters.inner), iterate, (0, change, u1, u2, *duals))
        return (number + 1, *state)

    begin = ops.full((pairs,), np.inf, "float32")
    _, _, *state = ops.while_loop(is_moving(parameters.outer), median_then_iterate, (0, begin, *state))
    return state


def _iterated(state: Any, data: Any, inside: Any, width: Any, parameters: Parameters) -> tuple[Any, ...]:
    """Return the sum of squared changes of each pair, and the next state: two rows of u, and four of theta * p."""
    u1, u2, *duals = state
    gx, gy, slope_x, slope_y, rest = data
    right, below = inside
    limit = parameters.lambda_ * parameters.theta
    step = ops.minimum(ops.maximum(rest + slope_x * u1 + slope_y * u2, -limit), limit)
    change, moved, followed = 0.0, [], []
    for u, gradient, along, down in ((u1, gx, *duals[:2]), (u2, gy, *duals[2:])):
        divergence = (along - ops.roll(along, 1, axis=1)) + (down - ops.roll(down, width, axis=1))
        new = u + (step * gradient + divergence)
        change += (new - u) * (new - u)  # of what is written anyway: a compiler need not make the difference twice
        dx = (ops.roll(new, -1, axis=1) - new) * right
        dy = (ops.roll(new, -width, axis=1) - new) * below
        length = 1 + ops.sqrt(dx * dx + dy * dy) * (1 / parameters.theta)
        followed += [(along + dx) / length, (down + dy) / length]
        moved.append(new)
    return (ops.sum(change, axis=1), *moved, *followed)


def _table(pictures: Any) -> Any:
    """Return four pixels in a row, of the picture and its gradients in x and y, at every place: (places, 12).

    Around the pictures are zeros. Gradients are centred; at the borders the one-sided are halved too, as in OpenCV.
    """
    wide, high = _repeated_edge(pictures, 2, 1), _repeated_edge(pictures, 1, 1)
    gx, gy = (wide[:, :, 2:] - wide[:, :, :-2]) * 0.5, (high[:, 2:] - high[:, :-2]) * 0.5
    frame = (_FRAME, _FRAME + 1)
    framed = ops.pad(ops.stack([pictures, gx, gy], axis=-1), [(0, 0), frame, frame, (0, 0)])
    cells = ops.reshape(framed, (-1, 3))
    return ops.concatenate([ops.roll(cells, -shift, axis=0) for shift in range(4)], axis=1)


def _repeated_edge(fields: Any, axis: int, times: int) -> Any:
    """Return fields (pairs, height, width) with the first and the last row, or column, repeated before and after."""
    first, last = ops.take(fields, [0] * times, axis=axis), ops.take(fields, [-1] * times, axis=axis)
    return ops.concatenate([first, fields, last], axis=axis)


def _warped(
    table: Any, still: Any, u1: Any, u2: Any, sizes: tuple[Any, Any], parameters: Parameters
) -> tuple[Any, ...]:
    """Warp I1 and its gradients by the flow, cubically; return what the iterations want of them, rows each.

    Returns:
        The gradients gx and gy, and of the step along them that brings both images together, -rho / |grad|^2, the
        slopes in u1 and u2 and the rest.
    """
    pairs = ops.shape(u1)[0]
    height, width = sizes
    place = ops.arange(height * width, dtype="int32")
    left, across = _taps(ops.cast(ops.mod(place, width), "float32") + u1, width, parameters.rounded)
    top, down = _taps(ops.cast(ops.floor_divide(place, width), "float32") + u2, height, parameters.rounded)
    frame = 2 * _FRAME + 1
    pair = ops.expand_dims(ops.arange(pairs, dtype="int32"), 1)
    first = (pair * (height + frame) + top) * (width + frame) + left
    cells = 0.0
    for row, weight in enumerate(down):
        cells += ops.take(table, first + row * (width + frame), axis=0) * ops.expand_dims(weight, -1)
    cells = ops.transpose(cells, (2, 0, 1))
    value, gx, gy = (sum(cells[3 * column + channel] * across[column] for column in range(4)) for channel in range(3))
    inverse = 1 / ops.maximum(gx * gx + gy * gy, _LEAST_GRADIENT)
    rest = (value - gx * u1 - gy * u2 - still) * -inverse
    return gx, gy, gx * -inverse, gy * -inverse, rest


def _taps(position: Any, size: Any, rounded: bool) -> tuple[Any, list[Any]]:
    """Return the first of four pixels of the framed picture around a position on one axis, and their weights."""
    if rounded:
        position = ops.round(position * 32) * (1 / 32)
    # where nothing but zeros is read, so that no pixel asks where the picture ends
    position = ops.minimum(ops.maximum(position, 1.0 - _FRAME), ops.cast(size + _FRAME - 2, "float32"))
    floor = ops.floor(position)
    part, a = position - floor, CUBIC
    far, remaining = part + 1, 1 - part
    first = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a
    second = ((a + 2) * part - (a + 3)) * part * part + 1
    third = ((a + 2) * remaining - (a + 3)) * remaining * remaining + 1
    return ops.cast(floor, "int32") + (_FRAME - 1), [first, second, third, 1 - first - second - third]


def _median(rows: Any, sizes: tuple[Any, Any]) -> Any:
    """Return the medians of 5x5 pixels, the edges repeated.

    Columns of five are sorted once for the five windows that share them. In a window sorted by columns and then by
    rows, six values are surely below the median and six above; of the other thirteen it is the seventh.
    """
    height, width = sizes
    pairs = ops.shape(rows)[0]
    wide = width + 4
    field = ops.reshape(rows, (pairs, height, width))
    field = ops.reshape(_repeated_edge(_repeated_edge(field, 1, 2), 2, 2), (pairs, (height + 4) * wide))
    # rows of the padded width stay in one piece: the last four windows of each reach around its end, and are cut
    columns = _sorted(*(field[:, shift * wide : (shift + height) * wide] for shift in range(5)))
    count = height * wide - 4
    windows = [[column[:, shift : shift + count] for shift in range(5)] for column in columns]
    a, b, c, d, e = (_sorted(*window) for window in windows)
    middle = _seventh(a[3], a[4], b[2], b[3], b[4], c[1], c[2], c[3], d[0], d[1], d[2], e[0], e[1])
    middle = ops.reshape(ops.pad(middle, [(0, 0), (0, 4)]), (pairs, height, wide))
    return ops.reshape(middle[:, :, :width], (pairs, height * width))


def _ordered(a: Any, b: Any) -> tuple[Any, Any]:
    return ops.minimum(a, b), ops.maximum(a, b)


def _sorted(a: Any, b: Any, c: Any, d: Any, e: Any) -> tuple[Any, ...]:
    a, b = _ordered(a, b)
    d, e = _ordered(d, e)
    c, e = _ordered(c, e)
    c, d = _ordered(c, d)
    b, e = _ordered(b, e)
    a, d = _ordered(a, d)
    a, c = _ordered(a, c)
    b, d = _ordered(b, d)
    b, c = _ordered(b, c)
    return a, b, c, d, e


def _seventh(*values: Any) -> Any:
    """Return the median of thirteen: of eight the least and the greatest are put away, then of those left and another.

    What is put away has six others above it, or below, so it is not the median.
    """
    kept = _without_extremes(list(values[:8]))
    for value in values[8:]:
        kept = _without_extremes([*kept, value])
    return kept[0]


def _without_extremes(values: list[Any]) -> list[Any]:
    """Return all but the least and the greatest of three values or more, in any order."""
    pairs = [_ordered(*values[place : place + 2]) for place in range(0, len(values) - 1, 2)]
    lows, highs = [low for low, _ in pairs], [high for _, high in pairs]
    if len(values) % 2:
        lows.append(values[-1])
    least, rest = lows[0], []
    for value in lows[1:]:
        least, higher = _ordered(least, value)
        rest.append(higher)
    if len(values) % 2:  # what was in no pair may be the greatest
        highs.append(rest.pop())
    greatest = highs[0]
    for value in highs[1:]:
        lower, greatest = _ordered(greatest, value)
        rest.append(lower)
    return rest
