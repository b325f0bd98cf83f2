import sys
from pathlib import Path

import av
import cv2
import pytest

from keras_i3d.errors import KerasI3DError, MissingDependency
from keras_i3d.extras import import_extra


def test_an_installed_package_is_imported() -> None:
    assert import_extra("av") is av
    assert import_extra("cv2") is cv2


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            "av",
            r"^decoding and encoding video needs the package av, which is not installed\. Bring it with: "
            r"pip install 'keras-i3d\[video\]'   \(or alone: pip install av\)$",
        ),
        (
            "cv2",
            r"^optical flow and image coding needs the package opencv-contrib-python-headless, which is not "
            r"installed\. Bring it with: pip install 'keras-i3d\[video\]'   "
            r"\(or alone: pip install opencv-contrib-python-headless\)$",
        ),
        (
            "torch",
            r"^reading PyTorch files needs the package torch, which is not installed\. Bring it with: "
            r"pip install 'keras-i3d\[torch\]'   \(or alone: pip install torch\)$",
        ),
        (
            "google_crc32c",
            r"^writing records needs the package google-crc32c, which is not installed\. Bring it with: "
            r"pip install 'keras-i3d\[video\]'   \(or alone: pip install google-crc32c\)$",
        ),
        (
            "fsspec",
            r"^reading and writing in remote storage needs the package fsspec, which is not installed\. Bring it with: "
            r"pip install 'keras-i3d\[remote\]'   \(or alone: pip install fsspec\)$",
        ),
        (
            "distributed",
            r"^work on a Dask cluster needs the package distributed, which is not installed\. Bring it with: "
            r"pip install 'keras-i3d\[dask\]'   \(or alone: pip install distributed\)$",
        ),
        (
            "grpc",
            r"^asking a server over gRPC needs the package grpcio, which is not installed\. Bring it with: "
            r"pip install 'keras-i3d\[client\]'   \(or alone: pip install grpcio\)$",
        ),
        (
            "requests",
            r"^asking a server over REST needs the package requests, which is not installed\. Bring it with: "
            r"pip install 'keras-i3d\[client\]'   \(or alone: pip install requests\)$",
        ),
        (
            "tensorflow",
            r"^reading TensorFlow checkpoints needs the package tensorflow, which is not installed\. Bring it with: "
            r"pip install tensorflow$",
        ),
    ],
)
def test_a_missing_package_is_named_with_its_pip_line(
    monkeypatch: pytest.MonkeyPatch, module: str, message: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependency, match=message) as caught:
        import_extra(module)
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value, KerasI3DError)


def test_a_package_that_is_there_but_broken_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "libGL.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "cv2.py").write_text(f"raise ImportError({reason!r})")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv2")
    with pytest.raises(MissingDependency, match=reason) as caught:
        import_extra("cv2")
    assert "not installed" not in str(caught.value)
