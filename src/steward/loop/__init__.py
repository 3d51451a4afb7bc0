"""How one run goes, one verb a file: receive, featurize, predict, choose, gate, act, observe, value."""
