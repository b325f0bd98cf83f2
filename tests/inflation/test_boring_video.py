import json

import keras
import numpy as np
import pytest
from keras import layers

from keras_i3d.inflation.boring_video import boring_video_error
from keras_i3d.inflation.inflate import inflate
from keras_i3d.models import architecture
from keras_i3d.models.i3d import I3D

# rounding of some sixty layers of float32
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def image(golden):
    return golden.clip((2, 1, 40, 36, 3), "image")[:, 0]


def inflated(source: keras.Model, **options) -> keras.Model:
    return inflate(source, I3D(weights=None, input_shape=(None, 40, 36, 3), classes=1001, **options))


@pytest.mark.parametrize("plan", ["i3d", "top_heavy:4b", "s3d", "per_frame"])
def test_with_edges_i3d_gives_of_a_still_video_what_inception_gives_of_the_image(source, image, plan) -> None:
    error = boring_video_error(source, inflated(source, time_plan=plan, temporal_padding="edge"), image, frames=16)
    assert min(row.largest for row in error.layers) > 0.01
    assert {*architecture.END_POINTS} <= {row.layer for row in error.layers}
    assert error.everywhere <= TOLERANCE
    assert error.interior == error.everywhere


def test_with_zeros_i3d_does_so_where_they_do_not_reach(source, image) -> None:
    error = boring_video_error(source, inflated(source), image)
    classifier = error.of("Logits__Conv3d_0c_1x1__conv_3d")
    assert error.frames == 112
    assert (classifier.interior_steps, classifier.steps) == (1, 13)
    assert error.interior <= TOLERANCE
    assert error.of("Mixed_3b").everywhere > 0.1
    assert error.of("Logits").interior is None


def test_image_and_boring_video_rank_the_classes_alike(source, image) -> None:
    network = inflated(source, temporal_padding="edge")
    flat = np.array(source(image))
    deep = np.array(network(np.repeat(image[:, np.newaxis], 9, axis=1)))
    for mine, its in zip(deep, flat, strict=True):
        order = np.argsort(-its, kind="stable")[:50]
        gaps = -np.diff(its[order])
        assert gaps.min() > 10 * np.abs(mine - its).max()  # else the ranks of the two closest would be chance
        assert np.argsort(-mine, kind="stable")[:50].tolist() == order.tolist()


def test_a_network_that_is_not_the_sources_is_seen(source, image) -> None:
    network = inflated(source, temporal_padding="edge")
    norm = network.get_layer("Mixed_4b__Branch_0__Conv3d_0a_1x1__batch_norm")
    norm.beta.assign(norm.beta + 0.1)
    error = boring_video_error(source, network, image, frames=8)
    assert error.of("Mixed_3c").everywhere <= TOLERANCE
    assert error.of("Mixed_4b").interior > 1e-3


def test_the_report_is_read_by_people_and_programs(source, image) -> None:
    names = ["Conv3d_1a_7x7", "Logits"]
    error = boring_video_error(source, inflated(source), image[0], frames=12, layers=names)
    assert [row.layer for row in error.layers] == names
    lines = str(error).splitlines()
    assert lines[0].split() == ["layer", "interior", "everywhere", "steps", "inside"]
    assert lines[1].split()[-3:] == ["3", "of", "6"]
    assert lines[2].split()[1] == "-"
    assert lines[3].startswith("largest")
    read = json.loads(json.dumps(error.to_json()))
    assert read["frames"] == 12
    assert read["interior"] == error.layers[0].interior
    assert read["layers"][1]["interior"] is None
    with pytest.raises(ValueError, match="no layer 'Mixed_3b' was compared; there are Conv3d_1a_7x7, Logits"):
        error.of("Mixed_3b")


def flat_network(name: str = "flat", channels: int = 3, layer: str = "conv") -> keras.Model:
    inputs = keras.Input((8, 8, channels))
    return keras.Model(inputs, layers.Conv2D(2, 3, padding="same", name=layer)(inputs), name=name)


def deep_network(frames: int | None = None, filters: int = 2, channels: int = 3, layer: str = "conv") -> keras.Model:
    inputs = keras.Input((frames, 8, 8, channels))
    return keras.Model(inputs, layers.Conv3D(filters, 3, padding="same", name=layer)(inputs), name="deep")


IMAGE = np.zeros((8, 8, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: boring_video_error(deep_network(), deep_network(), IMAGE),
            "deep: one input of images is wanted, of 4 a",
        ),
        (
            lambda: boring_video_error(flat_network(), flat_network(), IMAGE),
            "flat: one input of videos is wanted, of 5 a",
        ),
        (
            lambda: boring_video_error(flat_network(), deep_network(channels=2), IMAGE),
            "flat takes 3 channels and deep 2: the same image cannot be given to both",
        ),
        (
            lambda: boring_video_error(flat_network(), deep_network(), IMAGE[:4]),
            r"flat takes images \(8, 8, 3\), got an array of shape \(4, 8, 3\)",
        ),
        (
            lambda: boring_video_error(flat_network(), deep_network(), IMAGE + np.nan),
            "the image has values that are not finite",
        ),
        (
            lambda: boring_video_error(flat_network(), deep_network(4), IMAGE, frames=5),
            "deep takes clips of 4 frames, got frames=5",
        ),
        (
            lambda: boring_video_error(flat_network(), deep_network(), IMAGE, frames=-1),
            "frames must be at least 1, got -1",
        ),
        (
            lambda: boring_video_error(flat_network(), deep_network(), IMAGE, frames=0),
            "frames must be at least 1, got 0",
        ),
        (
            lambda: boring_video_error(flat_network(), deep_network(layer="other"), IMAGE),
            "flat and deep have no layers in common; their layers must bear the same names",
        ),
        (
            lambda: boring_video_error(flat_network(), deep_network(), IMAGE, layers=["fc"]),
            "flat and deep have no layer 'fc' in common; these are: conv",
        ),
        (
            lambda: boring_video_error(flat_network(), deep_network(filters=5), IMAGE),
            r"layer conv: is \(8, 8, 2\) in 2-D and \(8, 8, 5\) in 3-D, at each step",
        ),
    ],
)
def test_what_cannot_be_compared_is_named_with_what_can(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()
