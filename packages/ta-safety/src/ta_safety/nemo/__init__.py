"""The guard inside NeMo Guardrails (extra `rails`), for teams that have rails of their own there."""
