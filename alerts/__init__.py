"""Alerts: rules over signals, their states, the outbox and the channels that carry messages."""
