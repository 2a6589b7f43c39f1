"""A small live factory for `andon demo`: three pipelines that really make tokens, and a receiver for the webhooks."""
