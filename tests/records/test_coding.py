import cv2
import numpy as np

from keras_i3d.records.coding import encode_jpeg, encode_png


def test_a_jpeg_has_red_first_and_more_quality_costs_more() -> None:
    frame = np.zeros((16, 16, 3), np.uint8)
    frame[..., 0] = 250
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(frame, 95), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_allclose(decoded[0, 0], [0, 0, 250], atol=3)  # blue, green, red; YCbCr in whole levels
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    assert len(encode_jpeg(noise, 20)) < len(encode_jpeg(noise, 95))


def test_a_png_keeps_flow_exactly_in_red_and_green() -> None:
    field = np.random.default_rng(0).integers(0, 256, (16, 24, 2), np.uint8)
    decoded = cv2.imdecode(np.frombuffer(encode_png(field), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(decoded[..., 2], field[..., 0])
    np.testing.assert_array_equal(decoded[..., 1], field[..., 1])
    assert not decoded[..., 0].any()
