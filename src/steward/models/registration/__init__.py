"""From a trained model to a checked artefact: converted, compiled, compared with the original."""
