import json

import pytest
import tensorflow as tf

from keras_i3d.errors import TrainingError
from keras_i3d.training.journal import Journal, read_history


def write(folder, first: int, last: int, **options) -> None:
    journal = Journal(folder, first, **options)
    for step in range(first + 1, last + 1):
        journal.step(step, {"loss": 1 / step, "top1": 0.5, "learning_rate": 0.1}, 7.0)
    journal.close()


def events(folder) -> list[tuple[str, int, float]]:
    """Return (name, step, value) of all events, as TensorBoard reads them."""
    found = []
    for path in sorted((folder / "tensorboard").iterdir()):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                found.append((value.tag, event.step, float(tf.make_ndarray(value.tensor))))
    return found


def test_every_update_is_a_line_with_every_digit(tmp_path) -> None:
    write(tmp_path, 0, 3)
    assert (tmp_path / "steps.csv").read_text() == (
        "step,loss,top1,learning_rate\n1,1.0,0.5,0.1\n2,0.5,0.5,0.1\n3,0.3333333333333333,0.5,0.1\n"
    )


def test_a_run_that_goes_on_takes_out_what_it_does_again(tmp_path) -> None:
    write(tmp_path, 0, 9)
    whole = (tmp_path / "steps.csv").read_bytes()
    write(tmp_path, 5, 9)
    assert (tmp_path / "steps.csv").read_bytes() == whole
    write(tmp_path, 0, 9)
    assert (tmp_path / "steps.csv").read_bytes() == whole


@pytest.mark.parametrize("torn", [b"7,0.14285", b"7,0.1\n8,0.125,0.5,0.1\n9,", b"\xff\x00\xff", b"\n\n"])
def test_a_torn_line_behind_the_state_is_taken_out(tmp_path, torn: bytes) -> None:
    write(tmp_path, 0, 9)
    whole = (tmp_path / "steps.csv").read_bytes()
    head = b"".join(whole.splitlines(keepends=True)[:7])
    (tmp_path / "steps.csv").write_bytes(head + torn)
    write(tmp_path, 6, 9)
    assert (tmp_path / "steps.csv").read_bytes() == whole


def test_what_was_written_is_on_disk_after_a_flush(tmp_path) -> None:
    journal = Journal(tmp_path, 0)
    journal.step(1, {"loss": 2.0, "top1": 0.0, "learning_rate": 0.1}, 7.0)
    journal.flush()
    assert (tmp_path / "steps.csv").read_text().splitlines()[1:] == ["1,2.0,0.0,0.1"]
    assert ("train/loss", 1, 2.0) in events(tmp_path)
    journal.close()


def test_epochs_are_written_whole(tmp_path) -> None:
    journal = Journal(tmp_path, 0)
    history = [{"epoch": 1, "loss": 2.0, "val_loss": 3.0}]
    journal.epoch(4, history)
    assert json.loads((tmp_path / "history.json").read_text()) == history == read_history(tmp_path)
    journal.epoch(8, [*history, {"epoch": 2, "loss": 1.0, "val_loss": 2.5}])
    journal.close()
    assert [entry["loss"] for entry in read_history(tmp_path)] == [2.0, 1.0]
    expected = {("epoch/loss", 4, 2.0), ("epoch/val_loss", 4, 3.0), ("epoch/loss", 8, 1.0), ("epoch/val_loss", 8, 2.5)}
    assert set(events(tmp_path)) == expected


def test_tensorboard_reads_the_events_as_scalars(tmp_path) -> None:
    write(tmp_path, 0, 2)
    assert events(tmp_path) == [
        *(("train/loss", 1, 1.0), ("train/top1", 1, 0.5), ("train/learning_rate", 1, pytest.approx(0.1))),
        ("clips_per_second", 1, 7.0),
        *(("train/loss", 2, 0.5), ("train/top1", 2, 0.5), ("train/learning_rate", 2, pytest.approx(0.1))),
        ("clips_per_second", 2, 7.0),
    ]


def test_without_tensorboard_there_are_no_events(tmp_path) -> None:
    write(tmp_path, 0, 1, tensorboard=False)
    assert [path.name for path in tmp_path.iterdir()] == ["steps.csv"]


def test_only_the_first_process_writes(tmp_path) -> None:
    write(tmp_path, 0, 3)
    before = (tmp_path / "steps.csv").read_bytes()
    files = sorted(tmp_path.rglob("*"))
    journal = Journal(tmp_path, 1, is_written=False)
    journal.step(2, {"loss": 9.0, "top1": 0.0, "learning_rate": 0.1}, 7.0)
    journal.epoch(2, [{"epoch": 1, "loss": 9.0}])
    journal.flush()
    journal.close()
    assert (tmp_path / "steps.csv").read_bytes() == before
    assert sorted(tmp_path.rglob("*")) == files


def test_no_history_is_empty_and_a_damaged_one_is_named(tmp_path) -> None:
    assert read_history(tmp_path) == []
    (tmp_path / "history.json").write_text("[{")
    with pytest.raises(TrainingError, match=r"history.json: damaged \(.*\); delete the folder to start anew"):
        read_history(tmp_path)
