"""What services tell: to topics, to EventBridge, and from there to those who subscribed.

outbox.py      one thread that tells it all, in order: who acts need not wait for those who listen
topics.py      a service publishes to a topic, if its policy and its key's let it
delivery.py    whether a subscriber takes a message of a topic, or of a rule
event_bus.py   events of services to the targets of the rules that match
rds_events.py  what RDS tells of clusters, instances and parameter groups
"""
