"""What is deployed: typed settings and the four stacks built from them."""
