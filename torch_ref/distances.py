"""Pairwise distances between the rows of one or two matrices."""

from torch import Tensor

FLOOR = 1e-16  # below it a squared distance counts as zero


def squared_distances(x: Tensor, y: Tensor | None = None) -> Tensor:
    """``S[i, j] = max(0, |x_i|^2 - 2 x_i . y_j + |y_j|^2)``, [N, M].

    An entry that rounding made negative becomes 0 and passes no gradient.

    Args:
        x: rows, [N, D].
        y: other rows, [M, D]; `x` itself by default.

    >>> import torch
    >>> squared_distances(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    tensor([[ 0., 25.],
            [25.,  0.]])
    """
    y = x if y is None else y
    squared = x.square().sum(1)[:, None] - 2 * x @ y.T + y.square().sum(1)[None, :]
    return squared.masked_fill(squared < 0, 0)


def euclidean_distances(x: Tensor, y: Tensor | None = None) -> Tensor:
    """``D = sqrt(S)``, with S held constant at 1e-16 wherever it is smaller, [N, M].

    >>> import torch
    >>> euclidean_distances(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))[0, 1]
    tensor(5.)
    """
    squared = squared_distances(x, y)
    return squared.masked_fill(squared < FLOOR, FLOOR).sqrt()
