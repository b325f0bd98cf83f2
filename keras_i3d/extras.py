"""Import optional packages, or say which pip line brings them."""

import importlib
from types import ModuleType

from keras_i3d.errors import MissingDependency

# module -> (package on the index, extra of this package that brings it, what it is for)
_PROVIDERS = {
    "av": ("av", "video", "decoding and encoding video"),
    "cv2": ("opencv-contrib-python-headless", "video", "optical flow and image coding"),
    "numba": ("numba", "video", "TV-L1 flow"),
    "google_crc32c": ("google-crc32c", "video", "writing records"),
    "fsspec": ("fsspec", "remote", "reading and writing in remote storage"),
    "s3fs": ("s3fs", "remote", "storage at s3://"),
    "gcsfs": ("gcsfs", "remote", "storage at gs://"),
    "aiohttp": ("aiohttp", "remote", "reading from http:// and https://"),
    "distributed": ("distributed", "dask", "work on a Dask cluster"),
    "grpc": ("grpcio", "client", "asking a server over gRPC"),
    "requests": ("requests", "client", "asking a server over REST"),
    "torch": ("torch", "torch", "reading PyTorch files"),
    "tf2onnx": ("tf2onnx", "onnx", "converting to ONNX"),
    "onnx": ("onnx", "onnx", "writing ONNX files"),
    "onnxruntime": ("onnxruntime", "onnx", "running ONNX files"),
    "openvino": ("openvino", "openvino", "converting to OpenVINO's format"),
    # a dependency of the package, which an installation for another Keras backend leaves out
    "tensorflow": ("tensorflow", None, "reading TensorFlow checkpoints"),
}


def import_extra(module: str) -> ModuleType:
    """Import an optional dependency.

    Args:
        module: Name of the module, such as ``"av"``.

    Raises:
        MissingDependency: It is not installed; the message names the pip line.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package, extra, purpose = _PROVIDERS[module]
        if error.name != module:
            raise MissingDependency(
                f"{purpose} needs the package {package}, which is there but fails to import: {error}"
            ) from error
        whole = f"pip install 'keras-i3d[{extra}]'   (or alone: pip install {package})" if extra else None
        raise MissingDependency(
            f"{purpose} needs the package {package}, which is not installed. "
            f"Bring it with: {whole or f'pip install {package}'}"
        ) from error
