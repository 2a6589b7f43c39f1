"""The 3AM checklist: what is red, since when, why, and what to do now."""
