"""The command line: `python -m trust_core JOB ...`."""
