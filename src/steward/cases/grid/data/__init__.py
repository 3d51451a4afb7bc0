"""Where the region's series come from: files, made-up regions, local days, and what is wrong with them."""
