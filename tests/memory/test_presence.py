"""Presence: parts that match frames without their object are dropped, others left alone."""

from __future__ import annotations

import torch
from torch import Tensor

from xmempp_core.memory.bank import MemoryBank
from xmempp_core.memory.presence import MARGIN, weigh_presence
from xmempp_core.settings import PropagationSettings
from xmempp_core.types import Features, Padding


class GivenEvidence(MemoryBank):
    """A bank whose evidence is given."""

    def __init__(self, evidence: Tensor | None) -> None:
        super().__init__(1, PropagationSettings())
        self._given = evidence

    def evidence(self, features: Features, channel: int) -> Tensor | None:
        return self._given


def two_parts() -> Tensor:
    """(2, 64, 128) probabilities of one object in two parts, left and right."""
    objects = torch.full((1, 64, 128), 0.05)
    objects[:, 20:44, 10:30] = 0.95
    objects[:, 20:44, 90:110] = 0.95
    return torch.cat([1 - objects, objects])


def features() -> Features:
    empty = torch.empty(0)
    return Features(empty, empty, empty, empty, empty, empty, Padding(0, 0, 0, 0))


def test_only_the_part_that_matches_the_absence_is_dropped() -> None:
    evidence = torch.zeros(4, 8)
    evidence[:, 4:] = -MARGIN - 1
    before = two_parts()
    given = before.clone()
    after = weigh_presence(GivenEvidence(evidence), features(), before)
    assert torch.equal(before, given)
    assert after[1, 20:44, 90:110].max() < 0.01
    assert torch.equal(after[1, 20:44, 10:30], before[1, 20:44, 10:30])
    torch.testing.assert_close(after.sum(0), torch.ones(64, 128))


def test_evidence_within_the_margin_changes_nothing() -> None:
    before = two_parts()
    near = torch.full((4, 8), -MARGIN + 0.1)
    assert weigh_presence(GivenEvidence(near), features(), before) is before


def test_an_object_that_is_absent_nowhere_is_left_alone() -> None:
    before = two_parts()
    assert weigh_presence(GivenEvidence(None), features(), before) is before
