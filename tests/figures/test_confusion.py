from xml.etree import ElementTree

import numpy as np
import pytest

from keras_i3d.figures.confusion import confusion_matrix

SVG = "{http://www.w3.org/2000/svg}"
COUNTS = np.array([[9, 1, 0], [0, 10, 0], [5, 5, 0]])
NAMES = ["moves left", "moves right", "turns anticlockwise and back again"]


def drawn(counts, names):
    return ElementTree.fromstring(confusion_matrix(counts, names, title="I3D"))


def cells(root):
    """Tooltip -> shade of every cell that is not empty."""
    marks = [mark for mark in root.iter(SVG + "rect") if mark.get("class") == "heat"]
    return {mark.find(SVG + "title").text: float(mark.get("fill-opacity")) for mark in marks}


def numbers(root):
    return [words.text for words in root.iter(SVG + "text") if words.get("pointer-events")]


def test_cells_are_shaded_by_the_share_of_their_row():
    assert cells(drawn(COUNTS, NAMES)) == {
        "moves left taken for moves left: 9 of 10 (90\u00a0%)": 0.9,
        "moves left taken for moves right: 1 of 10 (10\u00a0%)": 0.1,
        "moves right taken for moves right: 10 of 10 (100\u00a0%)": 1.0,
        "turns anticlockwise and back again taken for moves left: 5 of 10 (50\u00a0%)": 0.5,
        "turns anticlockwise and back again taken for moves right: 5 of 10 (50\u00a0%)": 0.5,
    }


def test_rows_are_true_and_columns_predicted():
    root = drawn(COUNTS, NAMES)
    mark = next(mark for mark in root.iter(SVG + "rect") if "left taken for moves right" in mark[0].text)
    assert float(mark.get("x")) == float(mark.get("width"))
    assert float(mark.get("y")) == 0
    assert numbers(root) == [str(count) for count in COUNTS.ravel()]


def test_long_names_are_cut_and_whole_in_the_tooltip():
    labels = [words[0] for words in drawn(COUNTS, NAMES).iter(SVG + "text") if len(words)]
    (row, column) = (title for title in labels if title.text == NAMES[2])
    assert row.tail == column.tail == "turns anticlockwise…"


def test_the_label_counts_the_right_answers():
    assert drawn(COUNTS, NAMES).get("aria-label") == "I3D: confusion matrix, 19 of 30 right"


def test_a_class_without_videos_is_left_blank():
    assert not cells(drawn(np.zeros((2, 2), int), ["a", "b"]))


@pytest.mark.parametrize(("classes", "numbered"), [(1, True), (2, True), (8, True), (15, True), (50, False)])
def test_numbers_are_left_out_where_cells_are_too_small(classes, numbered):
    root = drawn(np.full((classes, classes), 3), [f"class {index}" for index in range(classes)])
    assert bool(numbers(root)) == numbered
    assert len(cells(root)) == classes**2


def test_numbers_too_long_for_their_cell_are_left_out():
    names = [f"class {index}" for index in range(12)]
    assert numbers(drawn(np.full((12, 12), 100), names))
    assert not numbers(drawn(np.full((12, 12), 1_000_000), names))


@pytest.mark.parametrize("classes", [2, 8, 50])
def test_all_that_is_drawn_lies_within_the_drawing(classes):
    root = drawn(np.eye(classes, dtype=int), ["x" * 40] * classes)
    _, _, width, height = map(float, root.get("viewBox").split())
    group = root.find(SVG + "g")
    left, top = map(float, group.get("transform")[len("translate(") : -1].split())
    far = [float(mark.get("x")) + float(mark.get("width")) for mark in group.iter(SVG + "rect")]
    assert left + max(far) <= width
    assert top + max(far) <= height


def test_names_are_escaped():
    markup = confusion_matrix(np.eye(2, dtype=int), ['<b>"x"&', "'"], title="<i>")
    assert "<b>" not in markup
    assert "<i>" not in markup
    ElementTree.fromstring(markup)


@pytest.mark.parametrize("counts", [np.zeros((2, 3), int), np.zeros((3, 3), int), np.zeros(2, int)])
def test_counts_of_another_shape_are_refused(counts):
    with pytest.raises(ValueError, match=r"must be \(2, 2\), a row for each name; received \("):
        confusion_matrix(counts, ["a", "b"], title="")


@pytest.mark.parametrize("wrong", [0.5, -1.0, np.nan, np.inf])
def test_counts_that_are_no_counts_are_refused(wrong):
    with pytest.raises(ValueError, match="whole numbers from 0 on; received float64"):
        confusion_matrix(np.array([[1, wrong], [0, 1]]), ["a", "b"], title="")


def test_whole_floats_will_do():
    assert numbers(drawn(np.eye(2), ["a", "b"])) == ["1", "0", "0", "1"]
