"""Dual TV-L1 optical flow on the CPU, as near to OpenCV's as OpenCV's builds are to one another, ten times as fast.

The flow u from image I0 to image I1 minimises the sum over the picture of

    |grad u1| + |grad u2|  +  lambda * |I1(x + u) - I0(x)|

(Zach, Pock & Bischof 2007, "A Duality Based Approach for Realtime TV-L1 Optical Flow"; Perez, Meinhardt-Llopis &
Facciolo 2013, "TV-L1 Optical Flow Estimation", describe the discretisation). The first term, the total variation, keeps
the flow smooth but for edges; the second, an absolute value, bears changes of light. Neither has a derivative at zero,
so the two are kept apart by a second field v near to u, tied by |u - v|^2 / (2 theta), and solved for in turns:

* v, with u fixed: pixel by pixel, in closed form. The image is taken as linear around the flow u0 it was warped by,
  rho(v) = I1(x + u0) + grad I1(x + u0) * (v - u0) - I0, and v steps from u along the gradient until rho is zero, or by
  lambda * theta at most.
* u, with v fixed: u = v + theta * div p, with dual variables p (two to each component of u, no longer than 1) that
  follow the gradient of u by steps of tau / theta (Chambolle 2004).

Large motions come from coarse pictures: the flow of each picture of the pyramid begins with that of the next smaller
one, and I1 is warped by it several times. Pictures are grey, 0 to 255, and not smoothed.

What agreement with OpenCV rests on, the weightiest first: warps are cubic (coefficient -0.75) with zeros outside; the
dual variables live through all warps of a scale; iterations end when the squared change falls below epsilon^2 times the
area, tested after each one, and that ends the warp; the flow is median-filtered (5x5) before each round of iterations;
sides of the pyramid are rounded half to even, its pixels lie at (x + .5) * 1.25 - .5; flow is scaled by 1.25 from
scale to scale; gradients are centred, halved at the borders, and warped.
"""

from __future__ import annotations

import numpy as np

from keras_i3d.tvl1_parameters import DEFAULTS, Parameters
from keras_i3d.video import pyramid, tvl1_kernels

_FLOAT = np.float32


def cache_folder() -> str:
    """Return where what is compiled is kept."""
    return tvl1_kernels.refine.stats.cache_path


def between(before: np.ndarray, after: np.ndarray, parameters: Parameters = DEFAULTS) -> np.ndarray:
    """Compute the flow from one picture to the next, on one core; other threads run meanwhile.

    The first call in a fresh installation compiles, which takes about ten seconds; later processes find it on disk.

    Args:
        before: uint8 array of shape (height, width), grey, of any size from 1x1.
        after: Of the same shape.
        parameters: Of the algorithm.

    Returns:
        float32 array of shape (height, width, 2): x, then y, in pixels, unbounded.

    Raises:
        ValueError: The pictures are something else.
    """
    for picture in (before, after):
        if picture.dtype != np.uint8 or picture.ndim != 2 or not picture.size or picture.shape != before.shape:
            raise ValueError(
                f"pictures must be grey, uint8 (height, width) of one shape; got {before.dtype} {before.shape} and "
                f"{after.dtype} {after.shape}"
            )
    first, second = pyramid.pictures(before, parameters), pyramid.pictures(after, parameters)
    u1, u2 = np.zeros_like(first[-1]), np.zeros_like(first[-1])
    for i0, i1 in zip(reversed(first), reversed(second), strict=True):
        if u1.shape != i0.shape:
            u1, u2 = (pyramid.enlarged(u, i0.shape, parameters) for u in (u1, u2))
        tvl1_kernels.refine(
            u1,
            u2,
            i0,
            pyramid.with_gradients(i1),
            _FLOAT(parameters.theta),
            _FLOAT(parameters.tau / parameters.theta),
            _FLOAT(parameters.lambda_ * parameters.theta),
            _FLOAT(parameters.epsilon**2 * i0.size),
            parameters.warps,
            parameters.outer,
            parameters.inner,
            parameters.rounded,
        )
    return np.stack([u1, u2], axis=-1)
