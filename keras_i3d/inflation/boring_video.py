"""Measure inflation's fixed point: one image repeated must give in 3-D what the image gives in 2-D.

Carreira & Zisserman 2017, section 2.4. With zeros before the first and after the last frame the video is not
boring at its ends, so the fixed point holds at the steps that those zeros do not reach (`time_reach`); with
temporal padding ``"edge"`` it holds at all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_i3d.inflation.time_reach import clean_steps
from keras_i3d.inflation.weights import counterpart

LONGEST_FRAMES = 256  # tried for a network of any length; every layer of I3D has an interior at half of it


@dataclass(frozen=True)
class LayerError:
    """How far a layer of the 3-D network is from its 2-D counterpart.

    Attributes:
        layer: Name in the 3-D network.
        everywhere: Largest difference at any step, divided by `largest`.
        interior: The same at the steps that the zeros beyond the ends do not reach; None where there is none.
        interior_steps: Number of these.
        steps: Number of time steps, 1 for a layer without a time axis.
        largest: Largest absolute value of the 2-D layer. Where it is 0 the layer is dead, which shows nothing, and
            the differences are absolute.
    """

    layer: str
    everywhere: float
    interior: float | None
    interior_steps: int
    steps: int
    largest: float


@dataclass(frozen=True)
class BoringVideoError:
    """The fixed point's error, layer by layer.

    Attributes:
        frames: Length of the boring video.
        layers: In the order of the 3-D network.
    """

    frames: int
    layers: tuple[LayerError, ...]

    @property
    def everywhere(self) -> float:
        """Largest error of any layer at any step."""
        return float(np.max([layer.everywhere for layer in self.layers]))

    @property
    def interior(self) -> float | None:
        """Largest error of any layer at its interior steps; None where no layer has one."""
        inside = [layer.interior for layer in self.layers if layer.interior is not None]
        return float(np.max(inside)) if inside else None

    def of(self, layer: str) -> LayerError:
        """Return the row of a layer.

        Raises:
            ValueError: There is none.
        """
        for row in self.layers:
            if row.layer == layer:
                return row
        raise ValueError(f"no layer {layer!r} was compared; there are {', '.join(row.layer for row in self.layers)}")

    def to_json(self) -> dict[str, Any]:
        """Return the fields and the largest errors as JSON values."""
        return {"everywhere": self.everywhere, "interior": self.interior, **dataclasses.asdict(self)}

    def __str__(self) -> str:
        width = max(len("largest"), *(len(row.layer) for row in self.layers))
        lines = [f"{'layer':{width}}  {'interior':>8}  {'everywhere':>10}  steps inside"]
        for row in self.layers:
            lines.append(
                f"{row.layer:{width}}  {_scientific(row.interior):>8}  {_scientific(row.everywhere):>10}  "
                f"{row.interior_steps} of {row.steps}"
            )
        lines.append(f"{'largest':{width}}  {_scientific(self.interior):>8}  {_scientific(self.everywhere):>10}")
        return "\n".join(lines)


def boring_video_error(
    model_2d: keras.Model,
    model_3d: keras.Model,
    image: Any,
    *,
    frames: int | None = None,
    layers: Sequence[str] | None = None,
) -> BoringVideoError:
    """Compare a 2-D network on an image with its inflated network on the image repeated in time.

    Every pair of layers with the same name is compared (Conv2d for Conv3d and so on), and at every time step:
    the largest absolute difference, divided by the largest absolute value of the 2-D layer. Both networks run
    as in testing.

    Args:
        model_2d: Functional network of images.
        model_3d: Functional network of videos.
        image: Float (height, width, channels), or (batch, height, width, channels), in the networks' range.
        frames: Length of the video, where the 3-D network takes any; by default the least multiple of 8 at which
            every layer compared that can have an interior has one, up to 256.
        layers: Names of layers of `model_3d` to compare; by default all that have a counterpart. At large
            clips the memory for all of them is much: name the end points.

    Raises:
        ValueError: The networks take something else, have no such layer or none in common, or the image does
            not fit or is not finite.
    """
    clip_frames = _checked_inputs(model_2d, model_3d)
    images = _checked_image(image, model_2d)
    pairs = _pairs(model_2d, model_3d, layers)
    if clip_frames is not None and frames not in (None, clip_frames):
        raise ValueError(f"{model_3d.name} takes clips of {clip_frames} frames, got frames={frames}")
    if frames is None:
        frames = clip_frames or _frames_with_an_interior(model_3d, list(pairs))
    if frames < 1:
        raise ValueError(f"frames must be at least 1, got {frames}")

    flat = _outputs(model_2d, list(pairs.values()), images)
    video = np.repeat(images[:, np.newaxis], frames, axis=1)
    deep = _outputs(model_3d, list(pairs), video)
    clean = clean_steps(model_3d, frames)
    rows = [_row(name, *maps, clean.get(name)) for name, *maps in zip(pairs, flat, deep, strict=True)]
    return BoringVideoError(frames, tuple(rows))


def _row(name: str, flat: np.ndarray, deep: np.ndarray, clean: np.ndarray | None) -> LayerError:
    if deep.ndim == flat.ndim:
        deep = deep[:, np.newaxis]
    flat = flat[:, np.newaxis]
    steps = deep.shape[1]
    if flat.shape[2:] != deep.shape[2:]:
        raise ValueError(f"layer {name}: is {flat.shape[2:]} in 2-D and {deep.shape[2:]} in 3-D, at each step")
    clean = np.zeros(steps, bool) if clean is None else clean
    largest = float(np.abs(flat).max())
    errors = np.abs(deep - flat).max(axis=(0, *range(2, deep.ndim))) / (largest or 1.0)
    interior = float(errors[clean].max()) if clean.any() else None
    return LayerError(name, float(errors.max()), interior, int(clean.sum()), steps, largest)


def _checked_inputs(model_2d: keras.Model, model_3d: keras.Model) -> int | None:
    """Return the frames of the 3-D network's input, None for any."""
    for model, rank, what in ((model_2d, 4, "images"), (model_3d, 5, "videos")):
        shapes = [tuple(tensor.shape) for tensor in getattr(model, "inputs", None) or ()]
        if len(shapes) != 1 or len(shapes[0]) != rank:
            raise ValueError(
                f"{model.name}: one input of {what} is wanted, of {rank} axes with the batch; it "
                f"has {', '.join(map(str, shapes)) or 'none'}"
            )
    if model_2d.inputs[0].shape[-1] != model_3d.inputs[0].shape[-1]:
        raise ValueError(
            f"{model_2d.name} takes {model_2d.inputs[0].shape[-1]} channels and {model_3d.name} "
            f"{model_3d.inputs[0].shape[-1]}: the same image cannot be given to both"
        )
    return model_3d.inputs[0].shape[1]


def _checked_image(image: Any, model: keras.Model) -> np.ndarray:
    """Return float32 images (batch, height, width, channels)."""
    images = np.asarray(image, np.float32)
    images = images[np.newaxis] if images.ndim == 3 else images
    wanted = tuple(model.inputs[0].shape)
    fits = images.ndim == 4 and all(size in (None, is_) for size, is_ in zip(wanted[1:], images.shape[1:], strict=True))
    if not fits or not images.size:
        raise ValueError(f"{model.name} takes images {wanted[1:]}, got an array of shape {np.shape(image)}")
    if not np.isfinite(images).all():
        raise ValueError("the image has values that are not finite")
    return images


def _pairs(model_2d: keras.Model, model_3d: keras.Model, names: Sequence[str] | None) -> dict[str, str]:
    """Return the 2-D name of each layer of the 3-D network to compare."""
    flat = {layer.name for layer in model_2d.layers if _is_comparable(layer)}
    pairs = {
        layer.name: counterpart(layer.name, flat)
        for layer in model_3d.layers
        if _is_comparable(layer) and counterpart(layer.name, flat)
    }
    unknown = [name for name in names or () if name not in pairs]
    if unknown or not pairs:
        raise ValueError(
            f"{model_2d.name} and {model_3d.name} have {'no layer ' + repr(unknown[0]) if unknown else 'no layers'} in "
            f"common; {'these are: ' + ', '.join(pairs) if pairs else 'their layers must bear the same names'}"
        )
    return {name: pairs[name] for name in pairs if names is None or name in names}


def _is_comparable(layer: keras.layers.Layer) -> bool:
    """Tell whether a layer computes one tensor, once, and does not lengthen time."""
    is_input = isinstance(layer, keras.layers.InputLayer)
    is_padding = isinstance(layer, keras.layers.ZeroPadding3D) and any(layer.padding[0])
    return not is_input and not is_padding and len(layer._inbound_nodes) == 1 == len(layer._inbound_nodes[0].outputs)


def _result(model: keras.Model, name: str) -> Any:
    """Return the tensor that a layer computes; `layer.output` of a nested model is its own graph's."""
    return model.get_layer(name)._inbound_nodes[0].outputs[0]


def _frames_with_an_interior(model: keras.Model, names: list[str]) -> int:
    longest = clean_steps(model, LONGEST_FRAMES)
    maps = [name for name in names if len(_result(model, name).shape) == 5]
    maps = [name for name in maps if name in longest and longest[name].any()]  # behind a gate no length helps
    for frames in range(8, LONGEST_FRAMES, 8):
        clean = clean_steps(model, frames)
        if all(clean[name].any() for name in maps):
            return frames
    return LONGEST_FRAMES


def _outputs(model: keras.Model, names: list[str], inputs: np.ndarray) -> list[np.ndarray]:
    tensors = [_result(model, name) for name in names]
    outputs = keras.Model(model.inputs[0], tensors)(inputs, training=False)
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    return [keras.ops.convert_to_numpy(output).astype(np.float32) for output in outputs]


def _scientific(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"
