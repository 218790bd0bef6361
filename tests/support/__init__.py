"""Pieces the Python tests are made of: the daemon, senders of other makers, a recording oracle, the corpus."""
