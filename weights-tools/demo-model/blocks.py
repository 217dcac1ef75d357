"""Building blocks shared by the U-Net and the autoencoder.

Attribute names are those of diffusers' modules, so that `state_dict()` already has the key names of
a diffusers checkpoint and the export is a plain copy.
"""
import torch
import torch.nn.functional as F
from torch import nn

SMALL = 64  # positions


def attend(query, key, value, heads):
    """Softmax attention. query [B, N, C], key and value [B, M, C]; returns [B, N, C]."""
    batch, length, channels = query.shape
    query, key, value = (t.reshape(batch, t.shape[1], heads, channels // heads).transpose(1, 2)
                         for t in (query, key, value))
    if hasattr(F, "scaled_dot_product_attention"):
        out = F.scaled_dot_product_attention(query, key, value)
    else:  # PyTorch 1.13
        scores = query @ key.transpose(-1, -2) * (channels // heads) ** -0.5
        out = scores.softmax(-1) @ value
    return out.transpose(1, 2).reshape(batch, length, channels)


class Conv2d(nn.Conv2d):
    """A convolution that leaves reduced precision where pictures are small and on a CPU: PyTorch's bfloat16 gradients
    are up to two hundred times as slow as float32 ones there (4x4; measured with 2.13)."""

    def forward(self, x):
        if x.device.type != "cpu" or x.shape[2] * x.shape[3] > SMALL:
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


class ResnetBlock2D(nn.Module):
    """Two normalised 3x3 convolutions with a residual; the time embedding is added between them."""

    def __init__(self, in_channels, out_channels, groups, eps, time_channels=None):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, in_channels, eps)
        self.conv1 = Conv2d(in_channels, out_channels, 3, padding=1)
        if time_channels:
            self.time_emb_proj = nn.Linear(time_channels, out_channels)
        self.norm2 = nn.GroupNorm(groups, out_channels, eps)
        self.conv2 = Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_shortcut = Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None

    def forward(self, x, activated_time=None):
        """activated_time: silu(time embedding) [B, time_channels], computed once for all blocks."""
        h = self.conv1(F.silu(self.norm1(x)))
        if activated_time is not None:
            h = h + self.time_emb_proj(activated_time)[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class Downsample2D(nn.Module):
    """Stride 2 convolution. The autoencoder pads right and bottom only, the U-Net on all sides."""

    def __init__(self, channels, symmetric):
        super().__init__()
        self.symmetric = symmetric
        self.conv = Conv2d(channels, channels, 3, stride=2, padding=1 if symmetric else 0)

    def forward(self, x):
        return self.conv(x if self.symmetric else F.pad(x, (0, 1, 0, 1)))


class Upsample2D(nn.Module):
    """Nearest-neighbour doubling, then a 3x3 convolution."""

    def __init__(self, channels):
        super().__init__()
        self.conv = Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Attention(nn.Module):
    """Attention over a sequence; `group_norm` and the residual are there in the autoencoder only."""

    def __init__(self, channels, heads, context_channels=None, bias=False, groups=None):
        super().__init__()
        self.heads = heads
        self.group_norm = nn.GroupNorm(groups, channels, 1e-6) if groups else None
        self.to_q = nn.Linear(channels, channels, bias=bias)
        self.to_k = nn.Linear(context_channels or channels, channels, bias=bias)
        self.to_v = nn.Linear(context_channels or channels, channels, bias=bias)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x, context=None):
        context = x if context is None else context
        return self.to_out[0](attend(self.to_q(x), self.to_k(context), self.to_v(context), self.heads))

    def forward_picture(self, x):
        """x [B, C, H, W]: group norm, self-attention over all positions, residual."""
        batch, channels, height, width = x.shape
        tokens = self.group_norm(x).permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        out = self.forward(tokens).reshape(batch, height, width, channels)
        return x + out.permute(0, 3, 1, 2)


class GEGLU(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.proj = nn.Linear(in_channels, out_channels * 2)

    def forward(self, x):
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, channels):
        super().__init__()
        # The identity stands where diffusers has its (unused) dropout, which fixes the key names.
        self.net = nn.ModuleList([GEGLU(channels, channels * 4), nn.Identity(), nn.Linear(channels * 4, channels)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class BasicTransformerBlock(nn.Module):
    def __init__(self, channels, heads, context_channels):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = Attention(channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = Attention(channels, heads, context_channels)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels)

    def forward(self, x, context):
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer2DModel(nn.Module):
    """Self- and cross-attention over the positions of a feature map, with a residual around it."""

    def __init__(self, channels, heads, context_channels, groups):
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, 1e-6)
        self.proj_in = Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([BasicTransformerBlock(channels, heads, context_channels)])
        self.proj_out = Conv2d(channels, channels, 1)

    def forward(self, x, context):
        batch, channels, height, width = x.shape
        h = self.proj_in(self.norm(x)).permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        for block in self.transformer_blocks:
            h = block(h, context)
        return x + self.proj_out(h.reshape(batch, height, width, channels).permute(0, 3, 1, 2))
