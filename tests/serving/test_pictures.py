import cv2
import numpy as np
import pytest

from keras_i3d.serving import pictures


@pytest.mark.parametrize("shape", [(3, 1, 1, 3), (2, 3, 37, 51, 3), (48, 64, 3), (2, 0, 4, 4, 3)])
def test_pictures_give_back_every_pixel(shape: tuple[int, ...]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    coded = pictures.to_png(frames)
    assert coded.shape == shape[:-3]
    for index, one in np.ndenumerate(coded):
        assert one.startswith(b"\x89PNG")
        decoded = cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        np.testing.assert_array_equal(decoded, frames[index])


def test_frames_need_not_lie_in_order() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 10, 20, 3), np.uint8)
    turned = pictures.to_png(frames[:, ::-1, ::2])
    assert turned.tolist() == pictures.to_png(np.ascontiguousarray(frames[:, ::-1, ::2])).tolist()


@pytest.mark.parametrize(
    "frames", [np.zeros((2, 4, 4, 3), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros((2, 0, 4, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused(frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"frames must be uint8 \(\.\.\., height, width, 3\), got (float32|uint8) \("):
        pictures.to_png(frames)
