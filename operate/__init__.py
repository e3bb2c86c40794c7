"""What the make verbs do: deploy to the local cloud or to AWS, watch it, report, take it away."""
