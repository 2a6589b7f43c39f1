"""How fast spans become durable and queryable, and what that costs."""
