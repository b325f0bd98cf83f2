"""The loops of TV-L1 flow at one scale: warps, medians, iterations. `keras_i3d.video.tvl1` says what they compute.

Pictures and fields are C-contiguous float32 arrays of shape (height, width). Where a product and a sum are rounded
once (`fma`) and where twice, and in which order terms are summed, is as in OpenCV 5.0: the iterations magnify a last
bit to hundredths of a pixel, so that all of them must be equal for the flow to be.

Buffers are made inside `refine`: of those the compiler knows that they do not overlap, which spares a tenth and more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from keras_i3d.tvl1_parameters import CUBIC
from keras_i3d.video.compiled import compiled, fma, inlined
from keras_i3d.video.pyramid import FRAME

Array = np.ndarray
_CUBIC = np.float32(CUBIC)
_LEAST_GRADIENT = np.float32(np.finfo(np.float32).eps)  # squared; less is none
_NEAR = np.float32(1e-3)  # share by which two orders of summing the changes may differ, and far more


@compiled
def refine(
    u1: Array,
    u2: Array,
    i0: Array,
    stack: Array,
    theta: float,
    dual_step: float,
    clamp: float,
    least_change: float,
    warps: int,
    outer: int,
    inner: int,
    rounded: bool,
) -> None:
    """Refine the flow of one scale, in place.

    Args:
        u1: Flow in x.
        u2: Flow in y.
        i0: The first picture.
        stack: The second, `keras_i3d.video.pyramid.with_gradients`.
        theta: Tightness of the tie between u and v.
        dual_step: tau / theta.
        clamp: lambda * theta.
        least_change: Sum of squared changes at which a warp is done.
        warps: How often the second picture is warped anew.
        outer: Medians of each warp at most.
        inner: Iterations between two medians.
        rounded: Whether warps round positions to 1/32 pixel.
    """
    height, width = i0.shape
    # of the warped picture: gradients in x and y, the square of their length, and rho where the flow is zero
    gx, gy, squared, constant = np.empty_like(i0), np.empty_like(i0), np.empty_like(i0), np.empty_like(i0)
    # dual variables, of each component along x and y, which live through all warps; with zeros before the first
    larger = (height + 1, width + 1)
    p11, p12, p21, p22 = (
        np.zeros(larger, np.float32),
        np.zeros(larger, np.float32),
        np.zeros(larger, np.float32),
        np.zeros(larger, np.float32),
    )
    changes, sums = np.empty_like(i0), np.empty(width, np.float32)
    step, divergence = np.empty(width, np.float32), np.empty(width, np.float32)
    padded, columns = np.empty((height + 4, width + 4), np.float32), np.empty((5, width + 4), np.float32)
    for _ in range(warps):
        _warp(i0, stack, u1, u2, rounded, gx, gy, squared, constant)
        for turn in range(outer * inner):
            if turn % inner == 0:
                _filter_by_median(u1, padded, columns)
                _filter_by_median(u2, padded, columns)
            # row y gets its new flow of the old dual variables, and row y - 1, whose own are read no more, new ones
            sums[:] = 0
            for y in range(height):
                _threshold(gx, gy, squared, constant, u1, u2, y, clamp, step)
                _divergence(p11, p12, y, divergence)
                _move(u1, gx, y, step, divergence, theta, changes)
                _divergence(p21, p22, y, divergence)
                _move_and_sum(u2, gy, y, step, divergence, theta, changes, sums)
                if y:
                    _follow(u1, y - 1, y, p11, p12, dual_step)
                    _follow(u2, y - 1, y, p21, p22, dual_step)
            _follow(u1, height - 1, height - 1, p11, p12, dual_step)  # below the last row the flow does not change
            _follow(u2, height - 1, height - 1, p21, p22, dual_step)
            if not _exceeds(changes, sums.sum(), least_change):
                break


@compiled
def _warp(
    i0: Array, stack: Array, u1: Array, u2: Array, rounded: bool, gx: Array, gy: Array, squared: Array, constant: Array
) -> None:
    """Warp I1 and its gradients by the flow, cubically, zero outside, and fill in what the iterations want of them."""
    height, width = i0.shape
    left, top = np.empty(width, np.uint32), np.empty(width, np.uint32)
    across, down = np.empty((4, width), np.float32), np.empty((4, width), np.float32)
    for y in range(height):
        _locate(u1[y], 0, 1, width, rounded, left, across[0], across[1], across[2], across[3])
        _locate(u2[y], y, 0, height, rounded, top, down[0], down[1], down[2], down[3])
        for x in range(width):
            weights = (across[0, x], across[1, x], across[2, x], across[3, x])
            value, ix, iy, _ = _interpolated(
                stack, top[x], left[x], weights, (down[0, x], down[1, x], down[2, x], down[3, x])
            )
            gx[y, x] = ix
            gy[y, x] = iy
            squared[y, x] = ix * ix + iy * iy
            constant[y, x] = value - ix * u1[y, x] - iy * u2[y, x] - i0[y, x]


@compiled
def _locate(
    u: Array,
    start: int,
    step: int,
    size: int,
    rounded: bool,
    first: Array,
    weight_0: Array,
    weight_1: Array,
    weight_2: Array,
    weight_3: Array,
) -> None:
    """Fill in along one axis where in the stack the four values around each pixel's target begin, and their weights.

    Targets are held where the frame of zeros is read, so that no pixel asks where the picture ends.
    """
    farthest = np.float32(size + FRAME - 2)
    for x in range(u.shape[0]):
        target = np.float32(start + step * x) + u[x]
        if rounded:
            target = np.float32(np.rint(target * np.float32(32)) / np.float32(32))
        target = min(max(target, np.float32(1 - FRAME)), farthest)
        floor = np.floor(target)
        first[x] = np.uint32(np.int32(floor) + FRAME - 1)
        weight_0[x], weight_1[x], weight_2[x], weight_3[x] = _cubic_weights(target - floor)


@intrinsic
def _interpolated(context: Any, stack: Any, top: Any, left: Any, across: Any, down: Any) -> Any:
    """Return the four values at one place: sixteen pixels, weighted along the rows, and the rows down.

    The four are one vector, which three times fewer instructions handle; the compiler does not come to this by itself.
    """
    four, lane = ir.VectorType(ir.FloatType(), 4), ir.IntType(32)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(four, [four, four, four]), "llvm.fma.v4f32"
        )
        whole = ir.IntType(64)
        pixels = context.make_array(signature.args[0])(context, builder, arguments[0])
        width = builder.extract_value(pixels.shape, 1)
        top, left = (builder.zext(argument, whole) for argument in arguments[1:3])

        def pixel(row: int, column: int) -> Any:
            place = builder.mul(builder.add(top, whole(row)), width)
            place = builder.add(builder.add(place, left), whole(column))
            address = builder.gep(pixels.data, [builder.mul(place, whole(4))])
            return builder.load(builder.bitcast(address, four.as_pointer()), align=4)

        def spread(weights: Any, index: int) -> Any:
            one = builder.insert_element(four(ir.Undefined), builder.extract_value(weights, index), lane(0))
            return builder.shuffle_vector(one, four(ir.Undefined), ir.VectorType(lane, 4)([0, 0, 0, 0]))

        def weighted(values: list, weights: list) -> Any:
            total = builder.fmul(values[0], weights[0])
            for value, weight in zip(values[1:], weights[1:], strict=True):
                total = builder.call(fma, [value, weight, total])
            return total

        across, down = ([spread(weights, index) for index in range(4)] for weights in arguments[3:5])
        rows = [weighted([pixel(row, column) for column in range(4)], across) for row in range(4)]
        found = weighted(rows, down)
        return context.make_tuple(
            builder, signature.return_type, [builder.extract_element(found, lane(index)) for index in range(4)]
        )

    return types.UniTuple(types.float32, 4)(stack, top, left, across, down), generate


@compiled
def _cubic_weights(part: float) -> tuple[float, float, float, float]:
    """Return the four weights of cubic interpolation at a part of a pixel."""
    a, one, rest = _CUBIC, np.float32(1), np.float32(1) - part
    square = part * part
    first, fourth = a * (part * (rest * rest)), a * (rest * square)
    second = fma(fma(a + np.float32(2), part, -(a + np.float32(3))), square, one)
    return first, second, ((one - first) - second) - fourth, fourth


@compiled
def _exceeds(changes: Array, total: float, limit: float) -> bool:
    """Tell whether the sum of the changes exceeds a limit: by their total, or where that is near, pixel by pixel."""
    if abs(total - limit) > limit * _NEAR:
        return total > limit
    total = np.float32(0)
    for y in range(changes.shape[0]):
        for x in range(changes.shape[1]):
            total += changes[y, x]
    return total > limit


# One loop each, over few arrays: so many the compiler can tell apart, and handle several pixels at once.


@compiled
def _divergence(along: Array, down: Array, y: int, target: Array) -> None:
    target[0] = (along[y + 1, 1] + down[y + 1, 1]) - down[y, 1]
    for x in range(1, target.shape[0]):
        target[x] = (along[y + 1, x + 1] - along[y + 1, x]) + (down[y + 1, x + 1] - down[y, x + 1])


@compiled
def _threshold(
    gx: Array, gy: Array, squared: Array, constant: Array, u1: Array, u2: Array, y: int, clamp: float, target: Array
) -> None:
    """Fill the steps along the gradient that bring rho to zero, or as near as `clamp` lets them."""
    for x in range(target.shape[0]):
        rho = constant[y, x] + (gx[y, x] * u1[y, x] + gy[y, x] * u2[y, x])
        limit = clamp * squared[y, x]
        step = -rho / squared[y, x]
        step = step if squared[y, x] > _LEAST_GRADIENT else np.float32(0)
        step = -clamp if rho > limit else step
        target[x] = clamp if rho < -limit else step


@compiled
def _move(u: Array, gradient: Array, y: int, step: Array, divergence: Array, theta: float, changes: Array) -> None:
    """Move a row of the flow's x to v + theta * div p, and keep the squared changes."""
    for x in range(step.shape[0]):
        before = u[y, x]
        after = (before + step[x] * gradient[y, x]) + theta * divergence[x]
        u[y, x] = after
        changes[y, x] = (after - before) * (after - before)


@compiled
def _move_and_sum(
    u: Array, gradient: Array, y: int, step: Array, divergence: Array, theta: float, changes: Array, sums: Array
) -> None:
    """Move a row of the flow's y, add the squared changes to those of x, and both to the sums of the columns."""
    for x in range(step.shape[0]):
        before = u[y, x]
        after = (before + step[x] * gradient[y, x]) + theta * divergence[x]
        u[y, x] = after
        change = changes[y, x] + (after - before) * (after - before)
        changes[y, x] = change
        sums[x] += change


@compiled
def _follow(u: Array, y: int, below: int, along: Array, down: Array, dual_step: float) -> None:
    """Let the dual variables of a row follow the forward gradient of the flow, no longer than 1."""
    one = np.float32(1)
    last = u.shape[1] - 1
    for x in range(last):
        ux, uy = u[y, x + 1] - u[y, x], u[below, x] - u[y, x]
        length = np.float32(np.sqrt(np.float64(ux) * np.float64(ux) + np.float64(uy) * np.float64(uy)))
        scale = one + dual_step * length
        along[y + 1, x + 1] = (along[y + 1, x + 1] + dual_step * ux) / scale
        down[y + 1, x + 1] = (down[y + 1, x + 1] + dual_step * uy) / scale
    uy = u[below, last] - u[y, last]
    scale = one + dual_step * abs(uy)
    along[y + 1, last + 1] = along[y + 1, last + 1] / scale
    down[y + 1, last + 1] = (down[y + 1, last + 1] + dual_step * uy) / scale


@compiled
def _filter_by_median(field: Array, padded: Array, columns: Array) -> None:
    """Replace each pixel of a field by the median of the 5x5 around it; beyond the edges, they are repeated.

    Columns of five are sorted once for the five windows that share them. In a window sorted by columns and then by
    rows, six values are surely below the median and six above; of the other thirteen it is the seventh.
    """
    height, width = field.shape
    for y in range(height + 4):
        row = field[min(max(y - 2, 0), height - 1)]
        padded[y, 2 : width + 2] = row
        padded[y, :2] = row[0]
        padded[y, width + 2 :] = row[width - 1]
    for y in range(height):
        _sort_columns(padded[y], padded[y + 1], padded[y + 2], padded[y + 3], padded[y + 4], columns)
        _median_row(columns[0], columns[1], columns[2], columns[3], columns[4], field[y])


@inlined
def _ordered(a: float, b: float) -> tuple[float, float]:
    return (a, b) if a < b else (b, a)


@compiled
def _sort_columns(a: Array, b: Array, c: Array, d: Array, e: Array, columns: Array) -> None:
    for x in range(a.shape[0]):
        columns[0, x], columns[1, x], columns[2, x], columns[3, x], columns[4, x] = _sorted(
            a[x], b[x], c[x], d[x], e[x]
        )


@inlined
def _sorted(a: float, b: float, c: float, d: float, e: float) -> tuple[float, float, float, float, float]:
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


@compiled
def _median_row(c0: Array, c1: Array, c2: Array, c3: Array, c4: Array, target: Array) -> None:
    for x in range(target.shape[0]):
        _, _, _, k0, k1 = _sorted(c0[x], c0[x + 1], c0[x + 2], c0[x + 3], c0[x + 4])
        _, _, k2, k3, k4 = _sorted(c1[x], c1[x + 1], c1[x + 2], c1[x + 3], c1[x + 4])
        _, k5, k6, k7, _ = _sorted(c2[x], c2[x + 1], c2[x + 2], c2[x + 3], c2[x + 4])
        k8, k9, k10, _, _ = _sorted(c3[x], c3[x + 1], c3[x + 2], c3[x + 3], c3[x + 4])
        k11, k12, _, _, _ = _sorted(c4[x], c4[x + 1], c4[x + 2], c4[x + 3], c4[x + 4])
        target[x] = _seventh(k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, k10, k11, k12)


@inlined
def _seventh(
    a: float,
    b: float,
    c: float,
    d: float,
    e: float,
    f: float,
    g: float,
    h: float,
    i: float,
    j: float,
    k: float,
    n: float,
    m: float,
) -> float:
    """Return the median of thirteen: of some of them the least and the greatest are put away, again and again."""
    # eight: a to h
    a, b = _ordered(a, b)
    c, d = _ordered(c, d)
    e, f = _ordered(e, f)
    g, h = _ordered(g, h)
    a, c = _ordered(a, c)
    e, g = _ordered(e, g)
    _, e = _ordered(a, e)
    b, d = _ordered(b, d)
    f, h = _ordered(f, h)
    d, _ = _ordered(d, h)
    # seven: b c d e f g i
    b, c = _ordered(b, c)
    d, e = _ordered(d, e)
    f, g = _ordered(f, g)
    b, d = _ordered(b, d)
    f, i = _ordered(f, i)
    _, f = _ordered(b, f)
    c, e = _ordered(c, e)
    g, i = _ordered(g, i)
    e, _ = _ordered(e, i)
    # six: c d e f g j
    c, d = _ordered(c, d)
    e, f = _ordered(e, f)
    g, j = _ordered(g, j)
    c, e = _ordered(c, e)
    _, g = _ordered(c, g)
    d, f = _ordered(d, f)
    f, _ = _ordered(f, j)
    # five: d e f g k
    d, e = _ordered(d, e)
    f, g = _ordered(f, g)
    d, f = _ordered(d, f)
    _, k = _ordered(d, k)
    e, g = _ordered(e, g)
    k, _ = _ordered(k, g)
    # four: e f k n
    e, f = _ordered(e, f)
    k, n = _ordered(k, n)
    _, k = _ordered(e, k)
    f, _ = _ordered(f, n)
    # three: f k m
    f, k = _ordered(f, k)
    k, _ = _ordered(k, m)
    _, k = _ordered(f, k)
    return k
