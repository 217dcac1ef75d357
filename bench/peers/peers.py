#!/usr/bin/env python3
"""The same U-Nets and decoders in PyTorch, beside which deepcache-bench's figures are read. Needs torch, nothing else.

  outputs  fp32 outputs of a U-Net on synthetic weights, for `deepcache-bench fullsize` to compare with
  macs     multiply-accumulates of a full call and of a retrieve call, counted by torch
  time     eager (as loaded, and in channels_last), in a CUDA graph, compiled; rows are named as those of `deepcache-bench
           time`, and `helper0` is a retrieve call as DeepCache's Python helper runs it: what it makes of the ideal speed-up
"""
import argparse
import datetime
import json
import os
import struct
import time

import torch

from models import Decoder, UNet
from synthetic import fill, synthetic

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models")
TOKENS = 77
TIME_IDS = [1024.0, 1024.0, 0.0, 0.0, 1024.0, 1024.0]
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def read_config(model, part):
    path = os.path.join(FOLDER, model, part + ".json")
    return json.load(open(path)) if os.path.exists(path) else None


def inputs(config, batch, size, device, dtype=torch.float32, values=synthetic):
    """(sample, context, additions) of a call, the additions by name."""
    sample = values("input.sample", (batch, config["in_channels"], size, size), device)
    context = values("input.encoder_hidden_states", (batch, TOKENS, config["cross_attention_dim"]), device)
    added = {}
    if config.get("addition_embed_type") == "text_time":
        width = config["projection_class_embeddings_input_dim"] - 6 * config["addition_time_embed_dim"]
        added["text_embeds"] = values("input.text_embeds", (batch, width), device).to(dtype)
        added["time_ids"] = torch.tensor([TIME_IDS] * batch, device=device)
    return sample.to(dtype), context.to(dtype), added


def write_safetensors(path, tensors):
    header, offset, data = {}, 0, []
    for name, tensor in tensors.items():
        data.append(tensor.float().contiguous().cpu().numpy().tobytes())
        header[name] = {
            "dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + len(data[-1])]
        }
        offset += len(data[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(data))


@torch.no_grad()
def outputs(args):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    config = read_config(args.model, "unet")
    with torch.device("meta"):
        unet = UNet(config)
    unet = fill(unet.float(), args.device)
    size, batch = args.side, args.batch
    sample, context, added = inputs(config, batch, size, args.device)
    at = lambda t: torch.tensor([float(t)] * batch, device=args.device)
    full, feature = unet(sample, at(601), context, **added)
    retrieved = unet.retrieve(sample, at(581), context, feature, **added)
    head = f"b{batch}_{size}x{size}."
    write_safetensors(args.output, {head + "full_t601": full, head + "shallow_b0_t581_from601": retrieved})


@torch.no_grad()
def count_macs(config, size):
    """(full, retrieve) for one sample."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        unet = UNet(config)
    empty = lambda name, shape, device: torch.empty(shape, device=device)
    sample, context, added = inputs(config, 1, size, "meta", values=empty)
    timestep = torch.empty(1, device="meta")
    counts = []
    with FlopCounterMode(display=False) as counter:
        _, feature = unet(sample, timestep, context, **added)
    counts.append(counter.get_total_flops() // 2)
    with FlopCounterMode(display=False) as counter:
        unet.retrieve(sample, timestep, context, feature, **added)
    return counts + [counter.get_total_flops() // 2]


def macs(args):
    for model in args.models:
        config = read_config(model, "unet")
        full, retrieve = count_macs(config, args.side or config["sample_size"])
        print(f"{model}.full {full}\n{model}.retrieve0 {retrieve}")


class Clock:
    """Times what is enqueued: by CUDA's events, on the CPU by the wall clock."""

    def __init__(self, device, budget):
        self.cuda, self.budget = device.startswith("cuda"), budget

    def once(self, work):
        if not self.cuda:
            start = time.perf_counter()
            work()
            return time.perf_counter() - start
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) * 1e-3

    def median(self, work):
        """Seconds; after warm-up calls, for about the budget, 3 to 200 repeats."""
        for _ in range(2):
            self.once(work)
        times = []
        while len(times) < 3 or (sum(times) < self.budget and len(times) < 200):
            times.append(self.once(work))
        return sorted(times)[len(times) // 2]


def graphed(work):
    """The work as a CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


class Rows:
    """The report, written after every row."""

    def __init__(self, args):
        self.args, self.start, self.rows = args, time.monotonic(), []
        self.device = torch.cuda.get_device_name() if args.device.startswith("cuda") else "cpu"

    def late(self):
        return time.monotonic() - self.start > self.args.limit

    def add(self, row):
        self.rows.append(row)
        print("  ".join(f"{key} {value:.4f}" if isinstance(value, float) else f"{value}" for key, value in row.items()),
              flush=True)
        if self.args.json:
            report = {"what": "the same models in PyTorch; medians in ms, `ms` the best way", "torch": torch.__version__,
                      "device": self.device, "date": datetime.datetime.now(datetime.timezone.utc).isoformat(),
                      "rows": self.rows}
            with open(self.args.json + ".part", "w") as file:
                json.dump(report, file, indent=1)
            os.replace(self.args.json + ".part", self.args.json)


def ceilings(clock, args, rows):
    """What torch reaches in a large product and a copy."""
    n, dtype = args.ceiling, DTYPES[args.type]
    a, b = (torch.randn(n, n, device=args.device, dtype=dtype) for _ in range(2))
    product = clock.median(lambda: torch.mm(a, b))
    x = torch.randn(16 * n, n, device=args.device, dtype=dtype)
    y = torch.empty_like(x)
    copy = clock.median(lambda: y.copy_(x))
    rows.add({"name": f"ceilings.{args.type}", "tflops": 2e-12 * n**3 / product,
              "gbs": 2e-9 * x.numel() * x.element_size() / copy})


def measure(name, clock, work, compiled, args, rows, arrange=lambda layout: None):
    """A row: the work in each way that --ways names, all but `eager` in channels_last (see `arrange`); ways that fail say
    why."""
    if rows.late():
        return
    row = {"name": name}
    for way in args.ways:
        if rows.late():
            break
        try:
            arrange(torch.contiguous_format if way == "eager" else torch.channels_last)
            call = compiled if way.startswith("compile") else work
            if way.endswith("graph"):
                call()
                call = graphed(call)
            row[way] = 1e3 * clock.median(call)
        except Exception as error:  # the other ways are measured all the same
            row[way + " failed"] = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    times = [row[way] for way in args.ways if way in row]
    if times:
        rows.add({**row, "ms": min(times)})


def joined_earlier(unet, run):
    """The pairs of tensors that the earlier layers of the last level join in a run."""
    seen = []
    hooks = [resnet.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
             for resnet in unet.up_blocks[-1].resnets[:-1]]
    run()
    for hook in hooks:
        hook.remove()
    skip = unet.conv_in.out_channels  # of all skips of the first level
    return [[part.clone(memory_format=torch.channels_last) for part in (x[:, :-skip], x[:, -skip:])] for x in seen]


@torch.no_grad()
def time_models(args):
    torch.backends.cudnn.benchmark = True
    dtype, clock, rows = DTYPES[args.type], Clock(args.device, args.budget), Rows(args)
    ceilings(clock, args, rows)
    compiles = any(way.startswith("compile") for way in args.ways)
    compile = lambda f: torch.compile(f, mode=args.mode, dynamic=False) if compiles else f
    for model in args.models:
        config = read_config(model, "unet")
        size = args.side or config["sample_size"]
        with torch.device("meta"):
            unet = UNet(config).to(dtype)
        unet = fill(unet, args.device)
        full, retrieve, helper = (compile(f) for f in (unet.forward, unet.retrieve, unet.retrieve_like_helper))
        for images in args.batches:
            sample, context, added = inputs(config, 2 * images, size, args.device, dtype)
            timestep = torch.full((2 * images,), 601.0, device=args.device)
            outputs = []
            earlier = joined_earlier(unet, lambda: outputs.extend(unet(sample, timestep, context, **added)))
            tensors = {"sample": sample, "feature": outputs[1].clone()}

            def arrange(layout):
                unet.to(memory_format=layout)
                for name, tensor in tensors.items():
                    tensors[name] = tensor.contiguous(memory_format=layout)

            def run_full(call):
                return lambda: call(tensors["sample"], timestep, context, **added)

            def run_retrieve(call, *more):
                return lambda: call(tensors["sample"], timestep, context, tensors["feature"], *more, **added)

            for what, plain, better in (
                ("full", run_full(unet.forward), run_full(full)),
                ("retrieve0", run_retrieve(unet.retrieve), run_retrieve(retrieve)),
                ("helper0", run_retrieve(unet.retrieve_like_helper, earlier), run_retrieve(helper, earlier)),
            ):
                measure(f"{model}.{what}.b{images}.{args.type}", clock, plain, better, args, rows, arrange)
        vae = read_config(model, "vae")
        if vae and not rows.late():
            decoder = Decoder(vae).to(args.device, dtype).eval().to(memory_format=torch.channels_last)
            latent = torch.randn(1, 4, size, size, device=args.device, dtype=dtype)
            latent = latent.to(memory_format=torch.channels_last)
            better = compile(decoder)
            measure(f"{model}.decode.b1.{args.type}", clock, lambda: decoder(latent), lambda: better(latent), args, rows)


def main():
    words, numbers = lambda s: s.split(","), lambda s: [int(n) for n in s.split(",")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["outputs", "macs", "time"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--type", default="fp16", choices=DTYPES)
    parser.add_argument("--model", default="sd15", help="of outputs")
    parser.add_argument("--models", type=words, default=["sd15", "sdxl"])
    parser.add_argument("--batch", type=int, default=2, help="of outputs")
    parser.add_argument("--batches", type=numbers, default=[1, 2, 8, 16], help="images: calls have twice as many samples")
    parser.add_argument("--side", type=int, default=0, help="of the latents; 0: the model's own")
    parser.add_argument("--ways", type=words, default=["eager", "channels_last", "graph", "compile", "compile+graph"])
    parser.add_argument("--mode", default="max-autotune-no-cudagraphs", help="of torch.compile")
    parser.add_argument("--ceiling", type=int, default=8192)
    parser.add_argument("--budget", type=float, default=0.3, help="seconds for each measurement")
    parser.add_argument("--limit", type=float, default=1e9, help="seconds in all")
    parser.add_argument("--output", help="of outputs: a safetensors file")
    parser.add_argument("--json")
    args = parser.parse_args()
    {"outputs": outputs, "macs": macs, "time": time_models}[args.command](args)


if __name__ == "__main__":
    main()
