"""Timelines: of which windows, of which probabilities, and what is made of them."""

import csv
import dataclasses
import itertools
import json
import tracemalloc
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from finished_models import small_model
from moving_textures import moving_texture
from numbered_videos import cut
from reckonable import Brightness

import keras_i3d
from keras_i3d.errors import ModelFileError, VideoError
from keras_i3d.serving.classifier import Classifier
from keras_i3d.serving.names import DEFAULT
from keras_i3d.serving.signatures import Signatures
from keras_i3d.serving.timeline import Timeline, expected_windows, smoothed
from keras_i3d.video import decode, encode, flow
from keras_i3d.video.windows import Sliding


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    """Return a video of 30 frames whose colours change."""
    frames = moving_texture(30, 32, 48).astype(float)
    for index, frame in enumerate(frames):
        frame *= 0.3
        frame[..., index // 10] += 150
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    encode.write_video(path, frames.clip(0, 255).astype(np.uint8), fps=25)
    return path


def classifier(modality: str = "rgb", **options) -> Classifier:
    finished = small_model(modality, **options)
    function = Signatures(finished).concrete(DEFAULT)
    return Classifier(finished.class_names, finished.preparation, function, finished.activation)


@pytest.mark.parametrize(("modality", "activation"), [("rgb", "softmax"), ("both", "sigmoid")])
def test_probabilities_are_the_models_on_each_window(film, modality: str, activation: str) -> None:
    answering = classifier(modality, activation=activation)
    found = keras_i3d.timeline(film, model=answering, window=12, stride=5)
    frames = decode.read_frames(film, short_side=answering.preparation.short_side)
    streams = {"rgb": frames, "flow": flow.from_stored(flow.to_stored(flow.tvl1(frames)).astype(np.float32))}
    assert len(found.times) == 5
    for number, (times, probabilities) in enumerate(zip(found.times, found.probabilities, strict=True)):
        first = 5 * number
        indices = [first + step % min(12, 30 - first) for step in range(12)]
        clip = {name: streams[name][None, indices] for name in answering.preparation.given}
        wanted = answering.respond(**clip)["probabilities"].numpy()[0]
        np.testing.assert_allclose(probabilities, wanted, atol=1e-6)
        assert tuple(times) == (first / 25, min(first + 12, 30) / 25)
    assert (found.frames, found.duration_s, found.class_names) == (30, 1.2, answering.class_names)


def test_a_server_gives_what_a_model_of_this_machine_gives(address, served, video) -> None:
    here = keras_i3d.timeline(video, model=served["i3d"], window=8, stride=3, smoothing_s=0.2)
    there = keras_i3d.timeline(video, server=address, window=8, stride=3, smoothing_s=0.2)
    assert there.model == f"i3d at {address}"
    np.testing.assert_array_equal(here.times, there.times)
    np.testing.assert_allclose(here.probabilities, there.probabilities, atol=1e-6)


def test_each_frame_is_decoded_once_and_no_sooner_than_it_is_wanted(film, monkeypatch) -> None:
    painted, seen = [], []
    paint = decode._Painter.paint
    monkeypatch.setattr(decode._Painter, "paint", lambda *given: painted.append(1) or paint(*given))

    class Watching(Brightness):
        def logits(self, window):
            seen.append(len(painted))
            return super().logits(window)

    keras_i3d.timeline(film, model=Watching(), window=10, stride=2)
    assert seen == list(range(10, 31, 2))
    assert len(painted) == 30


def test_memory_does_not_grow_with_the_video(tmp_path) -> None:
    class Forgetful(Brightness):
        def logits(self, window):
            return np.zeros(3, np.float32)

    def peak(count: int) -> int:
        frames = (np.full((64, 64, 3), index % 256, np.uint8) for index in range(count))
        (tmp_path / "a.mp4").write_bytes(encode.encode_video(frames, fps=25))
        tracemalloc.start()
        try:
            found = keras_i3d.timeline(tmp_path / "a.mp4", model=Forgetful(short_side=64), window=16, stride=4)
            assert len(found.stills) <= 64
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(20)  # what is imported and kept
    assert peak(1500) - peak(150) < 5e5  # 1350 frames are 17 MB


def test_the_number_of_windows_is_known_beforehand(film, tmp_path) -> None:
    answering, sliding = Brightness(), Sliding(10, 2)
    found = keras_i3d.timeline(film, model=answering, window=10, stride=2)
    assert expected_windows(answering, film, sliding) == len(found.times) == 11
    assert expected_windows(answering, tmp_path / "absent.mp4", sliding) is None


@pytest.mark.parametrize("count", [1, 5])
def test_a_video_shorter_than_a_window_has_one(tmp_path, count: int) -> None:
    encode.write_video(tmp_path / "a.mp4", moving_texture(count, 32, 48), fps=25)
    found = keras_i3d.timeline(tmp_path / "a.mp4", model=Brightness())
    np.testing.assert_array_equal(found.times, [[0, count / 25]])
    np.testing.assert_array_equal(found.edges, [0, count / 25])
    (segment,) = found.segments()
    assert (segment.start_s, segment.end_s, segment.windows) == (0, count / 25, 1)
    assert found.to_svg().startswith("<svg")


def test_videos_that_are_none_or_damaged_have_no_timeline(film, tmp_path) -> None:
    (tmp_path / "none.mp4").write_bytes(b"x" * 999)
    with pytest.raises(VideoError, match=r"none\.mp4: cannot be read as video"):
        keras_i3d.timeline(tmp_path / "none.mp4", model=Brightness())
    content = bytearray(film.read_bytes())
    middle = content.index(b"mdat") + len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    (tmp_path / "damaged.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=r"damaged\.mp4: "):
        keras_i3d.timeline(tmp_path / "damaged.mp4", model=Brightness())
    (tmp_path / "cut.mp4").write_bytes(film.read_bytes())
    with pytest.raises(VideoError, match=r"cut\.mp4"):
        keras_i3d.timeline(cut(tmp_path / "cut.mp4", 0.7), model=Brightness())


def test_options_out_of_range_are_refused_before_the_model_is_opened(film) -> None:
    for smoothing_s in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="smoothing_s must be a number of seconds, 0 or more"):
            keras_i3d.timeline(film, model="absent.keras", smoothing_s=smoothing_s)
    with pytest.raises(ModelFileError):
        keras_i3d.timeline(film, model="absent.keras")
    with pytest.raises(ValueError, match="windows of 16 frames alone; got window=20"):
        keras_i3d.timeline(film, model=Brightness(frames=16), window=20)


# --- what is made of a window's answers


def made(logits, *, sliding: Sliding = Sliding(4, 2), fps: float = 2.0, frames: int = 0, **options) -> Timeline:  # noqa: B008
    """Return a timeline of given logits, a window of two seconds every second."""
    logits = np.asarray(logits, np.float32)
    frames = frames or sliding.window + sliding.stride * (len(logits) - 1)
    firsts = np.arange(len(logits)) * sliding.stride
    times = np.stack([firsts, np.minimum(firsts + sliding.window, frames)], axis=1) / fps
    names = ("run", "jump", "swim")[: logits.shape[1]]
    return Timeline("a.mp4", "m", names, "softmax", fps, frames, sliding, times, logits, **options)


def logits_of(*shares: float) -> np.ndarray:
    return np.log([[share, 1 - share] for share in shares])


def test_smoothing_is_a_mean_over_the_windows_near_by() -> None:
    found = made(logits_of(0.9, 0.5, 0.1, 0.1, 0.6))
    np.testing.assert_allclose(found.probabilities[:, 0], [0.9, 0.5, 0.1, 0.1, 0.6], atol=1e-6)
    np.testing.assert_array_equal(found.middles, [1, 2, 3, 4, 5])
    # two seconds reach one window to each side; at the ends there is none beyond
    means = [(0.9 + 0.5) / 2, (0.9 + 0.5 + 0.1) / 3, (0.5 + 0.1 + 0.1) / 3, (0.1 + 0.1 + 0.6) / 3, (0.1 + 0.6) / 2]
    again = dataclasses.replace(found, smoothing_s=2.0)
    np.testing.assert_allclose(again.probabilities[:, 0], means, atol=1e-6)
    np.testing.assert_allclose(again.probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(dataclasses.replace(found, smoothing_s=1.9).probabilities, found.probabilities)
    np.testing.assert_allclose(dataclasses.replace(found, smoothing_s=100).probabilities[:, 0], 2.2 / 5, atol=1e-6)


def test_smoothing_is_what_slices_give() -> None:
    generator = np.random.default_rng(0)
    values = generator.uniform(size=(200, 3))
    middles = np.arange(200) * 0.32
    found = smoothed(values, middles, 2.0)
    for row, middle in enumerate(middles):
        near = values[np.abs(middles - middle) <= 1.0 + 1e-9]
        np.testing.assert_allclose(found[row], near.mean(axis=0), atol=1e-12)


def test_segments_are_the_stretches_with_one_class_on_top() -> None:
    found = made(logits_of(0.9, 0.7, 0.2, 0.4, 0.55))
    first, second, third = found.segments()
    assert [(one.start_s, one.end_s) for one in (first, second, third)] == [(0, 2.5), (2.5, 4.5), (4.5, 6)]
    assert [one.class_name for one in (first, second, third)] == ["run", "jump", "run"]
    assert [one.windows for one in (first, second, third)] == [2, 2, 1]
    assert first.probability == pytest.approx(0.8)
    assert second.top == (("jump", pytest.approx(0.7)), ("run", pytest.approx(0.3)))
    assert found.segments(top=1)[1].top == (("jump", pytest.approx(0.7)),)


def test_below_the_threshold_no_class_is_named() -> None:
    segments = made(logits_of(0.9, 0.55, 0.45, 0.9)).segments(threshold=0.6)
    assert [(one.class_name, one.start_s, one.end_s) for one in segments] == [
        ("run", 0, 1.5),
        (None, 1.5, 3.5),
        ("run", 3.5, 5),
    ]
    assert segments[1].to_json()["class"] is None
    for threshold in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"threshold must be a probability in \[0, 1\]"):
            made(logits_of(0.5)).segments(threshold=threshold)


@pytest.mark.parametrize("frames", [4, 5, 11, 23])
@pytest.mark.parametrize(("window", "stride"), [(4, 1), (4, 4), (4, 7)])
def test_segments_leave_no_gap(frames: int, window: int, stride: int) -> None:
    sliding = Sliding(window, stride)
    count = sliding.count(frames)
    generator = np.random.default_rng(frames)
    found = made(generator.normal(size=(count, 3)), sliding=sliding, frames=frames)
    segments = found.segments()
    assert segments[0].start_s == 0
    assert segments[-1].end_s == found.duration_s
    assert all(one.end_s == other.start_s for one, other in itertools.pairwise(segments))
    assert all(one.class_name != other.class_name for one, other in itertools.pairwise(segments))
    assert sum(one.windows for one in segments) == count


def test_files_hold_what_the_timeline_holds(tmp_path) -> None:
    found = made(logits_of(0.9, 0.7, 0.2), smoothing_s=0.5)
    found = dataclasses.replace(found, class_names=('to "run", fast', "跳"))
    found.save(tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["start_s", "end_s", 'to "run", fast', "跳"]
    np.testing.assert_allclose(np.array(rows, float)[:, :2], found.times)
    np.testing.assert_allclose(np.array(rows, float)[:, 2:], found.probabilities, rtol=1e-5)
    found.save(tmp_path / "a.json", threshold=0.8, top=1)
    told = json.loads((tmp_path / "a.json").read_text())
    assert told == json.loads(json.dumps(found.to_json(threshold=0.8, top=1)))
    assert [one["class"] for one in told["segments"]] == ['to "run", fast', None, "跳"]
    assert told["windows"][1] == {
        "start_s": 1.0,
        "end_s": 3.0,
        "top": [{"class": 'to "run", fast', "probability": pytest.approx(0.7)}],
    }
    settings = {name: told[name] for name in ("window", "stride", "fill", "smoothing_s", "threshold", "frames", "fps")}
    assert list(settings.values()) == [4, 2, "loop", 0.5, 0.8, 8, 2.0]
    found.save(tmp_path / "a.svg")
    assert ElementTree.parse(tmp_path / "a.svg").getroot().get("aria-label").startswith("a.mp4; on top: ")
    with pytest.raises(ValueError, match=r"a\.png: a timeline is written as \.csv, \.json, \.svg"):
        found.save(tmp_path / "a.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.json", "a.svg"]


def test_times_of_a_day_are_written_to_the_frame(tmp_path) -> None:
    found = dataclasses.replace(made(logits_of(0.9)), times=np.array([[86_400.04, 86_402.6]]))
    assert list(found.csv_rows())[1][:2] == ["86400.04", "86402.6"]
    assert next(iter(list(made(logits_of(0.9)).csv_rows())[1:]))[:2] == ["0", "2"]


def test_an_hour_is_summed_up_in_a_moment() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(11_248, 40)).astype(np.float32)
    sliding = Sliding(64, 8)
    firsts = np.arange(11_248) * 8
    times = np.stack([firsts, firsts + 64], axis=1) / 25
    names = tuple(map(str, range(40)))
    found = Timeline("a.mp4", "m", names, "sigmoid", 25.0, 90_040, sliding, times, logits, 10.0)
    assert found.probabilities.shape == (11_248, 40)
    assert found.segments()[-1].end_s == pytest.approx(3601.6)
    assert len(found.to_svg()) < 1e6
