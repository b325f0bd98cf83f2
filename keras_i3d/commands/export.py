"""Export a model as a SavedModel for TensorFlow Serving.

Writes the next version, such as served/1, by one rename. Its signature serving_default takes uint8 RGB frames
(batch, time, height, width, 3) of any size and length; resizing, cropping and scaling are inside.

  keras-i3d export --model run/best.keras --output served/
"""

from __future__ import annotations

import argparse

from keras_i3d import quiet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--model", metavar="FILE", required=True, help=".keras file of a run, or kinetics")
    parser.add_argument("--output", metavar="DIR", required=True, help="folder of the served model's versions")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    quiet.import_tensorflow()
    from keras_i3d.serving.export import export

    print(export(arguments.model, arguments.output))
    return 0
