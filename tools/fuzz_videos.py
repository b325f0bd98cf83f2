"""Write damaged copies of videos, to run make-tfrecords on: cut, bit-flipped, spliced, renamed, no video at all.

Example:
  python tools/fuzz_videos.py --videos clips --count 2000 --seed 0 --output damaged
  keras-i3d make-tfrecords --dataset folder --videos damaged --output records
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from damaged_videos import write_damaged

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, required=True, help="folder of whole videos, read alone")
    parser.add_argument("--output", type=Path, required=True, help="folder for the damaged copies")
    parser.add_argument("--count", type=int, default=2000, help="number of copies (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of every draw (default: %(default)s)")
    arguments = parser.parse_args()
    write_damaged(arguments.videos, arguments.output, arguments.count, arguments.seed)
