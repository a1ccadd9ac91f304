"""One number a token, read from a trunk's hidden states: rewards and values. The head and its product are fp32 even under autocast.

B rows, T tokens, D model width
"""
import torch
from torch import Tensor, nn

from pharmgpt.model.transformer import ModelConfig, Transformer, Trunk, packed_mask


class ScalarHead(nn.Module):
    def __init__(self, d_model: int):
        super().__init__()
        self.score = nn.Linear(d_model, 1)
        nn.init.zeros_(self.score.weight)  # the first score is 0 everywhere: training starts at log 2
        nn.init.zeros_(self.score.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):  # bf16 would round scores to three digits
            return self.score(hidden.float()).squeeze(-1).clone()  # (B, T), and no view: FSDP warns of those


class ScalarModel(nn.Module):
    """A trunk of its own and a scalar head: (B, T) fp32, one score at each position; the caller picks positions."""

    kind = "scalar"

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.model = Trunk(config)
        self.head = ScalarHead(config.d_model)

    @classmethod
    def from_transformer(cls, transformer: Transformer):
        """Start from a copy of a language model's trunk."""
        made = cls(transformer.config)
        made.model.load_state_dict(transformer.model.state_dict())
        return made

    def forward(self, ids: Tensor, segment_ids: Tensor | None = None, positions: Tensor | None = None) -> Tensor:
        if positions is None:
            positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        return self.head(self.model(ids, positions, packed_mask(ids, segment_ids)))  # (B, T)


class RewardModel(ScalarModel):
    kind = "reward"


class ValueModel(ScalarModel):
    kind = "value"
