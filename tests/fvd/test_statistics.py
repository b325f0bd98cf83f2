import json
import re
from dataclasses import replace

import numpy as np
import pytest

from keras_i3d.errors import StatisticsError
from keras_i3d.fvd.statistics import Gathering, Making, Moments, VideoStatistics, check_comparable, checked_path

MAKING = Making("kinetics", "ab" * 32, "logits", 16, 224)


def values(count: int = 23, width: int = 6, offset: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(0).normal(size=(count, width)) + offset).astype(np.float32)


def statistics(making: Making = MAKING, **options) -> VideoStatistics:
    gathering = Gathering(options.get("width", 6))
    vectors = values(**options)
    gathering.add(vectors, ["64x48"] * len(vectors), [(3.0, 250.0)] * len(vectors))
    gathering.skip("bad.mp4", "is damaged")
    return gathering.result(making)


@pytest.mark.parametrize("batch", [1, 2, 7, 23, 100])
def test_mean_and_covariance_do_not_depend_on_the_batches(batch: int) -> None:
    vectors = values(offset=1e4)  # sums of squares would lose eight digits
    moments = Moments(6)
    for start in range(0, len(vectors), batch):
        moments.add(vectors[start : start + batch])
    moments.add(vectors[:0])
    assert moments.count == 23
    np.testing.assert_allclose(moments.mean, vectors.astype(float).mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(moments.covariance(), np.cov(vectors.astype(float), rowvar=False), rtol=0, atol=1e-10)
    assert moments.mean.dtype == moments.covariance().dtype == np.float64


def test_moments_of_other_shapes_or_of_one_video_are_refused() -> None:
    moments = Moments(6)
    moments.add(values(1))
    with pytest.raises(ValueError, match="at least two videos, got 1"):
        moments.covariance()
    with pytest.raises(ValueError, match=re.escape("must be of shape (n, 6), got (3, 5)")):
        moments.add(np.zeros((3, 5)))


def test_saved_statistics_come_back_to_the_bit(tmp_path) -> None:
    made = statistics()
    made.save(tmp_path / "real.npz")
    read = VideoStatistics.read(tmp_path / "real.npz")
    assert (read.making, read.sizes, read.skipped) == (MAKING, {"64x48": 23}, (("bad.mp4", "is damaged"),))
    assert read.values == (3.0, 250.0) and read.videos == 23
    for name in ("vectors", "mean", "covariance"):
        assert getattr(read, name).dtype == getattr(made, name).dtype
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    assert [path.name for path in tmp_path.iterdir()] == ["real.npz"]


def test_statistics_are_saved_as_npz_alone(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"saved in an \.npz file, got .*real\.txt"):
        statistics().save(tmp_path / "real.txt")
    assert checked_path("a.npz").name == "a.npz"


@pytest.mark.parametrize("kind", ["absent", "text", "cut", "other", "array", "wrong", "nan"])
def test_what_are_no_statistics_is_an_error_that_names_the_file(tmp_path, kind: str) -> None:
    path = tmp_path / "x.npz"
    messages = {"absent": "no such file", "other": "it lacks keras_i3d_fvd", "wrong": "are no statistics of a set"}
    if kind == "text":
        path.write_text("hello")
    elif kind == "other":
        np.savez(path, mean=np.zeros(3))
    elif kind == "array":
        np.save(tmp_path / "x.npy", np.zeros(3))
        (tmp_path / "x.npy").rename(path)
    elif kind in ("wrong", "nan"):
        whole = statistics()
        replace(whole, mean=whole.mean[:3] if kind == "wrong" else whole.mean * np.nan).save(path)
    elif kind == "cut":
        statistics().save(path)
        path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(StatisticsError, match=messages.get(kind, "x.npz")) as caught:
        VideoStatistics.read(path)
    assert str(path) in str(caught.value)


def test_statistics_of_another_time_whose_facts_are_unknown_are_an_error(tmp_path) -> None:
    statistics().save(tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as arrays:
        facts = json.loads(str(arrays["keras_i3d_fvd"]))
        others = {name: arrays[name] for name in ("vectors", "mean", "covariance")}
    facts["making"]["colour"] = "grey"
    np.savez(tmp_path / "x.npz", keras_i3d_fvd=np.array(json.dumps(facts)), **others)
    with pytest.raises(StatisticsError, match=r"cannot be read as saved statistics.*colour"):
        VideoStatistics.read(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"endpoint": "features"}, "endpoint logits and features"),
        ({"frames": 32}, "frames 16 and 32"),
        ({"size": 32}, "size 224 and 32"),
        (
            {"network": "cd" * 32, "model": "mine.keras"},
            "network kinetics (abababababab) and mine.keras (cdcdcdcdcdcd)",
        ),
        ({"resizing": "bicubic"}, "and bicubic"),
        ({"steps": 2}, "steps 1 and 2"),
    ],
)
def test_sets_made_in_different_ways_are_not_compared(change: dict, difference: str) -> None:
    with pytest.raises(ValueError, match=rf"cannot be compared.*{re.escape(difference)}"):
        check_comparable(statistics(), statistics(replace(MAKING, **change)))


def test_rates_differ_only_where_both_are_known_and_names_and_versions_do_not_matter() -> None:
    own, ten, five = (statistics(replace(MAKING, fps=fps)) for fps in (None, 10.0, 5.0))
    check_comparable(own, ten)
    with pytest.raises(ValueError, match=re.escape("fps 10.0 and 5.0")):
        check_comparable(ten, five)
    check_comparable(own, statistics(replace(MAKING, model="copy.keras", version="0.0.1")))


def test_sets_of_different_feature_sizes_are_not_compared() -> None:
    with pytest.raises(ValueError, match="features of 6 and 5 dimensions"):
        check_comparable(statistics(), statistics(width=5))
