import json
from dataclasses import replace
from pathlib import Path

import pytest

from keras_i3d.clips.preparation import FILE_NAME, Preparation
from keras_i3d.errors import ModelFileError

PREPARATION = Preparation("flow", 12.5, 37, 32)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    PREPARATION.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME] == ["preparation.json"]
    assert json.loads((tmp_path / FILE_NAME).read_text()) == {
        "modality": "flow",
        "fps": 12.5,
        "short_side": 37,
        "size": 32,
        "network": "i3d",
        "flow_inside": False,
    }
    assert Preparation.read(tmp_path) == PREPARATION


def test_a_network_of_two_streams_is_written_and_read_back(tmp_path: Path) -> None:
    preparation = replace(PREPARATION, modality="both", network="two_stream")
    preparation.write(tmp_path)
    assert Preparation.read(tmp_path) == preparation


@pytest.mark.parametrize(
    ("modality", "flow_inside", "given"),
    [
        ("rgb", False, ("rgb",)),
        ("flow", False, ("flow",)),
        ("both", False, ("rgb", "flow")),
        ("flow", True, ("rgb",)),
        ("both", True, ("rgb",)),
    ],
)
def test_a_model_that_computes_its_flow_is_given_rgb(modality: str, flow_inside: bool, given: tuple) -> None:
    assert replace(PREPARATION, modality=modality, flow_inside=flow_inside).given == given


@pytest.mark.parametrize("change", [{"modality": "rgb", "flow_inside": True}, {"flow_inside": 1}])
def test_flow_inside_is_refused_where_it_means_nothing(change: dict) -> None:
    with pytest.raises(ValueError, match=r"^flow_inside is true or false, and true of a model that sees flow, got "):
        replace(PREPARATION, **change)


def test_a_file_from_before_there_were_other_networks_is_i3ds(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"modality": "rgb", "fps": 25, "short_side": 256, "size": 224}')
    assert Preparation.read(tmp_path) == Preparation("rgb", 25, 256, 224, "i3d")


@pytest.mark.parametrize("name", ["fps", "short_side", "size"])
@pytest.mark.parametrize("value", [0, -1, "25", None, True])
def test_what_is_no_number_above_0_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be a number above 0, got {value!r}$"):
        replace(PREPARATION, **{name: value})


def test_where_there_is_none_none_is_read(tmp_path: Path) -> None:
    assert Preparation.read(tmp_path) is None
    assert Preparation.read(tmp_path / "absent") is None


def test_an_unknown_modality_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^unknown modality 'depth'; known: rgb, flow, both$"):
        replace(PREPARATION, modality="depth")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[]", "must be a mapping, not list"),
        ("{}", "missing 4 required positional arguments"),
        ('{"modality": "rgb", "fps": 25, "short_side": 256}', "missing 1 required positional argument: 'size'"),
        ('{"modality": "rgb", "fps": 25, "short_side": 256, "size": 224, "crop": 1}', "unexpected keyword .* 'crop'"),
        ('{"modality": "depth", "fps": 25, "short_side": 256, "size": 224}', "unknown modality 'depth'"),
    ],
)
def test_a_damaged_file_is_told(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(ModelFileError, match=rf"preparation\.json: cannot be read \(.*{reason}.*\)$"):
        Preparation.read(tmp_path)


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(ModelFileError, match=r"preparation\.json: cannot be read \(.*Is a directory"):
        Preparation.read(tmp_path)
