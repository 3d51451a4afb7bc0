"""The HTTP face: hot routes as raw ASGI in front, everything else FastAPI, one description of both."""
