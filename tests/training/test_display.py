import keras
import numpy as np

from keras_i3d import progress
from keras_i3d.training.display import ShowProgress


def test_each_epoch_leaves_a_line_and_the_bar_counts_steps(capsys) -> None:
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(inputs))
    metrics = [keras.metrics.SparseCategoricalAccuracy(name="top1")]
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(), metrics=metrics)
    x, y = np.zeros((8, 2), np.float32), np.zeros(8)
    with progress.bar("training") as bar:
        model.fit(x, y, batch_size=4, epochs=2, validation_data=(x, y), callbacks=[ShowProgress(bar)], verbose=0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("epoch 1/2  loss ") and lines[1].startswith("epoch 2/2  loss ")
    assert "  val top-1 " in lines[1]
    assert "4/4" in lines[-1]
