"""What both trainings share: optimiser, averaged weights, learning rate, checkpoints, budget, log."""
import contextlib
import json
import math
import os
import time

import torch


def device():
    return "cuda" if torch.cuda.is_available() else "cpu"


def reduced_precision():
    """A context in which forward passes compute in bfloat16. PyTorch 1.13 on a CPU keeps float32: its bfloat16
    group norm is inaccurate."""
    if device() == "cpu" and int(torch.__version__.split(".")[0]) < 2:
        return contextlib.nullcontext()
    return torch.autocast(device(), dtype=torch.bfloat16)


def to_float_pictures(pictures):
    """uint8 [N, H, W, 3] to float [N, 3, H, W] in -1..1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).to(device()).float() / 127.5 - 1


def to_byte_pictures(x):
    """float [N, 3, H, W] in -1..1 to uint8 [N, H, W, 3]."""
    return ((x.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def load_matching(module, state):
    """Copies the tensors of `state` whose name and shape fit; returns how many did. For warm starts."""
    own = module.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    module.load_state_dict({**own, **fitting})
    return len(fitting)


class Budget:
    """Ends a stage after so many pictures or at a moment in time, whichever is nearer.

    `progress()` runs from 0 to 1 and drives the learning rate, so it falls smoothly either way.
    """

    def __init__(self, pictures, deadline, started=None):
        self.pictures, self.deadline = pictures, deadline
        self.started = started or time.time()

    def progress(self, seen):
        by_pictures = seen / self.pictures
        by_time = (time.time() - self.started) / max(1.0, self.deadline - self.started) if self.deadline else 0
        return min(1.0, max(by_pictures, by_time))


class Trainer:
    """AdamW on some modules, with an exponential moving average of their weights.

    modules: {name: module}; options: learning_rate, weight_decay, ema, warm_up.
    """

    def __init__(self, modules, options, log_path):
        self.modules, self.options, self.log_path = modules, options, log_path
        self.parameters = [p for module in modules.values() for p in module.parameters()]
        decayed = [p for p in self.parameters if p.dim() > 1]
        plain = [p for p in self.parameters if p.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": options["weight_decay"]}, {"params": plain, "weight_decay": 0.0}]
        fused = {"fused": True} if int(torch.__version__.split(".")[0]) >= 2 else {}
        self.optimizer = torch.optim.AdamW(groups, lr=options["learning_rate"], betas=(0.9, 0.99), **fused)
        self.average = [p.detach().clone() for p in self.parameters]
        self.step_count = self.seen = 0

    def learning_rate(self, progress):
        warm_up = min(1.0, (self.step_count + 1) / self.options["warm_up"])
        return self.options["learning_rate"] * warm_up * max(0.02, 0.5 + 0.5 * math.cos(math.pi * progress))

    def step(self, loss, pictures, progress):
        """One update; returns the gradient's norm. A step whose gradient is not finite is skipped."""
        self.optimizer.zero_grad()
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, 1.0))
        if math.isfinite(norm):
            for group in self.optimizer.param_groups:
                group["lr"] = self.learning_rate(progress)
            self.optimizer.step()
        self.step_count += 1
        self.seen += pictures
        decay = min(self.options["ema"], (1 + self.step_count) / (10 + self.step_count))
        with torch.no_grad():
            for average, parameter in zip(self.average, self.parameters):
                average.lerp_(parameter, 1 - decay)
        return norm

    def averaged(self):
        """{module name: state dict of averaged weights}, on the CPU."""
        values = iter(self.average)
        return {name: {key: next(values).cpu().clone() for key, _ in module.named_parameters()}
                for name, module in self.modules.items()}

    def save(self, path, started):
        state = {"modules": {name: module.state_dict() for name, module in self.modules.items()},
                 "optimizer": self.optimizer.state_dict(), "average": self.average, "averaged": self.averaged(),
                 "step": self.step_count, "seen": self.seen, "started": started}
        torch.save(state, path + ".part")
        os.replace(path + ".part", path)

    def load(self, path):
        """Continues from a checkpoint; returns when its training started (seconds since the epoch)."""
        state = torch.load(path, map_location=device())
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = [value.to(device()) for value in state["average"]]
        self.step_count, self.seen = state["step"], state["seen"]
        return state["started"]

    def log(self, **values):
        line = json.dumps({"at": time.strftime("%H:%M:%S"), "step": self.step_count, "seen": self.seen,
                           **{key: round(value, 5) for key, value in values.items()}})
        print(line, flush=True)
        with open(self.log_path, "a") as file:
            file.write(line + "\n")
