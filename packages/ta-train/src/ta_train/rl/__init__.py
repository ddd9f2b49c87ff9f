"""Training on answers the model writes itself: reward model, PPO, GRPO, RLOO, on-policy distillation."""
