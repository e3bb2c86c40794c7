"""Lambda functions as processes: started from the deployed code, with exactly their own environment.

runner.py       invokes a deployed function; what a caller gets back
warm_pool.py    which processes are kept for the next invocation, and when they end
environment.py  one execution environment: a process, its control socket, its log
runtimes.py     which runtimes exist here, and the command that starts each
variables.py    the environment variables of a process
credentials.py  whose credentials it has
code_store.py   deployed archives, unpacked
log_stream.py   its lines in CloudWatch Logs
*_bootstrap.*   what runs inside the process, before and around the handler
"""
