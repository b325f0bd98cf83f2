"""Export a model under one TensorFlow, and load it under another by its C API, as servers of that version do.

python tests/backends/served_elsewhere.py write FOLDER     # where the package is installed
python tests/backends/served_elsewhere.py check FOLDER     # in the other environment
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))


def write(folder: Path) -> None:
    """Write I3D of drawn weights, two clips, and what the Keras model answers."""
    from finished_models import paper_model

    from keras_i3d.clips import transforms
    from keras_i3d.serving.export import export

    finished = paper_model("i3d")
    frames = np.random.default_rng(0).integers(0, 256, (2, 16, 40, 50, 3), np.uint8)
    clips = np.stack([transforms.testing_view(clip, finished.preparation.size, "rgb") for clip in frames])
    export(finished, folder / "served", check=True)
    np.savez(folder / "answers.npz", frames=frames, logits=finished.logits_network()(clips, training=False))


def check(folder: Path) -> None:
    """Load the model by the C API, compare, and replay the warm-up requests."""
    import c_api
    import tensorflow as tf

    from keras_i3d.serving import messages, tensors

    saved = np.load(folder / "answers.npz")
    model = c_api.SavedModel(folder / "served/1")
    found = model.run("serving_default", {"rgb": saved["frames"]})["logits"]
    difference = float(np.abs(found - saved["logits"]).max() / saved["logits"].std())
    assert difference <= 1e-5, difference
    replayed = 0
    for record in tf.data.TFRecordDataset(str(folder / "served/1/assets.extra/tf_serving_warmup_requests")):
        request = messages.PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {name: tensors.from_proto(tensor) for name, tensor in request.inputs.items()}
        model.run(request.model_spec.signature_name, inputs)
        replayed += 1
    sys.stdout.write(f"TensorFlow {c_api.version()}: {difference:.1e} of the logits' deviation, {replayed} requests\n")


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](Path(sys.argv[2]))
