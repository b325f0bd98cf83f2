"""``keras-i3d COMMAND``: the list of commands; errors become one line and an exit code.

Results go to standard output, progress and complaints to standard error. Exit codes: 0 done, 1 failed,
2 wrong usage, 3 finished with skipped items.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from keras_i3d import __version__
from keras_i3d.errors import KerasI3DError
from keras_i3d.exit_codes import FAILED, WRONG_USAGE

COMMANDS = (
    "demo",
    "make-tfrecords",
    "inspect",
    "train",
    "evaluate",
    "benchmark",
    "export",
    "predict",
    "explain",
    "features",
    "fvd",
    "models",
    "weights",
    "inflate",
)

EPILOG = """exit codes: 0 done, 1 failed, 2 wrong usage, 3 finished with skipped items

the whole journey:
  keras-i3d make-tfrecords --folder videos/ --output records/
  keras-i3d train --records records/ --output run/
  keras-i3d evaluate --model run/best.keras --records records/ --split test
  keras-i3d export --model run/best.keras --output served/
  keras-i3d predict clip.mp4 --model served/
"""


def parser() -> argparse.ArgumentParser:
    """Build the parser of the program with all its commands."""
    top = argparse.ArgumentParser(
        prog="keras-i3d",
        description="I3D action recognition: from video files to a served model.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"keras-i3d {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"keras_i3d.commands.{name.replace('-', '_')}")
        summary, description = module.__doc__.split("\n\n", 1)
        command = commands.add_parser(
            name,
            help=summary.rstrip("."),
            description=f"{summary}\n\n{description}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (wrong usage exits with 2 by itself)."""
    arguments = parser().parse_args(argv)
    try:
        code = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # as by `| head`: who reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains of what it cannot flush
        return FAILED
    except (KerasI3DError, ValueError, OSError) as error:
        message = " ".join(str(error).split())
        print(f"keras-i3d {arguments.command}: {message}", file=sys.stderr)
        return WRONG_USAGE if isinstance(error, ValueError) else FAILED
    except KeyboardInterrupt:
        print(f"keras-i3d {arguments.command}: interrupted", file=sys.stderr)
        return FAILED
