"""Build a 3-D network from the graph of a 2-D one: the same layers and names, and a time axis.

What a layer becomes is said by its class; a class that is not listed is refused by name. The weights come
later (`keras_i3d.inflation.weights`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import layers

from keras_i3d.inflation.kernels import Extent, check_extent
from keras_i3d.layers import SamePadding3D
from keras_i3d.models.time_plan import PADDINGS

# as they are, on any number of axes
POINTWISE = (
    *(layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Identity, layers.Rescaling, layers.Dense),
    *(layers.Dropout, layers.GaussianDropout, layers.GaussianNoise),
    *(layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum),
)
# these count axes, of which time is a new one
BY_AXIS = (
    *(layers.BatchNormalization, layers.LayerNormalization, layers.Normalization),
    *(layers.Concatenate, layers.Softmax),
)
# the same layer of three dimensions, which leaves time alone or takes all of it
WITHOUT_WINDOW = {
    layers.GlobalAveragePooling2D: layers.GlobalAveragePooling3D,
    layers.GlobalMaxPooling2D: layers.GlobalMaxPooling3D,
    layers.SpatialDropout2D: layers.SpatialDropout3D,
    layers.ZeroPadding2D: layers.ZeroPadding3D,
    layers.Cropping2D: layers.Cropping3D,
    layers.UpSampling2D: layers.UpSampling3D,
}
POOLS = {layers.MaxPooling2D: layers.MaxPooling3D, layers.AveragePooling2D: layers.AveragePooling3D}
CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)
SUPPORTED = (*CONVOLUTIONS, *POOLS, *WITHOUT_WINDOW, *BY_AXIS, *POINTWISE, layers.Reshape)


def check_takes_images(source: keras.Model) -> None:
    """Raise ValueError unless a network is built and takes images, channels last."""
    inputs = getattr(source, "inputs", None)
    if not inputs:
        raise ValueError(
            f"{source.name}: a network to inflate is functional or sequential and built, got {type(source).__name__}"
        )
    shapes = [tuple(tensor.shape) for tensor in inputs]
    if len(shapes) > 1:
        raise ValueError(
            f"{source.name}: a network to inflate has one input, got {len(shapes)}; of a network of several streams "
            "inflate one after the other: source.get_layer(name)"
        )
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][-1] is None:
        raise ValueError(
            f"{source.name}: a network to inflate has one input (batch, height, width, channels), got "
            f"{', '.join(map(str, shapes))}"
        )


def build(
    source: keras.Model, *, extent: Extent, frames: int | None, time_strides: Mapping[str, int], padding: str
) -> keras.Model:
    """Build the 3-D network of a 2-D one, with weights of its own; arguments as in `keras_i3d.inflate`.

    Raises:
        ValueError: An argument is not one of those allowed, or a layer of the source is not supported.
    """
    if padding not in PADDINGS:
        raise ValueError(f"padding must be {' or '.join(map(repr, PADDINGS))}, got {padding!r}")
    if frames is not None:
        check_extent(frames, "frames")
    builder = _Builder(extent, time_strides, padding)
    builder.check_names(source)
    return builder.model(source, frames)


@dataclass(frozen=True)
class _Builder:
    """Turns one layer after the other; `padded` holds what goes in front of a layer, by the layer's id."""

    extent: Extent
    time_strides: Mapping[str, int]
    padding: str
    padded: dict[int, layers.Layer] = field(default_factory=dict)

    def check_names(self, source: keras.Model) -> None:
        """Raise ValueError for names that are no layer with a window, or extents that are none."""
        names = sorted(layer.name for layer in leaves(source) if isinstance(layer, (*CONVOLUTIONS, *POOLS)))
        for what, asked in (("extent", self.extent), ("time_strides", self.time_strides)):
            for name, value in asked.items() if isinstance(asked, Mapping) else ():
                if name not in names:
                    raise ValueError(
                        f"{what}: {source.name} has no convolution or pool {name!r}; it has {', '.join(names)}"
                    )
                check_extent(value, f"{what}[{name!r}]")
        if not callable(self.extent) and not isinstance(self.extent, Mapping):
            check_extent(self.extent)

    def model(self, source: keras.Model, frames: int | None) -> keras.Model:
        """Return the 3-D network of a functional or sequential model."""
        inputs = source.inputs
        shape = tuple(inputs[0].shape)
        graph = keras.Model(inputs[0], source.outputs[0], name=source.name)  # a Sequential shows no graph to walk
        video = layers.Input((frames, *shape[1:]), dtype=inputs[0].dtype, name=inputs[0].name)
        return keras.models.clone_model(graph, video, clone_function=self.layer, call_function=self._call)

    def _call(self, layer: layers.Layer, inputs: Any, **options: Any) -> Any:
        padding = self.padded.get(id(layer))
        return layer(inputs if padding is None else padding(inputs), **options)

    def layer(self, layer: layers.Layer) -> layers.Layer:
        """Return the 3-D layer of a 2-D one, without its weights."""
        kind, config = type(layer), layer.get_config()
        if isinstance(layer, keras.Model):
            return self.model(layer, None)
        if config.get("data_format", "channels_last") != "channels_last":
            raise ValueError(f"layer {layer.name}: channels must be last, got data_format={config['data_format']!r}")
        if kind in CONVOLUTIONS:
            return self._convolution(layer, config)
        if kind in POOLS:
            return self._pool(layer, config)
        if kind is layers.Reshape:
            return layers.Reshape(_reshaped(layer), name=layer.name)
        if kind in WITHOUT_WINDOW:
            return WITHOUT_WINDOW[kind].from_config(_without_window(config))
        if kind in BY_AXIS:
            axes = config["axis"]
            shifted = [axis + (axis > 0) for axis in ([axes] if isinstance(axes, int) else axes)]
            return kind.from_config(config | {"axis": shifted[0] if isinstance(axes, int) else shifted})
        if kind in POINTWISE:
            return kind.from_config(config)
        what = kind.__name__ if isinstance(layer, layers.Layer) else f"the operation keras.ops {kind.__name__}"
        raise ValueError(
            f"layer {layer.name}: {what} cannot be inflated; supported are the layers "
            f"{', '.join(sorted(supported.__name__ for supported in SUPPORTED))}"
        )

    def _convolution(self, layer: layers.Layer, config: dict[str, Any]) -> layers.Layer:
        steps, stride = self._in_time(layer, layer.kernel_size), self.time_strides.get(layer.name, 1)
        size, strides = (steps, *layer.kernel_size), (stride, *layer.strides)
        dilation = (1, *layer.dilation_rate)
        if type(layer) is layers.DepthwiseConv2D:
            config = _of_groups(layer, config)
        is_same, at_edges = layer.padding == "same", steps > 1 and self.padding == "edge"
        has_own_padding = at_edges or (not is_same and (steps > 1 or stride > 1))
        made = layers.Conv3D.from_config(
            config
            | {"kernel_size": size, "strides": strides, "dilation_rate": dilation}
            | {"padding": "valid" if has_own_padding else layer.padding}
        )
        if has_own_padding:
            window = tuple((extent - 1) * rate + 1 for extent, rate in zip(size, dilation, strict=True))
            window, strides = (window, strides) if is_same else ((steps, 1, 1), (stride, 1, 1))
            self.padded[id(made)] = self._time_padding(layer.name, window, strides)
        return made

    def _pool(self, layer: layers.Layer, config: dict[str, Any]) -> layers.Layer:
        by_name = isinstance(self.extent, Mapping) or callable(self.extent)
        steps = self._in_time(layer, layer.pool_size) if by_name else 1
        stride = self.time_strides.get(layer.name, 1)
        made = POOLS[type(layer)].from_config(
            config | {"pool_size": (steps, *layer.pool_size), "strides": (stride, *layer.strides)}
        )
        if layer.padding == "valid" and (steps > 1 or stride > 1):  # edges, since SAME pools disregard their padding
            name = f"{layer.name}__time_padding"
            self.padded[id(made)] = SamePadding3D((steps, 1, 1), (stride, 1, 1), "edge", name=name)
        return made

    def _time_padding(self, name: str, window: tuple[int, ...], strides: tuple[int, ...]) -> layers.Layer:
        name = f"{name}__time_padding"
        if self.padding == "zeros" and strides == (1, 1, 1) and window[1:] == (1, 1):  # no need of a layer of ours
            before = (window[0] - 1) // 2
            return layers.ZeroPadding3D(((before, window[0] - 1 - before), 0, 0), name=name)
        return SamePadding3D(window, strides, self.padding, name=name)

    def _in_time(self, layer: layers.Layer, size: tuple[int, int]) -> int:
        if isinstance(self.extent, Mapping):
            return self.extent.get(layer.name, 1)
        if not callable(self.extent):
            return self.extent if max(size) > 1 else 1
        steps = self.extent(layer)
        check_extent(steps, f"extent of {layer.name}")
        return steps


def leaves(model: keras.Model) -> list[layers.Layer]:
    """Return the layers of a network in its order, those of nested networks in place of these."""
    return [leaf for layer in model.layers for leaf in (leaves(layer) if isinstance(layer, keras.Model) else [layer])]


def _of_groups(layer: layers.Layer, config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of the convolution of as many groups as channels that a depthwise one is."""
    groups = layer.input.shape[-1]
    kept = {
        key.replace("depthwise", "kernel"): value
        for key, value in config.items()
        if key.startswith("depthwise") or key in ("name", "trainable", "dtype", "activation", "use_bias")
    }
    bias = {key: value for key, value in config.items() if key.startswith("bias_")}
    return kept | bias | {"filters": groups * layer.depth_multiplier, "groups": groups}


def _without_window(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a layer of three dimensions; nothing is added, cut or repeated in time."""
    config = dict(config)
    for key, in_time in (("padding", [0, 0]), ("cropping", [0, 0]), ("size", 1)):
        if key in config:
            config[key] = (in_time, *config[key])
    if config.pop("interpolation", "nearest") != "nearest":
        raise ValueError(f"layer {config['name']}: only the nearest interpolation is there in 3-D")
    return config


def _reshaped(layer: layers.Layer) -> tuple[int, ...]:
    """Return the shape of a Reshape between a vector and a map of one place, which is all that means the same."""
    before, after = tuple(layer.input.shape[1:]), tuple(layer.output.shape[1:])
    if after == (1, 1, before[-1]):
        return (1, *after)
    if after == before[-1:] and set(before[:-1]) <= {1}:
        return after
    raise ValueError(
        f"layer {layer.name}: only a vector and a map of one place can be reshaped into each other, got {before} to "
        f"{after}"
    )
