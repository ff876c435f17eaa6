"""k-NN classifier on features: cosine similarity, votes weighted by its exponential."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ....errors import check_range

#: of the weight exp(similarity / TEMPERATURE) of a neighbour's vote (Wu et al. 2018, arXiv 1805.01978)
TEMPERATURE = 0.07
CHUNK = 1024  # rows that are compared with all training samples at once


def score_neighbours(
    train: Tensor, labels: Tensor, samples: Tensor, classes: int, neighbours: Sequence[int]
) -> list[Tensor]:
    """Scores classes by the votes of the nearest training samples.

    Args:
        train: features of the training samples, ``[T, D]``.
        labels: their classes, ``[T]``.
        samples: features of the samples to classify, ``[S, D]``.
        classes: number of classes C.
        neighbours: numbers of nearest samples that vote, e.g. (5, 20). With fewer training samples, all vote.

    Returns:
        For each of ``neighbours`` the share of each class among the votes, ``[S, C]`` float64.

    Raises:
        UserError: a number of neighbours is below 1.
    """
    for count in neighbours:
        check_range("neighbours", count, ge=1)
    most = min(max(neighbours), len(train))
    train = torch.nn.functional.normalize(train)
    scores: list[list[Tensor]] = [[] for _ in neighbours]
    for chunk in torch.nn.functional.normalize(samples).split(CHUNK):
        similarity, nearest = (chunk @ train.T).topk(most)  # the nearest first
        # relative to the nearest, so that the exponential cannot overflow
        votes = ((similarity - similarity[:, :1]).double() / TEMPERATURE).exp()
        voted = labels[nearest]
        for parts, count in zip(scores, neighbours, strict=True):
            sums = votes.new_zeros(len(chunk), classes).scatter_add_(1, voted[:, :count], votes[:, :count])
            parts.append(sums / sums.sum(1, keepdim=True))
    return [torch.cat(parts) for parts in scores]
