"""From batches to weights: the recipe, the optimiser, the loop."""
