"""What lies beside the versions of a served model: the server's configuration, and a README for its users.

The two configurations are written once, since they are the operator's to change; the README tells the newest version.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from keras_i3d.serving.names import CLIP, DEFAULT, DESCRIPTION, FEATURES, FRAMES, RGB_BYTES
from keras_i3d.serving.signatures import Signatures
from keras_i3d.whole_file import write_text

MODELS, BATCHING, README = "models.config", "batching.config", "README.md"
FILE_NAMES = (MODELS, BATCHING, README)
WHAT_THEY_DO = {
    DEFAULT: "Raw frames, resized, cropped and scaled inside.",
    FRAMES: "The same with frames as JPEG or PNG files, all of one size: for REST, and for slow networks.",
    CLIP: "Clips that are prepared already: float32 in [-1, 1].",
    FEATURES: "What the network sees before it classifies: `features` for each of its steps in time, and their mean.",
    DESCRIPTION: "What clients must know: how to prepare a video (JSON), and the class names. `query` may be anything.",
}


def write(folder: Path, signatures: Signatures, name: str) -> None:
    """Write the files; configurations that are there already stay.

    Args:
        folder: That holds the versions.
        signatures: Of the newest version.
        name: The model's on the server.
    """
    for file, text in ((MODELS, models_config(name)), (BATCHING, batching_config(signatures))):
        if not (folder / file).exists():
            write_text(folder / file, text)
    write_text(folder / README, readme(signatures, name))


def names_of(folder: Path) -> list[str]:
    """Return the names of models in the ``models.config`` of a folder; none where there is no such file."""
    file = folder / MODELS
    text = file.read_text("utf-8") if file.is_file() else ""
    lines = "\n".join(line.partition("#")[0] for line in text.splitlines())
    return re.findall(r"""\bname\s*:\s*["']([^"']*)["']""", lines)


def models_config(name: str) -> str:
    """Return the text of ``models.config``: the server loads the newest version, and each new one as it appears."""
    return f"""\
# --model_config_file of TensorFlow Serving. base_path is the folder that holds the numbered versions, as the server
# sees it. To go back to an earlier version: model_version_policy {{ specific {{ versions: 1 }} }}
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 1 }} }}
  }}
}}
"""


def batching_config(signatures: Signatures) -> str:
    """Return the text of ``batching.config``."""
    batch = signatures.options.shape[0]
    return f"""\
# --batching_parameters_file of TensorFlow Serving, with --enable_batching. All clips must agree in number and size of
# frames then, or the server refuses those that it has put together: export with --shape ?,T,H,W. On a CPU there is
# little to gain: one clip keeps all cores busy.
max_batch_size {{ value: {batch or 8} }}
batch_timeout_micros {{ value: 5000 }}
max_enqueued_batches {{ value: 100 }}
num_batch_threads {{ value: 2 }}
"""


def readme(signatures: Signatures, name: str) -> str:
    """Return the text of ``README.md``."""
    finished, options = signatures.finished, signatures.options
    preparation = finished.preparation
    folded = ", batch norm folded" if options.folds else ""
    parts = [
        f"# {name}: action recognition, {len(finished.class_names)} classes\n",
        f"Network {preparation.network}, computing in {options.precision}{folded}. It wants videos at "
        f"{preparation.fps:g} frames per second; frames of short side {preparation.short_side} are not resized again. "
        f"A clip has at most {options.max_frames} frames; send longer videos in parts and average the logits.\n",
        "Start the server (gRPC at 8500, REST at 8501) in this folder:\n",
        "```sh\ndocker run -p 8500:8500 -p 8501:8501 -v "
        f'"$PWD:/models/{name}" tensorflow/serving \\\n  --model_config_file=/models/{name}/models.config\n```\n',
        "Ask for a video, from a machine with keras-i3d, or without TensorFlow: `pip install --no-deps keras-i3d && "
        "pip install numpy rich av grpcio protobuf requests`:\n",
        f"```sh\nkeras-i3d predict clip.mp4 --server localhost:8500 --name {name}\n```\n",
        "The examples below share these lines:\n",
        _python(
            "import numpy as np",
            "from keras_i3d.serving.client import connect",
            "",
            f'server = connect("localhost:8500", name="{name}")',
        ),
    ]
    for signature in signatures.names:
        parts += _section(signatures, signature, name)
    return "\n".join(parts)


def _section(signatures: Signatures, signature: str, name: str) -> list[str]:
    specs = signatures.specs(signature)
    outputs = signatures.concrete(signature).structured_outputs
    rows = [("takes", spec.name, spec) for spec in specs]
    rows += [("gives", key, outputs[key]) for key in sorted(outputs)]
    table = ["| | name | dtype | shape |", "|---|---|---|---|"]
    table += [f"| {way} | `{key}` | {_dtype(spec)} | {_axes(key, spec, signature)} |" for way, key, spec in rows]
    example = _example(signatures, signature, specs, name)
    return [f"## {signature}\n", f"{WHAT_THEY_DO[signature]}\n", "\n".join(table) + "\n", example]


def _example(signatures: Signatures, signature: str, specs: Sequence[tf.TensorSpec], name: str) -> str:
    if signature == DESCRIPTION:
        body = '{"signature_name": "description", "inputs": {"query": ["?"]}}'
        return f"```sh\ncurl -d '{body}' \\\n  http://localhost:8501/v1/models/{name}:predict\n```\n"
    shapes = signatures.request_shapes(signature)
    values = []
    for spec in specs:
        if spec.name == RGB_BYTES:
            batch, count = shapes[spec.name]
            values.append(f'"{RGB_BYTES}": np.array([[open("frame.jpg", "rb").read()] * {count}] * {batch}, object)')
            continue
        values.append(f'"{spec.name}": np.zeros({shapes[spec.name]}, np.{_dtype(spec)})')
    return _python(f'server.predict({{{", ".join(values)}}}, signature="{signature}")')


def _python(*lines: str) -> str:
    return "```python\n" + "\n".join(lines) + "\n```\n"


def _dtype(spec: tf.TensorSpec) -> str:
    return spec.dtype.name


def _axes(name: str, spec: tf.TensorSpec, signature: str) -> str:
    axes: tuple[str, ...] = ("batch", "time", "height", "width", "channels")
    if name in ("features", "mean_features"):
        axes = ("batch", "steps", "width") if name == "features" else ("batch", "width")
    known = [free if size is None else str(size) for free, size in zip(axes, spec.shape, strict=False)]
    return f"[{', '.join(known)}]" + (" pixels per frame" if name == "flow" and signature != CLIP else "")
