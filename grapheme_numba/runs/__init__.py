"""Runs on disk: session, folder, checkpoints, journal, resuming, prediction."""
