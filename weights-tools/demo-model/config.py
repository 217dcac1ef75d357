"""Everything that fixes the model and its training: sizes, seeds, budgets."""

PICTURES = 16384  # drawn once and cached; the last VALIDATION of them are never trained on
VALIDATION = 512

AUTOENCODER = {"channels": (16, 32, 64, 64), "layers": 1, "groups": 8}
UNET = {"channels": (64, 64, 64, 64), "layers": 2, "head_channels": 32, "context_channels": 96, "groups": 16}
TEXT_ENCODER = {"width": 96, "layers": 2, "heads": 3, "max_tokens": 32}

# The linear schedule ends in almost pure noise, so the model learns overall brightness too: nights are dark.
SCHEDULE = {"num_train_timesteps": 1000, "beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02}

# What the model recommends for its runs; more guidance makes colours heavy and things double.
SAMPLING = {"steps": 25, "guidance": 2.5}

AUTOENCODER_TRAINING = {
    "pictures": 300_000, "batch": 8, "learning_rate": 1e-3, "weight_decay": 1e-3, "ema": 0.998, "warm_up": 50,
    "kl_weight": 2e-3,
}
UNET_TRAINING = {
    "pictures": 2_000_000, "batch": 16, "learning_rate": 1e-3, "weight_decay": 1e-2, "ema": 0.998, "warm_up": 150,
    "caption_drop": 0.1, "filler_probability": 0.1,
}
