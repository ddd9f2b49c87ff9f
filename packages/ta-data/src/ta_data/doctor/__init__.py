"""The dataset doctor: what would make a training run fail, leak or learn the wrong thing, before it is paid."""
