"""The board: one page, the JSON API under it, and the health endpoints, on FastAPI."""
