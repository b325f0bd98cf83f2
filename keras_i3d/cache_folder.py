"""Where files of published weights and copies of remote shards are kept on this machine."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return ``<Keras home>/keras_i3d``, which also takes files that were put there by hand."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "keras_i3d"
