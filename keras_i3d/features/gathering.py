"""Windows of several videos, decoded at once, gathered into batches of one size.

Each of some threads takes a video, decodes it and slides the window over it; another copies windows into batches. All
wait for who comes behind them, so that no more is held, however long the videos are, than `WINDOWS_AHEAD` batches of
windows that share their frames, `BATCHES_AHEAD` batches, one of each on its way, and the frames of a window and the
decoder's own for every thread.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np

from keras_i3d.errors import StorageError, VideoError
from keras_i3d.features.views import View
from keras_i3d.protocol import Frames
from keras_i3d.video.container import StorageFailed
from keras_i3d.video.windows import Sliding, Window

WINDOWS_AHEAD = 2  # batches of windows that decoders may be ahead by
BATCHES_AHEAD = 1
MOST_ENDED = 32  # videos whose ends wait for a batch to be full
_PATIENCE_S = 0.1  # between looks whether all is over

# from a list that takes what is wrong with a video that is kept although damaged, to the views of its frames
Opened = Callable[[list[str]], Iterator[View]]


@dataclass(frozen=True)
class Ended:
    """A video all of whose windows were given out.

    Attributes:
        video: Its number.
        frames: That were decoded.
        damage: What is wrong with it although it was kept, otherwise None.
        error: Why it cannot be used, otherwise None.
    """

    video: int
    frames: int
    damage: str | None = None
    error: VideoError | None = None


@dataclass(frozen=True)
class Place:
    """Whose a row of a batch is: the video's number, and the window's first frame and number of frames."""

    video: int
    first: int
    count: int


@dataclass
class Batch:
    """Windows as the network takes them.

    Attributes:
        views: By stream, (batch, time, size, size, channels); behind the last of `places` stands the last window again.
        places: Whose the rows are.
        ended: Videos of which no window comes after this batch.
    """

    views: dict[str, np.ndarray]
    places: list[Place] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)


class _OverError(Exception):
    """Nobody wants more."""


class Gathering:
    """Decodes videos and gathers their windows; a context manager, whose end stops the threads.

    Args:
        videos: Each opens one, when its turn comes.
        sliding: How windows lie.
        taken: Which frames of a window are taken, by stream.
        batch_size: Windows of a batch.
        decoders: Videos that are decoded at once.
    """

    def __init__(
        self,
        videos: Iterable[Opened],
        sliding: Sliding,
        taken: dict[str, Frames],
        *,
        batch_size: int,
        decoders: int,
    ) -> None:
        self._videos, self._lock = enumerate(videos), threading.Lock()
        self._sliding, self._taken, self._batch_size = sliding, taken, batch_size
        self._over = threading.Event()
        self._windows: queue.Queue = queue.Queue(WINDOWS_AHEAD * batch_size)
        self._batches: queue.Queue = queue.Queue(BATCHES_AHEAD)
        works = [self._decode] * decoders + [lambda: self._gather(decoders)]
        self._threads = [threading.Thread(target=self._work, args=(work,), daemon=True) for work in works]

    def __enter__(self) -> Gathering:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def batches(self) -> Iterator[Batch]:
        """Yield the batches; the windows of a video come in their order.

        Raises:
            StorageError: The storage of a video cannot be reached, which is no fault of the video.
        """
        while (item := self._batches.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        except _OverError:
            pass
        except BaseException as error:  # whatever it is, it is the caller's, who would wait for ever
            with contextlib.suppress(_OverError):
                self._put(self._batches, error)

    def _put(self, target: queue.Queue, item: object) -> None:
        while not self._over.is_set():
            with contextlib.suppress(queue.Full):
                target.put(item, timeout=_PATIENCE_S)
                return
        raise _OverError

    def _take(self) -> object:
        while not self._over.is_set():
            with contextlib.suppress(queue.Empty):
                return self._windows.get(timeout=_PATIENCE_S)
        raise _OverError

    def _decode(self) -> None:
        while True:
            with self._lock:
                number, opened = next(self._videos, (None, None))
            if opened is None:
                self._put(self._windows, None)
                return
            self._put(self._windows, self._windows_of(number, opened))

    def _windows_of(self, number: int, opened: Opened) -> Ended:
        """Give out the windows of a video; returns how it ended."""
        damages: list[str] = []
        counter = itertools.count()
        try:
            with contextlib.closing(opened(damages)) as views:
                for window in self._sliding.over(self._counted(views, counter)):
                    self._put(self._windows, (number, window))
        except StorageFailed as error:
            raise StorageError(str(error)) from error
        except VideoError as error:
            error.__cause__ = error.__context__ = None  # their tracebacks would keep frames in memory
            return Ended(number, next(counter), error=error.with_traceback(None))
        return Ended(number, next(counter), damages[0] if damages else None)

    def _counted(self, views: Iterable[View], counter: Iterator[int]) -> Iterator[View]:
        for view, _ in zip(views, counter, strict=False):
            if self._over.is_set():
                raise _OverError
            yield view

    def _gather(self, decoders: int) -> None:
        batch = None
        while decoders:
            item = self._take()
            if item is None:
                decoders -= 1
                continue
            batch = batch or Batch({})
            if isinstance(item, Ended):
                batch.ended.append(item)
            else:
                self._add(batch, *item)
            # where no windows come, as of a folder of damaged videos, their ends are told all the same
            if len(batch.places) == self._batch_size or len(batch.ended) == MOST_ENDED:
                self._put(self._batches, _filled(batch))
                batch = None
        if batch is not None:
            self._put(self._batches, _filled(batch))
        self._put(self._batches, None)

    def _add(self, batch: Batch, video: int, window: Window[View]) -> None:
        row = len(batch.places)
        for stream, part in self._taken.items():
            frames = window.frames[part.offset :: part.step]
            if not row:
                sample = frames[0][stream]
                batch.views[stream] = np.empty((self._batch_size, len(frames), *sample.shape), sample.dtype)
            for place, frame in zip(batch.views[stream][row], frames, strict=True):
                place[...] = frame[stream]
        batch.places.append(Place(video, window.first, window.count))


def _filled(batch: Batch) -> Batch:
    """Return a batch with as many rows as any other, for the network is traced for one size alone."""
    for views in batch.views.values():
        views[len(batch.places) :] = views[len(batch.places) - 1]
    return batch
