"""The way from video to features, against a slow version that is easy to believe."""

import itertools
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from finished_models import paper_model, small_model, tiny_model
from moving_textures import moving_texture

from keras_i3d.clips import transforms
from keras_i3d.errors import PredictionError, VideoError
from keras_i3d.features.endpoints import Endpoint
from keras_i3d.features.extraction import ArraySource, FileSource, Outcome, extract
from keras_i3d.features.files import Features, Memory
from keras_i3d.features.settings import FeatureSettings
from keras_i3d.models import features as cutting
from keras_i3d.serving import prediction
from keras_i3d.video import decode

SETTINGS = FeatureSettings(window=16, stride=6, batch_size=3)
# of their standard deviation: batches of another size are multiplied in another order
NOISE = 1e-4


def run(endpoint: Endpoint, sources: list, **options) -> tuple[list[Features], list[Outcome]]:
    sinks = [Memory() for _ in sources]
    outcomes = list(extract(endpoint, sources, sinks.__getitem__, **options))
    return [sink.found for sink in sinks], outcomes


def run_with_sinks(endpoint: Endpoint, sources: list) -> tuple[list, list[Outcome]]:
    sinks = [Memory() for _ in sources]
    outcomes = list(extract(endpoint, sources, sinks.__getitem__))
    return [len(sink.found.times) if hasattr(sink, "found") else None for sink in sinks], outcomes


def alone(video: Path, finished, body: keras.Model) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Decode all, slice, prepare, and predict window by window."""
    (whole,) = prediction.windows(video, finished.preparation, 10**6)
    frames = len(next(iter(whole.values())))
    starts = [0, *(first for first in range(6, frames, 6) if first + 16 - 6 < frames)]
    vectors, times = [], []
    for first in starts:
        indices = list(range(first, min(first + 16, frames)))
        times.append((first / 25, (indices[-1] + 1) / 25))
        indices = list(itertools.islice(itertools.cycle(indices), 16))
        size = finished.preparation.size
        clips = {
            stream: transforms.testing_view(array[indices], size, stream)[np.newaxis] for stream, array in whole.items()
        }
        found = body.predict(clips if len(clips) > 1 else next(iter(clips.values())), verbose=0)
        found = found if isinstance(found, dict) else {"both" if len(clips) > 1 else next(iter(clips)): found}
        vectors.append({name: array[0].mean(axis=tuple(range(array.ndim - 2))) for name, array in found.items()})
    return {name: np.stack([vector[name] for vector in vectors]) for name in vectors[0]}, np.array(times)


def check(found: Features, expected: tuple[dict[str, np.ndarray], np.ndarray]) -> None:
    arrays, times = expected
    assert sorted(found.arrays) == sorted(name.removesuffix("_stream") for name in arrays)
    for name, array in arrays.items():
        own = found.arrays[name.removesuffix("_stream")]
        assert own.shape == array.shape
        assert np.abs(own - array).max() <= NOISE * array.std()
        if len(array) > 1:  # or any window would do
            assert np.abs(np.diff(array, axis=0)).max() > 100 * NOISE * array.std()
    np.testing.assert_allclose(found.times, times)


@pytest.fixture(scope="module")
def endpoint(finished) -> Endpoint:
    return Endpoint(finished, SETTINGS)


def test_many_windows_of_many_videos_are_those_of_a_slow_version(endpoint, finished, write_video, tmp_path) -> None:
    lengths = (50, 5, 16, 23)  # of one window and of several, filled and not
    videos = [
        write_video(tmp_path / f"{seed}.mp4", frames, height=48 + 16 * seed, width=64, seed=seed)
        for seed, frames in enumerate(lengths)
    ]
    found, outcomes = run(endpoint, [FileSource(str(video)) for video in videos], decoders=2)
    assert sorted((one.video, one.frames, one.windows) for one in outcomes) == [
        (0, 50, 7),
        (1, 5, 1),
        (2, 16, 1),
        (3, 23, 3),
    ]
    for one, video in zip(found, videos, strict=True):
        check(one, alone(video, finished, cutting.split(finished.network)[0]))
        assert one.made_with["video"] == str(video)
        assert (one.made_with["video_bytes"], one.fps) == (video.stat().st_size, 25.0)
    assert [one.frames for one in found] == list(lengths)


def test_both_streams_come_of_one_pass(write_video, tmp_path) -> None:
    finished = small_model("both")
    video = write_video(tmp_path / "a.mp4", 20, height=18, width=24)
    (found,), _ = run(Endpoint(finished, replace(SETTINGS, endpoint="Logits")), [FileSource(str(video))])
    check(found, alone(video, finished, finished.logits_network()))


@pytest.mark.slow
def test_both_streams_of_i3d_have_features_each(write_video, tmp_path, enliven) -> None:
    finished = paper_model("two_stream_i3d")
    enliven(finished.network)
    video = write_video(tmp_path / "a.mp4", 20)
    (found,), _ = run(Endpoint(finished, SETTINGS), [FileSource(str(video))])
    assert {name: array.shape for name, array in found.arrays.items()} == {"rgb": (2, 1024), "flow": (2, 1024)}
    check(found, alone(video, finished, cutting.split(finished.network)[0]))


def test_no_frame_is_decoded_twice(endpoint, write_video, tmp_path, monkeypatch) -> None:
    video = write_video(tmp_path / "a.mp4", 40)
    decoded = []
    painter = decode._Painter.paint

    def counted(self, frame):
        decoded.append(frame.pts)
        return painter(self, frame)

    monkeypatch.setattr(decode._Painter, "paint", counted)
    run(endpoint, [FileSource(str(video))])
    assert len(decoded) == len(set(decoded)) == 40


def test_frames_in_memory_are_those_of_the_file(endpoint, write_video, tmp_path) -> None:
    video = write_video(tmp_path / "a.mp4", 20)
    frames = decode.read_frames(video, fps=25.0, short_side=37)
    (of_file, of_array), _ = run(endpoint, [FileSource(str(video)), ArraySource(frames)])
    np.testing.assert_allclose(of_file.arrays["rgb"], of_array.arrays["rgb"], atol=1e-5)
    assert of_array.made_with["video"] is None


def test_frames_of_any_size_are_resized_as_in_tests(endpoint, finished) -> None:
    frames = moving_texture(16, 60, 80)
    (small, found), _ = run(endpoint, [ArraySource(moving_texture(16, 37, 37)), ArraySource(frames)])
    views = transforms.testing_view(frames, 32, "rgb")[np.newaxis]
    expected = cutting.split(finished.network)[0].predict(views, verbose=0).mean(axis=(1, 2, 3))
    assert np.abs(found.arrays["rgb"] - expected).max() <= NOISE * expected.std()
    alone_small, _ = run(endpoint, [ArraySource(moving_texture(16, 37, 37))])
    np.testing.assert_allclose(small.arrays["rgb"], alone_small[0].arrays["rgb"], atol=1e-5)


def test_a_short_video_is_looped_or_padded_as_asked(finished, frames) -> None:
    made = {}
    for fill, indices in (("loop", [*range(10), *range(6)]), ("pad", [*range(10), *[9] * 6])):
        settings = FeatureSettings(window=16, fill=fill, batch_size=2)
        (short, filled), _ = run(Endpoint(finished, settings), [ArraySource(frames[:10]), ArraySource(frames[indices])])
        np.testing.assert_allclose(short.arrays["rgb"], filled.arrays["rgb"], atol=1e-5)
        assert short.times.tolist() == [[0.0, 0.4]]
        made[fill] = short.arrays["rgb"]
    assert np.abs(made["loop"] - made["pad"]).max() > 1e-3


def test_a_video_that_cannot_be_used_has_no_features_and_the_others_have(endpoint, write_video, tmp_path) -> None:
    good = write_video(tmp_path / "a.mp4", 20)
    (tmp_path / "b.mp4").write_bytes(b"no video")
    found, outcomes = run_with_sinks(endpoint, [FileSource(str(tmp_path / "b.mp4")), FileSource(str(good))])
    errors = {one.video: one.error for one in outcomes}
    assert isinstance(errors[0], VideoError)
    assert errors[1] is None
    assert found == [None, 2]


def test_features_that_are_no_numbers_are_an_error_of_their_video(frames) -> None:
    finished = tiny_model()
    kernel = finished.network.get_layer("first")
    kernel.kernel.assign(keras.ops.full_like(kernel.kernel, np.inf))
    found, (outcome,) = run_with_sinks(Endpoint(finished, SETTINGS), [ArraySource(frames)])
    assert found == [None]
    assert isinstance(outcome.error, PredictionError)
    assert str(outcome.error) == "the network's features of the window at frame 0 are no finite numbers"


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((3, 4, 4), np.uint8), np.zeros((3, 4, 4, 3), np.float32), np.zeros((0, 4, 4, 3), np.uint8)],
)
def test_what_is_no_frames_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"frames must be uint8 of shape \(time, height, width, 3\), none of them 0"):
        ArraySource(wrong)
