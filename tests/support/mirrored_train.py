"""``keras-i3d`` on two devices of this process: python mirrored_train.py train --records ... as on the command line."""

import sys


def main(*arguments: str) -> int:
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    from keras_i3d import cli
    from keras_i3d.training import devices

    devices.here = lambda: devices.Devices(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    return cli.main(list(arguments))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
