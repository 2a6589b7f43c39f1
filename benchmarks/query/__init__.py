"""How fast questions are answered over much history."""
