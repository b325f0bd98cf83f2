import inspect
import re

import pytest

from keras_i3d import errors

CLASSES = [value for _, value in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_a_keras_i3d_error_and_stands_in_the_tree_of_its_module(error: type) -> None:
    assert issubclass(error, errors.KerasI3DError)
    assert re.search(rf"\b{error.__name__}\b", errors.__doc__)


def test_the_tree_names_no_error_that_is_not_there() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__)
    assert set(drawn) == {error.__name__ for error in CLASSES} - {"KerasI3DError"}


def test_a_missing_dependency_is_an_import_error_and_a_truncated_video_a_video_error() -> None:
    assert issubclass(errors.MissingDependency, ImportError)
    assert issubclass(errors.TruncatedVideo, errors.VideoError)
