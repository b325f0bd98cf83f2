"""Import TensorFlow without its start-up messages, which no setting of its own silences."""

import os
import sys
import tempfile

from keras_i3d.errors import KerasI3DError


def import_tensorflow() -> None:
    """Import TensorFlow; what it writes to standard error on the way is shown only if the import fails.

    For programs (the command line and its workers), not for the library.

    Raises:
        KerasI3DError: The environment asks for another backend of Keras.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise KerasI3DError(f"KERAS_BACKEND is {backend!r}; this command runs on tensorflow alone, so unset it")
    if "tensorflow" in sys.modules:
        return
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
