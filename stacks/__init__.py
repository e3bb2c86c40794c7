"""What is deployed: typed settings and the three stacks built from them."""
