import keras
import numpy as np
import pytest

from keras_i3d.layers import EightBitFlow
from keras_i3d.video.flow import from_stored, to_stored


def test_flow_goes_through_the_bits_of_records() -> None:
    flow = np.random.default_rng(0).uniform(-25, 25, (2, 3, 40, 50, 2)).astype(np.float32)
    flow[0, 0, 0] = 0
    expected = from_stored(to_stored(flow).astype(np.float32)) / 20
    found = np.asarray(EightBitFlow()(flow))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)  # a level is 0.0078
    assert len(np.unique(found)) == 256


@pytest.mark.parametrize("level", [0, 1, 127, 128, 254, 255])
def test_what_records_hold_stays(level: int) -> None:
    flow = from_stored(np.full((1, 2), level, np.float32) + np.float32(0.01))
    np.testing.assert_allclose(EightBitFlow()(flow), from_stored(np.float32(level)) / 20, atol=1e-6)


def test_it_stays_float32_and_unlearnt_in_half_precision() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = EightBitFlow()
        inputs = keras.Input((None, 2))
        assert layer(inputs).dtype == "float32"
    finally:
        keras.config.set_dtype_policy("float32")
    assert layer(inputs).shape == (None, None, 2)
    flow = np.full((1, 2), 3.14159, np.float32)
    np.testing.assert_allclose(layer(flow), from_stored(to_stored(flow).astype(np.float32)) / 20, atol=1e-6)
