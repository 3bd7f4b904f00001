"""Files on disk: whole writes, locks, cache folders."""
