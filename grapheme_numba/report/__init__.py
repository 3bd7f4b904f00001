"""What people look at after a run: the report, figures, event files."""
