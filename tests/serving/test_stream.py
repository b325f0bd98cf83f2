"""Frames that come one by one: what is answered, when, and what is refused."""

import itertools
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from moving_textures import moving_texture
from reckonable import Brightness

import keras_i3d
from keras_i3d.video import decode
from keras_i3d.video.windows import Sliding

TAPE = moving_texture(21, 16, 24)


def shares(window: np.ndarray) -> np.ndarray:
    powers = np.exp(window.mean(axis=(0, 1, 2)) / 255)
    return powers / powers.sum()


def test_each_window_is_answered_as_it_is_full() -> None:
    taken = []

    def camera() -> Iterator[np.ndarray]:
        for index in range(21):
            taken.append(index)
            yield TAPE[index]

    found = keras_i3d.predict_stream(camera(), model=Brightness(), window=8, stride=4, top=3)
    assert taken == []
    for number, one in enumerate(itertools.islice(found, 4)):
        first = 4 * number
        assert taken == list(range(first + 8))
        assert (one.start_s, one.end_s) == (first / 25, (first + 8) / 25)
        wanted = shares(TAPE[first : first + 8])
        for name, probability in one.top:
            assert probability == pytest.approx(wanted[Brightness.class_names.index(name)], abs=1e-6)
    (last,) = found
    assert (last.start_s, last.end_s) == (16 / 25, 21 / 25)
    assert last.to_json()["top"][0] == {"class": last.top[0][0], "probability": last.top[0][1]}


def test_a_stream_gives_what_the_file_gives(video) -> None:
    frames = decode.read_frames(video, short_side=16)
    stream = keras_i3d.predict_stream(iter(frames), model=Brightness(), window=6, stride=2, top=3)
    timeline = keras_i3d.timeline(video, model=Brightness(), window=6, stride=2)
    for one, times, probabilities in zip(stream, timeline.times, timeline.probabilities, strict=True):
        assert (one.start_s, one.end_s) == tuple(times)
        np.testing.assert_allclose([value for _, value in one.top], np.sort(probabilities)[::-1], atol=1e-6)


@pytest.mark.parametrize(("fps", "indices"), [(50, range(0, 21, 2)), (12.5, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])])
def test_frames_of_another_rate_are_those_nearest_in_time(fps: float, indices) -> None:
    answering = Brightness()
    list(keras_i3d.predict_stream(TAPE, model=answering, fps=fps, window=11, stride=100))
    np.testing.assert_array_equal(answering.windows[0], TAPE[list(indices)])


def test_frames_are_brought_to_the_models_size_and_may_be_overwritten() -> None:
    buffer = np.zeros((32, 64, 3), np.uint8)

    def camera() -> Iterator[np.ndarray]:
        for level in (10, 20, 30):
            buffer[:] = level
            yield buffer

    answering = Brightness()
    list(keras_i3d.predict_stream(camera(), model=answering, window=3, stride=3))
    (window,) = answering.windows
    assert window.shape == (3, 16, 32, 3)
    assert [int(frame[8, 8, 0]) for frame in window] == [10, 20, 30]


@pytest.mark.parametrize(("fill", "last"), [("loop", [0, 1, 2, 0, 1]), ("pad", [0, 1, 2, 2, 2])])
def test_a_stream_shorter_than_a_window_is_filled_up(fill: str, last: list[int]) -> None:
    answering = Brightness()
    (one,) = keras_i3d.predict_stream(TAPE[:3], model=answering, window=5, fill=fill)
    assert one.end_s == 3 / 25
    np.testing.assert_array_equal(answering.windows[0], TAPE[last])
    assert list(keras_i3d.predict_stream([], model=answering)) == []


GOOD = np.zeros((16, 24, 3), np.uint8)
BAD = {
    "another size": (
        np.zeros((24, 16, 3), np.uint8),
        r"frame 2 is of shape \(24, 16, 3\), those before it of \(16, 24, 3",
    ),
    "floats": (GOOD.astype(np.float32), r"frame 2 must be uint8 \(height, width, 3\), RGB; got float32 \(16, 24, 3\)"),
    "NaN": (np.full((16, 24, 3), np.nan), r"frame 2 must be uint8 .* got float64"),
    "grey": (GOOD[..., 0], r"frame 2 must be uint8 .* got uint8 \(16, 24\)"),
    "alpha": (np.zeros((16, 24, 4), np.uint8), r"frame 2 must be uint8 .* got uint8 \(16, 24, 4\)"),
    "no pixels": (np.zeros((0, 24, 3), np.uint8), r"frame 2 must be uint8 .* got uint8 \(0, 24, 3\)"),
    "none": (None, r"frame 2 must be uint8 .* got NoneType"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_frame_that_is_none_is_named_by_its_index(kind: str) -> None:
    frame, message = BAD[kind]
    with pytest.raises(ValueError, match=message):
        list(keras_i3d.predict_stream([GOOD, GOOD, frame], model=Brightness(), window=2, stride=1))


def test_options_are_refused_before_a_frame_is_taken() -> None:
    frames = iter(TAPE)
    for options, message in (
        ({"fps": 0}, "must be above 0 and at most 1000; got 0"),
        ({"top": 0}, "top must be at least 1, got 0"),
        ({"window": 0}, "window is a number of frames"),
        ({"fill": "mirror"}, "fill must be 'loop' or 'pad', got 'mirror'"),
    ):
        with pytest.raises(ValueError, match=message):
            keras_i3d.predict_stream(frames, model=Brightness(), **options)
    with pytest.raises(
        ValueError, match=r"frames must be arrays, one by one; got 'a\.mp4'\. Of a file: keras_i3d\.timeline"
    ):
        keras_i3d.predict_stream("a.mp4", model=Brightness())
    assert len(list(frames)) == 21


def test_a_client_opened_for_a_stream_is_closed_with_it(monkeypatch, served, double) -> None:
    closed = []
    monkeypatch.setattr("keras_i3d.serving.client.Client.close", lambda self: closed.append(self))
    found = keras_i3d.predict_stream(TAPE, server=double.grpc, window=9, stride=6)
    here = keras_i3d.predict_stream(TAPE, model=served["i3d"], window=9, stride=6)
    for one, other in zip(found, here, strict=True):
        assert [name for name, _ in one.top] == [name for name, _ in other.top]
    assert len(closed) == 1
    with pytest.raises(ValueError, match="takes windows of at most 1000 frames"):
        keras_i3d.predict_stream(TAPE, server=double.grpc, window=2000)
    assert len(closed) == 2


def test_a_pipe_is_read_as_its_docstring_says() -> None:
    script = (
        "import sys, numpy\n"
        "for level in range(10): sys.stdout.buffer.write(numpy.full((16, 24, 3), 20 * level, numpy.uint8))"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:

        def pipe(file) -> Iterator[np.ndarray]:
            while len(raw := file.read(16 * 24 * 3)) == 16 * 24 * 3:
                yield np.frombuffer(raw, np.uint8).reshape(16, 24, 3)

        answering = Brightness()
        found = list(keras_i3d.predict_stream(pipe(process.stdout), model=answering, window=4, stride=3))
    assert [(one.start_s, one.end_s) for one in found] == [(0, 0.16), (0.12, 0.28), (0.24, 0.4)]
    assert [int(frame[0, 0, 0]) for frame in answering.windows[-1]] == [120, 140, 160, 180]


def test_memory_does_not_grow_with_the_stream() -> None:
    class Forgetful(Brightness):
        def logits(self, window):
            return np.zeros(3, np.float32)

    frames = (np.full((64, 64, 3), index % 256, np.uint8) for index in range(1500))  # 18 MB in all, a window 0.2 MB
    answering = Forgetful(short_side=64)
    tracemalloc.start()
    try:
        count = sum(1 for _ in keras_i3d.predict_stream(frames, model=answering, window=16, stride=4))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == Sliding(16, 4).count(1500)
    assert most < 2e6
