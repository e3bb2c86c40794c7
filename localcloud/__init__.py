"""An embedded AWS: the unmodified CDK CLI deploys onto one machine; databases and functions are real."""
