"""The networks beside EffNet: at the paper's budgets, in its channels, and backbones as any other."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from litmobile.backbones import Feature, check_backbone
from litmobile.backbones.effnet_peers import Peer, PeerMobileNet, PeerShuffleNet
from litmobile.heads import Classifier
from litmobile.tools.complexity import without_values
from support.families import name_of, on_meta

PEERS = pytest.mark.parametrize("peer", [PeerMobileNet, PeerShuffleNet], ids=name_of)


@pytest.mark.parametrize(("peer", "published"), [(PeerMobileNet, 5.8), (PeerShuffleNet, 4.7)], ids=name_of)
def test_the_budget_is_the_papers(peer: type[Peer], published: float) -> None:
    backbone = on_meta(peer)
    with without_values():
        head = Classifier(backbone.features, 10, pool_size=4)
        with FlopCounterMode(display=False) as flops:
            head(backbone(torch.empty(1, 3, 32, 32)), (32, 32))
    assert flops.get_total_flops() / 1e6 == pytest.approx(published, rel=0.02)


@PEERS
def test_it_keeps_the_contract(peer: type[Peer]) -> None:
    check_backbone(peer)


@PEERS
def test_maps_grow_as_effnets_do(peer: type[Peer]) -> None:
    assert peer().features == {"c1": Feature(64, 2), "c2": Feature(128, 4), "c3": Feature(256, 8)}
