"""Paths of shards to paths that TensorFlow can read: those it cannot are fetched when their turn comes."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import tensorflow as tf

from keras_i3d import storage
from keras_i3d.errors import MissingDependency, RecordError, StorageError, first_line
from keras_i3d.records import damage
from keras_i3d.records.selection import Selection

_Told = TypeVar("_Told", StorageError, RecordError)
_log = logging.getLogger(__name__)


def readable(paths: Sequence[str], *, order: Any = None, unchanged: Collection[str] = frozenset()) -> tf.data.Dataset:
    """Give the paths of shards, each readable by `tf.data.TFRecordDataset`.

    Local paths pass as they are, and so do URLs that TensorFlow, or tensorflow-io where it is installed and its
    native parts load, reads by itself. Of others a copy is fetched when the pipeline asks for it, or kept from before
    (`storage.cached_copy`); the next one is fetched while one is read.

    Args:
        paths: Local paths and URLs.
        order: Seed (int64 scalar) to shuffle the paths by, before anything is fetched; None keeps their order.
        unchanged: Paths that are given as they are, because something else than TensorFlow reads them.

    Returns:
        Dataset of scalar strings.

    Raises:
        StorageError: While it is read, wrapped by TensorFlow (`reading` unwraps it): a file cannot be fetched.
    """
    files = tf.data.Dataset.from_tensor_slices(list(paths))
    if order is not None:
        files = files.shuffle(len(paths), seed=order)
    schemes = native_schemes() if any(storage.is_remote(path) for path in paths) else frozenset()
    if all(path in unchanged or _is_native(path, schemes) for path in paths):
        return files

    def local(path: bytes) -> bytes:
        text = path.decode()
        if text in unchanged or _is_native(text, schemes):
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


@tf.autograph.experimental.do_not_convert  # it makes no generator, and says so
def records(path: Any, without: Mapping[str, Collection[int]]) -> tf.data.Dataset:
    """Give the records of a file, but those that are left out.

    Args:
        path: String scalar, of `readable`.
        without: Places of damaged records, by the path of their shard, as `keras_i3d.records.damage` finds them. These
            shards are read by this package, which finds its way around damage; all others by TensorFlow.

    Returns:
        Dataset of string scalars.
    """
    if not without:
        return tf.data.TFRecordDataset(path)

    def undamaged(name: bytes) -> Iterator[bytes]:
        text = name.decode()
        try:
            yield from damage.around(text, without[text])
        except (StorageError, RecordError) as error:
            raise type(error)(str(error)) from None  # TensorFlow prints all that led to it

    def by_this_package(name: Any) -> tf.data.Dataset:
        return tf.data.Dataset.from_generator(undamaged, args=(name,), output_signature=tf.TensorSpec([], tf.string))

    def is_damaged(name: Any) -> Any:
        return tf.reduce_any(tf.equal(name, sorted(without)))

    # one of the two is empty: a dataset cannot be chosen by what a tensor says
    one = tf.data.Dataset.from_tensors(path)
    whole = one.filter(lambda name: tf.logical_not(is_damaged(name))).flat_map(tf.data.TFRecordDataset)
    return whole.concatenate(one.filter(is_damaged).flat_map(by_this_package))


@contextlib.contextmanager
def reading(
    folder: str | os.PathLike, selections: Sequence[Selection] = (), *, modalities: Sequence[str] = ("rgb",)
) -> Iterator[None]:
    """Turn what TensorFlow says while the block reads records into the error that it stands for.

    Args:
        folder: Of the records.
        selections: Those of its splits that the block reads; a damaged record is looked for in them, and named.
        modalities: The streams that the block uses.

    Raises:
        StorageError: A shard cannot be fetched.
        RecordError: A record is damaged, or is none of this package.
    """
    try:
        yield
    except tf.errors.OpError as error:
        for kind in (StorageError, RecordError):
            if (told := _told(error, kind)) is not None:
                raise told from error
        if label := re.search(r"assertion failed: \[(a label [^\]]*)\]", str(error)):
            raise RecordError(
                f"{folder}: a record has {label[1]}; labels.txt is not the one that it was made with, or it has none"
            ) from error
        if isinstance(error, tf.errors.DataLossError | tf.errors.InvalidArgumentError):
            found = _damage(selections, modalities, error)
            said = f"{folder}: a record is damaged, or is none of this package ({first_line(error)})"
            raise RecordError(f"{found}; --on-damage skip leaves it out" if found else said) from error
        raise


def _damage(
    selections: Sequence[Selection], modalities: Sequence[str], error: tf.errors.OpError
) -> damage.Damage | None:
    """Look for a damaged record; None where there is none, or none can be looked for."""
    if selections:
        _log.warning("a record cannot be read; looking for its place")
    with contextlib.suppress(StorageError, MissingDependency):
        for selection in selections:
            if found := damage.first(selection, modalities=modalities, hint=str(error)):
                return found
    return None


def _told(error: BaseException, kind: type[_Told]) -> _Told | None:
    """Return the error of ours that an error of TensorFlow tells of, or None.

    TensorFlow keeps of an error that a pipeline raised no more than its text.
    """
    for line in str(error).splitlines():
        _, found, message = line.partition(f"{kind.__name__}: ")
        if found:
            return kind(message)
    return None


def _is_native(path: str, schemes: frozenset[str]) -> bool:
    return not storage.is_remote(path) or path.partition("://")[0].lower() in schemes
