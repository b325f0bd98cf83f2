"""What is held and in which order it comes, on views that are counted."""

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from keras_i3d.errors import StorageError, VideoError
from keras_i3d.features.gathering import BATCHES_AHEAD, WINDOWS_AHEAD, Batch, Ended, Gathering, Place
from keras_i3d.protocol import Frames
from keras_i3d.video.container import StorageFailed
from keras_i3d.video.windows import Sliding

SLIDING = Sliding(4, 2)


def numbered(video: int, count: int, *, seen: Callable[[], None] = lambda: None, error: Exception | None = None):
    """Return what opens a video of views that tell its number and theirs."""

    def opened(damages: list[str]) -> Iterator[dict[str, np.ndarray]]:
        for index in range(count):
            seen()
            yield {"rgb": np.full((2, 2, 3), 100 * video + index, np.uint16)}
        if error is not None:
            raise error

    return opened


def gather(videos: list, *, batch_size: int = 3, decoders: int = 2, taken: Frames = Frames()) -> list[Batch]:  # noqa: B008
    with Gathering(videos, SLIDING, {"rgb": taken}, batch_size=batch_size, decoders=decoders) as gathering:
        return list(gathering.batches())


def rows(batches: list[Batch]) -> dict[int, list[tuple[Place, list[int]]]]:
    found: dict[int, list] = {}
    for batch in batches:
        for place, views in zip(batch.places, batch.views["rgb"], strict=False):
            found.setdefault(place.video, []).append((place, views[:, 0, 0, 0].tolist()))
    return found


@pytest.mark.parametrize("decoders", [1, 2, 5])
def test_each_window_of_each_video_comes_once_and_in_its_videos_order(decoders: int) -> None:
    batches = gather([numbered(0, 7), numbered(1, 3), numbered(2, 4)], decoders=decoders)
    assert rows(batches) == {
        0: [
            (Place(0, 0, 4), [0, 1, 2, 3]),
            (Place(0, 2, 4), [2, 3, 4, 5]),
            (Place(0, 4, 3), [4, 5, 6, 4]),
        ],
        1: [(Place(1, 0, 3), [100, 101, 102, 100])],
        2: [(Place(2, 0, 4), [200, 201, 202, 203])],
    }
    assert sorted((one.video, one.frames) for batch in batches for one in batch.ended) == [(0, 7), (1, 3), (2, 4)]


def test_batches_are_of_one_size_and_shared_by_videos() -> None:
    batches = gather([numbered(0, 4), numbered(1, 4), numbered(2, 4), numbered(3, 4)], decoders=1)
    assert [len(batch.places) for batch in batches] == [3, 1]
    assert {batch.views["rgb"].shape for batch in batches} == {(3, 4, 2, 2, 3)}
    last = batches[-1].views["rgb"]
    assert (last == last[0]).all()  # the network is traced for one size


def test_a_video_ends_with_its_last_window_or_after_it() -> None:
    seen: set[int] = set()
    for batch in gather([numbered(video, 9) for video in range(6)]):
        assert not seen & {place.video for place in batch.places}
        seen |= {one.video for one in batch.ended}
    assert seen == set(range(6))


def test_a_stream_takes_its_frames() -> None:
    (batch,) = gather([numbered(0, 4)], taken=Frames(step=2, offset=1))
    assert batch.views["rgb"][0, :, 0, 0, 0].tolist() == [1, 3]


def test_decoding_is_ahead_by_no_more_than_is_said() -> None:
    decoded = 0

    def seen() -> None:
        nonlocal decoded
        decoded += 1

    batch_size, answered, most = 2, 0, 0
    with Gathering(
        [numbered(0, 250, seen=seen)], SLIDING, {"rgb": Frames()}, batch_size=batch_size, decoders=1
    ) as gathering:
        for batch in gathering.batches():
            time.sleep(0.005)  # a slow network, which all the others wait for
            answered += len(batch.places)
            most = max(most, decoded - SLIDING.stride * answered)
    # queued windows; the batches that wait, that is filled and that is answered; one in the decoder's and one in the
    # gatherer's hand; and the window's own length
    held = WINDOWS_AHEAD * batch_size + (BATCHES_AHEAD + 2) * batch_size + 2
    assert decoded == 250
    assert most <= held * SLIDING.stride + SLIDING.window


def test_a_video_that_fails_ends_so_and_the_others_go_on() -> None:
    batches = gather([numbered(0, 6, error=VideoError("damaged after 6 frames")), numbered(1, 4)])
    ended = {one.video: one for batch in batches for one in batch.ended}
    assert str(ended[0].error) == "damaged after 6 frames"
    assert ended[0].error.__traceback__ is None
    assert ended[1] == Ended(1, 4)


def test_a_video_without_windows_ends_too() -> None:
    batches = gather([numbered(0, 0, error=VideoError("no video frame"))])
    assert [one.video for batch in batches for one in batch.ended] == [0]
    assert gather([]) == []


@pytest.mark.parametrize(
    ("error", "kind"), [(StorageFailed("the network is down"), StorageError), (RuntimeError("a bug"), RuntimeError)]
)
def test_what_is_no_fault_of_a_video_ends_all(error: Exception, kind: type) -> None:
    with pytest.raises(kind, match=str(error)):
        gather([numbered(0, 3, error=error), numbered(1, 200)])


def test_threads_end_with_the_block() -> None:
    before = threading.active_count()
    with Gathering([numbered(0, 60_000)], SLIDING, {"rgb": Frames()}, batch_size=2, decoders=3) as gathering:
        next(gathering.batches())
        assert threading.active_count() > before
    assert threading.active_count() == before
