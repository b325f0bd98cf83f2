import numpy as np
import pytest
import tensorflow as tf

from keras_i3d.clips import transforms
from keras_i3d.explanation.seen import box_of


@pytest.mark.parametrize(("height", "width"), [(256, 340), (341, 256), (256, 256)])
def test_the_box_is_what_the_network_sees(height: int, width: int) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    box = box_of(height, width, 224)
    cut = frames[:, box.top : box.top + box.height, box.left : box.left + box.width]
    np.testing.assert_allclose(transforms.testing_view(tf.constant(frames), 224, "rgb"), cut / 127.5 - 1, atol=1e-6)


def test_the_box_of_frames_of_another_size_covers_the_same_share() -> None:
    box, twice = box_of(256, 340, 224), box_of(512, 680, 224)
    assert (twice.top, twice.left, twice.height, twice.width) == (
        2 * box.top,
        2 * box.left,
        2 * box.height,
        2 * box.width,
    )
