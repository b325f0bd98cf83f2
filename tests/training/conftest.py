import pytest
from small_networks import small_network

from keras_i3d.training import start


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs train the small network; all else is theirs."""
    monkeypatch.setattr(start, "network", small_network)
