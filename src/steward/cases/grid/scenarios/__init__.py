"""Scenarios: what dispatch would earn in thousands of years that could have been, as a batch of low priority."""
