import pytest

from keras_i3d import progress
from keras_i3d.training.display import STEPS_TO_JUDGE, Display


def test_each_epoch_leaves_a_line_and_the_bar_counts_steps(capsys) -> None:
    with progress.bar("training") as bar:
        display = Display(bar, 2)
        display.begin(8, 0)
        for epoch in (1, 2):
            for _ in range(4):
                display.step(epoch, {"loss": 1.5, "top1": 0.25}, 12.345)
            display.epoch(epoch, {"epoch": epoch, "loss": 1.5, "top1": 0.25, "val_loss": 2.0, "val_top1": 0.5})
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "epoch 1/2  loss 1.500  top-1 0.250  val loss 2.000  val top-1 0.500"
    assert lines[1].startswith("epoch 2/2  loss 1.500")
    assert "8/8" in lines[-1]
    assert "epoch 2/2 loss 1.500 top-1 0.250 12.3 clips/s" in " ".join(" ".join(lines[2:]).split())


def test_a_run_that_goes_on_begins_where_it_was(capsys) -> None:
    with progress.bar("training") as bar:
        display = Display(bar, 2)
        display.begin(8, 5)
        display.step(2, {"loss": 1.0, "top1": 0.0}, 1.0)
    assert "6/8" in capsys.readouterr().err


def test_precision_over_many_labels_is_shown_too(capsys) -> None:
    with progress.bar("training") as bar:
        Display(bar, 1).epoch(1, {"loss": 1.0, "top1": 0.5, "val_loss": 1.0, "val_top1": 0.5, "val_map": 0.25})
    assert " ".join(capsys.readouterr().err.split()).startswith(
        "epoch 1/1 loss 1.000 top-1 0.500 val loss 1.000 val top-1 0.500 val mAP 0.250"
    )


def test_a_run_that_waits_for_its_clips_is_told_once(capsys) -> None:
    with progress.bar("training") as bar:
        display = Display(bar, 1)
        display.waited(STEPS_TO_JUDGE - 1, 0.9)  # the pipeline may still be filling
        display.waited(STEPS_TO_JUDGE, 0.2)
        assert capsys.readouterr().err == ""
        display.waited(STEPS_TO_JUDGE, 0.456)
        display.waited(STEPS_TO_JUDGE + 1, 0.9)
    warning = " ".join(capsys.readouterr().err.split())
    assert warning.count("bound by input") == 1
    assert warning.startswith("bound by input: 46% of the time is spent waiting for clips; more CPU cores, records w")


def test_work_before_the_steps_has_a_bar_of_its_own(capsys) -> None:
    with progress.bar("training") as bar, Display(bar, 1).counting("computing features", 4) as count:
        count(3)
        count(1)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("computing features") and "4/4" in line


@pytest.mark.parametrize("epochs", [1, 3])
def test_without_a_bar_nothing_is_shown(capsys, epochs: int) -> None:
    display = Display(None, epochs)
    display.begin(8, 0)
    with display.counting("computing features", 4) as count:
        count(4)
    display.say("a line")
    display.step(1, {"loss": 1.0, "top1": 0.5}, 3.0)
    display.epoch(1, {"loss": 1.0, "top1": 0.5})
    display.waited(100, 1.0)
    assert capsys.readouterr() == ("", "")
