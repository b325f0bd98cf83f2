import math
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from keras_i3d.figures.curves import learning_curves

SVG = "{http://www.w3.org/2000/svg}"


def epochs(*values, val=()):
    history = [{"epoch": number, "loss": value} for number, value in enumerate(values, start=1)]
    for epoch, value in zip(history, val, strict=False):
        epoch["val_loss"] = value
    return history


def drawn(histories, *, metric="loss", **options):
    return ElementTree.fromstring(learning_curves(histories, metric=metric, title="Loss", **options))


def marks(root, tag, kind):
    return [mark for mark in root.iter(SVG + tag) if kind in mark.get("class", "").split()]


def points(polyline):
    return [tuple(map(float, pair.split(","))) for pair in polyline.get("points").split()]


def written(root):
    return {"".join(words.itertext()) for words in root.iter(SVG + "text")}


def test_training_is_dashed_and_validation_solid():
    root = drawn({"I3D": epochs(3, 2, 1, val=(3, 2.5, 2))})
    (training,), (validation,) = marks(root, "polyline", "training"), marks(root, "polyline", "validation")
    assert training.get("stroke-dasharray")
    assert validation.get("stroke-dasharray") is None
    assert float(training.get("stroke-width")) < float(validation.get("stroke-width"))
    assert training.get("stroke") == validation.get("stroke")


def test_points_lie_where_the_values_say():
    root = drawn({"I3D": epochs(4, 2, 1)})
    (left, top), (middle, half), (right, quarter) = points(marks(root, "polyline", "training")[0])
    assert middle - left == pytest.approx(right - middle, abs=0.11)  # coordinates are written to a tenth
    grid = sorted(float(line.get("y1")) for line in marks(root, "line", "grid"))
    bottom = grid[-1]
    assert bottom - half == pytest.approx((bottom - top) / 2, abs=0.11)
    assert bottom - quarter == pytest.approx((bottom - top) / 4, abs=0.11)
    assert top == pytest.approx(grid[0], abs=0.11)


def test_accuracy_runs_from_0_to_100_percent():
    root = drawn({"I3D": [{"epoch": 1, "top1": 0.1}, {"epoch": 2, "top1": 0.3}]}, metric="top1")
    assert {f"{share}\u00a0%" for share in (0, 20, 40, 60, 80, 100)} <= written(root)
    (line,) = marks(root, "polyline", "training")
    grid = sorted(float(mark.get("y1")) for mark in marks(root, "line", "grid"))
    assert points(line)[1][1] == pytest.approx(grid[-1] - 0.3 * (grid[-1] - grid[0]), abs=0.11)


def test_each_run_has_its_own_colour_and_is_named_at_its_end():
    root = drawn({"I3D": epochs(2, 1), "per-frame": epochs(2, 2)})
    lines = marks(root, "polyline", "training")
    assert len({line.get("stroke") for line in lines}) == 2
    names = [words.find(SVG + "title").text for words in root.iter(SVG + "text") if len(words)]
    assert names == ["Loss", "per-frame", "I3D"]
    assert root.get("aria-label") == "Loss; at the end: I3D 1, per-frame 2"


def test_labels_of_lines_that_end_together_do_not_overlap():
    root = drawn({f"run {index}": epochs(2, 0.01 * index) for index in range(5)})
    heights = sorted(float(words.get("y")) for words in root.iter(SVG + "text") if len(words))[1:]
    assert len(heights) == 5
    assert min(later - earlier for earlier, later in pairwise(heights)) >= 26
    assert heights[-1] <= 258.1


def test_one_epoch_is_a_dot():
    root = drawn({"I3D": epochs(2, val=(1.5,))})
    assert not list(root.iter(SVG + "polyline"))
    assert len(marks(root, "circle", "training")) == len(marks(root, "circle", "validation")) == 1


def test_a_nan_breaks_the_line():
    root = drawn({"I3D": epochs(4, 3, math.nan, 2, 1, math.inf, 1)})
    assert [len(points(line)) for line in marks(root, "polyline", "training")] == [2, 2]
    assert len(marks(root, "circle", "training")) == 1
    assert "nan" not in ElementTree.tostring(root, encoding="unicode").lower()


def test_an_epoch_without_validation_does_not_break_its_line():
    history = epochs(4, 3, 2, 1)
    history[1]["val_loss"], history[3]["val_loss"] = 3.0, 2.0
    (line,) = marks(drawn({"I3D": history}), "polyline", "validation")
    assert len(points(line)) == 2


def test_a_run_without_a_finite_value_is_named_all_the_same():
    root = drawn({"I3D": epochs(math.nan, math.nan)})
    assert "no values" in written(root)
    assert not list(root.iter(SVG + "polyline"))


def test_the_key_names_only_the_lines_that_are_there():
    assert "validation" not in written(drawn({"I3D": epochs(2, 1)}))
    assert {"validation", "training"} <= written(drawn({"I3D": epochs(2, 1, val=(2, 1))}))


def test_chance_is_a_dotted_line_with_a_name():
    history = [{"epoch": 1, "val_top1": 0.9}]
    root = drawn({"I3D": history}, metric="top1", chance=0.125)
    assert "12.5\u00a0%" in written(root)
    assert any(line.get("stroke-dasharray") == "1 4" for line in marks(root, "line", "axis"))


@pytest.mark.parametrize("count", [2, 7, 20, 100, 364])
def test_epochs_are_whole_numbers_and_few(count):
    root = drawn({"I3D": epochs(*[1.0] * count)})
    bottom = max(float(line.get("y2")) for line in marks(root, "line", "axis"))
    ticks = [line for line in marks(root, "line", "axis") if float(line.get("y2")) == bottom]
    assert 2 <= len(ticks) <= 9
    assert "1" in written(root)


def test_names_are_escaped():
    markup = learning_curves({'<b>"x"&': epochs(2, 1)}, metric="loss", title="<i>&")
    assert "<b>" not in markup
    assert "<i>" not in markup
    ElementTree.fromstring(markup)


@pytest.mark.parametrize("histories", [{}, {"I3D": []}, {"I3D": epochs(1)}])
def test_a_metric_that_no_epoch_has_is_refused(histories):
    with pytest.raises(ValueError, match=r"no epoch has the metric 'top5'; the keys there are: \["):
        learning_curves(histories, metric="top5", title="")
