"""Serving: engines that answer for models, in this process or far away, behind one port."""
