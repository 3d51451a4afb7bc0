"""Demand response: a few calls a year to customers to use less, on the days that will have been the highest."""
