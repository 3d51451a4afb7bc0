"""The engines that answer: one for each kind of model."""
