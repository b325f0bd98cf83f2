"""Train a small smooth network by `Loop`, and print what it gives: python replicas.py KIND [WORKER PORT PORT].

KIND is mirrored (two devices of this process) or workers (two processes, of which this is one). Nothing in the network
has a kink (no ReLU, no max pool), so the rounding of sums does not grow.
"""

import json
import os
import sys

STEPS, BATCH, CLASSES = 8, 8, 3


def main(kind: str, worker: str = "0", *ports: str) -> None:
    if kind == "workers":
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": int(worker)}})
    import tensorflow as tf

    if kind == "mirrored":
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    from keras_i3d.training import devices

    if kind == "mirrored":
        place = devices.Devices(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    else:
        place = devices.here()
    numbers = {"replicas": place.replicas, "worker": place.worker, "are_several": place.are_several}
    numbers["agree"] = [place.agree(7), place.agree(worker == "0")]
    numbers["runs"] = runs(place)
    numbers["overflow"] = [overflown(place, accumulation) for accumulation in (1, 2)]
    try:
        trained(place, jit_compile=True)
    except ValueError as error:
        numbers["of_xla"] = str(error)
    sys.stdout.write(json.dumps(numbers) + "\n")


def runs(place) -> list[dict]:
    """Return the numbers of a plain run and of one that accumulates, on any devices."""
    return [trained(place), trained(place, accumulation=2, weight_decay=0.01)]


def trained(place, *, accumulation: int = 1, weight_decay: float = 0.0, jit_compile: bool = False) -> dict:
    import keras
    import numpy as np

    from keras_i3d.training.loop import Loop
    from keras_i3d.training.objective import Objective

    with place.strategy.scope():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4, 6, 6, 2))
        x = keras.layers.Conv3D(5, 3, use_bias=False)(inputs)
        x = keras.layers.BatchNormalization(synchronized=place.are_several)(x)
        x = keras.layers.Flatten()(keras.layers.Activation("tanh")(x))
        model = keras.Model(inputs, keras.layers.Dense(CLASSES)(x))
        loop = Loop(
            model,
            keras.optimizers.SGD(0.1, momentum=0.9),
            Objective(CLASSES),
            clips_per_update=BATCH * accumulation,
            accumulation=accumulation,
            weight_decay=weight_decay,
            jit_compile=jit_compile,
        )
    updates = [loop.update(dealt(place, accumulation, step), 0.1) for step in range(STEPS)]
    validated, scores, labels = loop.measure_scores(dealt(place, 2, 0, weighted=True))
    return {
        "losses": [tally.loss / tally.clips for tally in updates],
        "clips": [tally.clips for tally in updates],
        "validated": [validated.loss, validated.right, validated.clips],
        "scores": np.sort(scores.sum(axis=1)).tolist(),
        "labels": sorted(labels.tolist()),
        "weights": [float(np.square(np.asarray(variable)).sum()) for variable in model.variables],
    }


def overflown(place, accumulation: int) -> dict:
    """Return how an update in which only the last replica overflows changes the weights and the scale of the loss."""
    import keras
    import numpy as np

    from keras_i3d.training.loop import Loop
    from keras_i3d.training.objective import Objective

    with place.strategy.scope():
        inputs = keras.Input((4, 6, 6, 2))
        x = keras.layers.Flatten()(keras.layers.Conv3D(3, 3)(inputs))
        model = keras.Model(inputs, keras.layers.Dense(CLASSES)(x))
        optimiser = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=1024.0)
        loop = Loop(model, optimiser, Objective(CLASSES), clips_per_update=BATCH, accumulation=accumulation)

    def updated(**kind) -> list:
        before = [np.asarray(variable) for variable in model.variables]
        tally = loop.update(dealt(place, accumulation, 0, **kind), 0.1)
        is_changed = any((np.asarray(now) != then).any() for now, then in zip(model.variables, before, strict=True))
        return [bool(np.isfinite(tally.loss)), is_changed, float(np.asarray(optimiser.dynamic_scale))]

    return {"last": updated(last=np.inf), "none": updated()}


def dealt(place, count: int, seed: int, *, weighted: bool = False, last: float | None = None):
    """Return batches of one step.

    The last of them holds clips that count nothing if they are weighted; `last` is in place of a number of its last
    clip.
    """
    import numpy as np
    import tensorflow as tf

    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(count, BATCH, 4, 6, 6, 2)).astype("float32")
    if last is not None:
        inputs[-1, -1, 0, 0, 0, 0] = last
    labels = generator.integers(0, CLASSES, (count, BATCH))
    weights = np.ones((count, BATCH), "float32")
    weights[-1, -3:] = 0
    own = slice(place.worker * BATCH // place.workers, (place.worker + 1) * BATCH // place.workers)
    parts = (inputs[:, own], labels[:, own], weights[:, own])[: 3 if weighted else 2]
    batches = tf.data.Dataset.from_tensor_slices(parts)
    if not place.are_several:
        return iter(batches)
    share = BATCH // place.replicas
    return iter(place.strategy.distribute_datasets_from_function(lambda context: batches.rebatch(share)))


if __name__ == "__main__":
    main(*sys.argv[1:])
