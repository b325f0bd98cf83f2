"""What a served model is sent that is none, through the C API, which hands it on unchecked as the server does."""

import c_api
import numpy as np
import pytest
import tensorflow as tf
from finished_models import paper_model, tiny_model

from keras_i3d.serving.export import export


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    model = c_api.SavedModel(export(tiny_model(), tmp_path_factory.mktemp("served")))
    yield model
    model.close()


def refused(loaded, message: str, signature: str = "serving_default", **inputs: np.ndarray) -> None:
    with pytest.raises(c_api.TensorFlowError, match=message) as caught:
        loaded.run(signature, inputs)
    assert caught.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((9, 40, 50, 3), r"rgb must be of shape \[batch, time, height, width, 3\]; got shape\] \[9 40 50 3\]"),
        ((1, 1, 9, 40, 50, 3), r"rgb must be of shape .* got shape\] \[1 1 9 40 50 3\]"),
        ((1, 9, 40, 50, 4), r"rgb must be of shape .* got shape\] \[1 9 40 50 4\]"),
        ((1, 0, 40, 50, 3), r"rgb has no clips, no frames or no pixels; shape\] \[1 0 40 50 3\]"),
        ((0, 9, 40, 50, 3), r"rgb has no clips, no frames or no pixels"),
        ((1, 9, 40, 0, 3), r"rgb has no clips, no frames or no pixels"),
        (
            (1, 10_000, 8, 8, 3),
            r"rgb has more than 1000 frames; send a longer video in parts; shape\] \[1 10000 8 8 3\]",
        ),
    ],
)
def test_frames_that_are_none_are_refused_with_the_reason(loaded, shape: tuple, message: str) -> None:
    for signature in ("serving_default", "features"):
        refused(loaded, message, signature, rgb=np.zeros(shape, np.uint8))
    assert loaded.run("serving_default", {"rgb": np.zeros((1, 9, 40, 50, 3), np.uint8)})["logits"].shape == (1, 7)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((9, 32, 32, 3), r"rgb must be of shape \[batch, time, 32, 32, 3\]; got shape\] \[9 32 32 3\]"),
        ((1, 9, 33, 33, 3), r"rgb must be of shape \[batch, time, 32, 32, 3\]"),
        ((1, 0, 32, 32, 3), "rgb has no clips, no frames"),
        ((1, 1001, 32, 32, 3), "rgb has more than 1000 frames"),
    ],
)
def test_clips_that_are_none_are_refused_with_the_reason(loaded, shape: tuple, message: str) -> None:
    refused(loaded, message, "clip", rgb=np.zeros(shape, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(loaded, value: float) -> None:
    clip = np.zeros((1, 9, 32, 32, 3), np.float32)
    clip[0, 4, 5, 6, 1] = value
    refused(loaded, r"rgb holds values that are no finite numbers; shape\] \[1 9 32 32 3\]", "clip", rgb=clip)


def test_pictures_of_too_many_pixels_are_refused_at_the_first(loaded) -> None:
    large = tf.io.encode_png(tf.zeros((3000, 2000, 3), tf.uint8)).numpy()
    frames = np.array([[large] + [b"never decoded"] * 100], object)
    message = (
        r"rgb_bytes holds more than 600000000 pixels; send smaller frames, or fewer; the first is\] \[3000 2000 3\]"
    )
    refused(loaded, message, "frames", rgb_bytes=frames)


def test_encoded_frames_that_are_none_are_refused_with_the_reason(loaded) -> None:
    def picture(*size: int) -> bytes:
        return tf.io.encode_jpeg(tf.zeros((*size, 3), tf.uint8)).numpy()

    def frames(*files: bytes) -> np.ndarray:
        return np.array([files], object)

    good = picture(40, 50)
    refused(loaded, "Unknown image file format", "frames", rgb_bytes=frames(good, b"nothing"))
    message = r"frames of different sizes; the first and another are\] \[40 50 3\] \[41 50 3\]"
    refused(loaded, message, "frames", rgb_bytes=frames(good, picture(41, 50)))
    refused(loaded, "rgb_bytes has no clips, no frames", "frames", rgb_bytes=np.zeros((1, 0), object))
    message = r"rgb_bytes must be of shape \[batch, time\]; got shape\] \[2\]"
    refused(loaded, message, "frames", rgb_bytes=np.array([good, good], object))
    assert loaded.run("frames", {"rgb_bytes": frames(good, good, good)})["logits"].shape == (1, 7)


def test_too_many_encoded_frames_are_refused_before_one_is_decoded(loaded) -> None:
    frames = np.full((1, 1001), b"no picture", object)
    refused(loaded, "rgb_bytes has more than 1000 frames; send a longer video in parts", "frames", rgb_bytes=frames)


def test_streams_of_different_length_are_refused(tmp_path) -> None:
    loaded = c_api.SavedModel(export(paper_model("two_stream"), tmp_path))
    rgb, flow = np.zeros((1, 10, 40, 50, 3), np.uint8), np.zeros((1, 12, 40, 50, 2), np.float32)
    message = r"rgb and flow differ in batch or time; shapes\] \[1 10 40 50 3\] \[1 12 40 50 2\]"
    refused(loaded, message, rgb=rgb, flow=flow)
    assert loaded.run("serving_default", {"rgb": rgb, "flow": flow[:, :10]})["logits"].shape == (1, 7)
    # of prepared clips rgb is every tenth frame
    rgb, flow = np.zeros((2, 1, 32, 32, 3), np.float32), np.zeros((2, 10, 32, 32, 2), np.float32)
    assert loaded.run("clip", {"rgb": rgb, "flow": flow})["logits"].shape == (2, 7)
    for other in (flow[:1], np.concatenate([flow, flow], axis=1)):
        refused(loaded, "rgb and flow differ in batch or time; shapes", "clip", rgb=rgb, flow=other)
    loaded.close()
