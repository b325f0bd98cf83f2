import sys
from pathlib import Path

import pytest
import tensorflow as tf

from keras_i3d import storage
from keras_i3d.clips import shard_files
from keras_i3d.errors import StorageError


def records(path: str | Path, content: list[bytes]) -> str:
    """Write a shard; returns its path."""
    with storage.replacing(path) as aside, tf.io.TFRecordWriter(str(aside)) as writer:
        for record in content:
            writer.write(record)
    return str(path)


@pytest.fixture
def remote(tmp_path: Path, monkeypatch) -> list[str]:
    """Return the URLs of three shards in a storage that TensorFlow does not know."""
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").store.clear()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    return [records(f"memory://shards/{number}", [b"%d" % number] * 2) for number in range(3)]


def read(files: tf.data.Dataset) -> list[bytes]:
    return list(files.interleave(tf.data.TFRecordDataset, cycle_length=1).as_numpy_iterator())


def test_local_paths_and_what_tensorflow_knows_pass_unchanged(tmp_path: Path) -> None:
    paths = [str(tmp_path / "b"), f"file://{tmp_path}/a", "gs://bucket/c"]
    assert list(shard_files.readable(paths).as_numpy_iterator()) == [path.encode() for path in paths]
    assert {"", "file", "gs"} <= shard_files.native_schemes()


def test_others_are_fetched_when_their_turn_comes(remote: list[str], tmp_path: Path) -> None:
    local = records(tmp_path / "local", [b"local"])
    assert read(shard_files.readable([remote[0], local, remote[1]])) == [b"0", b"0", b"local", b"1", b"1"]
    kept = tmp_path / "home/keras_i3d/remote"
    assert len(list(kept.iterdir())) == 2
    storage.remove(remote[2])
    first = next(iter(shard_files.readable([remote[0], *[remote[1]] * 20, remote[2]])))  # which is not asked for
    assert Path(first.numpy().decode()).parent == kept


def test_paths_are_shuffled_before_they_are_fetched(remote: list[str]) -> None:
    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        tf.random.set_seed(1)  # as in the pipeline
        order = tf.random.stateless_uniform([], tf.random.fold_in([0, 1], number), 0, 2**62, tf.int64)
        return shard_files.readable(remote, order=order).interleave(tf.data.TFRecordDataset, cycle_length=1)

    read_once = list(tf.data.Dataset.range(8).flat_map(epoch).as_numpy_iterator())
    assert read_once == list(tf.data.Dataset.range(8).flat_map(epoch).as_numpy_iterator())
    epochs = [tuple(read_once[start : start + 6 : 2]) for start in range(0, 48, 6)]
    assert {tuple(sorted(epoch)) for epoch in epochs} == {(b"0", b"1", b"2")}
    assert len(set(epochs)) > 1


def test_a_file_that_cannot_be_fetched_is_found_in_what_tensorflow_says(remote: list[str]) -> None:
    storage.remove(remote[1])
    with pytest.raises(StorageError) as caught, shard_files.reading("records"):
        read(shard_files.readable(remote))
    assert str(caught.value) == f"{remote[1]}: no such file or folder"


def test_a_tensorflow_io_that_fails_to_load_is_as_none(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "tensorflow_io.py").write_text(
        "import warnings\nwarnings.warn('no')\nraise NotImplementedError('no')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorflow_io", raising=False)
    assert "gs" in shard_files.native_schemes()
