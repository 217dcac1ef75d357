"""The KL autoencoder: 128x128 pictures to 16x16 latents of four channels and back."""
import torch
import torch.nn.functional as F
from torch import nn

from blocks import Attention, Downsample2D, ResnetBlock2D, Upsample2D

EPS = 1e-6


class Level(nn.Module):
    def __init__(self, in_channels, out_channels, layers, groups, resample):
        super().__init__()
        self.resnets = nn.ModuleList(
            ResnetBlock2D(in_channels if index == 0 else out_channels, out_channels, groups, EPS)
            for index in range(layers))
        if resample == "down":
            self.downsamplers = nn.ModuleList([Downsample2D(out_channels, symmetric=False)])
        elif resample == "up":
            self.upsamplers = nn.ModuleList([Upsample2D(out_channels)])

    def forward(self, x):
        for resnet in self.resnets:
            x = resnet(x)
        if hasattr(self, "downsamplers"):
            return self.downsamplers[0](x)
        return self.upsamplers[0](x) if hasattr(self, "upsamplers") else x


class MidBlock(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.attentions = nn.ModuleList([Attention(channels, 1, bias=True, groups=groups)])
        self.resnets = nn.ModuleList(ResnetBlock2D(channels, channels, groups, EPS) for _ in range(2))

    def forward(self, x):
        x = self.attentions[0].forward_picture(self.resnets[0](x))
        return self.resnets[1](x)


class Encoder(nn.Module):
    def __init__(self, channels, layers, groups):
        super().__init__()
        last = len(channels) - 1
        self.conv_in = nn.Conv2d(3, channels[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            Level(channels[max(level - 1, 0)], out, layers, groups, "down" if level < last else None)
            for level, out in enumerate(channels))
        self.mid_block = MidBlock(channels[-1], groups)
        self.conv_norm_out = nn.GroupNorm(groups, channels[-1], EPS)
        self.conv_out = nn.Conv2d(channels[-1], 8, 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))


class Decoder(nn.Module):
    def __init__(self, channels, layers, groups):
        super().__init__()
        widths = channels[::-1]
        last = len(widths) - 1
        self.conv_in = nn.Conv2d(4, widths[0], 3, padding=1)
        self.up_blocks = nn.ModuleList(
            Level(widths[max(level - 1, 0)], out, layers + 1, groups, "up" if level < last else None)
            for level, out in enumerate(widths))
        self.mid_block = MidBlock(widths[0], groups)
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], EPS)
        self.conv_out = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, z):
        z = self.mid_block(self.conv_in(z))
        for block in self.up_blocks:
            z = block(z)
        return self.conv_out(F.silu(self.conv_norm_out(z)))


class AutoencoderKL(nn.Module):
    """config: channels (per level), layers, groups."""

    def __init__(self, config):
        super().__init__()
        arguments = config["channels"], config["layers"], config["groups"]
        self.encoder = Encoder(*arguments)
        self.decoder = Decoder(*arguments)
        self.quant_conv = nn.Conv2d(8, 8, 1)
        self.post_quant_conv = nn.Conv2d(4, 4, 1)

    def encode(self, x):
        """x [B, 3, H, W] in -1..1; returns mean and log-variance, each [B, 4, H/8, W/8]."""
        mean, log_variance = self.quant_conv(self.encoder(x)).chunk(2, dim=1)
        return mean, log_variance.clamp(-30, 20)

    def decode(self, z):
        """z [B, 4, H/8, W/8]; returns pictures [B, 3, H, W], roughly in -1..1."""
        return self.decoder(self.post_quant_conv(z))

    def forward(self, x, noise):
        """noise [B, 4, H/8, W/8], standard normal. Returns reconstruction, mean, log-variance."""
        mean, log_variance = self.encode(x)
        return self.decode(mean + torch.exp(0.5 * log_variance) * noise), mean, log_variance
