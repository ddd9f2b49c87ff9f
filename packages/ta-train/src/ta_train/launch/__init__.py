"""Several processes: torchrun and accelerate with the shipped presets."""
