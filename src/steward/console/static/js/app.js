// What every page does in the browser. Nothing here decides anything: all of it works without, only less comfortably.
