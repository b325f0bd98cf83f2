import cv2
import numpy as np
import pytest
import tensorflow as tf
from coded_records import record

from keras_i3d.records import schema
from keras_i3d.records.schema import decode_images, decode_video, parse, part_of
from keras_i3d.video.encode import encode_video


def picture(time: int = 3, height: int = 16, width: int = 24) -> np.ndarray:
    """Return soft colours that differ from place to place and from frame to frame, uint8 RGB."""
    t, row, column = np.meshgrid(np.arange(time), np.arange(height), np.arange(width), indexing="ij")
    return np.stack([200 - 8 * row, 40 + 5 * column, 20 + 10 * t], axis=-1).astype(np.uint8)


def noise(time: int = 3, height: int = 16, width: int = 24) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (time, height, width, 2), np.uint8)


def example(**changes) -> bytes:
    arguments = {"example_id": "run/a.mp4@1.5-None", "path": "run/a.mp4", "label_name": "läuft", "jpeg_quality": 95}
    return record(7, picture(), **(arguments | changes))


def content(serialized: bytes) -> tuple[dict, dict]:
    """Return the context and the feature lists as plain Python values, with the kind of each."""
    read = tf.train.SequenceExample.FromString(serialized)

    def plain(feature: tf.train.Feature) -> tuple[str, list]:
        kind = feature.WhichOneof("kind")
        return kind, list(getattr(feature, kind).value)

    context = {key: plain(feature) for key, feature in read.context.feature.items()}
    lists = {key: [plain(f) for f in values.feature] for key, values in read.feature_lists.feature_list.items()}
    return context, lists


RGB_CONTEXT = {
    "example/id": ("bytes_list", [b"run/a.mp4@1.5-None"]),
    "example/dataset_name": ("bytes_list", [b"made"]),
    "split/1": ("bytes_list", [b"train"]),
    "split/2": ("bytes_list", [b"unused"]),
    "clip/data_path": ("bytes_list", [b"run/a.mp4"]),
    "clip/media_id": ("bytes_list", [b"run/a.mp4"]),
    "clip/start/timestamp": ("int64_list", [1_500_000]),
    "clip/end/timestamp": ("int64_list", [1_620_000]),
    "clip/label/index": ("int64_list", [7]),
    "clip/label/string": ("bytes_list", ["läuft".encode()]),
    "clip/label/text": ("bytes_list", ["läuft".encode()]),
    "image/format": ("bytes_list", [b"JPEG"]),
    "image/colorspace": ("bytes_list", [b"RGB"]),
    "image/channels": ("int64_list", [3]),
    "image/height": ("int64_list", [16]),
    "image/width": ("int64_list", [24]),
    "image/frame_rate": ("float_list", [25.0]),
}
FLOW_CONTEXT = {
    "FORWARD_FLOW/image/format": ("bytes_list", [b"PNG"]),
    "FORWARD_FLOW/image/channels": ("int64_list", [3]),
    "FORWARD_FLOW/image/height": ("int64_list", [16]),
    "FORWARD_FLOW/image/width": ("int64_list", [24]),
    "FORWARD_FLOW/image/frame_rate": ("float_list", [25.0]),
    "FORWARD_FLOW/image/saturation": ("float_list", [20.0]),
}
TIMESTAMPS = [("int64_list", [time]) for time in (1_500_000, 1_540_000, 1_580_000)]


@pytest.mark.parametrize("flow", [None, noise()], ids=["rgb", "rgb and flow"])
def test_keys_and_types_are_those_of_media_sequence(flow: np.ndarray | None) -> None:
    context, lists = content(example(start_s=1.5, flow=flow, splits=("train", "unused")))
    assert context == RGB_CONTEXT | (FLOW_CONTEXT if flow is not None else {})
    images = {key: values for key, values in lists.items() if key.endswith("encoded")}
    times = {key: values for key, values in lists.items() if key.endswith("timestamp")}
    prefixes = [""] if flow is None else ["", "FORWARD_FLOW/"]
    assert set(images) == {f"{prefix}image/encoded" for prefix in prefixes}
    assert times == {f"{prefix}image/timestamp": TIMESTAMPS for prefix in prefixes}
    assert len(lists) == len(images) + len(times)
    magic = {"image/encoded": b"\xff\xd8\xff", "FORWARD_FLOW/image/encoded": b"\x89PNG"}
    for key, values in images.items():
        assert [kind for kind, _ in values] == ["bytes_list"] * 3
        assert all(len(one) == 1 and one[0].startswith(magic[key]) for _, one in values)


def test_the_constants_name_the_keys() -> None:
    assert schema.FRAMES_OF == {"rgb": "image/encoded", "flow": "FORWARD_FLOW/image/encoded"}
    assert (schema.LABEL_INDEX, schema.EXAMPLE_ID) == ("clip/label/index", "example/id")


@pytest.mark.parametrize("fps", [29.97, 12.5])
def test_timestamps_follow_the_rate_in_microseconds(fps: float) -> None:
    context, lists = content(example(fps=fps))
    assert [value[0] for _, value in lists["image/timestamp"]] == [round(n / fps * 1e6) for n in range(3)]
    assert context["clip/end/timestamp"] == ("int64_list", [round(3 / fps * 1e6)])


def test_equal_clips_give_equal_bytes() -> None:
    assert example(flow=noise()) == example(flow=noise())
    assert example(flow=noise()) != example()
    assert example() != example(label=8)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 100, 50)])
def test_jpeg_keeps_colours_as_red_green_blue(colour: tuple[int, int, int]) -> None:
    frames = np.broadcast_to(np.array(colour, np.uint8), (2, 16, 16, 3))
    serialized = record(0, frames, jpeg_quality=95)
    decoded = decode_images(parse(serialized, ["rgb"])["rgb"], "rgb").numpy()
    np.testing.assert_allclose(decoded.astype(int), frames, atol=2)  # YCbCr in whole levels


def test_rgb_comes_back_nearly_as_it_was() -> None:
    decoded = decode_images(parse(example(), ["rgb"])["rgb"], "rgb").numpy()
    assert decoded.dtype == np.uint8
    assert decoded.shape == (3, 16, 24, 3)
    assert np.abs(decoded.astype(int) - picture()).mean() < 2  # JPEG of quality 95, colours at half resolution


def test_rgb_is_decoded_as_libjpeg_does() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    encoded = parse(record(0, frames, jpeg_quality=95), ["rgb"])["rgb"]
    by_opencv = cv2.imdecode(np.frombuffer(encoded[0].numpy(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    difference = np.abs(decode_images(encoded, "rgb")[0].numpy().astype(int) - by_opencv)
    assert difference.max() <= 1  # two builds of libjpeg may round differently


def test_a_higher_quality_is_nearer_and_larger() -> None:
    sizes, errors = [], []
    frames = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    for quality in (20, 60, 95, 100):
        serialized = record(0, frames, jpeg_quality=quality)
        decoded = decode_images(parse(serialized, ["rgb"])["rgb"], "rgb").numpy()
        sizes.append(len(serialized))
        errors.append(np.abs(decoded.astype(int) - frames).mean())
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)


def test_flow_is_stored_without_loss_x_in_red_and_y_in_green() -> None:
    encoded = parse(example(flow=noise()), ["flow"])["flow"]
    pictures = np.stack([tf.io.decode_png(one).numpy() for one in encoded])
    np.testing.assert_array_equal(pictures[..., 0], noise()[..., 0])
    np.testing.assert_array_equal(pictures[..., 1], noise()[..., 1])
    assert not pictures[..., 2].any()
    decoded = decode_images(encoded, "flow")
    assert decoded.dtype == tf.uint8
    np.testing.assert_array_equal(decoded, noise())


def test_flow_of_mediapipe_which_is_jpeg_is_read_too() -> None:
    flat = np.full((16, 16, 3), (0, 90, 200), np.uint8)  # blue, green (y), red (x), as OpenCV has them
    encoded = tf.constant([cv2.imencode(".jpg", flat, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()])
    decoded = decode_images(encoded, "flow").numpy().astype(int)
    np.testing.assert_allclose(decoded, np.broadcast_to([200, 90], (1, 16, 16, 2)), atol=2)  # JPEG


@pytest.mark.parametrize("modalities", [["rgb"], ["flow"], ["rgb", "flow"], []])
def test_parse_gives_what_is_asked_for(modalities: list[str]) -> None:
    serialized = example(flow=noise())
    for parsed in (
        parse(serialized, modalities),
        next(iter(tf.data.Dataset.from_tensors(serialized).map(lambda one: parse(one, modalities)))),
    ):
        assert set(parsed) == {"label", "id", *modalities}
        assert parsed["label"].dtype == tf.int64
        assert parsed["label"].numpy() == 7
        assert parsed["id"].numpy() == b"run/a.mp4@1.5-None"
        assert all(parsed[modality].shape == (3,) for modality in modalities)


def test_a_record_without_flow_fails_when_flow_is_asked_for() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="FORWARD_FLOW/image/encoded"):
        parse(example(), ["flow"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="FORWARD_FLOW/image/encoded"):
        parse(example(), ["rgb", "flow"])


def test_a_record_of_others_needs_neither_an_id_nor_as_many_fields_as_frames() -> None:
    foreign = tf.train.SequenceExample.FromString(example(flow=noise()))
    del foreign.context.feature["example/id"]
    del foreign.feature_lists.feature_list["FORWARD_FLOW/image/encoded"].feature[-1]
    parsed = parse(foreign.SerializeToString(), ["rgb", "flow"])
    assert parsed["id"].numpy() == b""
    assert (parsed["rgb"].shape, parsed["flow"].shape) == ((3,), (2,))


def test_an_id_that_is_not_utf_8_is_kept_byte_for_byte() -> None:
    context, _ = content(example(example_id="a/caf\udce9.mp4"))
    assert context["example/id"] == ("bytes_list", [b"a/caf\xe9.mp4"])


def test_a_record_without_a_label_says_so() -> None:
    unlabelled = example(label_index=None, label_name=None)
    assert not [key for key in content(unlabelled)[0] if "label" in key]
    assert parse(unlabelled, [])["label"] == schema.NO_LABEL


SEVERAL = {"further_labels": ((2, "springt"), (0, "geht"))}


def test_several_labels_are_the_lists_of_media_sequence() -> None:
    context, _ = content(example(**SEVERAL))
    names = ["läuft".encode(), b"springt", b"geht"]
    labels = {
        "clip/label/index": ("int64_list", [7, 2, 0]),
        "clip/label/string": ("bytes_list", names),
        "clip/label/text": ("bytes_list", names),
    }
    one, _ = content(example())
    assert context == one | labels


@pytest.mark.parametrize(
    ("changes", "classes"),
    [(SEVERAL, [0, 2, 7]), ({}, [7]), ({"label_index": None, "label_name": None}, []), ({"label": 8}, [8])],
)
@pytest.mark.parametrize("modalities", [["rgb"], []])
def test_where_there_may_be_several_labels_each_class_has_a_place(changes, classes, modalities) -> None:
    expected = [float(index in classes) for index in range(9)]
    serialized = example(**changes)
    mapped = tf.data.Dataset.from_tensors(serialized).map(lambda one: parse(one, modalities, label_classes=9))
    assert mapped.element_spec["label"] == tf.TensorSpec((9,), tf.float32)
    for parsed in (parse(serialized, modalities, label_classes=9), next(iter(mapped))):
        assert set(parsed) == {"label", "id", *modalities}
        assert parsed["label"].dtype == tf.float32
        assert parsed["label"].numpy().tolist() == expected


def test_several_labels_and_a_stored_video_go_together() -> None:
    parsed = parse(video_record(), ["rgb"], store="video", label_classes=2)
    assert parsed["label"].numpy().tolist() == [1.0, 0.0]
    assert decode_video(parsed["video"], tf.constant([1])).shape == (1, 32, 24, 3)


@pytest.mark.parametrize(("label", "further"), [(7, ((2, "a"), (9, "b"))), (9, ()), (-1, ())])
def test_a_label_outside_of_the_classes_is_told_with_its_record(label: int, further: tuple) -> None:
    serialized = example(label=label, further_labels=further)
    message = r"(?s)run/a\.mp4@1\.5-None.*labels outside of.*9.*classes:"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        parse(serialized, [], label_classes=9)
    mapped = tf.data.Dataset.from_tensors(serialized).map(lambda one: parse(one, ["rgb"], label_classes=9)["label"])
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(iter(mapped))


def test_several_labels_fail_where_one_is_meant() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"clip/label/index"):
        parse(example(**SEVERAL), [])


def test_a_record_tells_its_part_of_each_division() -> None:
    serialized = example(splits=("train", "test", "unused"))
    assert [part_of(serialized, number).numpy() for number in (1, 2, 3, 4)] == [b"train", b"test", b"unused", b""]


def video_record(fps: float = 25.0, start_s: float = 0.0, **pictures) -> bytes:
    frames = np.repeat(picture(6), 2, axis=1)  # 32x24
    facts = {"video": encode_video(iter(frames), fps=fps, crf=0), "video_start_s": start_s} | pictures
    stored = schema.Pictures((32, 24), fps, start_s, facts.pop("count", 6), **facts)
    return schema.to_example(schema.Source("a", "made", "a.mp4", 0, "a", ("train",)), stored)


@pytest.mark.parametrize(("fps", "start_s"), [(25.0, 0.0), (29.97, 3.3), (12.5, 1e4)])
def test_frames_of_a_stored_video_come_back_in_any_order(fps: float, start_s: float) -> None:
    parsed = parse(video_record(fps, start_s), ["rgb"], store="video")
    assert parsed["rgb"].shape == (6,)
    frames = decode_video(parsed["video"], tf.constant([5, 0, 0, 3])).numpy()
    expected = np.repeat(picture(6), 2, axis=1)[[5, 0, 0, 3]]
    assert np.abs(frames.astype(int) - expected).mean() < 2  # lossless in YCbCr at half resolution


def test_a_stored_video_has_no_picture_of_its_own() -> None:
    context, lists = content(video_record())
    assert set(lists) == {"image/timestamp"}
    assert context["clip/encoded_media_start_timestamp"] == ("int64_list", [0])
    assert "image/format" not in context


def test_an_untouched_video_is_cut_and_resized_as_it_is_read() -> None:
    serialized = video_record(25.0, 0.08, video_start_s=0.0, count=3)
    parsed = parse(serialized, ["rgb"], store="video")
    frames = decode_video(parsed["video"], tf.range(3)).numpy()
    assert np.abs(frames.astype(int) - np.repeat(picture(6), 2, axis=1)[2:5]).mean() < 2


def test_flow_of_a_stored_video_needs_no_decoding_of_it() -> None:
    fields = [cv2.imencode(".png", np.zeros((32, 24, 3), np.uint8))[1].tobytes()] * 6
    parsed = parse(video_record(flow=fields, video=b"no video"), ["flow"], store="video")
    assert set(parsed) == {"label", "id", "flow"}
    assert decode_images(parsed["flow"], "flow").shape == (6, 32, 24, 2)
