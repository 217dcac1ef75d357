"""The U-Net: Stable Diffusion's structure (four levels, two resnets each), narrow.

Three cross-attention levels and a plain one give the twelve skip connections, and so the cache
branches 0 to 11, of the full-size models.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

from blocks import Downsample2D, ResnetBlock2D, Transformer2DModel, Upsample2D

EPS = 1e-5


def timestep_embedding(timesteps, channels):
    """Sinusoidal embedding, cosines first (flip_sin_to_cos). timesteps [B]; returns [B, channels]."""
    half = channels // 2
    frequencies = torch.exp(-math.log(10000) * torch.arange(half, device=timesteps.device) / half)
    angles = timesteps.float()[:, None] * frequencies[None, :]
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimestepEmbedding(nn.Module):
    def __init__(self, channels, out_channels):
        super().__init__()
        self.linear_1 = nn.Linear(channels, out_channels)
        self.linear_2 = nn.Linear(out_channels, out_channels)

    def forward(self, x):
        return self.linear_2(F.silu(self.linear_1(x)))


class Stage(nn.Module):
    """One level of the U-Net, down or up: resnets, each followed by a transformer where it has one."""

    def __init__(self, pairs, heads, config, resample):
        """pairs: (in, out) channels of each resnet; heads: None for a level without attention."""
        super().__init__()
        groups, out = config["groups"], pairs[-1][1]
        self.resnets = nn.ModuleList(ResnetBlock2D(i, o, groups, EPS, 4 * config["channels"][0]) for i, o in pairs)
        if heads:
            self.attentions = nn.ModuleList(
                Transformer2DModel(out, heads, config["context_channels"], groups) for _ in pairs)
        if resample == "down":
            self.downsamplers = nn.ModuleList([Downsample2D(out, symmetric=True)])
        elif resample == "up":
            self.upsamplers = nn.ModuleList([Upsample2D(out)])

    def layer(self, index, x, time, context):
        x = self.resnets[index](x, time)
        return self.attentions[index](x, context) if hasattr(self, "attentions") else x

    def down(self, x, time, context):
        """Returns the outputs that are both carried on and kept as skip connections."""
        skips = []
        for index in range(len(self.resnets)):
            x = self.layer(index, x, time, context)
            skips.append(x)
        if hasattr(self, "downsamplers"):
            x = self.downsamplers[0](x)
            skips.append(x)
        return x, skips

    def up(self, x, skips, time, context):
        """Takes its skip connections from the end of the list `skips`."""
        for index in range(len(self.resnets)):
            x = self.layer(index, torch.cat([x, skips.pop()], dim=1), time, context)
        return self.upsamplers[0](x) if hasattr(self, "upsamplers") else x


class MidBlock(nn.Module):
    def __init__(self, channels, heads, config):
        super().__init__()
        groups, time = config["groups"], 4 * config["channels"][0]
        self.resnets = nn.ModuleList(ResnetBlock2D(channels, channels, groups, EPS, time) for _ in range(2))
        self.attentions = nn.ModuleList([Transformer2DModel(channels, heads, config["context_channels"], groups)])

    def forward(self, x, time, context):
        x = self.attentions[0](self.resnets[0](x, time), context)
        return self.resnets[1](x, time)


class UNet2DConditionModel(nn.Module):
    """config: channels (per level), head_channels, context_channels, groups, layers (resnets per level)."""

    def __init__(self, config):
        super().__init__()
        channels, layers = config["channels"], config["layers"]
        last = len(channels) - 1
        heads = [width // config["head_channels"] for width in channels]
        self.first = channels[0]
        self.conv_in = nn.Conv2d(4, channels[0], 3, padding=1)
        self.time_embedding = TimestepEmbedding(channels[0], 4 * channels[0])

        self.down_blocks = nn.ModuleList()
        skip_widths, width = [channels[0]], channels[0]
        for level, out in enumerate(channels):
            pairs = [(width if index == 0 else out, out) for index in range(layers)]
            is_last = level == last
            self.down_blocks.append(
                Stage(pairs, None if is_last else heads[level], config, None if is_last else "down"))
            skip_widths += [out] * (layers if is_last else layers + 1)
            width = out

        self.mid_block = MidBlock(width, heads[last], config)

        self.up_blocks = nn.ModuleList()
        for level in reversed(range(len(channels))):
            out, pairs = channels[level], []
            for _ in range(layers + 1):
                pairs.append((width + skip_widths.pop(), out))
                width = out
            self.up_blocks.append(
                Stage(pairs, None if level == last else heads[level], config, "up" if level else None))

        self.conv_norm_out = nn.GroupNorm(config["groups"], channels[0], EPS)
        self.conv_out = nn.Conv2d(channels[0], 4, 3, padding=1)

    def forward(self, x, timesteps, context):
        """x [B, 4, H, W], timesteps [B], context [B, tokens, context_channels]; returns v [B, 4, H, W]."""
        time = F.silu(self.time_embedding(timestep_embedding(timesteps, self.first)))
        h = self.conv_in(x)
        skips = [h]
        for block in self.down_blocks:
            h, kept = block.down(h, time, context)
            skips += kept
        h = self.mid_block(h, time, context)
        for block in self.up_blocks:
            h = block.up(h, skips, time, context)
        return self.conv_out(F.silu(self.conv_norm_out(h)))
