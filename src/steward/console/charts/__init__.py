"""Charts as values, drawn on the server as SVG: readable without JavaScript, in print, and in both themes."""
