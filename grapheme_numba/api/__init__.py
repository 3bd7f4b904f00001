"""The functions behind `gn.train`, `gn.load`, `gn.convert` and `gn.open_dataset`, and behind the command line."""
