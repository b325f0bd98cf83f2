import json
from dataclasses import replace
from pathlib import Path

import pytest

from keras_i3d.models import time_plan as time_plans
from keras_i3d.models.architecture import CONV_TAGS, MIXED_TAGS
from keras_i3d.models.time_plan import (
    I2D_PLAN,
    I3D_PLAN,
    PER_FRAME_PLAN,
    TimePlan,
    bottom_heavy,
    separable,
    spelling,
    time_plan,
    top_heavy,
)


def test_i3ds_plan_is_the_papers() -> None:
    # Carreira & Zisserman 2017, figure 3: 7 at the bottom, 3 elsewhere; the first two pools keep time
    assert I3D_PLAN.conv == {"1a": 7, "2c": 3} | dict.fromkeys(MIXED_TAGS, 3)
    assert I3D_PLAN.stride == {"1a": 2, "4a": 2, "5a": 2}
    assert I3D_PLAN.pool == {"4a": 3, "5a": 2, "Logits": 2} | dict.fromkeys(MIXED_TAGS, 3)


def test_a_plan_of_ones_own_is_one_replace() -> None:
    plan = replace(I3D_PLAN, conv={**I3D_PLAN.conv, "5b": 1})
    assert plan.conv["5b"] == 1
    assert plan.conv["5c"] == 3
    assert plan.pool == I3D_PLAN.pool


def test_the_per_frame_plan_names_no_layer() -> None:
    assert (PER_FRAME_PLAN.conv, PER_FRAME_PLAN.pool, PER_FRAME_PLAN.stride) == ({}, {}, {})


def test_i2d_keeps_the_pools_and_strides_of_i3d() -> None:
    assert TimePlan(pool=I3D_PLAN.pool, stride=I3D_PLAN.stride) == I2D_PLAN


@pytest.mark.parametrize("tag", ["1a", "2c", "3b", "4e", "5c"])
def test_top_and_bottom_heavy_plans_share_i3d_between_them(tag: str) -> None:
    top, bottom = top_heavy(tag), bottom_heavy(tag)
    place = CONV_TAGS.index(tag)
    assert set(top.conv) == set(CONV_TAGS[place:]) & set(I3D_PLAN.conv)
    assert set(bottom.conv) == set(CONV_TAGS[: place + 1]) & set(I3D_PLAN.conv)
    assert top.conv | bottom.conv == I3D_PLAN.conv
    for plan in (top, bottom):
        assert (plan.pool, plan.stride) == (I3D_PLAN.pool, I3D_PLAN.stride)


def test_a_tag_without_a_kernel_in_time_is_a_border_too() -> None:
    assert top_heavy("2b") == top_heavy("2c")
    assert bottom_heavy("2b") == bottom_heavy("1a")


@pytest.mark.parametrize("family", [top_heavy, bottom_heavy])
@pytest.mark.parametrize("tag", ["9z", "4a", "Logits", ""])
def test_an_unknown_border_lists_the_layers(family, tag: str) -> None:
    with pytest.raises(ValueError, match=rf"^time plan: no layer '{tag}'; its layers are 1a, 2b, 2c, 3b, .*, 5c$"):
        family(tag)


def test_separable_plans_split_what_reaches_in_time_and_gate_the_blocks_of_it() -> None:
    assert separable().separable == ("1a", "2c", *MIXED_TAGS)
    assert separable().gated == ()
    assert separable(gating=True).gated == MIXED_TAGS
    mixture = separable(top_heavy("5b"), gating=True)
    assert (mixture.separable, mixture.gated) == (("5b", "5c"), ("5b", "5c"))


@pytest.mark.parametrize(
    ("part", "extents", "message"),
    [
        ("conv", {"9z": 3}, r"conv has no layer '9z'; its layers are 1a, 2b, 2c, 3b, .*, 5c$"),
        ("pool", {"1a": 2}, r"pool has no layer '1a'; its layers are 2a, 3a, 4a, 5a, .*, Logits$"),
        ("stride", {"3b": 2}, r"stride has no layer '3b'; its layers are 1a, 2a, 3a, 4a, 5a$"),
        ("separable", ("4a",), r"separable has no layer '4a'; its layers are 1a, 2b, 2c, 3b, .*, 5c$"),
        ("gated", ("1a",), r"gated has no layer '1a'; its layers are 3b, 3c, .*, 5c$"),
        ("conv", {"1a": 4}, r"conv\['1a'\] must be odd \(1, 3, 5, \.\.\.\), got 4"),
        ("conv", {"1a": True}, r"conv\['1a'\] must be an integer of at least 1, got True"),
        ("pool", {"5a": 0}, r"pool\['5a'\] must be an integer of at least 1, got 0"),
        ("stride", {"5a": 1.5}, r"stride\['5a'\] must be an integer of at least 1, got 1.5"),
        ("padding", "same", r"padding must be 'zeros' or 'edge', got 'same'"),
    ],
)
def test_a_wrong_plan_is_refused(part: str, extents: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TimePlan(**{part: extents})


def test_pools_may_be_even() -> None:
    assert TimePlan(pool={"5a": 2}).pool["5a"] == 2


@pytest.mark.parametrize(
    ("name", "plan"),
    [
        ("i3d", I3D_PLAN),
        ("i2d", I2D_PLAN),
        ("per_frame", PER_FRAME_PLAN),
        ("s3d", separable()),
        ("s3d_g", separable(gating=True)),
        ("top_heavy:4b", top_heavy("4b")),
        ("bottom_heavy:3c", bottom_heavy("3c")),
    ],
)
def test_every_name_means_its_plan_also_through_json_and_a_file(tmp_path: Path, name: str, plan: TimePlan) -> None:
    assert time_plan(name) == time_plan(plan) == plan
    assert spelling(name) == name
    text = json.dumps(plan.to_json())
    assert time_plan(text) == plan
    (tmp_path / "plan.json").write_text(text)
    assert time_plan(str(tmp_path / "plan.json")) == time_plan(tmp_path / "plan.json") == plan
    assert time_plan(spelling(str(tmp_path / "plan.json"))) == plan


def test_a_plans_json_may_name_a_part_alone_and_its_spelling_needs_no_file(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"conv": {"5c": 3}, "separable": ["5c"], "padding": "edge"}')
    spelt = spelling(str(tmp_path / "plan.json"))
    (tmp_path / "plan.json").unlink()
    assert time_plan(spelt) == TimePlan(conv={"5c": 3}, separable=("5c",), padding="edge")


def test_a_plan_of_sets_goes_to_json() -> None:
    assert json.loads(json.dumps(TimePlan(conv={"5c": 3}, separable={"5c"}).to_json()))["separable"] == ["5c"]


@pytest.mark.parametrize("text", ["i4d", "", "top_heav:4b"])
@pytest.mark.parametrize("reader", [time_plan, spelling])
def test_an_unknown_plan_lists_the_known_ones(text: str, reader) -> None:
    known = "i3d, i2d, per_frame, s3d, s3d_g, top_heavy:TAG, bottom_heavy:TAG, or a .json file of a plan, or a TimePlan"
    with pytest.raises(ValueError, match=rf"^unknown time plan '{text}'; known: {known}$"):
        reader(text)


@pytest.mark.parametrize("reader", [time_plan, spelling])
@pytest.mark.parametrize("text", ["top_heavy:9z", "bottom_heavy", "top_heavy:"])
def test_a_family_wants_a_layer(text: str, reader) -> None:
    with pytest.raises(ValueError, match=r"time plan: no layer '(9z|)'; its layers are 1a, "):
        reader(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name"),
        ('{"conv": ["1a"]}', "conv must be an object of tags and numbers"),
        ('{"cov": {}}', "fields conv, pool, stride, separable, gated, padding; got"),
        ('{"conv": {"1a": 2}}', r"conv\['1a'\] must be odd"),
        ('{"conv": {"9z": 3}}', "conv has no layer '9z'"),
    ],
)
def test_a_damaged_plan_is_told_in_text_and_in_a_file(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"cannot be read as a time plan \(.*{reason}"):
        time_plan(text)
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ValueError, match=rf"plan\.json: cannot be read as a time plan \(.*{reason}"):
        time_plan(str(tmp_path / "plan.json"))


@pytest.mark.parametrize("content", [b"[1, 2]", b"", b"\xff\xfe", b"3"])
def test_a_file_that_is_no_plan_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"plan\.json: cannot be read as a time plan"):
        time_plans.time_plan(tmp_path / "plan.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "unknown time plan"),
        ('{"kernels": {}}', r"fields conv, pool, stride, separable, gated, padding; got \['kernels'\]"),
        ('{"conv": ["1a"]}', r"conv must be an object of tags and numbers, got \['1a'\]"),
        ('{"separable": "1a"}', "separable must be a list of tags, got '1a'"),
        ('{"padding": 3}', "padding must be a text, got 3"),
    ],
)
def test_a_plan_in_json_says_what_its_fields_are(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        time_plans.time_plan(text)


def test_a_file_of_a_plan_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.json: cannot be read as a time plan \(.*No such file"):
        time_plans.time_plan(str(tmp_path / "none.json"))


@pytest.mark.parametrize("plan", [{"conv": {"1a": 3}}, 3, None])
def test_what_is_neither_text_nor_plan_is_refused(plan: object) -> None:
    with pytest.raises(ValueError, match=r"a time plan is one of i3d, i2d.*, or a TimePlan; got"):
        time_plans.time_plan(plan)
