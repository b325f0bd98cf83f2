import cv2
import numpy as np
import pytest
import tensorflow as tf
from coded_records import record

from keras_i3d.clips import transforms
from keras_i3d.clips.decoding import Strip
from keras_i3d.records import coding, schema
from keras_i3d.video.encode import encode_video
from keras_i3d.video.flow import from_stored

SIZE = 28  # short side 32
KINDS = {
    "4:4:4": [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
    "4:2:2": [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422],
    "4:2:0": [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420],
    "4:1:1": [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411],
    "4:4:0": [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "with restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 3],
}


def noise(height: int, width: int, channels: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), np.uint8)


def jpegs(frames: np.ndarray, settings: list[int]) -> list[bytes]:
    return [cv2.imencode(".jpg", frame, settings)[1].tobytes() for frame in frames]


def strip(encoded: list[bytes], modality: str = "rgb") -> Strip:
    return Strip(modality, tf.range(len(encoded)), tf.constant(encoded))


def whole(one: Strip) -> np.ndarray:
    """Return all pixels as the functions of the record's schema decode them: rgb in [0, 255], flow in pixels."""
    images = schema.decode_images(tf.gather(one.encoded, one.places), one.modality).numpy().astype(np.float32)
    return from_stored(images) if one.modality == "flow" else images


# Traced, as in tf.data: in a graph TensorFlow multiplies by 1 / 127.5 where it else divides.
@tf.function(reduce_retracing=True)
def traced_view(encoded: tf.Tensor, place: tf.Tensor, mirrored: tf.Tensor, modality: str) -> tf.Tensor:
    return Strip(modality, tf.range(tf.size(encoded)), encoded).view(SIZE, place, mirrored=mirrored)


@tf.function(reduce_retracing=True)
def view_of_the_whole(frames: tf.Tensor, place: tf.Tensor, mirrored: tf.Tensor, modality: str) -> tf.Tensor:
    cut = transforms.cut(frames, SIZE, modality, place, 32)
    return transforms.scale(tf.cond(mirrored, lambda: transforms.flip(cut, modality), lambda: cut), modality)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("height", "width"), [(32, 75), (41, 32)])
def test_a_square_of_a_jpeg_is_to_the_last_bit_that_of_the_whole_picture(kind: str, height: int, width: int) -> None:
    one = strip(jpegs(noise(height, width, 3), KINDS[kind]))
    frames = whole(one)
    room = max(height, width) - SIZE
    for step in range(room + 1):  # every column, or row, at which a square may begin
        share = step / room
        place = tf.constant([share, share], tf.float32)
        wanted = transforms.crop(tf.constant(frames), SIZE, place)
        found = traced_view(one.encoded, place, tf.constant(False), "rgb")
        np.testing.assert_array_equal(np.rint((found + 1) * 127.5), wanted)


@pytest.mark.parametrize("modality", ["rgb", "flow"])
@pytest.mark.parametrize("coded", ["JPEG", "PNG"])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("height", [32, 40])
def test_a_view_is_that_of_the_decoded_frames(modality: str, coded: str, mirrored: bool, height: int) -> None:
    frames = noise(height, 50, 3)  # of which those of 40 rows are resized
    encode = (
        (lambda frame: jpegs([frame], [])[0]) if coded == "JPEG" else (lambda f: cv2.imencode(".png", f)[1].tobytes())
    )
    one = strip([encode(frame) for frame in frames], modality)
    place = tf.constant([0.7, 0.2])
    wanted = view_of_the_whole(tf.constant(whole(one)), place, tf.constant(mirrored), modality)
    found = traced_view(one.encoded, place, tf.constant(mirrored), modality)
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == tf.float32


@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_the_view_that_is_not_told_otherwise_is_that_of_tests(modality: str) -> None:
    one = strip([coding.encode_png(field) for field in noise(33, 47, 2)], modality)
    wanted = transforms.testing_view(tf.constant(whole(one)), SIZE, modality)
    np.testing.assert_array_equal(one.view(SIZE), wanted)
    np.testing.assert_array_equal(one.frames(), whole(one))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("kind", ["4:2:0", "4:4:4"])
def test_squares_are_the_bytes_of_a_view(kind: str, mirrored: bool) -> None:
    one = strip(jpegs(noise(32, 50, 3), KINDS[kind]))
    place = tf.constant([0.0, 0.6])
    squares = one.squares(SIZE, place, mirrored=mirrored)
    assert squares.dtype == tf.uint8
    view = one.view(SIZE, place, mirrored=mirrored)
    np.testing.assert_array_equal(squares, np.rint((view + 1) * 127.5))


def test_squares_of_frames_that_would_have_to_be_resized_are_refused() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="another short side than the records are said to have"):
        strip(jpegs(noise(33, 50, 3), [])).squares(SIZE)


def test_frames_are_resized_to_the_short_side_that_is_told() -> None:
    one = strip(jpegs(noise(32, 44, 3), []))
    place = tf.constant([0.5, 1.0])
    wanted = transforms.cut(tf.constant(whole(one)), SIZE, "rgb", place, 38)
    np.testing.assert_array_equal(one.view(SIZE, place, short_side=38), transforms.scale(wanted, "rgb"))


def test_light_is_changed_before_scaling_and_of_rgb_alone() -> None:
    def darker(frames: tf.Tensor) -> tf.Tensor:
        return frames / 2

    rgb = strip(jpegs(noise(32, 44, 3), []))
    np.testing.assert_allclose(rgb.view(SIZE, relight=darker), (rgb.view(SIZE) - 1) / 2, atol=1e-6)  # float32
    flow = strip([coding.encode_png(field) for field in noise(32, 44, 2)], "flow")
    np.testing.assert_array_equal(flow.view(SIZE, relight=darker), flow.view(SIZE))


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_view_of_a_stored_video_is_that_of_its_frames(mirrored: bool) -> None:
    frames = np.repeat(noise(8, 12, 3, 5), 4, axis=1).repeat(4, axis=2)
    pictures = schema.Pictures((32, 48), 25.0, 0.0, 5, video=encode_video(iter(frames), fps=25.0, crf=0))
    one = schema.to_example(schema.Source("a", "made", "a.mp4", 5, "a", ("train",)), pictures)
    parsed = schema.parse(one, ["rgb"], store="video")
    strip_of_it = Strip("rgb", tf.constant([1, 3]), parsed["rgb"], parsed["video"])
    decoded = schema.decode_video(parsed["video"], tf.constant([1, 3]))
    place = tf.constant([0.1, 0.8])
    wanted = transforms.cut(tf.cast(decoded, tf.float32), SIZE, "rgb", place, 32)
    wanted = transforms.flip(wanted, "rgb") if mirrored else wanted
    np.testing.assert_array_equal(strip_of_it.view(SIZE, place, mirrored=mirrored), transforms.scale(wanted, "rgb"))


def test_chosen_frames_are_decoded_in_the_order_in_which_they_are_named() -> None:
    frames = np.stack([np.full((32, 40, 3), 20 * number, np.uint8) for number in range(6)])
    parsed = schema.parse(record(0, frames), ["rgb"])
    view = Strip("rgb", tf.constant([4, 0, 5, 4]), parsed["rgb"]).view(SIZE)
    assert np.rint((view.numpy().mean(axis=(1, 2, 3)) + 1) * 127.5 / 20).tolist() == [4, 0, 5, 4]


def test_a_picture_cut_short_fails() -> None:
    data = jpegs(noise(32, 44, 3), [])
    with pytest.raises(tf.errors.InvalidArgumentError):
        strip([data[0], data[1][: len(data[1]) // 2]]).view(SIZE)
