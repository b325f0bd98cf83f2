from pathlib import Path

from keras_i3d.cache_folder import cache_folder


def test_the_cache_is_in_the_home_of_keras(monkeypatch) -> None:
    monkeypatch.setenv("KERAS_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/keras_i3d")
    monkeypatch.delenv("KERAS_HOME")
    assert cache_folder() == Path.home() / ".keras/keras_i3d"
