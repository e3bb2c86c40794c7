"""An embedded AWS on one machine: the unmodified CDK CLI deploys onto it; databases and functions are real."""
