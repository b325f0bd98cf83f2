import pytest

from keras_i3d.models import architecture
from keras_i3d.models.architecture import ROWS, Conv, Mixed, Pool, layer_name


def test_the_table_has_seven_stem_rows_and_nine_mixed_blocks() -> None:
    assert len(ROWS) == 16
    assert sum(isinstance(row, Mixed) for row in ROWS) == 9


def test_the_end_points_bear_the_names_of_the_original() -> None:
    assert (
        *("Conv3d_1a_7x7", "MaxPool3d_2a_3x3", "Conv3d_2b_1x1", "Conv3d_2c_3x3", "MaxPool3d_3a_3x3"),
        *("Mixed_3b", "Mixed_3c", "MaxPool3d_4a_3x3", "Mixed_4b", "Mixed_4c", "Mixed_4d", "Mixed_4e", "Mixed_4f"),
        *("MaxPool3d_5a_2x2", "Mixed_5b", "Mixed_5c", "Logits", "Predictions"),
    ) == architecture.END_POINTS


def test_the_blocks_have_the_filters_of_the_papers_table() -> None:
    # Szegedy et al. 2015, table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj, and the output they add up to
    table = {
        "3b": (64, 96, 128, 16, 32, 32, 256),
        "3c": (128, 128, 192, 32, 96, 64, 480),
        "4b": (192, 96, 208, 16, 48, 64, 512),
        "4c": (160, 112, 224, 24, 64, 64, 512),
        "4d": (128, 128, 256, 24, 64, 64, 512),
        "4e": (112, 144, 288, 32, 64, 64, 528),
        "4f": (256, 160, 320, 32, 128, 128, 832),
        "5b": (256, 160, 320, 32, 128, 128, 832),
        "5c": (384, 192, 384, 48, 128, 128, 1024),
    }
    rows = {row.tag: row for row in ROWS if isinstance(row, Mixed)}
    assert rows.keys() == table.keys()
    for tag, (*filters, total) in table.items():
        row = rows[tag]
        assert [row.branch_0, *row.branch_1, *row.branch_2, row.branch_3] == filters
        assert row.branch_0 + row.branch_1[1] + row.branch_2[1] + row.branch_3 == total


def test_space_is_halved_five_times() -> None:
    strides = [row.stride for row in ROWS if isinstance(row, Conv | Pool)]
    assert strides == [2, 2, 1, 1, 2, 2, 2]


def test_one_block_alone_spells_its_third_branch_otherwise() -> None:
    assert [row.tag for row in ROWS if isinstance(row, Mixed) and row.branch_2_spelling == "0a"] == ["5b"]


@pytest.mark.parametrize(
    ("scope", "in_three", "in_two"),
    [
        (
            "Mixed_3b/Branch_0/Conv3d_0a_1x1/conv_3d",
            "Mixed_3b__Branch_0__Conv3d_0a_1x1__conv_3d",
            "Mixed_3b__Branch_0__Conv2d_0a_1x1__conv_2d",
        ),
        (
            "Mixed_3b/Branch_3/MaxPool3d_0a_3x3",
            "Mixed_3b__Branch_3__MaxPool3d_0a_3x3",
            "Mixed_3b__Branch_3__MaxPool_0a_3x3",
        ),
        ("MaxPool3d_2a_3x3", "MaxPool3d_2a_3x3", "MaxPool_2a_3x3"),
        ("AvgPool3D", "AvgPool3D", "AvgPool2D"),
        ("Logits", "Logits", "Logits"),
    ],
)
def test_scopes_are_spelt_as_layer_names(scope: str, in_three: str, in_two: str) -> None:
    assert layer_name(scope) == layer_name(scope, 3) == in_three
    assert layer_name(scope, 2) == in_two
