"""The synthetic weights of native/runtime/synth.h, so that both sides compute on the same numbers without any file."""
import torch

GOLDEN = 0x9E3779B97F4A7C15
SMALL = (".conv2.weight", ".to_out.0.weight", ".ff.net.2.weight", ".ff_in.net.2.weight", ".proj_out.weight")
LARGE = (".to_q.weight", ".to_k.weight")


def signed(value):
    """A 64-bit pattern as the signed number that torch wants."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def fnv1a(text):
    digest = 0xCBF29CE484222325
    for byte in text.encode():
        digest = (digest ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return digest


def shifted(x, bits):
    """A logical shift to the right."""
    return (x >> bits) & ((1 << 64 - bits) - 1)


def distribution(name, shape):
    """(scale, base) of uniform values in [-1, 1)."""
    if name.startswith("input."):
        return 3**0.5, 0.0
    if len(shape) >= 2:
        fan_in = 1
        for extent in shape[1:]:
            fan_in *= extent
        gain = 0.5 if name.endswith(SMALL) else 1.5 if name.endswith(LARGE) else 1.0
        return gain * (3 / fan_in) ** 0.5, 0.0
    return (0.05, 0.0) if name.endswith(".bias") else (0.1, 1.0)


def synthetic(name, shape, device):
    """The fp16 tensor of that name and shape."""
    count = 1
    for extent in shape:
        count *= extent
    x = torch.arange(count, dtype=torch.int64, device=device) + signed(fnv1a(name) + GOLDEN)
    x = (x ^ shifted(x, 30)) * signed(0xBF58476D1CE4E5B9)
    x = (x ^ shifted(x, 27)) * signed(0x94D049BB133111EB)
    v = shifted(x ^ shifted(x, 31), 11).double() * 2.0**-52 - 1
    scale, base = distribution(name, shape)
    return (v * scale + base).float().half().reshape(shape)


@torch.no_grad()
def fill(module, device):
    """Gives every parameter of the module its synthetic values; returns the module, on the device."""
    module = module.to_empty(device=device)
    for name, parameter in module.named_parameters():
        parameter.copy_(synthetic(name, tuple(parameter.shape), device))
    return module.eval().requires_grad_(False)
