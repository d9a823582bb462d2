"""Records before they are sealed: what the plan asks for, and an owner's files held to it."""
