"""What is fast, measured: a synthetic French population and the load that is made of it."""
