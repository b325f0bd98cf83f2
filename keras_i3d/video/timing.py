"""When each frame of a file is shown, and which of them the ticks of a constant rate take."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from keras_i3d.errors import VideoError

LONGEST_GAP_S = 60  # between two frames, unless the file is as slow as that; a damaged time could ask for hours of one
SLOW_PERIODS = 10
JUMP_S = 1  # back in time by more than this a new recording begins
MICROSECONDS = 1_000_000


def exact(number: float) -> Fraction:
    """Take a decimal at its word: 0.2 is one fifth, not the binary number next to it."""
    return Fraction(number).limit_denominator(MICROSECONDS)


class Clock:
    """Tells the seconds of each frame of one stream after its first one; they never run backwards.

    A frame without a time follows the one before by a period of the stream. A time that is a little before the
    last one is moved up to it. Where the times jump back, as in joined recordings, they go on from there.
    """

    def __init__(self, rate: Fraction | None) -> None:
        self._period = 1 / rate if rate is not None and rate > 0 else Fraction(1, 25)
        self._longest_gap = max(LONGEST_GAP_S, SLOW_PERIODS * self._period)
        self._first: Fraction | None = None
        self._time = Fraction(0)
        self._started = False

    def time_of(self, frame: Any) -> Fraction:
        """Return the seconds of the next frame, of PyAV.

        Raises:
            VideoError: No frame was shown for so long that the time must be wrong; without a file's name.
        """
        before = self._time
        if frame.pts is None or not frame.time_base or frame.time_base < 0:
            self._time = before + self._period if self._started else before
        else:
            absolute = frame.pts * frame.time_base
            if self._first is None:
                self._first = absolute - (before + self._period if self._started else before)
            time = absolute - self._first
            if time < before - JUMP_S:
                time = before + self._period
                self._first = absolute - time
            if time - before > self._longest_gap:
                raise VideoError(f"no frame for {float(time - before):.0f} s")
            self._time = max(time, before)
        self._started = True
        return self._time


def resampled(
    frames: Iterator[tuple[Fraction, Any]], fps: float | None, start: Fraction, end: Fraction | None
) -> Iterator[Any]:
    """Yield for every tick ``start + k / fps`` before the end the frame that is nearest in time.

    Of two frames that are equally near the later one is taken. The last tick is the last one that has the last
    frame within half a period, so a video that has the wanted rate already passes unchanged.
    """
    if fps is None:
        yield from (frame for time, frame in frames if time >= start and (end is None or time < end))
        return
    period = 1 / exact(fps)
    tick, previous = start, None
    for time, frame in frames:
        if previous is not None and time > previous[0]:
            middle = (previous[0] + time) / 2
            while tick < middle and (end is None or tick < end):
                yield previous[1]
                tick += period
        previous = (time, frame)
    if previous is None:
        return
    while tick <= previous[0] + period / 2 and (end is None or tick < end):
        yield previous[1]
        tick += period
