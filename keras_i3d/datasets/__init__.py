"""Which videos, which labels, which splits: readers that find videos, and the demo's own videos."""
