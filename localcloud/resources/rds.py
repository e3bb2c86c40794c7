"""AWS::RDS: Aurora for real, everything around it as records in moto.

A type or engine without a real server behind it fails: a database that is only described serves nobody.
"""

from __future__ import annotations

from localcloud.resources.base import Handler
from localcloud.resources.rds_clusters import Cluster
from localcloud.resources.rds_events import EventSubscription
from localcloud.resources.rds_groups import ClusterParameterGroup, InstanceParameterGroup, SubnetGroup
from localcloud.resources.rds_instances import Instance
from localcloud.resources.rds_proxies import Proxy, ProxyEndpoint, ProxyTargetGroup

HANDLERS: dict[str, Handler] = {
    "AWS::RDS::DBSubnetGroup": SubnetGroup(),
    "AWS::RDS::DBClusterParameterGroup": ClusterParameterGroup(),
    "AWS::RDS::DBParameterGroup": InstanceParameterGroup(),
    "AWS::RDS::DBCluster": Cluster(),
    "AWS::RDS::DBInstance": Instance(),
    "AWS::RDS::DBProxy": Proxy(),
    "AWS::RDS::DBProxyTargetGroup": ProxyTargetGroup(),
    "AWS::RDS::DBProxyEndpoint": ProxyEndpoint(),
    "AWS::RDS::EventSubscription": EventSubscription(),
}
