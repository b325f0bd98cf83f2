"""What the tests of data sets share."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[str]:
    """Return the URL of a folder that fsspec keeps in memory."""
    fsspec = pytest.importorskip("fsspec")
    url = f"memory://{tmp_path.name}"
    yield url
    if fsspec.filesystem("memory").exists(url):
        fsspec.filesystem("memory").rm(url, recursive=True)
