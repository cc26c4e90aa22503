"""The pair core: sums over the rows of the matrix of pairs, and their gradients."""
