"""What the commands tell the shell."""

DONE, FAILED, WRONG_USAGE, SKIPPED = 0, 1, 2, 3  # SKIPPED: done, but for items that were left out
