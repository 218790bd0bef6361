"""The parts of tests/bench/run.py. Standard library only."""
