"""Export a model for TensorFlow Serving, or for another runtime.

Writes the next version, such as served/1, by one rename, so that a running server takes it up whole. Its signature
serving_default takes uint8 RGB frames (batch, time, height, width, 3) of any size and length; resizing, cropping and
scaling are inside. Beside the versions lie models.config, batching.config and a README with an example request for
every signature.

  keras-i3d export --model run/best.keras --output served/ --check
  keras-i3d export --model run/best.keras --output served/ --precision bfloat16
  keras-i3d export --model kinetics --modality flow --output served/ --shape 1,64,256,?
  keras-i3d export --model two_stream/best.keras --output served/ --flow-inside --xla

With --format the network goes to ONNX, OpenVINO or LiteRT instead: prepared clips in, logits and probabilities out. It
is compared with Keras as it is written, and refused where it differs.

  keras-i3d export --model run/best.keras --output onnx/ --format onnx
"""

from __future__ import annotations

import argparse
import sys

from keras_i3d import quiet
from keras_i3d.serving.options import MOST_FRAMES, PRECISIONS, ServingOptions, parse_shape

SAVED_MODEL = "saved-model"
RUNTIMES = ("onnx", "openvino", "litert")
_OF_SERVING = {  # options that the other formats do not have, and their defaults
    "name": None,
    "check": False,
    "precision": "float32",
    "fold_batch_norm": None,
    "xla": False,
    "max_frames": MOST_FRAMES,
    "flow_inside": False,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--model", metavar="FILE", required=True, help=".keras file of a run, or kinetics")
    parser.add_argument("--modality", choices=("rgb", "flow"), help="stream of published weights (default: rgb)")
    parser.add_argument(
        "--output", metavar="DIR", required=True, help="folder of the served model's versions; with --format a new one"
    )
    parser.add_argument(
        "--format",
        default=SAVED_MODEL,
        choices=(SAVED_MODEL, *RUNTIMES),
        help="what to write (default: saved-model); the others need pip install 'keras-i3d[onnx]' or [openvino]",
    )
    parser.add_argument("--name", help="the model's name on the server (default: the network's, such as i3d)")
    parser.add_argument(
        "--check",
        action="store_true",
        help="load the new version as a server does and compare it with the Keras model, before it appears",
    )
    parser.add_argument(
        "--precision",
        default="float32",
        choices=PRECISIONS,
        help="bfloat16 is about 1.7 times as fast on CPUs that have it (AVX-512 BF16, AMX); default: float32",
    )
    parser.add_argument(
        "--fold-batch-norm",
        action=argparse.BooleanOptionalAction,
        help="fold batch norms into convolutions, which changes results by rounding (default: with bfloat16)",
    )
    parser.add_argument(
        "--shape",
        metavar="B,T,H,W",
        type=_shape,
        default="?,?,?,?",
        help="fix batch, time, height, width of the frames; ? leaves one open (default: ?,?,?,?)",
    )
    parser.add_argument("--xla", action="store_true", help="compile with XLA: for GPUs, slower on CPUs")
    parser.add_argument(
        "--max-frames",
        metavar="N",
        type=int,
        default=MOST_FRAMES,
        help=f"answer longer clips with an error (default: {MOST_FRAMES})",
    )
    parser.add_argument(
        "--flow-inside",
        action="store_true",
        help="let a network that sees flow compute it itself, so that clients send rgb alone: for GPUs, as on a CPU "
        "TV-L1 takes many times as long as the network",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return _export_version(arguments) if arguments.format == SAVED_MODEL else _export_runtime(arguments)


def _export_runtime(arguments: argparse.Namespace) -> int:
    given = [name for name, usual in _OF_SERVING.items() if getattr(arguments, name) != usual]
    batch, frames, *sides = arguments.shape
    if given or sides != [None, None]:
        what = f"--{given[0].replace('_', '-')}" if given else "height and width in --shape"
        raise ValueError(
            f"{what} goes with --format {SAVED_MODEL} alone; {arguments.format} takes prepared clips in float32, and "
            "is always checked"
        )
    quiet.import_tensorflow()
    from keras_i3d import finished_model
    from keras_i3d.serving.runtimes import export_runtime

    finished = finished_model.load(arguments.model, modality=arguments.modality)
    done = export_runtime(finished, arguments.output, runtime=arguments.format, frames=frames, batch=batch)
    print(
        f"checked: largest difference from the Keras model, in deviations of its logits: {done.difference:.1e}",
        file=sys.stderr,
    )
    print(done.file)
    return 0


def _export_version(arguments: argparse.Namespace) -> int:
    options = ServingOptions(
        precision=arguments.precision,
        fold_batch_norm=arguments.fold_batch_norm,
        shape=arguments.shape,
        xla=arguments.xla,
        max_frames=arguments.max_frames,
        flow_inside=arguments.flow_inside,
    )
    quiet.import_tensorflow()
    from keras_i3d.serving import export as exporting
    from keras_i3d.serving.check import Check

    version = exporting.export(
        arguments.model,
        arguments.output,
        options,
        name=arguments.name,
        modality=arguments.modality,
        check=arguments.check,
    )
    checked = Check.read(version / exporting.EXTRA)
    if checked is not None:
        told = ", ".join(f"{name} {difference:.1e}" for name, difference in checked.differences.items())
        print(
            f"checked: largest difference from the Keras model, in deviations of its logits or features: {told}; "
            f"{checked.replayed} warm-up requests answered",
            file=sys.stderr,
        )
    print(version)
    return 0


def _shape(text: str) -> tuple[int | None, ...]:
    try:
        return parse_shape(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
