"""Brings a database's schema to what plain .sql files say: from CloudFormation and from the command line."""
