"""Finished models for runtimes other than TensorFlow: ONNX, OpenVINO and LiteRT, checked as they are written."""

from keras_i3d.serving.runtimes.export import RUNTIMES, RuntimeExport, export_runtime

__all__ = ["RUNTIMES", "RuntimeExport", "export_runtime"]
