"""Keep what other packages say of themselves off the screen, where no setting of their own does."""

import importlib.util
import logging
import os
import sys
import tempfile

from keras_i3d.errors import KerasI3DError, MissingDependency
from keras_i3d.extras import import_extra


def import_tensorflow() -> None:
    """Import TensorFlow; what it writes to standard error on the way is shown only if the import fails.

    For programs (the command line and its workers), not for the library.

    Raises:
        KerasI3DError: The environment asks for another backend of Keras.
        MissingDependency: TensorFlow is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise KerasI3DError(f"KERAS_BACKEND is {backend!r}; this command runs on tensorflow alone, so unset it")
    if "tensorflow" in sys.modules:
        return
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingDependency(
            "this needs the package tensorflow, which is not installed. Bring it with: pip install tensorflow   "
            "(`keras-i3d predict --server` does without)"
        )
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        failed = True
        try:
            import tensorflow  # noqa: F401

            failed = False
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            if failed:
                messages.seek(0)
                sys.stderr.write(messages.read().decode(errors="replace"))


def silence_dask() -> None:
    """Keep the tracebacks that Dask logs when a scheduler goes away off the screen; the error tells it in a line.

    Raises:
        MissingDependency: The package distributed is not installed.
    """
    import_extra("distributed")  # which sets up its logging as it is imported
    for handler in logging.getLogger("distributed").handlers:
        handler.setLevel(logging.CRITICAL + 1)
