"""Blind A/B with people: what raters see and the sealed key, votes, page and terminal, analysis."""
