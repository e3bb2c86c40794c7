"""CloudWatch's metrics: what arrives, what is asked of it.

samples.py           what is measured, series by series
embedded_format.py   a line of a log -> samples
statistics.py        samples of a period -> Average, p99, ...
expressions.py       metric math
queries.py           GetMetricData: series, expressions, answers
of_functions.py      AWS/Lambda, from real invocations
of_databases.py      AWS/RDS, from the real servers
"""
