"""Both stores: opening them, their tables, and the query and insert primitives. Nothing above imports a driver."""
