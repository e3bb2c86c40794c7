"""CloudFormation: templates, change sets and the engine that walks a stack's resources."""
