"""Which videos, which labels, which splits: readers that find videos, and the demo's own videos."""

from keras_i3d.datasets.charades import read_charades
from keras_i3d.datasets.dataset import LabelledClip, VideoDataset
from keras_i3d.datasets.folder import read_folder
from keras_i3d.datasets.hmdb51 import read_hmdb51
from keras_i3d.datasets.kinetics import read_kinetics
from keras_i3d.datasets.table import read_table
from keras_i3d.datasets.ucf101 import read_ucf101

__all__ = [
    "LabelledClip",
    "VideoDataset",
    "read_charades",
    "read_folder",
    "read_hmdb51",
    "read_kinetics",
    "read_table",
    "read_ucf101",
]
