from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from keras_i3d.clips import transforms


@pytest.fixture(params=["eagerly", "in tf.data"])
def call(request: pytest.FixtureRequest) -> Callable[..., np.ndarray]:
    """Return a function that calls another on tensors, one of the two ways, with shapes unknown to the second."""

    def in_tf_data(function: Callable, *arguments: np.ndarray) -> np.ndarray:
        tensors = tuple(tf.constant(argument) for argument in arguments)
        unknown = tuple(tf.TensorSpec([None] * 3 + [x.shape[3]] if x.ndim == 4 else x.shape, x.dtype) for x in tensors)
        dataset = tf.data.Dataset.from_generator(lambda: iter([tensors]), output_signature=unknown)
        return next(iter(dataset.map(function))).numpy()

    def eagerly(function: Callable, *arguments: np.ndarray) -> np.ndarray:
        return function(*(tf.constant(argument) for argument in arguments)).numpy()

    return eagerly if request.param == "eagerly" else in_tf_data


CHANNELS = {"rgb": 3, "flow": 2}


def stream(modality: str, time: int = 2, height: int = 20, width: int = 30) -> np.ndarray:
    """Return random frames, float32 in [0, 255], or random flow in [-25, 25]."""
    low, high = (0, 255) if modality == "rgb" else (-25, 25)
    shape = (time, height, width, CHANNELS[modality])
    return np.random.default_rng(0).uniform(low, high, shape).astype(np.float32)


def literal_resize(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Average under a triangle about each new pixel, wide enough for every old pixel to count."""

    def along(values: np.ndarray, axis: int, new: int) -> np.ndarray:
        old = values.shape[axis]
        ratio = old / new
        rows = []
        for index in range(new):
            centre = (index + 0.5) * ratio
            weights = [max(0.0, 1 - abs(place + 0.5 - centre) / max(ratio, 1)) for place in range(old)]
            rows.append(np.tensordot(np.array(weights) / sum(weights), values, (0, axis)))
        return np.stack(rows, axis=axis)

    return along(along(frames.astype(np.float64), 1, height), 2, width)


def literal_view(
    frames: np.ndarray, size: int, modality: str, place: tuple[float, float], mirrored: bool = False
) -> np.ndarray:
    """Do the whole preparation step by step."""
    height, width = frames.shape[1:3]
    short = int(size * 256 / 224 + 0.5)
    new_height, new_width = (int(side * short / min(height, width) + 0.5) for side in (height, width))
    if short != min(height, width):
        frames = literal_resize(frames, new_height, new_width)
        if modality == "flow":
            frames = frames * [new_width / width, new_height / height]
    top, left = (int((side - size) * p + 0.5) for side, p in zip(frames.shape[1:3], place, strict=True))
    frames = frames[:, top : top + size, left : left + size]
    frames = frames / 127.5 - 1 if modality == "rgb" else np.clip(frames, -20, 20) / 20
    if mirrored:
        frames = frames[:, :, ::-1] * ([-1, 1] if modality == "flow" else 1)
    return frames


FLOAT32 = 2e-6  # a few roundings of float32 about 1


@pytest.mark.parametrize("modality", CHANNELS)
@pytest.mark.parametrize(
    ("height", "width", "short_side", "expected"),
    [
        (20, 30, 10, (10, 15)),
        (30, 20, 10, (15, 10)),
        (20, 30, 40, (40, 60)),
        (20, 31, 7, (7, 11)),
        (17, 17, 5, (5, 5)),
        (240, 320, 37, (37, 49)),
        (3, 90, 1, (1, 30)),
        (1, 1, 4, (4, 4)),
    ],
)
def test_a_square_is_cut_from_frames_resized_bilinearly_with_antialiasing(
    call: Callable, modality: str, height: int, width: int, short_side: int, expected: tuple[int, int]
) -> None:
    frames = stream(modality, 1, height, width)
    wanted = literal_resize(frames, *expected)
    if modality == "flow":
        wanted = wanted * [expected[1] / width, expected[0] / height]
    for size, place in ((short_side, (0.0, 0.0)), (short_side, (1.0, 1.0)), (max(1, short_side - 3), (0.3, 0.8))):
        cut = call(lambda x, p: transforms.cut(x, size, modality, p, short_side), frames, np.float32(place))  # noqa: B023
        assert cut.shape == (1, size, size, CHANNELS[modality])
        assert cut.dtype == np.float32
        top, left = (int((side - size) * share + 0.5) for side, share in zip(expected, place, strict=True))
        # float32 sums of up to a few hundred values up to 255
        np.testing.assert_allclose(cut, wanted[:, top : top + size, left : left + size], atol=4e-3)


@pytest.mark.parametrize("modality", CHANNELS)
@pytest.mark.parametrize(("height", "width"), [(20, 30), (30, 20), (20, 20)])
def test_frames_of_the_right_short_side_are_cut_unchanged(
    call: Callable, modality: str, height: int, width: int
) -> None:
    frames = stream(modality, 2, height, width)
    cut = call(lambda x: transforms.cut(x, 20, modality, transforms.CENTRE, 20), frames)
    top, left = (height - 20) // 2, (width - 20) // 2
    np.testing.assert_array_equal(cut, frames[:, top : top + 20, left : left + 20])


@pytest.mark.parametrize("short_side", [5, 40])
def test_flow_still_says_where_the_next_frame_lies_after_resizing(call: Callable, short_side: int) -> None:
    flow = np.broadcast_to(np.array([3.0, -1.5], np.float32), (1, 20, 30, 2))
    new_width = int(30 * short_side / 20 + 0.5)
    resized = call(lambda x: transforms.cut(x, 4, "flow", transforms.CENTRE, short_side), flow)
    ratios = np.array([new_width / 30, short_side / 20])
    np.testing.assert_allclose(resized, np.broadcast_to([3, -1.5] * ratios, resized.shape), rtol=1e-5)  # float32


@pytest.mark.parametrize("place", [(0, 0), (1, 1), (0.5, 0.5), (0, 1), (0.3, 0.77), (0.999, 0.001), (0.49, 0.51)])
@pytest.mark.parametrize(("height", "width", "size"), [(20, 30, 8), (20, 30, 20), (9, 8, 7), (8, 8, 8)])
def test_a_crop_lies_where_it_is_placed(call: Callable, height: int, width: int, size: int, place: tuple) -> None:
    frames = stream("rgb", 2, height, width)
    top, left = (int((side - size) * p + 0.5) for side, p in zip((height, width), place, strict=True))
    cropped = call(lambda x, p: transforms.crop(x, size, p), frames, np.float32(place))
    np.testing.assert_array_equal(cropped, frames[:, top : top + size, left : left + size])


def test_a_crop_has_a_known_shape_inside_tf_data() -> None:
    spec = tf.TensorSpec((None, None, None, 3), tf.float32)
    traced = tf.function(lambda x: transforms.testing_view(x, 8, "rgb"), input_signature=[spec])
    assert traced.get_concrete_function().output_shapes.as_list() == [None, 8, 8, 3]


def test_a_crop_that_is_too_large_fails() -> None:
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        transforms.crop(tf.zeros((1, 6, 9, 3)), 7, tf.constant([0.5, 0.5]))


def test_flipping_mirrors_and_turns_the_horizontal_part_of_flow(call: Callable) -> None:
    rgb, flow = stream("rgb"), stream("flow")
    np.testing.assert_array_equal(call(lambda x: transforms.flip(x, "rgb"), rgb), rgb[:, :, ::-1])
    flipped = call(lambda x: transforms.flip(x, "flow"), flow)
    np.testing.assert_array_equal(flipped[..., 0], -flow[:, :, ::-1, 0])
    np.testing.assert_array_equal(flipped[..., 1], flow[:, :, ::-1, 1])


@pytest.mark.parametrize("modality", CHANNELS)
def test_flipping_twice_changes_nothing(modality: str) -> None:
    frames = stream(modality)
    np.testing.assert_array_equal(transforms.flip(transforms.flip(frames, modality), modality), frames)


@pytest.mark.parametrize(("height", "width", "new"), [(60, 90, (32, 48)), (90, 60, (48, 32)), (20, 31, (32, 50))])
def test_whole_frames_are_resized_as_those_that_are_cut(height: int, width: int, new: tuple) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    whole = transforms.resize(frames, 32)
    assert whole.shape[1:3] == new
    cut = transforms.cut(tf.cast(frames, tf.float32), 24, "rgb", transforms.CENTRE, 32)
    np.testing.assert_allclose(transforms.crop(whole, 24, transforms.CENTRE), cut, atol=1e-3)


def test_whole_frames_of_the_right_short_side_stay() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 51, 3), np.uint8)
    np.testing.assert_array_equal(transforms.resize(frames, 32), frames)


@pytest.mark.parametrize(
    ("modality", "value", "scaled"),
    [
        ("rgb", 0, -1),
        ("rgb", 255, 1),
        ("rgb", 127.5, 0),
        ("flow", 0, 0),
        ("flow", 20, 1),
        ("flow", -20, -1),
        ("flow", 25, 1),
        ("flow", -300, -1),
        ("flow", 5, 0.25),
    ],
)
def test_values_are_scaled_to_one(call: Callable, modality: str, value: float, scaled: float) -> None:
    frames = np.full((1, 2, 2, CHANNELS[modality]), value, np.float32)
    np.testing.assert_array_equal(call(lambda x: transforms.scale(x, modality), frames), np.full_like(frames, scaled))


def test_an_unknown_modality_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^unknown modality 'sound'; known: rgb, flow$"):
        transforms.scale(tf.zeros((1, 2, 2, 3)), "sound")


@pytest.mark.parametrize("modality", CHANNELS)
@pytest.mark.parametrize(("height", "width"), [(20, 30), (30, 20), (9, 13), (16, 41), (17, 16)])
def test_the_view_for_testing_is_the_centre_of_the_resized_frames(
    call: Callable, modality: str, height: int, width: int
) -> None:
    frames = stream(modality, 2, height, width)
    view = call(lambda x: transforms.testing_view(x, 14, modality), frames)
    assert view.shape == (2, 14, 14, CHANNELS[modality])
    assert view.dtype == np.float32
    np.testing.assert_allclose(view, literal_view(frames, 14, modality, (0.5, 0.5)), atol=2e-5)  # as for resizing
    assert np.abs(view).max() <= 1 + FLOAT32


def test_frames_of_the_right_short_side_are_only_cut_and_scaled(call: Callable) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3), np.uint8)
    view = call(lambda x: transforms.testing_view(x, 14, "rgb"), frames)
    np.testing.assert_allclose((view + 1) * 127.5, frames[:, 1:15, 5:19], atol=255 * FLOAT32)


def test_whole_numbers_and_floats_give_the_same_view() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), np.uint8)
    whole, floats = (transforms.testing_view(x, 14, "rgb") for x in (frames, frames.astype(np.float32)))
    np.testing.assert_array_equal(whole, floats)


def test_bytes_are_scaled_as_floats_are() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=-1)
    scaled = transforms.scale(tf.constant(levels), "rgb")
    assert scaled.dtype == tf.float32
    np.testing.assert_array_equal(scaled, levels * np.float32(1 / 127.5) - np.float32(1))
    np.testing.assert_allclose(scaled, transforms.scale(tf.cast(levels, tf.float32), "rgb"), atol=FLOAT32)
