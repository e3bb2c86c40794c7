"""CloudWatch's alarms: what state they should be in, and who hears that it has changed.

states.py      datapoints -> a state, and CloudWatch's words for it
rules.py       a composite alarm's rule over other alarms' states
messages.py    a change of state as topics and EventBridge hear of it
evaluator.py   looks at every alarm every few seconds
"""
