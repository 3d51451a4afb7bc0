"""How model files are told apart, read and proven well-formed, without running anything in them."""
