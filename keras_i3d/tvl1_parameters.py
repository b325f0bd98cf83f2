"""The parameters of TV-L1 flow, which all its implementations share. Imports nothing of the package."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameters:
    """The parameters of TV-L1; the defaults are OpenCV's, on which the published flow networks were trained.

    Attributes:
        tau: Step of the dual variables.
        lambda_: Weight of the images' agreement against smoothness: smaller is smoother.
        theta: Tightness of the tie between the two fields.
        scales: Pictures of the pyramid at most.
        step: Ratio of the sides of one to those of the next larger.
        warps: How often an image is warped anew at each scale.
        epsilon: Mean change of the flow, in pixels, at which a warp is done.
        inner: Iterations between two medians.
        outer: Medians of each warp at most.
        rounded: Whether warps round positions to 1/32 pixel, as OpenCV did up to 4.x; since 5.0 it does not.
    """

    tau: float = 0.25
    lambda_: float = 0.15
    theta: float = 0.3
    scales: int = 5
    step: float = 0.8
    warps: int = 5
    epsilon: float = 0.01
    inner: int = 30
    outer: int = 10
    rounded: bool = False


DEFAULTS = Parameters()
SMALLEST_SIDE = 16  # pixels of the smallest picture of the pyramid
CUBIC = -0.75  # OpenCV's coefficient of the cubic kernel that warps
PAIRS_ON_A_GPU = 64  # that one is given at once; some 27 MB each at 256x340
