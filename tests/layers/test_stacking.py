from collections.abc import Callable

import keras
import numpy as np

from keras_i3d.layers import StackFrames


def test_frames_are_stacked_in_their_order_x_then_y_of_each() -> None:
    # the value tells step (hundreds), row, column and channel (fraction)
    step, row, column, channel = np.mgrid[:6, :2, :3, :2]
    flow = (100.0 * step + 10 * row + column + channel / 10)[np.newaxis].astype(np.float32)
    stacked = np.asarray(StackFrames(3)(flow))
    assert stacked.shape == (1, 2, 2, 3, 6)
    for group in range(2):
        expected = np.stack([flow[0, 3 * group + i // 2, ..., i % 2] for i in range(6)], axis=-1)
        assert np.array_equal(stacked[0, group], expected)


def test_frames_are_stacked_where_their_number_is_unknown(noise: Callable) -> None:
    inputs = keras.Input((None, None, None, 2))
    model = keras.Model(inputs, StackFrames(10)(inputs))
    assert model.output.shape == (None, None, None, None, 20)
    assert StackFrames(10)(keras.Input((30, 4, 4, 2))).shape == (None, 3, 4, 4, 20)
    x = noise(2, 20, 3, 4, 2)
    assert np.array_equal(model.predict(x, verbose=0), StackFrames(10)(x))
