"""Passes of training over tiles: forward, backward, losses, updates."""
