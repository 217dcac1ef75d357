"""What the U-Net and the autoencoder are made of, by diffusers' names."""
import torch
import torch.nn.functional as F
from torch import nn


class Resnet(nn.Module):
    def __init__(self, c, out, time=0, eps=1e-5, groups=32):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, c, eps), nn.Conv2d(c, out, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(groups, out, eps), nn.Conv2d(out, out, 3, padding=1)
        if time:
            self.time_emb_proj = nn.Linear(time, out)
        self.conv_shortcut = nn.Conv2d(c, out, 1) if c != out else nn.Identity()

    def forward(self, x, time=None):
        h = self.conv1(F.silu(self.norm1(x)))
        if time is not None:
            h = h + self.time_emb_proj(F.silu(time))[:, :, None, None]
        return self.conv_shortcut(x) + self.conv2(F.silu(self.norm2(h)))


class Attention(nn.Module):
    def __init__(self, c, context, heads, bias=False):
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(i, c, bias=bias) for i in (c, context, context))
        self.to_out = nn.ModuleList([nn.Linear(c, c)])

    def forward(self, x, context=None):
        context = x if context is None else context
        split = lambda t: t.unflatten(2, (self.heads, -1)).transpose(1, 2)
        y = F.scaled_dot_product_attention(split(self.to_q(x)), split(self.to_k(context)), split(self.to_v(context)))
        return self.to_out[0](y.transpose(1, 2).flatten(2))


class GEGLU(nn.Module):
    def __init__(self, c, out):
        super().__init__()
        self.proj = nn.Linear(c, 2 * out)

    def forward(self, x):
        x, gate = self.proj(x).chunk(2, -1)
        return x * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.net = nn.ModuleList([GEGLU(c, 4 * c), nn.Identity(), nn.Linear(4 * c, c)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class TransformerBlock(nn.Module):
    def __init__(self, c, context, heads):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(c), nn.LayerNorm(c), nn.LayerNorm(c)
        self.attn1, self.attn2 = Attention(c, c, heads), Attention(c, context, heads)
        self.ff = FeedForward(c)

    def forward(self, x, context):
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer(nn.Module):
    def __init__(self, c, context, heads, depth, linear, groups=32):
        super().__init__()
        self.linear = linear
        self.norm = nn.GroupNorm(groups, c, 1e-6)
        self.proj_in = nn.Linear(c, c) if linear else nn.Conv2d(c, c, 1)
        self.transformer_blocks = nn.ModuleList(TransformerBlock(c, context, heads) for _ in range(depth))
        self.proj_out = nn.Linear(c, c) if linear else nn.Conv2d(c, c, 1)

    def forward(self, x, context):
        tokens = lambda t: t.flatten(2).transpose(1, 2)
        pixels = lambda t: t.transpose(1, 2).unflatten(2, x.shape[2:])
        h = self.norm(x)
        h = self.proj_in(tokens(h)) if self.linear else tokens(self.proj_in(h))
        for block in self.transformer_blocks:
            h = block(h, context)
        return x + (pixels(self.proj_out(h)) if self.linear else self.proj_out(pixels(h)))


class Resample(nn.Module):
    """A downsampler, or an upsampler to a given size."""

    def __init__(self, c, stride):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, stride, 1)

    def forward(self, x, size=None):
        return self.conv(x if size is None else F.interpolate(x, size=size))


def sinusoids(x, width):
    """[n] -> [n, width], cosines first."""
    half = width // 2
    angles = x.float()[:, None] * torch.exp(
        -torch.log(torch.tensor(10000.0)) * torch.arange(half, device=x.device) / half
    )
    return torch.cat([angles.cos(), angles.sin()], -1)
