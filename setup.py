"""Package metadata of keras_i3d; tool settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "keras_i3d/__init__.py").read_text()).group(1)

VIDEO = ["av>=17,<19", "opencv-contrib-python-headless>=4.11,<6", "google-crc32c>=1.6,<2", "numba>=0.61,<0.69"]
# what asks a server; `pip install --no-deps keras-i3d` and these with numpy and rich make a machine without TensorFlow
CLIENT = ["av>=17,<19", "grpcio>=1.66,<2", "protobuf>=4.25,<8", "requests>=2.32,<3"]
DASK = ["distributed>=2025.1"]
REMOTE = ["fsspec>=2025.3", "s3fs>=2025.3", "gcsfs>=2025.3", "aiohttp>=3.10,<4"]
# The native parts of tensorflow-io's last release load under TensorFlow 2.16 and 2.17 alone, which want NumPy 1;
# OpenCV from 4.12 on wants NumPy 2.
IO = [
    "tensorflow-io==0.37.1",
    "tensorflow>=2.16,<2.18",
    "numpy>=1.26,<2",
    "opencv-contrib-python-headless>=4.11,<4.12",
]
TORCH = ["torch>=2.6"]  # reads the files of PyTorch ports; before 2.6 weights_only could be got round
ONNX = ["tf2onnx>=1.16.1,<2", "onnx>=1.17,<2", "onnxruntime>=1.20,<2"]
OPENVINO = ["openvino>=2025.0,<2027"]
TEST = ["pytest>=8,<10", "pytest-xdist>=3.6,<4", "ruff>=0.15,<1"]

setup(
    name="keras-i3d",
    version=VERSION,
    description="I3D (Quo Vadis, Action Recognition?) in Keras 3: from a video file to TensorFlow Serving",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    # weights/ stands at the top of the repository, where people look for it, and ships inside the package.
    packages=[*find_packages(include=["keras_i3d", "keras_i3d.*"]), "keras_i3d.weights"],
    package_dir={"keras_i3d.weights": "weights"},
    package_data={"keras_i3d.weights": ["catalogue.json"]},
    install_requires=[
        "tensorflow>=2.16,<2.22",
        "keras>=3.12,<4",
        "numpy>=1.26,<3",
        "h5py>=3.11,<4",
        "protobuf>=4.25,<8",  # records are written by it alone; TensorFlow depends on it too
        "rich>=13,<16",  # progress bars; Keras depends on it too
    ],
    extras_require={
        "video": VIDEO,
        "client": CLIENT,
        "dask": DASK,
        "remote": REMOTE,
        "io": IO,
        "onnx": ONNX,
        "openvino": OPENVINO,
        "torch": TORCH,
        "test": TEST,
    },
    entry_points={"console_scripts": ["keras-i3d = keras_i3d.cli:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
