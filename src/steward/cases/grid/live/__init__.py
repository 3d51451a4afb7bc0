"""The demo: a region that lives while somebody looks."""
