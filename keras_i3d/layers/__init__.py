"""The layers that Keras does not have, on any Keras backend. Each is registered: saved models open with ``safe_mode``.

Everything else in the networks is Keras's own; at fixed clip sizes I3D holds none of these.
"""

from keras_i3d.layers.batch_norm_lstm import BatchNormLSTM
from keras_i3d.layers.eight_bit_flow import EightBitFlow
from keras_i3d.layers.padding import SamePadding3D
from keras_i3d.layers.pooling import ShrinkingAveragePooling
from keras_i3d.layers.stacking import StackFrames
from keras_i3d.layers.tvl1_flow import TVL1Flow

__all__ = ["BatchNormLSTM", "EightBitFlow", "SamePadding3D", "ShrinkingAveragePooling", "StackFrames", "TVL1Flow"]
