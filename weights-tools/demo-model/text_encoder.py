"""The CLIP text encoder, with transformers' key names. Only its last hidden state is used."""
import torch
import torch.nn.functional as F
from torch import nn


class CLIPAttention(nn.Module):
    """Causal self-attention: a token sees itself and those before it."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        query, key, value = (proj(x).reshape(batch, length, self.heads, -1).transpose(1, 2)
                             for proj in (self.q_proj, self.k_proj, self.v_proj))
        scores = query @ key.transpose(-1, -2) * (width // self.heads) ** -0.5
        future = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        weights = scores.float().masked_fill(future, float("-inf")).softmax(-1).to(value.dtype)
        return self.out_proj((weights @ value).transpose(1, 2).reshape(batch, length, width))


class CLIPMLP(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        h = self.fc1(x)
        return self.fc2(h * torch.sigmoid(1.702 * h))  # quick_gelu


class CLIPEncoderLayer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.self_attn = CLIPAttention(width, heads)
        self.layer_norm1 = nn.LayerNorm(width)
        self.mlp = CLIPMLP(width)
        self.layer_norm2 = nn.LayerNorm(width)

    def forward(self, x):
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class CLIPTextTransformer(nn.Module):
    def __init__(self, vocabulary, config):
        super().__init__()
        width = config["width"]
        self.embeddings = nn.Module()
        self.embeddings.token_embedding = nn.Embedding(vocabulary, width)
        self.embeddings.position_embedding = nn.Embedding(config["max_tokens"], width)
        # Attention must tell words apart from the first step on, so the embeddings start wide.
        nn.init.normal_(self.embeddings.token_embedding.weight, 0, 0.3)
        nn.init.normal_(self.embeddings.position_embedding.weight, 0, 0.1)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(CLIPEncoderLayer(width, config["heads"]) for _ in range(config["layers"]))
        self.final_layer_norm = nn.LayerNorm(width)


class CLIPTextModel(nn.Module):
    """config: width, layers, heads, max_tokens."""

    def __init__(self, vocabulary, config):
        super().__init__()
        self.text_model = CLIPTextTransformer(vocabulary, config)

    def forward(self, ids):
        """ids [B, tokens]; returns the last hidden state [B, tokens, width]."""
        model = self.text_model
        positions = torch.arange(ids.shape[1], device=ids.device)
        h = model.embeddings.token_embedding(ids) + model.embeddings.position_embedding(positions)
        for layer in model.encoder.layers:
            h = layer(h)
        return model.final_layer_norm(h)
