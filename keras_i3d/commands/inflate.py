"""Inflate a 2-D Inception-v1 into I3D.

SOURCE is a TF-Slim checkpoint of Inception-v1 (inception_v1.ckpt, or the prefix of one with an .index file), a
.weights.h5 or .keras file of the 2-D network, or the name imagenet (the published weights). The result is a file of
weights that keras_i3d.I3D(weights=...) takes.

With --check an image and its boring video (the image repeated in time) go through both networks, and the
error of every end point is printed: with edge padding at every step, and with zeros, as in the original, at the
steps that the zeros before and after the clip do not reach. Both must be rounding alone; exit code 1 says that they
are not.

  keras-i3d inflate inception_v1.ckpt --output i3d.weights.h5
  keras-i3d inflate inception_v1.ckpt --output i3d.weights.h5 --check photo.jpg
  keras-i3d inflate imagenet --output flow.weights.h5 --modality flow --classes 101
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_i3d import quiet, streams, whole_file

if TYPE_CHECKING:
    import keras
    import numpy as np

    from keras_i3d.inflation.boring_video import BoringVideoError

SIZE, SMALL_SIZE = 224, 64  # the longer clips that zero padding needs are shown small
EDGE_FRAMES = 16
TOP = 5
TOLERANCE = 1e-5  # rounding leaves some 1e-6; a network that differs (epsilon, padding) 1e-2 and more


@dataclass(frozen=True)
class Check:
    """What an image and its boring video show.

    Attributes:
        edge: Error with edge padding in time, which should be small everywhere.
        zeros: Error with zero padding, which should be small in the interior.
        top_image: Best classes of the image in 2-D, best first; None where the classifier is new.
        top_video: The same of the boring video in 3-D, with edge padding.
    """

    edge: BoringVideoError
    zeros: BoringVideoError
    top_image: tuple[int, ...] | None
    top_video: tuple[int, ...] | None

    @property
    def holds(self) -> bool:
        """Whether both errors are rounding alone, and the classes ranked alike."""
        inside = self.zeros.interior
        is_small = self.edge.everywhere <= TOLERANCE and (inside is None or inside <= TOLERANCE)
        return is_small and self.top_image == self.top_video

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {
            "holds": self.holds,
            "edge": self.edge.to_json(),
            "zeros": self.zeros.to_json(),
            "top_image": self.top_image,
            "top_video": self.top_video,
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("source", metavar="SOURCE", help="TF-Slim checkpoint, .weights.h5, .keras, or imagenet")
    parser.add_argument("--output", metavar="FILE", required=True, help="file to write, .weights.h5")
    parser.add_argument("--modality", default="rgb", choices=("rgb", "flow"), help="stream to make (default: rgb)")
    parser.add_argument("--time-plan", default="i3d", metavar="PLAN", help="extents in time (default: i3d)")
    parser.add_argument("--classes", type=int, metavar="N", help="classes of the result (default: the source's)")
    parser.add_argument(
        "--method",
        default="repeat",
        choices=("repeat", "centre"),
        help="repeat every kernel in time and divide (default), or put it into the middle frame",
    )
    parser.add_argument(
        "--check",
        metavar="IMAGE",
        nargs="?",
        const="",
        help="print the fixed point's error, on an image file or on a made one",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    output = Path(arguments.output)
    _check_output(output)
    if arguments.check and arguments.modality == "flow":
        raise ValueError("an image file shows no flow; with --modality flow give --check without a file")
    image = None if arguments.check is None else _image(arguments.check, arguments.modality)
    quiet.import_tensorflow()
    from keras_i3d.inflation import inflate
    from keras_i3d.models.i3d import I3D

    source = inflate.open_source(arguments.source)
    channels = streams.channels(arguments.modality)
    options = {
        "weights": None,
        "modality": arguments.modality,
        "time_plan": arguments.time_plan,
        "classes": _classes(source) if arguments.classes is None else arguments.classes,
    }
    network = I3D(input_shape=(None, None, None, channels), **options)
    inflate.inflate(source, network, method=arguments.method)
    with whole_file.replacing(output) as aside:
        network.save_weights(aside)
    result = None if image is None else check(source, network, image, options)
    _print(arguments, options["classes"], result)
    return 0 if result is None or result.holds else 1


def check(source: keras.Model, network: keras.Model, image: np.ndarray, options: dict[str, Any]) -> Check:
    """Compare an inflated I3D with its 2-D source on an image and its boring video.

    Args:
        source: 2-D Inception-v1.
        network: The inflated network.
        image: float32 (height, width, channels of the modality) in [-1, 1].
        options: Of `keras_i3d.I3D` with which the network was built.
    """
    import numpy as np

    from keras_i3d.inflation.boring_video import boring_video_error
    from keras_i3d.models import architecture
    from keras_i3d.models.i3d import I3D

    has_classes = _carries_classes(_classes(source), options["classes"])
    reference = _reference(source, options["classes"], image.shape[-1])
    names = [name for name in architecture.END_POINTS if has_classes or name not in ("Logits", "Predictions")]

    edge = I3D(input_shape=(EDGE_FRAMES, *image.shape), temporal_padding="edge", **options)
    edge.set_weights(network.get_weights())
    edge_error = boring_video_error(reference, edge, image, layers=names)
    small = _small(image)
    zeros_error = boring_video_error(reference, network, small, layers=names)
    tops: list[tuple[int, ...] | None] = [None, None]
    if has_classes:
        video = np.repeat(image[np.newaxis, np.newaxis], EDGE_FRAMES, axis=1)
        answers = (reference(image[np.newaxis])[0], edge(video)[0])
        tops = [tuple(int(i) for i in np.argsort(-np.asarray(a), kind="stable")[:TOP]) for a in answers]
    return Check(edge_error, zeros_error, *tops)


def _reference(source: keras.Model, classes: int, channels: int) -> keras.Model:
    """Return the 2-D network of any size, with the stem and the classes that the inflated one has."""
    import keras

    from keras_i3d.inflation import inflate
    from keras_i3d.models.inception_v1 import InceptionV1

    reference = InceptionV1(weights=None, input_shape=(None, None, 3), classes=classes)
    if channels != 3:
        reference = keras.models.clone_model(reference, keras.Input((None, None, channels), name="flow"))
    return inflate.inflate(source, reference)


def _classes(source: keras.Model) -> int:
    from keras_i3d.models.architecture import IMAGENET_CLASSES

    head = [layer for layer in source.layers if layer.name.startswith("Logits__") and hasattr(layer, "filters")]
    return head[0].filters if head else IMAGENET_CLASSES


def _carries_classes(received: int, wanted: int) -> bool:
    from keras_i3d.models.architecture import IMAGENET_CLASSES

    return received == wanted or (received, wanted) == (IMAGENET_CLASSES, IMAGENET_CLASSES - 1)


def _check_output(output: Path) -> None:
    if not output.name.endswith(".weights.h5"):
        raise ValueError(f"--output must end in .weights.h5, got {os.fspath(output)}")
    if not output.parent.is_dir():
        raise FileNotFoundError(f"{output.parent}: no such folder to write {output.name} into")


def _image(path: str, modality: str) -> np.ndarray:
    """Return an image file, or a made image, as float32 (224, 224, channels) in [-1, 1]."""
    import numpy as np

    if not path:
        grid = np.random.default_rng(0).uniform(-1, 1, (SIZE // 16, SIZE // 16, streams.channels(modality)))
        return np.kron(grid, np.ones((16, 16, 1))).astype(np.float32)
    from keras_i3d.extras import import_extra

    cv2 = import_extra("cv2")
    pixels = cv2.imread(path)
    if pixels is None:
        raise ValueError(f"--check {path}: no such file, or none that OpenCV reads as an image")
    height, width = pixels.shape[:2]
    side = min(height, width) * 7 // 8  # TF-Slim's view: the middle 87.5 %
    top, left = (height - side) // 2, (width - side) // 2
    middle = cv2.resize(pixels[top : top + side, left : left + side], (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    return middle[..., ::-1].astype(np.float32) / 127.5 - 1


def _small(image: np.ndarray) -> np.ndarray:
    """Return the middle of an image."""
    margin = (SIZE - SMALL_SIZE) // 2
    return image[margin : margin + SMALL_SIZE, margin : margin + SMALL_SIZE]


def _print(arguments: argparse.Namespace, classes: int, result: Check | None) -> None:
    if arguments.json:
        answer = {key: getattr(arguments, key) for key in ("source", "output", "modality", "time_plan", "method")}
        print(json.dumps(answer | {"classes": classes, "check": result and result.to_json()}))
        return
    print(f"{arguments.output}: {arguments.modality}, {classes} classes")
    if result is None:
        return
    print(f"\nedge padding, {result.edge.frames} frames, error at every step:\n{result.edge}")
    print(f"\nzero padding, {result.zeros.frames} frames, error at the steps inside:\n{result.zeros}")
    if result.top_image is not None:
        print(f"\nbest classes of the image:  {', '.join(map(str, result.top_image))}")
        print(f"of its boring video:        {', '.join(map(str, result.top_video))}")
    print(f"\nthe fixed point {'holds' if result.holds else 'DOES NOT hold'} (to {TOLERANCE:.0e})")
