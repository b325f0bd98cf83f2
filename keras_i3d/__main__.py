"""``python -m keras_i3d`` is ``keras-i3d``."""

import sys

from keras_i3d.cli import main

sys.exit(main())
