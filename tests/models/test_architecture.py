from dataclasses import replace

import pytest

from keras_i3d.models import architecture
from keras_i3d.models.architecture import I3D_PLAN, PER_FRAME_PLAN, ROWS, Mixed, TimePlan


def test_the_table_has_seven_stem_rows_and_nine_mixed_blocks() -> None:
    assert len(ROWS) == 16
    assert sum(isinstance(row, Mixed) for row in ROWS) == 9


def test_the_end_points_bear_the_names_of_the_original() -> None:
    assert (
        *("Conv3d_1a_7x7", "MaxPool3d_2a_3x3", "Conv3d_2b_1x1", "Conv3d_2c_3x3", "MaxPool3d_3a_3x3"),
        *("Mixed_3b", "Mixed_3c", "MaxPool3d_4a_3x3", "Mixed_4b", "Mixed_4c", "Mixed_4d", "Mixed_4e", "Mixed_4f"),
        *("MaxPool3d_5a_2x2", "Mixed_5b", "Mixed_5c", "Logits", "Predictions"),
    ) == architecture.END_POINTS


def test_a_plan_of_ones_own_is_one_replace() -> None:
    plan = replace(I3D_PLAN, conv={**I3D_PLAN.conv, "5b": 1})
    assert plan.conv["5b"] == 1
    assert plan.conv["5c"] == 3
    assert plan.pool == I3D_PLAN.pool


def test_the_per_frame_plan_names_no_layer() -> None:
    assert (PER_FRAME_PLAN.conv, PER_FRAME_PLAN.pool, PER_FRAME_PLAN.stride) == ({}, {}, {})


@pytest.mark.parametrize(
    ("part", "extents", "message"),
    [
        ("conv", {"9z": 3}, r"conv has no layer '9z'; its layers are 1a, 2b, 2c, 3b, .*, 5c$"),
        ("pool", {"1a": 2}, r"pool has no layer '1a'; its layers are 2a, 3a, 4a, 5a, .*, Logits$"),
        ("stride", {"3b": 2}, r"stride has no layer '3b'; its layers are 1a, 2a, 3a, 4a, 5a$"),
        ("conv", {"1a": 4}, r"conv\['1a'\] must be odd \(1, 3, 5, \.\.\.\), got 4"),
        ("pool", {"5a": 0}, r"pool\['5a'\] must be an integer of at least 1, got 0"),
        ("stride", {"5a": 1.5}, r"stride\['5a'\] must be an integer of at least 1, got 1.5"),
    ],
)
def test_a_wrong_plan_is_refused(part: str, extents: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TimePlan(**{part: extents})


def test_pools_may_be_even() -> None:
    assert TimePlan(pool={"5a": 2}).pool["5a"] == 2


def test_an_unknown_plan_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown time plan 'i4d'; known: i3d, per_frame, or a TimePlan"):
        architecture.time_plan("i4d")
