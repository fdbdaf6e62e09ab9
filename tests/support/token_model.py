"""A slow, obvious memory: a list of tokens, each a dictionary. What MemoryBank must equal."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from xmempp_core.memory.buffers import INITIAL_LIFE
from xmempp_core.memory.tokens import Tokens
from xmempp_core.settings import PropagationSettings

Token = dict[str, Any]


def tokens_as_dictionaries(tokens: Tokens) -> list[Token]:
    """One dictionary a token, with values only for the channels that have one."""
    return [
        {
            "key": tokens.key[m].double(),
            "shrinkage": float(tokens.shrinkage[m]),
            "selection": tokens.selection[m].double(),
            "values": {
                c: tokens.values[c, m].double()
                for c in range(tokens.valid.shape[0])
                if tokens.valid[c, m]
            },
            "use": 0.0,
            "life": INITIAL_LIFE,
        }
        for m in range(tokens.key.shape[0])
    ]


def token_similarity(memory: Token, key: Tensor, selection: Tensor) -> float:
    """S(m, q) written out."""
    distance = (selection * (memory["key"] - key) ** 2).sum()
    return float(-memory["shrinkage"] / math.sqrt(key.numel()) * distance)


class TokenModel:
    """Permanent, long-term and working memory as plain lists."""

    def __init__(self, settings: PropagationSettings) -> None:
        self.settings = settings
        self.permanent: dict[tuple[int, int], list[Token]] = {}
        self.long_term: list[Token] = []
        self.working: list[Token] = []
        self.evictions = 0

    def all_tokens(self) -> list[Token]:
        permanent = [t for entry in sorted(self.permanent) for t in self.permanent[entry]]
        return permanent + self.long_term + self.working

    def read(
        self,
        key: Tensor,
        selection: Tensor,
        channels: int,
        top_k: int | None,
        *,
        counts_usage: bool,
    ) -> Tensor:
        """(channels, Q, CV), and the usage by channel 0 where it counts."""
        counted = self.long_term + self.working
        result = []
        for q in range(key.shape[0]):
            row = []
            for channel in range(channels):
                seen = [t for t in self.all_tokens() if channel in t["values"]]
                scores = [token_similarity(t, key[q].double(), selection[q].double()) for t in seen]
                order = sorted(range(len(seen)), key=lambda i: -scores[i])[: top_k or len(seen)]
                weights = torch.tensor([scores[i] for i in order]).double().softmax(0)
                pairs = [(w, seen[i]) for w, i in zip(weights, order, strict=True)]
                row.append(sum(w * t["values"][channel] for w, t in pairs))
                if channel == 0 and counts_usage:
                    for weight, token in pairs:
                        token["use"] += float(weight)
            result.append(torch.stack(row))
        for token in counted if counts_usage else ():
            token["life"] += 1
        return torch.stack(result, 1)

    def enforce_limits(self, cells: int) -> None:
        s = self.settings
        if not s.long_term_memory or len(self.working) < s.working_memory_max_frames * cells:
            return
        surplus = len(self.long_term) - (s.long_term_max_elements - s.long_term_prototypes)
        if surplus > 0:
            rates = sorted(t["use"] / t["life"] for t in self.long_term)
            threshold = rates[surplus - 1]
            self.long_term = [t for t in self.long_term if t["use"] / t["life"] > threshold]
            self.evictions += 1
        kept = s.working_memory_min_frames * cells
        count = len(self.working) - kept
        candidates, self.working = self.working[:count], self.working[count:]
        best = sorted(candidates, key=lambda t: -t["use"] / t["life"])[: s.long_term_prototypes]
        self.long_term += [_prototype(one, candidates) for one in best]


def _prototype(chosen: Token, candidates: list[Token]) -> Token:
    def averaged(among: list[Token], what: Any) -> Any:
        scores = [token_similarity(t, chosen["key"], chosen["selection"]) for t in among]
        weights = torch.tensor(scores).double().softmax(0)
        return sum(w * what(t) for w, t in zip(weights, among, strict=True))

    values = {}
    for channel in chosen["values"]:
        among = [t for t in candidates if channel in t["values"]]
        values[channel] = averaged(among, lambda t, c=channel: t["values"][c])
    shrinkage = float(averaged(candidates, lambda t: t["shrinkage"]))
    return {**chosen, "values": values, "shrinkage": shrinkage, "use": 0.0, "life": INITIAL_LIFE}
