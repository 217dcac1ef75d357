"""safetensors files, as far as this model needs them: float16 only.

A file is 8 bytes header length, a JSON header padded to a multiple of 8 bytes, then the tensors' bytes.
"""
import json
import os
import struct

import torch


def write_safetensors(state, path):
    """Writes the tensors of `state` as float16, sorted by name."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    tensors = {name: state[name].detach().half().contiguous().cpu() for name in sorted(state)}
    for name, tensor in tensors.items():
        size = 2 * tensor.numel()
        header[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.numpy().tobytes())


def read_safetensors(path):
    """Returns {name: float32 tensor}."""
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), bytearray(file.read())
    state = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F16":
            raise ValueError(f"{path}: {name} is {entry['dtype']}; only F16 is read here")
        begin, end = entry["data_offsets"]
        tensor = torch.frombuffer(data, dtype=torch.float16, count=(end - begin) // 2, offset=begin)
        state[name] = tensor.reshape(entry["shape"]).float()
    return state
