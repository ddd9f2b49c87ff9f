"""Training from preference rows: DPO and its losses, ORPO, KTO."""
