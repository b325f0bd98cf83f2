import pytest

from keras_i3d.evaluation import paper
from keras_i3d.evaluation.paper import FIXED, FULL, ORIGINAL


@pytest.mark.parametrize(
    ("arguments", "table", "values"),
    [
        (("ucf101", "i3d", FULL), 4, {"both": 98.0}),
        (("hmdb51", "two_stream_i3d", FIXED), 4, {"both": 79.7}),
        (("hmdb51", "i3d", ORIGINAL), 2, {"rgb": 49.8, "flow": 61.9, "both": 66.4}),
        (("ucf101", "convnet_lstm", FULL), 4, {"rgb": 91.0}),
        (("kinetics", "i3d", ORIGINAL), 3, {"rgb": 71.1, "flow": 63.4, "both": 74.2}),
        (("kinetics", "fused_two_stream", ORIGINAL), 3, {"both": 67.2}),
    ],
)
def test_a_row_stands_as_in_the_paper(arguments, table: int, values: dict[str, float]) -> None:
    found = paper.row(*arguments)
    assert (found.table, found.splits, found.values) == (table, 1, values)


def test_without_imagenet_and_over_three_splits_there_are_rows_of_their_own() -> None:
    assert paper.row("hmdb51", "i3d", FULL, imagenet=False).values == {"both": 81.3}
    assert paper.row("ucf101", "i3d", ORIGINAL, imagenet=False).values == {"both": 88.8}
    mean = paper.row("hmdb51", "i3d", FULL, splits=3)
    assert (mean.table, mean.splits, mean.values) == (5, 3, {"rgb": 74.8, "flow": 77.1, "both": 80.7})


def test_what_the_paper_does_not_say_is_none() -> None:
    assert paper.row("ucf101", "c3d", FULL) is None
    assert paper.row("ucf101", "i3d", FIXED, splits=3) is None
    assert paper.row("kinetics", "i3d", FULL) is None
    assert paper.row("ucf101", "i3d", FULL, splits=2) is None
