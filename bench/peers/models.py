"""Stable Diffusion's U-Net, DeepCache's branch 0 included, and its decoder; built from diffusers' configurations."""
import torch
import torch.nn.functional as F
from torch import nn

from layers import Attention, Resample, Resnet, Transformer, sinusoids


class Embedding(nn.Module):
    def __init__(self, c, out):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(c, out), nn.Linear(out, out)

    def forward(self, x):
        return self.linear_2(F.silu(self.linear_1(x)))


class Block(nn.Module):
    """A level, or the middle: resnets, each followed by a transformer where there are such."""

    def __init__(self, widths, transformer, time):
        super().__init__()
        self.resnets = nn.ModuleList(Resnet(c, out, time) for c, out in widths)
        self.attentions = nn.ModuleList(transformer(out) for _, out in widths) if transformer else None

    def layer(self, i, x, time, context):
        x = self.resnets[i](x, time)
        return self.attentions[i](x, context) if self.attentions else x


class UNet(nn.Module):
    def __init__(self, config):
        super().__init__()
        channels, layers = config["block_out_channels"], config["layers_per_block"]
        levels, self.width, self.config = len(channels), channels[0], config
        time = 4 * channels[0]
        per_level = lambda value: value if isinstance(value, list) else [value] * levels
        heads = per_level(config["attention_head_dim"])
        depth = per_level(config.get("transformer_layers_per_block", 1))

        def transformer(level):
            return lambda c: Transformer(
                c, config["cross_attention_dim"], heads[level], depth[level], config.get("use_linear_projection", False)
            )

        self.conv_in = nn.Conv2d(config["in_channels"], channels[0], 3, padding=1)
        self.time_embedding = Embedding(channels[0], time)
        if config.get("addition_embed_type") == "text_time":
            self.add_embedding = Embedding(config["projection_class_embeddings_input_dim"], time)
        skips, c = [channels[0]], channels[0]
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        for level, kind in enumerate(config["down_block_types"]):
            widths = [(c if j == 0 else channels[level], channels[level]) for j in range(layers)]
            block = Block(widths, transformer(level) if "CrossAttn" in kind else None, time)
            c = channels[level]
            skips += [c] * layers
            if level < levels - 1:
                block.downsamplers = nn.ModuleList([Resample(c, 2)])
                skips.append(c)
            self.down_blocks.append(block)
        self.mid_block = Block([(c, c), (c, c)], None, time)
        self.mid_block.attentions = nn.ModuleList([transformer(levels - 1)(c)])
        for i, kind in enumerate(config["up_block_types"]):
            out = channels[levels - 1 - i]
            widths = []
            for _ in range(layers + 1):
                widths.append((c + skips.pop(), out))
                c = out
            block = Block(widths, transformer(levels - 1 - i) if "CrossAttn" in kind else None, time)
            if i < levels - 1:
                block.upsamplers = nn.ModuleList([Resample(c, 1)])
            self.up_blocks.append(block)
        self.conv_norm_out = nn.GroupNorm(32, channels[0], 1e-5)
        self.conv_out = nn.Conv2d(channels[0], config["out_channels"], 3, padding=1)

    def embed(self, timestep, text_embeds, time_ids):
        dtype = self.conv_in.weight.dtype
        time = self.time_embedding(sinusoids(timestep, self.width).to(dtype))
        if hasattr(self, "add_embedding"):
            ids = sinusoids(time_ids.flatten(), self.config["addition_time_embed_dim"]).reshape(len(time_ids), -1)
            time = time + self.add_embedding(torch.cat([text_embeds, ids.to(dtype)], -1))
        return time

    def finish(self, x):
        return self.conv_out(F.silu(self.conv_norm_out(x)))

    def forward(self, sample, timestep, context, text_embeds=None, time_ids=None):
        """Returns the output and the hidden state that enters the last up layer: branch 0's feature."""
        time = self.embed(timestep, text_embeds, time_ids)
        x = self.conv_in(sample)
        skips = [x]
        for block in self.down_blocks:
            for i in range(len(block.resnets)):
                x = block.layer(i, x, time, context)
                skips.append(x)
            if hasattr(block, "downsamplers"):
                x = block.downsamplers[0](x)
                skips.append(x)
        x = self.mid_block.resnets[0](x, time)
        x = self.mid_block.resnets[1](self.mid_block.attentions[0](x, context), time)
        for block in self.up_blocks:
            for i in range(len(block.resnets)):
                feature = x
                x = block.layer(i, torch.cat([x, skips.pop()], 1), time, context)
            if hasattr(block, "upsamplers"):
                x = block.upsamplers[0](x, skips[-1].shape[2:])
        return self.finish(x), feature

    def retrieve(self, sample, timestep, context, feature, text_embeds=None, time_ids=None):
        """DeepCache's step of branch 0: conv_in, the last up layer, the output."""
        time = self.embed(timestep, text_embeds, time_ids)
        block = self.up_blocks[-1]
        x = torch.cat([feature, self.conv_in(sample)], 1)
        return self.finish(block.layer(len(block.resnets) - 1, x, time, context))

    def retrieve_like_helper(self, sample, timestep, context, feature, earlier, **added):
        """The same step as DeepCache's Python helper runs it, by replacing the forward() of each module by one that may
        return what it did last: whole levels do, but the last one's own forward() still joins the inputs of its earlier
        layers (`earlier`: pairs), whose resnets and transformers then return what they had."""
        for x, skip in earlier:
            torch.cat([x, skip], 1)
        return self.retrieve(sample, timestep, context, feature, **added)


class VaeAttention(Attention):
    def __init__(self, c):
        super().__init__(c, c, 1, bias=True)
        self.group_norm = nn.GroupNorm(32, c, 1e-6)

    def forward(self, x):
        h = self.group_norm(x).flatten(2).transpose(1, 2)
        return x + super().forward(h).transpose(1, 2).unflatten(2, x.shape[2:])


class Decoder(nn.Module):
    """AutoencoderKL's, from latents that are divided by the scaling factor."""

    def __init__(self, config):
        super().__init__()
        channels, layers = config["block_out_channels"], config["layers_per_block"]
        c = channels[-1]
        resnet = lambda i, o: Resnet(i, o, eps=1e-6)
        self.post_quant_conv = nn.Conv2d(config["latent_channels"], config["latent_channels"], 1)
        self.conv_in = nn.Conv2d(config["latent_channels"], c, 3, padding=1)
        self.mid = nn.ModuleList([resnet(c, c), VaeAttention(c), resnet(c, c)])
        self.up = nn.ModuleList()
        for level in reversed(range(len(channels))):
            for _ in range(layers + 1):
                self.up.append(resnet(c, channels[level]))
                c = channels[level]
            if level:
                self.up.append(Resample(c, 1))
        self.conv_norm_out = nn.GroupNorm(32, c, 1e-6)
        self.conv_out = nn.Conv2d(c, config["out_channels"], 3, padding=1)

    def forward(self, x):
        x = self.conv_in(self.post_quant_conv(x))
        for layer in self.mid:
            x = layer(x)
        for layer in self.up:
            x = layer(x, [2 * s for s in x.shape[2:]]) if isinstance(layer, Resample) else layer(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))
