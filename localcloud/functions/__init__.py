"""Lambda functions as processes: started from the deployed code, with exactly their own environment.

runner.py         invokes a deployed function; what a caller gets back
invoke_api.py     Lambda's Invoke over HTTP, in moto's place
warm_pool.py      which processes are kept for the next invocation, and when they end
configuration.py  what decides how a process is started
launcher.py       starts one: code, libraries, credentials, variables
environment.py    one execution environment: a process, its control socket, its log
live.py           which processes there are right now
runtimes.py       which runtimes exist here, and the command of each
variables.py      the environment variables of a process
credentials.py    whose credentials it has
trust_store.py    which authorities its TLS clients trust
code_store.py     deployed archives, unpacked
inline_code.py    the archive of code that stands in a template
log_stream.py     its lines in CloudWatch Logs
*_bootstrap.*     what runs inside the process, before and around the handler
"""
