"""Everything that fixes a model and its training: what it draws, sizes, seeds, budgets. RECIPES has one entry a model."""
from dataclasses import dataclass

import worlds

# The linear schedule ends in almost pure noise, so the model learns overall brightness too: nights are dark.
SCHEDULE = {"num_train_timesteps": 1000, "beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02}


@dataclass(frozen=True)
class Recipe:
    world: worlds.World
    pictures: int  # drawn once and cached; the last `validation` of them are never trained on
    validation: int
    autoencoder: dict
    unet: dict
    text_encoder: dict
    sampling: dict  # what the model recommends for its runs
    autoencoder_training: dict
    unet_training: dict

    @property
    def latent_size(self):
        return self.world.size // 8


DEMO = Recipe(
    world=worlds.DEMO,
    pictures=16384,
    validation=512,
    autoencoder={"channels": (16, 32, 64, 64), "layers": 1, "groups": 8},
    unet={"channels": (64, 64, 64, 64), "layers": 2, "head_channels": 32, "context_channels": 96, "groups": 16},
    text_encoder={"width": 96, "layers": 2, "heads": 3, "max_tokens": 32},
    sampling={"steps": 25, "guidance": 2.5},  # more guidance makes colours heavy and things double
    autoencoder_training={
        "pictures": 300_000, "batch": 8, "learning_rate": 1e-3, "weight_decay": 1e-3, "ema": 0.998, "warm_up": 50,
        "kl_weight": 2e-3,
    },
    unet_training={
        "pictures": 2_000_000, "batch": 16, "learning_rate": 1e-3, "weight_decay": 1e-2, "ema": 0.998, "warm_up": 150,
        "caption_drop": 0.1, "filler_probability": 0.1,
    },
)

# The demo's networks, so that its weights can be started from; only captions may be longer.
SCENES = Recipe(
    world=worlds.SCENES,
    pictures=6144,
    validation=256,
    autoencoder=DEMO.autoencoder,
    unet=DEMO.unet,
    text_encoder={**DEMO.text_encoder, "max_tokens": 77},
    sampling=DEMO.sampling,
    autoencoder_training={**DEMO.autoencoder_training, "pictures": 100_000, "learning_rate": 5e-4},
    unet_training={**DEMO.unet_training, "batch": 8, "warm_up": 50},
)

RECIPES = {"demo": DEMO, "scenes": SCENES}
