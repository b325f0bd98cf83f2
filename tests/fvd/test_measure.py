import json
import re
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
from video_networks import moving_clips, video_network

import keras_i3d
from keras_i3d import FvdOptions, frechet_video_distance, video_statistics
from keras_i3d.errors import DatasetError, StatisticsError, WeightsUnavailable
from keras_i3d.fvd.measure import complaints, distance_between
from keras_i3d.fvd.network import VideoNetwork
from keras_i3d.fvd.videos import VideoSetWarning
from keras_i3d.video.decode import read_frames
from keras_i3d.video.encode import write_video

few = pytest.mark.filterwarnings("ignore::keras_i3d.fvd.videos.VideoSetWarning")
pytestmark = few
REAL, GENERATED = moving_clips(12), moving_clips(9, seed=1)


@pytest.fixture(scope="module")
def network() -> VideoNetwork:
    return VideoNetwork(video_network())


@pytest.fixture(scope="module")
def statistics(network) -> tuple:
    return video_statistics(REAL, model=network), video_statistics(GENERATED, model=network)


def literal(real: np.ndarray, generated: np.ndarray) -> float:
    """Return the formula as it is written, of vectors."""
    means = [vectors.astype(float).mean(axis=0) for vectors in (real, generated)]
    first, second = (np.cov(vectors.astype(float), rowvar=False) for vectors in (real, generated))
    roots = np.sqrt(np.linalg.eigvals(first @ second).real.clip(0))
    return ((means[0] - means[1]) ** 2).sum() + np.trace(first + second) - 2 * roots.sum()


def test_the_distance_is_the_formulas_on_the_networks_logits(network, statistics) -> None:
    found = frechet_video_distance(REAL, GENERATED, model=network)
    expected = literal(statistics[0].vectors, statistics[1].vectors)
    assert found.distance == float(found) == pytest.approx(expected, rel=1e-6)
    assert found.distance > 1


def test_features_are_measured_by_choice() -> None:
    network = video_network()
    found = frechet_video_distance(REAL, GENERATED, model=network, endpoint="features")
    of_features = VideoNetwork(network, "features")
    vectors = [video_statistics(clips, model=of_features).vectors for clips in (REAL, GENERATED)]
    assert vectors[0].shape == (12, 12)
    assert found.distance == pytest.approx(literal(*vectors), rel=1e-5)  # fewer videos than dimensions: roots of noise
    assert found.making.endpoint == "features"


def test_of_a_set_with_itself_it_is_0_in_any_order_and_batch(network) -> None:
    assert frechet_video_distance(REAL, REAL, model=network).distance == 0
    shuffled = REAL[np.random.default_rng(0).permutation(len(REAL))]
    size = frechet_video_distance(REAL, GENERATED, model=network).distance
    assert frechet_video_distance(REAL, shuffled, model=network).distance <= 1e-9 * size
    options = FvdOptions(batch_size=5)
    assert frechet_video_distance(REAL, shuffled, model=network, options=options).distance <= 1e-9 * size


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_it_does_not_depend_on_batches_nor_order(network, batch_size: int) -> None:
    usual = frechet_video_distance(REAL, GENERATED, model=network).distance
    options = FvdOptions(batch_size=batch_size)
    found = frechet_video_distance(REAL[::-1], GENERATED[::-1], model=network, options=options)
    assert found.distance == pytest.approx(usual, rel=1e-5)  # float32: other shapes may sum in another order


def test_it_is_the_same_from_files_arrays_floats_and_saved_statistics(network, tmp_path) -> None:
    for name, clips in (("real", REAL), ("generated", GENERATED)):
        (tmp_path / name).mkdir()
        for index, clip in enumerate(clips):
            write_video(tmp_path / name / f"{index:02d}.mp4", clip, fps=8)
    read = [
        np.stack([read_frames(path, fps=None, short_side=None) for path in sorted((tmp_path / name).iterdir())])
        for name in ("real", "generated")
    ]
    by_files = frechet_video_distance(tmp_path / "real", tmp_path / "generated", model=network).distance
    assert frechet_video_distance(*read, model=network).distance == by_files
    floats = [clips.astype(np.float32) / 127.5 - 1 for clips in read]
    by_floats = frechet_video_distance(*floats, model=network, value_range=(-1, 1)).distance
    assert by_floats == pytest.approx(by_files, rel=1e-5)
    video_statistics(tmp_path / "real", model=network).save(tmp_path / "real.npz")
    assert frechet_video_distance(tmp_path / "real.npz", read[1], model=network).distance == by_files


def test_the_range_of_floats_is_never_guessed(network) -> None:
    floats = REAL / np.float32(255)
    with pytest.raises(
        ValueError, match=re.escape("generated[0]: float32 frames may mean any range; state value_range")
    ):
        frechet_video_distance(REAL, floats, model=network)
    assert frechet_video_distance(REAL, floats, model=network, value_range=(0, 1)).distance < 1e-6


def test_saved_statistics_are_compared_without_tensorflow_or_a_network(statistics, tmp_path) -> None:
    for name, one in zip("ab", statistics, strict=True):
        one.save(tmp_path / f"{name}.npz")
    script = (
        "import sys, warnings, keras_i3d\nwarnings.simplefilter('ignore')\n"
        f"result = keras_i3d.frechet_video_distance({str(tmp_path / 'a.npz')!r}, {str(tmp_path / 'b.npz')!r})\n"
        "assert not {'tensorflow', 'keras', 'av'} & set(sys.modules)\nprint(repr(float(result)))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert float(done.stdout) == distance_between(*statistics).distance


def test_saved_statistics_of_something_else_than_asked_are_refused(statistics) -> None:
    message = "asked for features, 10 frames a video; the saved statistics are of logits, 10 frames"
    with pytest.raises(ValueError, match=message):
        frechet_video_distance(*statistics, endpoint="features")
    with pytest.raises(ValueError, match="asked for logits, 9 frames a video; the saved statistics are of logits, 10"):
        frechet_video_distance(*statistics, frames=9)
    with pytest.raises(StatisticsError, match=r"absent\.npz: no such file"):
        frechet_video_distance(statistics[0], "absent.npz")


def test_statistics_of_another_network_are_refused_before_the_videos_are_seen(statistics) -> None:
    with pytest.raises(
        ValueError, match=re.escape("generated[0]: cannot be compared with the other set, they differ in")
    ):
        frechet_video_distance(statistics[0], GENERATED, model=video_network(seed=1))


def test_sets_of_different_lengths_are_refused(network) -> None:
    with pytest.raises(ValueError, match=re.escape("generated[0]: cannot be compared") + ".*frames 10 and 12"):
        frechet_video_distance(REAL, moving_clips(3, frames=12), model=network)


def test_an_interval_is_made_where_one_is_asked_for(network, statistics) -> None:
    options = FvdOptions(level=0.9, seed=3)
    found = frechet_video_distance(*statistics, resamples=20, options=options)
    low, high = found.interval
    assert 0 <= low < found.distance < high
    assert (found.level, found.resamples, found.seed) == (0.9, 20, 3)
    assert frechet_video_distance(*statistics).interval is None
    with pytest.raises(ValueError, match="resamples must be 0, for no interval, or at least 20; got 5"):
        frechet_video_distance("absent", "absent", resamples=5)


def test_the_result_has_all_that_it_takes_to_publish_it(statistics) -> None:
    result = json.loads(json.dumps(distance_between(*statistics, resamples=20).to_json()))
    assert result["real"] == {"videos": 12, "sizes": {"40x24": 12}, "skipped": []}
    assert {name: result[name] for name in ("model", "endpoint", "frames", "size", "fps")} == {
        "model": "i3d",
        "endpoint": "logits",
        "frames": 10,
        "size": 32,
        "fps": None,
    }
    assert len(result["network"]) == 64 and "TF1" in result["resizing"] and result["version"] == keras_i3d.__version__
    assert len(result["interval"]) == 2 and len(result["warnings"]) == 2


def test_few_videos_and_few_frames_are_warned_of(network) -> None:
    with pytest.warns(VideoSetWarning) as told:
        found = frechet_video_distance(REAL, GENERATED, model=network, frames=9)
    assert [str(one.message) for one in told] == list(found.warnings)
    assert [text.split(";")[0] for text in found.warnings] == [
        "real: 12 videos",
        "generated: 9 videos",
        "9 frames a video",
    ]


def test_enough_videos_of_one_size_and_length_are_not_warned_of(statistics) -> None:
    real = replace(statistics[0], vectors=np.zeros((256, 5), np.float32))
    assert complaints(real, real) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distance_between(real, real)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"sizes": {"40x24": 3, "64x64": 9}}, "real: videos of 2 sizes (64x64, 40x24), each resized by itself"),
        ({"sizes": {"64x64": 256}}, "real videos are 64x64, generated ones 40x24; resizing alone makes a difference"),
        ({"values": (0.0, 1.0)}, "real: no value is above 1 of 255; were floats in [0, 1] taken for bytes?"),
        ({"values": (127.5, 255.0)}, "real: no value is below the middle of the range; were floats in [0, 1] taken"),
    ],
)
def test_what_looks_like_a_mistake_is_warned_of(statistics, change: dict, text: str) -> None:
    assert any(found.startswith(text) for found in complaints(replace(statistics[0], **change), statistics[1]))


def test_floats_taken_for_another_range_are_warned_of(network) -> None:
    floats = REAL / np.float32(255)
    for value_range, text in (((0, 255), "no value is above 1"), ((-1, 1), "no value is below the middle")):
        found = frechet_video_distance(floats, GENERATED, model=network, value_range=value_range)
        assert any(text in one for one in found.warnings)


def test_either_set_that_is_none_is_told_before_a_network_is_loaded(tmp_path) -> None:
    with pytest.raises(DatasetError, match="no video in it"):
        frechet_video_distance(REAL, tmp_path, model="absent.keras")


def test_zeros_against_ones_are_as_far_as_others_publish(tmp_path, monkeypatch) -> None:
    """The value that JunyaoHu/common_metrics_on_video_quality publishes; frames of one colour, so no resizing in it."""
    monkeypatch.setenv("KERAS_I3D_MIRROR", str(tmp_path))  # what is in the cache is used, nothing is fetched
    zeros = np.zeros((8, 30, 64, 64, 3), np.uint8)
    try:
        found = frechet_video_distance(zeros, zeros + 255, model="kinetics")
    except WeightsUnavailable:
        pytest.skip("the published weights are not in the cache")
    assert found.distance == pytest.approx(151.168, rel=0.01)
