"""2-D networks into 3-D: kernels, weights, whole graphs, and the fixed point that proves it."""
