"""Inflate 2-D convolutional networks into 3-D: the one call that does it all.

Carreira & Zisserman 2017 (Quo Vadis, Action Recognition?), section 2.4: an N x N filter becomes N x N x N by
repeating its weights N times along time and dividing by N. A "boring video", one image repeated, then gives in
3-D what the image gives in 2-D (`keras_i3d.boring_video_error` measures it).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import keras

from keras_i3d.inflation import network as networks
from keras_i3d.inflation import weights
from keras_i3d.inflation.kernels import DEFAULT_EXTENT, Extent, check_method
from keras_i3d.models.saved import load_model


def inflate(
    source: keras.Model | str | os.PathLike,
    target: keras.Model | None = None,
    *,
    extent: Extent | None = None,
    method: str = "repeat",
    frames: int | None = None,
    time_strides: Mapping[str, int] | None = None,
    padding: str | None = None,
) -> keras.Model:
    """Inflate a 2-D network, or a checkpoint of one, into 3-D.

    Without `target` the 3-D network is built from the source's graph, with the same layer names: a k x k
    convolution (k > 1) becomes `extent` x k x k, a 1 x 1 one stays 1 in time, pools keep to single frames,
    nothing steps in time, global pools take in time as well, and the input gets a leading time axis. A
    network with global pooling keeps its classifier.

    With `target` its convolutions, batch norms and classifier get the source's values where the names agree
    (``Conv3d`` and ``conv_3d`` for ``Conv2d`` and ``conv_2d``, or the same name); kernels become as long in time
    as the target's. A first convolution with other input channels goes by `flow_stem`. A convolution that is
    split (S3D: ``<scope>__temporal__conv_3d`` behind ``<scope>__conv_3d``) begins with an identity in time. Self-gates
    and layers without a counterpart stay as they are. The classifier is carried where the numbers of classes
    agree; of 1001 classes for 1000 the background (index 0) is dropped; any other number leaves the target's new,
    with a warning in the log.

    Args:
        source: A functional or sequential network of images (batch, height, width, channels), channels last;
            or a file of one: a ``.keras`` file of any such network, or weights of Inception-v1 (a TF-Slim
            checkpoint, single-file or with ``.index``; ``.weights.h5``); or ``"imagenet"``, the published
            weights of Inception-v1.
        target: A 3-D network such as `keras_i3d.I3D(weights=None)`, or one of several streams, all of which
            are inflated.
        extent: Without a target: temporal extent of the k x k convolutions (3 by default), or a mapping from
            layer name to extent (others 1), or a function of the 2-D layer. Mapping and function also reach 1 x 1
            convolutions and pools.
        method: ``"repeat"`` or ``"centre"``, see `inflate_kernel`.
        frames: Without a target: length of the new input's time axis, by default None, any.
        time_strides: Without a target: temporal strides of convolutions and pools by layer name, others 1.
        padding: Without a target: ``"zeros"`` (the default) or ``"edge"``, what convolutions see before the
            first and after the last step. With edges the boring video's fixed point holds at every step.

    Returns:
        The new network, or `target`.

    Raises:
        ValueError: An argument is not one of those named, or the source has a layer that is not supported.
        CheckpointMismatch: Names or shapes of source and target do not fit. Nothing was changed.
        ModelFileError: A ``.keras`` file is absent or cannot be read.
        FileNotFoundError: There is no such file of weights.
        WeightsUnavailable: Published weights can be neither found nor fetched.
    """
    check_method(method)
    given = {"extent": extent, "frames": frames, "time_strides": time_strides, "padding": padding}
    unwanted = [name for name, value in given.items() if value is not None]
    if target is not None and unwanted:
        raise ValueError(f"with a target its own layers tell their extent in time; leave out {', '.join(unwanted)}")
    network = open_source(source)
    networks.check_takes_images(network)
    if target is None:
        target = networks.build(
            network,
            extent=DEFAULT_EXTENT if extent is None else extent,
            frames=frames,
            time_strides=time_strides or {},
            padding=padding or "zeros",
        )
    weights.carry(network, target, method)
    return target


def open_source(source: keras.Model | str | os.PathLike) -> keras.Model:
    """Return a source of `inflate` as a network; a network is returned as it is.

    Raises:
        ValueError: The source is neither a network nor a path.
        ModelFileError: A ``.keras`` file is absent or cannot be read.
        CheckpointMismatch: Weights are not exactly Inception-v1's.
        FileNotFoundError: There is no such file of weights.
    """
    if isinstance(source, keras.Model):
        return source
    if not isinstance(source, str | os.PathLike):
        raise ValueError(f"source must be a Keras model, a path or 'imagenet', got {type(source)}")
    from keras_i3d.models.inception_v1 import InceptionV1

    any_size = (None, None, 3)
    if str(source) == "imagenet":
        return InceptionV1(weights="imagenet", input_shape=any_size)
    path = Path(source)
    if path.suffix != ".keras":
        return InceptionV1(weights=os.fspath(source), input_shape=any_size)
    return load_model(path)
