import hashlib

import pytest

from keras_i3d.checkpoints import names
from keras_i3d.models.i3d import I3D


@pytest.fixture(scope="module")
def variables():
    model = I3D(weights=None, input_shape=(1, 32, 32, 3))
    return [variable for variable in model.weights if not variable.path.endswith("seed_generator_state")]


def test_the_names_and_shapes_are_those_of_the_published_checkpoints(variables) -> None:
    lines = sorted(f"{names.deepmind_name(variable)} {list(variable.shape)}" for variable in variables)
    assert len(lines) == 230
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    # the digest of the published RGB checkpoint's own list of names and shapes (its temporal kernels among them)
    assert digest == "1177819588dc508e8682c1dd869349acc01b6246f5e1422007005f91b2f580d3"


def test_the_classifier_is_two_variables(variables) -> None:
    head = [names.deepmind_name(variable) for variable in variables if names.is_head(names.deepmind_name(variable))]
    assert head == ["Logits/Conv3d_0c_1x1/conv_3d/w", "Logits/Conv3d_0c_1x1/conv_3d/b"]


def test_only_mixed_5b_spells_its_second_branch_0a(variables) -> None:
    spelt = {names.deepmind_name(variable) for variable in variables}
    assert "Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w" in spelt
    assert "Mixed_5c/Branch_2/Conv3d_0b_3x3/conv_3d/w" in spelt
    assert sum("Branch_2/Conv3d_0b_3x3/conv_3d/w" in name for name in spelt) == 8
