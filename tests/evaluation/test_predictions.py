from pathlib import Path

import numpy as np
import pytest

from keras_i3d.errors import RecordError
from keras_i3d.evaluation.answers import Answers
from keras_i3d.evaluation.predictions import Predictions, Stream, combined, file_name, find, read

IDS = ("test/a.mp4", "test/\udcff.mp4", "")  # as Python spells names that are no UTF-8
LOGITS = np.array([[1.5, 0, -1], [0, 2, 0.1], [0, 0, 1 / 3]], np.float32)


def made(streams: int = 1, truth=(0, 1, 2)) -> Predictions:
    parts = [
        Stream(f"s{n}", f"run{n}/best.keras", 1.0 - n / 4, Answers(IDS, LOGITS * (n + 1), np.array(truth)))
        for n in range(streams)
    ]
    return combined("test2", ["walk", "run", "grüßen"], parts)


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("truth", [(0, 1, 2), np.eye(3, dtype=np.float32)])
def test_what_was_written_is_read(tmp_path: Path, streams: int, truth) -> None:
    predictions = made(streams, truth)
    predictions.write(tmp_path / "p.npz")
    back = read(tmp_path / "p.npz")
    assert (back.split, back.class_names, back.answers.ids) == ("test2", ("walk", "run", "grüßen"), IDS)
    np.testing.assert_array_equal(back.answers.logits, predictions.answers.logits)
    np.testing.assert_array_equal(back.answers.truth, truth)
    assert back.answers.truth.dtype == predictions.answers.truth.dtype
    for one, other in zip(back.streams, predictions.streams, strict=True):
        assert (one.name, one.model, one.weight) == (other.name, other.model, other.weight)
        np.testing.assert_array_equal(one.answers.logits, other.answers.logits)
    assert [path.name for path in tmp_path.iterdir()] == ["p.npz"]


def test_numpy_alone_reads_the_file_and_one_result_is_one_file(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        made(2).write(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as file:
        assert file["logits"].dtype == np.float32
        assert file["truth"].dtype == np.int64
        assert file["ids"].tolist() == list(IDS)
        assert file["class_names"].tolist() == ["walk", "run", "grüßen"]
        np.testing.assert_array_equal(file["logits"], LOGITS + np.float32(0.75) * 2 * LOGITS)


def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path: Path, monkeypatch) -> None:
    made().write(tmp_path / "p.npz")
    before = (tmp_path / "p.npz").read_bytes()

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="disk full"):
        made(2).write(tmp_path / "p.npz")
    assert (tmp_path / "p.npz").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_no_file_of_predictions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"p\.npz: there is no such file; `keras-i3d evaluate --output` writes it"):
        read(tmp_path / "p.npz")
    made(2).write(tmp_path / "whole.npz")
    whole = (tmp_path / "whole.npz").read_bytes()
    with np.load(tmp_path / "whole.npz") as file:
        values = {name: file[name] for name in file.files}
    np.savez(tmp_path / "less.npz", **{name: value for name, value in values.items() if name != "truth"})
    np.savez(tmp_path / "short.npz", **(values | {"logits": values["logits"][:2]}))
    np.savez(tmp_path / "names.npz", **(values | {"stream_names": values["stream_names"][:1]}))
    np.savez(tmp_path / "classes.npz", **(values | {"class_names": values["class_names"][:2]}))
    np.save(tmp_path / "array.npy", LOGITS)
    np.savez(tmp_path / "pickled.npz", **(values | {"ids": np.array([{}, {}, {}], object)}))
    for name, content in {"cut.npz": whole[:-200], "empty.npz": b"", "text.npz": b"hello"}.items():
        (tmp_path / name).write_bytes(content)
    for path in sorted(set(tmp_path.iterdir()) - {tmp_path / "whole.npz"}):
        with pytest.raises(RecordError, match=f"{path.name}: cannot be read as predictions"):
            read(path)


def test_a_folder_stands_for_all_its_splits(tmp_path: Path) -> None:
    assert (file_name(None), file_name("test2")) == ("predictions.npz", "predictions-test2.npz")
    with pytest.raises(RecordError, match=r"holds no predictions\.npz, which a finished `keras-i3d evaluate"):
        find(tmp_path)
    for split in ("test2", "test1"):
        made().write(tmp_path / file_name(split))
    (tmp_path / "result.json").write_text("{}")
    assert [path.name for path in find(tmp_path)] == ["predictions-test1.npz", "predictions-test2.npz"]
    assert find(tmp_path / "other.npz") == [tmp_path / "other.npz"]


def test_streams_bear_their_own_numbers_beside_the_sum() -> None:
    wrong = Stream("wrong", "m", 0.5, Answers(IDS, -LOGITS, np.arange(3)))
    right = Stream("right", "m", 1.0, Answers(IDS, LOGITS, np.arange(3)))
    predictions = combined("test", "xyz", [wrong, right])
    assert [predictions.metrics.top1, *(each.metrics.top1 for each in predictions.streams)] == [1.0, 0.0, 1.0]


def test_class_names_are_as_many_as_the_logits() -> None:
    with pytest.raises(ValueError, match="3 logits need as many class names, got 2"):
        combined("test", "xy", made().streams)
