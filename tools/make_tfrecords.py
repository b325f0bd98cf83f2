"""Turn videos into TFRecord shards; the same as ``keras-i3d make-tfrecords``."""

import sys

from keras_i3d.cli import main

if __name__ == "__main__":
    sys.exit(main(["make-tfrecords", *sys.argv[1:]]))
