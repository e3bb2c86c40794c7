"""Rehearsals of what nobody wants to do for the first time: failover, restore, upgrade; on AWS and locally.

Each ends with a report: did it work, how long did it take or nobody get an answer, are the data the same.
"""
