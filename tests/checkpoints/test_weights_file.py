import logging
import pickle
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from keras_i3d.checkpoints import cache as cache_module
from keras_i3d.checkpoints import catalogue, download
from keras_i3d.checkpoints.catalogue import RemoteFile, Row
from keras_i3d.errors import CheckpointMismatch, WeightsUnavailable
from keras_i3d.models.i3d import I3D, decode_predictions

pytestmark = pytest.mark.usefixtures("cache")


class Convert:
    """Joins the two files, and counts how often it was asked."""

    def __init__(self) -> None:
        self.origins: list[Path] = []

    def __call__(self, origin: Path, target: Path) -> None:
        assert target.name.endswith(".weights.h5") and not target.exists()
        self.origins.append(origin)
        target.write_bytes(origin.read_bytes() + origin.with_suffix(".data").read_bytes())


def test_weights_are_converted_once(served, small_row, cache) -> None:
    convert = Convert()
    path = download.weights_file(small_row, convert)
    assert (path, path.read_bytes()) == (cache / "converted/kinetics_rgb.weights.h5", b"the indexthe data")
    assert convert.origins == [cache / "m.index"]
    for file in small_row.files:  # it needs the original no longer
        (cache / file.path).unlink()
    assert download.weights_file(replace(small_row, source="http://127.0.0.1:9/"), convert) == path
    assert (len(convert.origins), len(served.asked)) == (1, 2)
    assert {file.name for file in path.parent.iterdir()} == {"kinetics_rgb.weights.h5", "kinetics_rgb.json"}


@pytest.mark.parametrize("damage", ["changed", "cut", "facts gone", "facts no JSON", "facts of another kind", "gone"])
def test_damaged_converted_weights_are_made_again(small_row, cache, caplog, damage) -> None:
    convert = Convert()
    path = download.weights_file(small_row, convert)
    facts = path.with_name("kinetics_rgb.json")
    actions = {
        "changed": lambda: path.write_bytes(b"The indexthe data"),
        "cut": lambda: path.write_bytes(b"the"),
        "facts gone": facts.unlink,
        "facts no JSON": lambda: facts.write_text("{"),
        "facts of another kind": lambda: facts.write_text("[1]"),
        "gone": path.unlink,
    }
    actions[damage]()
    assert download.weights_file(small_row, convert).read_bytes() == b"the indexthe data"
    assert len(convert.origins) == 2
    assert download.converted_complaint(small_row) is None
    assert ("cannot be used" in caplog.text and "it is made again" in caplog.text) == (damage != "gone")


def test_weights_of_other_files_are_converted_again(served, small_row) -> None:
    convert = Convert()
    path = download.weights_file(small_row, convert)
    (served.folder / "n.data").write_bytes(b"new data")
    changed = replace(
        small_row, files=(small_row.files[0], RemoteFile("n.data", cache_module.git_blob_id(served.folder / "n.data")))
    )
    assert download.converted_complaint(changed) == "it was made from other files or by another version"
    assert download.weights_file(changed, convert) == path
    assert len(convert.origins) == 2


def test_a_conversion_that_fails_leaves_nothing(small_row, cache) -> None:
    def refuse(origin: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise CheckpointMismatch("one variable is missing")

    with pytest.raises(CheckpointMismatch, match="one variable is missing"):
        download.weights_file(small_row, refuse)
    assert list((cache / "converted").iterdir()) == []

    def fill_the_disk(origin: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    message = r"kinetics_rgb\.weights\.h5 could not be written \(No space left on device\); make room"
    with pytest.raises(WeightsUnavailable, match=message):
        download.weights_file(small_row, fill_the_disk)
    assert list((cache / "converted").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_told(small_row, open_folder, as_nobody, monkeypatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(open_folder))
    message = r"kinetics_rgb\.weights\.h5 could not be written \(Permission denied\)"
    with as_nobody(), pytest.raises(WeightsUnavailable, match=message):
        download.weights_file(small_row, Convert())


def test_two_that_want_the_same_weights_convert_them_once(small_row) -> None:
    waits, convert = threading.Event(), Convert()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            waits.set()

    def slowly(origin: Path, target: Path) -> None:
        assert waits.wait(60)
        convert(origin, target)

    logger, listener = logging.getLogger(cache_module.__name__), Listener()
    logger.addHandler(listener)
    paths: list[Path] = []
    threads = [
        threading.Thread(target=lambda: paths.append(download.weights_file(small_row, slowly))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logger.removeHandler(listener)
    assert (len(set(paths)), len(paths), len(convert.origins)) == (1, 2, 1)


def test_imagenet_is_converted_once_too(served, imagenet, cache) -> None:
    origins = []

    def convert(origin: Path, target: Path) -> None:
        origins.append(origin.read_bytes())
        target.write_bytes(b"converted")

    for _ in range(2):
        assert download.weights_file(imagenet, convert) == cache / "converted/imagenet_rgb.weights.h5"
    assert origins == [served.content]


@pytest.fixture
def kinetics(served, write_checkpoint) -> Row:
    """Return the row of kinetics, rgb, with a checkpoint in the published layout and class names of our own."""
    folder = served.folder
    blank = I3D(weights=None, input_shape=(9, 32, 32, 3))
    write_checkpoint(folder / "model.ckpt", blank, "public", scope="RGB/inception_i3d/")
    (folder / "labels.txt").write_text("".join(f"class {n}\n" for n in range(400)))
    files = [
        RemoteFile(path.name, cache_module.git_blob_id(path))
        for path in sorted(folder.glob("model.ckpt.*"), reverse=True)
    ]
    labels = RemoteFile("labels.txt", cache_module.git_blob_id(folder / "labels.txt"))
    return replace(catalogue.row("kinetics", "rgb"), source=served.address, files=tuple(files), label_map=labels)


def test_named_weights_come_whole_with_their_class_names(served, kinetics, monkeypatch, golden) -> None:
    monkeypatch.setattr(catalogue, "rows", lambda: (kinetics,))
    model = I3D(input_shape=(9, 32, 32, 3))
    expected = golden.weight("Conv3d_1a_7x7/conv_3d/w", (7, 7, 7, 3, 64), "public")
    assert (model.get_layer("Conv3d_1a_7x7__conv_3d").kernel.numpy() == expected).all()
    probabilities = model(golden.clip((1, 9, 32, 32, 3), "public"))
    assert decode_predictions(probabilities, top=1)[0][0][1].startswith("class ")
    assert len(served.asked) == 3
    I3D(input_shape=(9, 32, 32, 3))
    assert len(served.asked) == 3


BUILD = """
import pickle, sys
from keras_i3d.checkpoints import catalogue
row = pickle.loads(bytes.fromhex(sys.argv[1]))
catalogue.rows = lambda: (row,)
from keras_i3d import I3D
print(float(abs(I3D(input_shape=(9, 32, 32, 3)).get_layer("Conv3d_1a_7x7__conv_3d").kernel.numpy()).sum()))
"""


def build_elsewhere(row: Row) -> subprocess.Popen:
    """Build I3D with published weights in another process."""
    call = [sys.executable, "-c", BUILD, pickle.dumps(row).hex()]
    return subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_killed_program_and_four_at_once_fetch_every_byte_of_i3d_once(
    served, kinetics, cache, golden, wait_until
) -> None:
    served.stall = 20_000_000
    killed, part = build_elsewhere(kinetics), cache / ".model.ckpt.data-00000-of-00001.part"
    wait_until(lambda: part.is_file() and part.stat().st_size > 19_000_000)
    killed.kill()
    killed.communicate()
    kept = part.stat().st_size
    served.stall = None
    served.go.set()

    programs = [build_elsewhere(kinetics) for _ in range(4)]
    answers = [program.communicate() for program in programs]
    expected = abs(golden.weight("Conv3d_1a_7x7/conv_3d/w", (7, 7, 7, 3, 64), "public")).sum()
    assert [float(output) for output, _ in answers] == pytest.approx([expected] * 4, rel=1e-5)
    assert served.asked == [
        ("/model.ckpt.index", None),
        ("/model.ckpt.data-00000-of-00001", None),
        ("/model.ckpt.data-00000-of-00001", f"bytes={kept}-"),
    ]
