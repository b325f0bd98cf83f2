"""From two sets of videos to the Fréchet Video Distance between them (Unterthiner et al. 2018, arXiv 1812.01717)."""
