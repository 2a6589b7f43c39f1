"""The token ledger and the money: usage per minute, prices, capacity pools, and the quantities made of them."""
