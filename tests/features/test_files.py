import h5py
import numpy as np
import pytest

from keras_i3d.errors import FeaturesFileError, StorageError
from keras_i3d.features import files

MADE = {"model": "a.keras", "frames": 9, "fps": 25.0}
TIMES = np.array([[0.0, 0.32], [0.16, 0.36]])


@pytest.fixture
def arrays(noise) -> dict[str, np.ndarray]:
    return {"rgb": noise(2, 4), "flow": noise(2, 3, 5)}


@pytest.mark.parametrize("ending", ["npz", "h5"])
def test_what_is_written_is_read(tmp_path, arrays, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    sink = files.sink(path, ending)
    for row in range(2):
        sink.add({stream: array[row : row + 1] for stream, array in arrays.items()})
    assert not path.exists()
    sink.close(TIMES, MADE)
    assert [child.name for child in tmp_path.iterdir()] == [path.name]
    found = files.read_features(path)
    assert sorted(found.arrays) == ["flow", "rgb"]
    for stream, array in arrays.items():
        assert found.arrays[stream].dtype == np.float32
        np.testing.assert_array_equal(found.arrays[stream], array)
    np.testing.assert_array_equal(found.times, TIMES)
    assert (found.times.dtype, found.made_with, found.frames, found.fps) == (np.float64, MADE, 9, 25.0)
    assert files.read_made_with(path) == MADE


def test_numpy_and_h5py_alone_read_them(tmp_path, arrays) -> None:
    for ending in ("npz", "h5"):
        sink = files.sink(tmp_path / f"a.{ending}", ending)
        sink.add(arrays)
        sink.close(TIMES, MADE)
    with np.load(tmp_path / "a.npz") as found:
        assert sorted(found) == ["flow", "made_with", "rgb", "times"]
        assert '"model": "a.keras"' in str(found["made_with"])
    with h5py.File(tmp_path / "a.h5") as found:
        assert found["rgb"].shape == (2, 4)
        assert '"model": "a.keras"' in found["made_with"].asstr()[()]


@pytest.mark.parametrize("ending", ["npz", "h5"])
def test_what_is_discarded_leaves_nothing(tmp_path, arrays, ending: str) -> None:
    sink = files.sink(tmp_path / f"a.{ending}", ending)
    sink.add(arrays)
    sink.discard()
    assert list(tmp_path.iterdir()) == []


def test_hdf5_is_written_as_it_comes(tmp_path, noise) -> None:
    sink = files.sink(tmp_path / "a.h5", "h5")
    for _ in range(3):
        sink.add({"rgb": noise(1, 600, 600)})
    (aside,) = tmp_path.iterdir()
    assert aside.stat().st_size > 2 * 600 * 600 * 4
    sink.discard()


@pytest.mark.parametrize(
    "content", [b"", b"no features" * 100, b"PK\x03\x04" + bytes(100), b"\x89HDF\r\n\x1a\n" + bytes(99)]
)
def test_other_files_are_refused(tmp_path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(FeaturesFileError, match=r"a.npz: no file of features that `keras-i3d features` writes, or a d"):
        files.read_features(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", other=np.zeros(3))
    with pytest.raises(FeaturesFileError, match=r"b.npz: no file of features"):
        files.read_made_with(tmp_path / "b.npz")


def test_a_file_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(StorageError, match=r"none.npz"):
        files.read_features(tmp_path / "none.npz")
