"""The original losses as PyTorch modules.

Each takes embeddings [B, D] and integer labels [B] and returns a scalar; device and
dtype follow the embeddings.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .distances import FLOOR, euclidean_distances, squared_distances


def relu(x: Tensor) -> Tensor:
    """``[x]+``, whose gradient at exactly 0 is one half (`torch.relu` passes none)."""
    return torch.maximum(x, torch.zeros_like(x))


def same_label(labels: Tensor) -> Tensor:
    """True where two items share a label, the diagonal included, [B, B]."""
    return labels[:, None] == labels[None, :]


class ContrastiveLoss(nn.Module):
    """Squared distances of positives plus ``[margin - S]+`` of negatives, averaged.

    The sums run over the whole square of which only the upper triangle holds distances,
    so every negative pair adds the constant `margin` once more. Averaged over the
    entries above 1e-16. After Hadsell, Chopra and LeCun, "Dimensionality Reduction by
    Learning an Invariant Mapping", 2006.

    >>> x = torch.tensor([[0.0], [0.5], [0.6]])
    >>> ContrastiveLoss(margin=1.0)(x, torch.tensor([0, 0, 1]))
    tensor(0.7760)
    """

    def __init__(self, margin: float = 1.0):
        """`margin` is a squared distance."""
        super().__init__()
        self.margin = margin

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The loss of one batch."""
        positive = same_label(labels)
        squared = squared_distances(embeddings).triu(diagonal=1)
        attract = squared[positive]
        repel = relu(self.margin - squared[~positive])
        count = (attract > FLOOR).sum() + (repel > FLOOR).sum()
        return (attract.sum() + repel.sum()) / count


class TripletLoss(nn.Module):
    """``[S_ap - S_an + margin]+`` over mined triplets; an anchor is its own positive.

    `mining` picks the negatives: "hardest", the anchor's nearest one; "semi", for each
    positive the nearest negative beyond it, else the farthest before it; "all", every
    negative. Averaged over the pairs (hardest, semi) or the triplets (all). After
    Schroff, Kalenichenko and Philbin, "FaceNet", 2015.

    >>> x = torch.tensor([[0.0], [0.5], [0.6]])
    >>> TripletLoss(margin=1.0, mining="hardest")(x, torch.tensor([0, 0, 1]))
    tensor(0.9500)
    """

    def __init__(self, margin: float = 1.0, mining: str = "hardest"):
        """`margin` is a squared distance."""
        super().__init__()
        if mining not in ("hardest", "semi", "all"):
            raise ValueError(f"mining must be hardest, semi or all, got {mining!r}")
        self.margin = margin
        self.mining = mining

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The loss of one batch."""
        squared = squared_distances(embeddings)
        positive = same_label(labels)
        if self.mining == "hardest":
            hardest = squared.masked_fill(positive, torch.inf).min(1).values
            gaps = (squared - hardest[:, None])[positive]
        elif self.mining == "semi":
            gaps = (squared - semi_hard_negatives(squared, positive))[positive]
        else:
            triplets = positive[:, :, None] & ~positive[:, None, :]
            gaps = (squared[:, :, None] - squared[:, None, :])[triplets]
        return relu(gaps + self.margin).sum() / len(gaps)


def semi_hard_negatives(squared: Tensor, positive: Tensor) -> Tensor:
    """Distance from anchor a to the negative that pair (a, p) is compared with, [B, B].

    The choice itself is not differentiated, the distance chosen is.
    """
    differences = (squared[:, None, :] - squared[:, :, None]).detach()  # [a, p, n]
    negative = ~positive[:, None, :]
    beyond = negative & (differences > FLOOR)
    before = negative & (differences < -FLOOR)
    nearest = differences.masked_fill(~beyond, torch.inf).min(2).indices
    farthest = differences.masked_fill(~before, -torch.inf).max(2).indices
    return squared.gather(1, torch.where(beyond.any(2), nearest, farthest))


class LiftedLoss(nn.Module):
    """``([log(E_i + E_j) + D_ij]+)^2`` over positive pairs, halved and averaged.

    ``E_i`` sums ``exp(margin - D_in)`` over the negatives n of i. The pairs are ordered
    and include the diagonal. After Oh Song, Xiang, Jegelka and Savarese, "Deep Metric
    Learning via Lifted Structured Feature Embedding", 2016.

    >>> x = torch.tensor([[0.0], [0.5], [0.6]])
    >>> LiftedLoss(margin=1.0)(x, torch.tensor([0, 0, 1]))
    tensor(1.5031)
    """

    def __init__(self, margin: float = 1.0):
        """`margin` is a distance."""
        super().__init__()
        self.margin = margin

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The loss of one batch."""
        distances = euclidean_distances(embeddings)
        positive = same_label(labels)
        repel = ((self.margin - distances).exp() * ~positive).sum(1)
        pairs = (repel[:, None] + repel[None, :]).log() + distances
        return relu(pairs[positive]).square().sum() / (2 * positive.sum())


class ProxyNCA(nn.Module):
    """Each embedding against one proxy per class, both L2-normalised.

    ``S[i, y_i] + log sum over c != y_i of exp(-S[i, c])``, averaged, where S is `scale`
    times a squared distance: the positive proxy is not in the denominator. The original
    has a scale of 1. The proxies are a parameter: leave it out of the optimiser for the
    original's static ones. After Movshovitz-Attias et al., "No Fuss Distance Metric
    Learning using Proxies", 2017.

    >>> loss = ProxyNCA(embedding_size=2, num_classes=3)
    >>> loss.proxies.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    >>> loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0])).item()
    -1.8730...
    """

    def __init__(self, embedding_size: int, num_classes: int, scale: float = 1.0):
        """Draws the proxies Xavier-uniformly, [num_classes, embedding_size]."""
        super().__init__()
        self.scale = scale
        self.proxies = nn.Parameter(torch.empty(num_classes, embedding_size))
        nn.init.xavier_uniform_(self.proxies)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The loss of one batch; `labels` are 0 ... num_classes - 1."""
        x = functional.normalize(embeddings)
        proxies = functional.normalize(self.proxies.to(x))
        squared = self.scale * squared_distances(x, proxies)
        positive = functional.one_hot(labels, len(proxies)).bool()
        logits = (-squared).masked_fill(positive, -torch.inf)
        return (squared[positive] + logits.logsumexp(1)).mean()
