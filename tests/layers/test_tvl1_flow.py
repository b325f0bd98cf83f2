import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import c_api
import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from moving_textures import end_point_errors, moving_texture, opencv_flow

from keras_i3d.layers import TVL1Flow
from keras_i3d.layers.tvl1_flow import grey
from keras_i3d.video.flow import to_stored

# the same float32 sums in another order; pictures of one scale, or two
TOLERANCE = 5e-3


def traced(layer: TVL1Flow, **options: Any) -> Callable[[Any], Any]:
    """Return a layer as a function of uint8 RGB that is traced once, for every size."""
    signature = [tf.TensorSpec((None, None, None, None, 3), "uint8")]
    return tf.function(layer, input_signature=signature, autograph=False, **options)


def traced_anew(layer: TVL1Flow, **options: Any) -> Callable[[Any], Any]:
    """Return a layer as a function that is traced for every shape."""
    function = tf.function(layer, autograph=False, **options)
    return lambda frames: function(tf.constant(frames))


@pytest.fixture(scope="module")
def flow_of() -> Callable[[Any], Any]:
    """Return the layer for uint8 RGB of every size."""
    return traced(TVL1Flow())


@pytest.fixture(scope="module")
def flow_of_known() -> Callable[[Any], Any]:
    """Return the layer for uint8 RGB, traced for each shape."""
    return traced_anew(TVL1Flow())


@pytest.fixture(scope="module")
def flow_of_floats() -> Callable[[Any], Any]:
    """Return the layer for float32 RGB in [-1, 1], traced for each shape."""
    return traced_anew(TVL1Flow((-1, 1)))


@pytest.fixture(scope="module")
def videos() -> np.ndarray:
    """Return two videos, uint8 (2, 4, 17, 16, 3)."""
    return np.stack([moving_texture(4, 17, 16, seed=seed) for seed in range(2)])


@pytest.fixture(scope="module")
def flow(flow_of_known: Callable, videos: np.ndarray) -> np.ndarray:
    """Return the flow of `videos`."""
    return np.asarray(flow_of_known(videos))


def test_axes_that_are_unknown_change_nothing(flow_of: Callable, flow: np.ndarray, videos: np.ndarray) -> None:
    np.testing.assert_allclose(flow_of(videos), flow, atol=TOLERANCE)


def test_there_are_as_many_fields_as_frames_and_each_is_opencvs(flow: np.ndarray, videos: np.ndarray) -> None:
    assert (flow.shape, flow.dtype) == ((2, 4, 17, 16, 2), np.float32)
    for video, fields in zip(videos, flow, strict=True):
        assert end_point_errors(fields[:-1], opencv_flow(video)).mean() < 1e-3
        assert np.array_equal(fields[-1], fields[-2])


def test_a_single_frame_has_no_motion(flow_of: Callable, videos: np.ndarray) -> None:
    found = np.asarray(flow_of(videos[:, :1]))
    assert found.shape == (2, 1, 17, 16, 2)
    assert not found.any()
    assert not np.any(TVL1Flow()(videos[:, :1]))


@pytest.mark.parametrize(
    ("pairs_at_once", "known"), [pytest.param(4, False, marks=pytest.mark.slow), (1, True), (4, True), (None, True)]
)
def test_how_many_pairs_are_computed_at_once_does_not_matter(
    pairs_at_once: int | None, known: bool, flow: np.ndarray, videos: np.ndarray
) -> None:
    layer = TVL1Flow(pairs_at_once=pairs_at_once)
    function = traced_anew(layer) if known else traced(layer)
    np.testing.assert_allclose(function(videos), flow, atol=TOLERANCE)


def test_it_is_compiled(flow: np.ndarray, videos: np.ndarray) -> None:
    found = traced_anew(TVL1Flow(), jit_compile=True)(videos)
    np.testing.assert_allclose(found, flow, atol=TOLERANCE)


def test_floats_are_read_as_the_levels_that_they_stand_for(
    flow_of_floats: Callable, flow: np.ndarray, videos: np.ndarray
) -> None:
    exact = flow_of_floats((videos / 127.5 - 1).astype(np.float32))
    assert np.array_equal(exact, flow)
    generator = np.random.default_rng(0)
    nearly = videos + generator.uniform(-0.45, 0.45, videos.shape)
    assert np.array_equal(flow_of_floats((nearly / 127.5 - 1).astype(np.float32)), flow)


def test_what_is_no_number_or_lies_outside_is_read_as_the_nearest_end(
    flow_of_known: Callable, flow_of_floats: Callable, videos: np.ndarray
) -> None:
    levels = videos.copy()
    floats = (videos / 127.5 - 1).astype(np.float32)
    for place, (value, level) in enumerate(((np.nan, 0), (-np.inf, 0), (-3, 0), (np.inf, 255), (1.5, 255))):
        levels[:, 1, 3 * place + 1 : 3 * place + 3] = level
        floats[:, 1, 3 * place + 1 : 3 * place + 3] = value
    found = np.asarray(flow_of_floats(floats))
    assert np.isfinite(found).all()
    assert np.array_equal(found, flow_of_known(levels))


def test_grey_frames_are_taken_as_they_are(flow: np.ndarray, videos: np.ndarray) -> None:
    pictures = np.stack([[cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in video] for video in videos])[..., None]
    found = traced_anew(TVL1Flow())(pictures)
    np.testing.assert_allclose(found, flow, atol=TOLERANCE)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_every_colour_is_as_grey_as_opencv_makes_it(dtype: str) -> None:
    red, rest = np.mgrid[:256, : 256 * 256].astype(np.int32)
    colours = np.stack([red, rest // 256, rest % 256], axis=-1).astype(np.uint8)
    expected = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)
    assert np.array_equal(grey(tf.cast(colours, dtype), (0, 255)), expected)


@pytest.mark.parametrize("shape", [(1, 0, 16, 16, 3), (1, 2, 0, 16, 3), (1, 2, 16, 0, 1)])
def test_frames_without_pixels_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"frames must have some time, height and width, got \(1, "):
        TVL1Flow()(np.zeros(shape, np.uint8))


def test_motion_is_cut_at_twenty_pixels(flow_of: Callable) -> None:
    generator = np.random.default_rng(0)
    blurred = cv2.GaussianBlur(generator.uniform(0, 1, (64, 92)).astype(np.float32), (0, 0), 10)
    wide = ((blurred - blurred.min()) / np.ptp(blurred) * 255).round().astype(np.uint8)
    frames = np.stack([wide[:, 28:], wide[:, :64]])[None, ..., None].repeat(3, axis=-1)  # it moves by 28 pixels
    unbounded = opencv_flow(frames[0])
    assert np.median(unbounded[..., 0]) > 27
    found = np.asarray(flow_of(frames))
    assert found.max() == 20
    assert end_point_errors(found[:, 0], np.clip(unbounded, -20, 20)).mean() < 0.2


def test_it_is_part_of_a_model_whose_axes_are_unknown(flow: np.ndarray, videos: np.ndarray) -> None:
    inputs = keras.Input((None, None, None, 3), dtype="uint8")
    outputs = TVL1Flow()(inputs)
    assert (outputs.shape, outputs.dtype) == ((None, None, None, None, 2), "float32")
    model = keras.Model(inputs, outputs)
    np.testing.assert_allclose(model.predict(videos, verbose=0), flow, atol=TOLERANCE)
    assert TVL1Flow()(keras.Input((9, 32, 40, 1))).shape == (None, 9, 32, 40, 2)


def test_half_precision_does_not_reach_it(flow: np.ndarray, videos: np.ndarray) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = TVL1Flow((-1, 1))
    finally:
        keras.config.set_dtype_policy("float32")
    found = traced_anew(layer)((videos[:1, :2] / 127.5 - 1).astype(np.float32))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found[:, :1], flow[:1, :1], atol=TOLERANCE)


def test_no_gradient_passes(videos: np.ndarray) -> None:
    @tf.function(autograph=False)
    def gradient(factor: tf.Tensor, frames: tf.Tensor) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(factor)
            loss = tf.reduce_sum(TVL1Flow()(frames * factor) ** 2) + factor
        return loss, tape.gradient(loss, factor)

    loss, found = gradient(tf.constant(1.0), tf.cast(videos[:1, :2, :9, :8], tf.float32))
    assert loss > 2
    assert found == 1
    assert TVL1Flow().weights == []


def test_it_is_saved_and_loaded_with_its_options(tmp_path: Path, flow: np.ndarray, videos: np.ndarray) -> None:
    inputs = keras.Input((4, 17, 16, 3))
    layer = TVL1Flow((-1, 1), rounded=True, pairs_at_once=3, name="motion")
    keras.Model(inputs, layer(inputs)).save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    loaded = again.get_layer("motion")
    assert type(loaded) is TVL1Flow
    assert (loaded.value_range, loaded.rounded, loaded.pairs_at_once) == ((-1, 1), True, 3)
    found = again.predict(videos / 127.5 - 1, verbose=0)
    # positions rounded to 1/32 pixel
    assert 1e-4 < end_point_errors(found, flow).mean() < 0.05


def test_a_saved_model_needs_neither_keras_nor_this_package(tmp_path: Path, flow_of: Callable) -> None:
    inputs = keras.Input((None, 20, None, 3), dtype="uint8")
    keras.Model(inputs, TVL1Flow()(inputs)).export(tmp_path / "served", verbose=False)
    served = c_api.SavedModel(tmp_path / "served")  # the loader of TensorFlow Serving, without Python
    (name,) = served.signatures["serving_default"].inputs
    for width in (19, 21):  # of one scale, and of two
        video = moving_texture(3, 20, width)[None]
        (found,) = served.run("serving_default", {name: video}).values()
        np.testing.assert_allclose(found, flow_of(video), atol=TOLERANCE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"value_range": (1, 0)}, r"value_range must be two numbers, black and full light, got \(1, 0\)"),
        ({"value_range": (0, float("inf"))}, r"value_range must be two numbers, .* got \(0, inf\)"),
        ({"value_range": (float("nan"), 1)}, r"value_range must be two numbers, .* got \(nan, 1\)"),
        ({"value_range": (0, 1, 2)}, r"value_range must be two numbers, .* got \(0, 1, 2\)"),
        ({"value_range": (False, True)}, r"value_range must be two numbers, .* got \(False, True\)"),
        ({"rounded": "no"}, "rounded is true or false, got 'no'"),
        ({"value_range": 255}, "value_range must be two numbers, .* got 255"),
        ({"pairs_at_once": 0}, "pairs_at_once must be a number of pairs, at least 1, or None for all; got 0"),
        ({"pairs_at_once": 2.0}, "pairs_at_once must be a number of pairs, at least 1, or None for all; got 2.0"),
    ],
)
def test_a_wrong_argument_is_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TVL1Flow(**options)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((2, 8, 8, 3), "uint8", r"frames must be uint8 or float .* got uint8 \(2, 8, 8, 3\)"),
        ((1, 2, 8, 8, 2), "float32", r"of 3 channels, RGB, or 1, grey; got float32 \(1, 2, 8, 8, 2\)"),
        ((1, 2, 8, 8, 4), "uint8", r"of 3 channels, RGB, or 1, grey; got uint8 \(1, 2, 8, 8, 4\)"),
        ((1, 2, 8, 8, 3), "int32", r"frames must be uint8 or float .* got int32 \(1, 2, 8, 8, 3\)"),
    ],
)
@pytest.mark.parametrize("symbolic", [False, True])
def test_wrong_frames_are_named(shape: tuple, dtype: str, message: str, symbolic: bool) -> None:
    frames = keras.Input(batch_shape=shape, dtype=dtype) if symbolic else np.zeros(shape, dtype)
    with pytest.raises(ValueError, match=message):
        TVL1Flow()(frames)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [False, True])
def test_it_agrees_with_opencv_on_real_videos(shared_videos: Path, compiled: bool) -> None:
    from keras_i3d.video.decode import iterate_frames

    function = traced(TVL1Flow(), jit_compile=compiled)
    errors, levels = [], []
    clips = {"test.mp4": (3, 40), "structuralize.mp4": (5, 60), "v_GGSY1Qvo990.mp4": (2, 100), "test.avi": (20,)}
    for name, starts in {**clips, "v_CricketShot_g04_c01_rgb.gif": (10,)}.items():
        for start in starts:
            frames = iterate_frames(shared_videos / name, fps=25, short_side=256)
            pair = np.stack(list(itertools.islice(frames, start, start + 2)))
            expected, found = opencv_flow(pair), np.asarray(function(pair[None]))[0, :1]
            errors.append(end_point_errors(found, np.clip(expected, -20, 20)).ravel())
            levels.append(np.abs(to_stored(found).astype(int) - to_stored(expected)).ravel())
    error, level = np.concatenate(errors), np.concatenate(levels)
    assert error.mean() <= 0.005
    assert np.percentile(error, 99) <= 0.05
    assert (level == 0).mean() >= (0.97 if compiled else 0.985)
    assert (level <= 1).mean() >= 0.999
