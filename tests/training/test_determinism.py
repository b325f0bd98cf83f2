import subprocess
import sys

import pytest

SCRIPT = """
import hashlib
from keras_i3d import quiet
quiet.import_tensorflow()
from keras_i3d.training import determinism
determinism.repeat_exactly()
determinism.repeat_exactly()
import keras, numpy as np
from keras_i3d import I3D
keras.utils.set_random_seed(0)
model = I3D(weights=None, input_shape=(9, 32, 32, 3), classes=4)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy())
clips = np.random.default_rng(0).uniform(-1, 1, (4, 9, 32, 32, 3)).astype("float32")
for _ in range(4):
    model.train_on_batch(clips, np.arange(4))
print(hashlib.sha256(b"".join(v.numpy().tobytes() for v in model.trainable_variables)).hexdigest())
"""


@pytest.mark.slow
def test_two_processes_train_the_same_weights_to_the_last_bit() -> None:
    run = [sys.executable, "-c", SCRIPT]
    outputs = {subprocess.run(run, check=True, capture_output=True).stdout for _ in range(2)}
    assert len(outputs) == 1
    assert len(outputs.pop().strip()) == 64


def test_it_must_be_said_before_tensorflow_computes() -> None:
    script = (
        "import tensorflow as tf; tf.constant(1)\n"
        "from keras_i3d.training.determinism import repeat_exactly; repeat_exactly()"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "a run can be repeatable only if nothing was computed by TensorFlow before it" in done.stderr
