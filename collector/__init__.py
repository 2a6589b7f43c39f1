"""The way of a span into the store: receiver, decode to Arrow columns, journal, writer."""
