"""Paths of shards to paths that TensorFlow can read: those it cannot are fetched when their turn comes."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from keras_i3d import storage
from keras_i3d.errors import RecordError, StorageError, first_line


def readable(paths: Sequence[str], *, order: Any = None) -> tf.data.Dataset:
    """Give the paths of shards, each readable by `tf.data.TFRecordDataset`.

    Local paths pass as they are, and so do URLs that TensorFlow, or tensorflow-io where it is installed and its
    native parts load, reads by itself. Of others a copy is fetched when the pipeline asks for it, or kept from before
    (`storage.cached_copy`); the next one is fetched while one is read.

    Args:
        paths: Local paths and URLs.
        order: Seed (int64 scalar) to shuffle the paths by, before anything is fetched; None keeps their order.

    Returns:
        Dataset of scalar strings.

    Raises:
        StorageError: While it is read, wrapped by TensorFlow (`storage_error` finds it): a file cannot be fetched.
    """
    files = tf.data.Dataset.from_tensor_slices(list(paths))
    if order is not None:
        files = files.shuffle(len(paths), seed=order)
    schemes = native_schemes() if any(storage.is_remote(path) for path in paths) else frozenset()
    if all(_is_native(path, schemes) for path in paths):
        return files

    def local(path: bytes) -> bytes:
        text = path.decode()
        if _is_native(text, schemes):
            return path
        try:
            return str(storage.cached_copy(text)).encode()
        except StorageError as error:
            raise StorageError(str(error)) from None  # TensorFlow prints all that led to it

    def fetched(path: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(local, [path], tf.string), [])

    return files.map(fetched).prefetch(1)


def native_schemes() -> frozenset[str]:
    """Return the schemes, such as ``"s3"``, that TensorFlow reads, with tensorflow-io's help where it has some."""
    if importlib.util.find_spec("tensorflow_io"):
        # it warns, or fails in many ways, under a TensorFlow that it was not made for; what it adds counts
        with warnings.catch_warnings(), contextlib.suppress(Exception):
            warnings.simplefilter("ignore")
            importlib.import_module("tensorflow_io")
    return frozenset(tf.io.gfile.get_registered_schemes())


@contextlib.contextmanager
def reading(folder: str | os.PathLike) -> Iterator[None]:
    """Turn what TensorFlow says while the block reads records into the error that it stands for.

    Raises:
        StorageError: A shard cannot be fetched.
        RecordError: A record is damaged, or is none of this package.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if (of_storage := storage_error(error)) is not None:
            raise of_storage from error
        if isinstance(error, tf.errors.DataLossError | tf.errors.InvalidArgumentError):
            raise RecordError(
                f"{folder}: a record is damaged, or is none of this package ({first_line(error)})"
            ) from error
        raise


def storage_error(error: BaseException) -> StorageError | None:
    """Return the error of storage that an error of TensorFlow tells of, or None.

    TensorFlow keeps of an error that a pipeline raised no more than its text.
    """
    for line in str(error).splitlines():
        _, found, message = line.partition(f"{StorageError.__name__}: ")
        if found:
            return StorageError(message)
    return None


def _is_native(path: str, schemes: frozenset[str]) -> bool:
    return not storage.is_remote(path) or path.partition("://")[0].lower() in schemes
