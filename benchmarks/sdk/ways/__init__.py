"""One file for each way to instrument a call; `ways.toml` says what each needs."""
