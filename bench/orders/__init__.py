"""Orders under load: ours beside pgbench, sysbench and a naive client, on both engines, in one run."""
