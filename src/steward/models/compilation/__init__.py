"""Each model in its fastest exact form, compared with the original."""
