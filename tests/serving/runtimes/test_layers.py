import keras
import numpy as np
import pytest
from keras import layers

from keras_i3d.layers import BatchNormLSTM, ShrinkingAveragePooling
from keras_i3d.serving.runtimes.layers import PoolingByPlanes, UnrolledLSTM, is_mean_or_maximum

POOLS = {
    "maximum, same": layers.MaxPooling3D(3, strides=2, padding="same"),
    "maximum, same, even": layers.MaxPooling3D(2, strides=2, padding="same"),
    "maximum, same, space alone": layers.MaxPooling3D((1, 3, 3), strides=(1, 2, 2), padding="same"),
    "maximum, same, time strides alone": layers.MaxPooling3D((1, 3, 3), strides=(2, 1, 1), padding="same"),
    "maximum, same, no stride": layers.MaxPooling3D(3, strides=1, padding="same"),
    "maximum, valid": layers.MaxPooling3D((2, 3, 3), strides=(1, 2, 2)),
    "mean, valid": layers.AveragePooling3D((2, 7, 7), strides=1),
    "mean, shrinking": ShrinkingAveragePooling((2, 7, 7)),
    "mean, shrunk in time": ShrinkingAveragePooling((9, 7, 7)),
}


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("shape", [(2, 7, 9, 10, 3), (1, 8, 8, 7, 2)])
def test_a_pool_by_planes_gives_what_the_pool_gives(kind: str, shape: tuple[int, ...]) -> None:
    pool = POOLS[kind]
    clips = np.random.default_rng(0).normal(size=shape).astype("float32")
    by_planes = PoolingByPlanes(pool)
    expected = pool(clips)
    assert is_mean_or_maximum(pool)
    np.testing.assert_allclose(by_planes(clips), expected, atol=1e-6)  # a mean's sums are in another order
    assert by_planes.compute_output_shape(shape) == expected.shape
    assert by_planes.compute_output_shape((None, None, *shape[2:])) == pool.compute_output_shape(
        (None, None, *shape[2:])
    )


def test_a_mean_over_padding_cannot_be_taken_apart() -> None:
    assert not is_mean_or_maximum(layers.AveragePooling3D(3, padding="same"))
    assert not is_mean_or_maximum(layers.MaxPooling2D(3))


@pytest.mark.parametrize("length", [1, 4, 7])  # statistics are kept for four steps
def test_an_unrolled_lstm_gives_what_the_loop_gives(length: int) -> None:
    generator = np.random.default_rng(0)
    sequence = generator.normal(size=(2, length, 5)).astype("float32")
    looping = BatchNormLSTM(3, steps=4)
    expected = looping(sequence)
    unrolled = UnrolledLSTM.from_config(looping.get_config())
    unrolled.build(sequence.shape)
    values = [abs(generator.normal(size=weight.shape)) for weight in looping.weights]
    looping.set_weights(values)
    unrolled.set_weights(values)
    expected = keras.ops.convert_to_numpy(looping(sequence))
    np.testing.assert_allclose(unrolled(sequence), expected, atol=1e-6)
    assert expected.std() > 0.01
