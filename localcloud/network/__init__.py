"""What security groups, routes and endpoints would drop on AWS is met with silence here.

callers.py          whose connection is this: the function behind a TCP connection to this machine
interfaces.py       where functions, clusters and proxies stand: VPC, subnets, addresses, security groups
security_groups.py  whether rules on both sides let a connection pass
routes.py           how an API call leaves a VPC: interface endpoint, gateway endpoint, NAT gateway
prefix_lists.py     AWS's own lists of the addresses of S3 and DynamoDB
admission.py        the decision, at a database endpoint and for an API call; what was refused
api_door.py         the same before the AWS APIs, as HTTP meets it
"""
