"""Deployed functions behave as on Lambda: what they get, what they give back, how they fail."""

import base64
import io
import json
import os
import threading
import time
import zipfile

import pytest
from moto.sts.models import sts_backends

from localcloud.functions.credentials import secret_of
from localcloud.functions.log_stream import LogStream

SECRET = "not-for-functions"


def zip_of(files, *, mode=0o644):
    """Return the files as a zip archive in base64, as Lambda's API takes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, text)
    return base64.b64encode(buffer.getvalue())


def payload(outcome):
    assert not outcome.failed, outcome.payload
    return json.loads(outcome.payload)


def error(outcome):
    assert outcome.failed, outcome.payload
    return json.loads(outcome.payload)


def test_a_python_handler_gets_event_and_context_and_answers(functions):
    function = functions.python(
        """
        def handler(event, context):
            return {"event": event, "name": context.function_name, "memory": context.memory_limit_in_mb,
                    "arn": context.invoked_function_arn, "left": context.get_remaining_time_in_millis()}
        """,
        MemorySize=512,
        Timeout=30,
    )
    answer = payload(functions.invoke(function, {"a": ["ü", 1, None]}))
    assert answer["event"] == {"a": ["ü", 1, None]}
    assert (answer["name"], answer["memory"]) == (function.function_name, "512")
    assert answer["arn"] == function.function_arn
    assert 25_000 < answer["left"] <= 30_000


@pytest.mark.parametrize(
    "source",
    [
        "exports.handler = async (event, context) => ({ event, memory: context.memoryLimitInMB });",
        "exports.handler = (event, context, done) => "
        "setTimeout(() => done(null, { event, memory: context.memoryLimitInMB }), 5);",
    ],
    ids=["async", "callback"],
)
def test_a_node_handler_gets_event_and_context_and_answers(functions, source):
    function = functions.node(source, MemorySize=512)
    assert payload(functions.invoke(function, {"a": "ü"})) == {"event": {"a": "ü"}, "memory": "512"}


def test_a_node_handler_that_never_answers_ends_when_nothing_is_left_to_wait_for(functions):
    function = functions.node("exports.handler = (event, context, done) => {};")
    assert payload(functions.invoke(function)) is None
    assert payload(functions.invoke(function)) is None


def test_a_node_module_with_import_syntax_is_loaded(functions):
    function = functions.create(
        {
            "handler.mjs": "import { Lambda } from '@aws-sdk/client-lambda';\n"
            "export const handler = async () => typeof Lambda;"
        },
        Runtime="nodejs22.x",
    )
    assert payload(functions.invoke(function)) == "function"


def test_a_process_has_its_own_environment_and_nothing_of_the_servers(functions, monkeypatch):
    monkeypatch.setenv("LEAK", SECRET)
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    function = functions.python(
        "import os\ndef handler(event, context):\n    return dict(os.environ)",
        Environment={"Variables": {"TABLE": "orders", "PATH_LIKE": "a:b"}},
    )
    variables = payload(functions.invoke(function))
    assert SECRET not in variables.values()
    assert "PYTHONPATH" not in variables
    assert variables["TABLE"] == "orders"
    assert variables["AWS_REGION"] == "us-east-1"
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == function.function_name
    assert variables["AWS_ENDPOINT_URL"] == functions.cloud.endpoint_url
    assert variables["HOME"] != os.environ.get("HOME")


def test_each_function_has_credentials_of_its_own_role(functions):
    function = functions.python(
        """
        import os
        def handler(event, context):
            return [os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SESSION_TOKEN"]]
        """
    )
    key, token = payload(functions.invoke(function))
    session = secret_of(key)
    assert session is not None
    assert (session.role_arn, session.session_token) == (functions.role_arn, token)
    known = sts_backends[functions.cloud.account]["aws"].get_caller_identity(key, "us-east-1")
    assert known[1].endswith(f"/{function.function_name}")
    assert session.secret_access_key not in repr(session)
    assert secret_of("ASIAUNKNOWN") is None


def test_a_dependency_that_the_archive_lacks_is_missing_though_this_machine_has_it(functions):
    import psycopg2  # noqa: F401 - this interpreter has it

    function = functions.python("import psycopg2\ndef handler(event, context): ...")
    outcome = error(functions.invoke(function))
    assert outcome["errorType"] == "Runtime.ImportModuleError"
    assert outcome["errorMessage"] == "Unable to import module 'handler': No module named 'psycopg2'"


def test_boto3_is_there_as_in_lambdas_runtime(functions):
    function = functions.python("import boto3\ndef handler(event, context): return boto3.__name__")
    assert payload(functions.invoke(function)) == "boto3"


def test_a_missing_client_of_the_sdk_is_named_with_the_remedy(functions):
    function = functions.node("require('@aws-sdk/client-made-up'); exports.handler = async () => 1;")
    outcome = error(functions.invoke(function))
    assert outcome["errorType"] == "Runtime.ImportModuleError"
    assert "npm install @aws-sdk/client-made-up" in outcome["errorMessage"]
    assert "LOCALCLOUD_NODE_MODULES" in outcome["errorMessage"]


def test_a_python_exception_has_lambdas_shape_and_begins_with_the_functions_own_code(functions):
    function = functions.python("def handler(event, context):\n    raise KeyError('stock')")
    outcome = functions.invoke(function)
    described = error(outcome)
    assert (described["errorType"], described["errorMessage"]) == ("KeyError", "'stock'")
    assert described["requestId"] == outcome.request_id
    assert len(described["stackTrace"]) == 1
    assert 'handler.py", line 2, in handler' in described["stackTrace"][0]


def test_a_node_exception_has_lambdas_shape(functions):
    function = functions.node("exports.handler = async () => { throw new RangeError('stock'); };")
    described = error(functions.invoke(function))
    assert (described["errorType"], described["errorMessage"]) == ("RangeError", "stock")
    assert described["trace"][0] == "RangeError: stock"
    assert "handler.js:1" in described["trace"][1]


@pytest.mark.parametrize(
    ("properties", "kind", "message"),
    [
        ({"Handler": "absent.handler"}, "Runtime.ImportModuleError", "Unable to import module 'absent'"),
        (
            {"Handler": "handler.absent"},
            "Runtime.HandlerNotFound",
            "Handler 'absent' missing on module 'handler'",
        ),
        ({"Handler": "handler"}, "Runtime.MalformedHandlerName", "Bad handler 'handler'"),
    ],
)
def test_a_handler_that_cannot_be_found_is_named(functions, properties, kind, message):
    function = functions.python("def handler(event, context): ...", **properties)
    described = error(functions.invoke(function))
    assert described["errorType"] == kind
    assert message in described["errorMessage"]


def test_a_result_that_is_not_json_is_refused(functions):
    function = functions.python("def handler(event, context): return {1, 2}")
    described = error(functions.invoke(function))
    assert described["errorType"] == "Runtime.MarshalError"
    assert "set is not JSON serializable" in described["errorMessage"]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("os._exit(3)", "Runtime exited with error: exit status 3"),
        ("sys.exit(4)", "Runtime exited with error: exit status 4"),
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
    ],
)
def test_a_process_that_ends_is_an_exit_error_and_its_last_lines_are_kept(functions, statement, reason):
    function = functions.python(
        f"import os, sys\ndef handler(event, context):\n    print('last words')\n    {statement}"
    )
    outcome = functions.invoke(function)
    described = error(outcome)
    assert described["errorType"] == "Runtime.ExitError"
    assert described["errorMessage"] == f"RequestId: {outcome.request_id} Error: {reason}"
    assert "last words" in functions.log_of(function)


def test_a_timeout_kills_all_that_the_function_started(functions, tmp_path):
    alive = tmp_path / "alive"
    function = functions.python(
        f"""
        import subprocess, time
        def handler(event, context):
            subprocess.Popen(["sh", "-c", "while :; do date > {alive}; sleep 0.05; done"])
            time.sleep(300)
        """,
        Timeout=3,
    )
    started = time.monotonic()
    outcome = functions.invoke(function)
    assert time.monotonic() - started < 60
    described = error(outcome)
    assert (
        described["errorMessage"]
        == f"RequestId: {outcome.request_id} Error: Task timed out after 3.00 seconds"
    )
    assert alive.exists()
    alive.unlink()
    time.sleep(0.3)
    assert not alive.exists(), "the function's own child outlived the timeout"


def test_a_response_beyond_six_megabytes_is_refused(functions):
    function = functions.python("def handler(event, context): return 'x' * event")
    assert len(payload(functions.invoke(function, 6_000_000))) == 6_000_000
    described = error(functions.invoke(function, 6_291_600))
    assert described["errorType"] == "Function.ResponseSizeTooLarge"


def test_lines_reach_the_log_while_the_function_runs(functions, tmp_path):
    go_on = tmp_path / "go-on"
    function = functions.python(
        f"""
        import logging, os, time
        logging.getLogger().setLevel("INFO")
        def handler(event, context):
            print("1,000 rows loaded")
            logging.info("of a logger")
            while not os.path.exists("{go_on}"):
                time.sleep(0.01)
        """,
        Timeout=120,
    )
    thread = threading.Thread(target=functions.invoke, args=(function,))
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not any("of a logger" in line for line in functions.log_of(function)):
            assert time.monotonic() < deadline, functions.log_of(function)
            time.sleep(0.01)
        assert "1,000 rows loaded" in functions.log_of(function)
        assert not any(line.startswith("END") for line in functions.log_of(function))
    finally:
        go_on.touch()
        thread.join(60)
    lines = functions.log_of(function)
    assert [line.split()[0] for line in lines if "RequestId" in line] == ["START", "END", "REPORT"]
    assert lines[-1].startswith("REPORT")
    assert "Max Memory Used:" in lines[-1]


def test_every_line_is_in_the_log_before_the_invocation_ends(functions):
    function = functions.python("def handler(event, context):\n    for n in range(5000): print(n)")
    for _ in range(3):
        functions.invoke(function)
    lines = functions.log_of(function)
    inside = "".join(
        "(" if line.startswith("START") else ")" if line.startswith("END") else "."
        for line in lines
        if not line.startswith("REPORT")
    )
    assert inside == ("(" + "." * 5000 + ")") * 3


def test_an_invocation_ends_after_its_lines_however_slowly_the_log_takes_them(functions, monkeypatch):
    write = LogStream.write

    def slowly(log, line):
        time.sleep(0.1)
        write(log, line)

    monkeypatch.setattr(LogStream, "write", slowly)
    function = functions.python("def handler(event, context):\n    for n in range(40): print(n)")
    functions.invoke(function)
    lines = functions.log_of(function)
    assert lines[1:-2] == [str(n) for n in range(40)]
    assert lines[-2].startswith("END")


def test_the_logs_tail_is_of_this_invocation_and_at_most_four_kilobytes(functions):
    function = functions.python("def handler(event, context):\n    for n in range(event): print('line', n)")
    assert len(functions.invoke(function, 2000).log_tail) <= 4096
    tail = functions.invoke(function, 1).log_tail.splitlines()
    assert tail[0].startswith("START")
    assert tail[1] == "line 0"


def test_a_log_group_comes_with_the_first_invocation_not_before(functions):
    function = functions.python("print('loading')\ndef handler(event, context): ...")
    functions.runner.prepare(function)
    time.sleep(0.5)
    assert function.logs_group_name not in functions.logs.groups
    functions.invoke(function)
    assert "loading" in functions.log_of(function)


def test_programs_in_the_archive_can_be_run(functions):
    files = {
        "tool": "#!/bin/sh\necho from the tool\n",
        "handler.py": "import subprocess\ndef handler(event, context):\n"
        "    return subprocess.run(['./tool'], capture_output=True, text=True).stdout",
    }
    function = functions.create({}, Code={"ZipFile": zip_of(files, mode=0o755)}, Runtime="python3.13")
    assert payload(functions.invoke(function)) == "from the tool\n"


def test_a_layer_is_importable(functions):
    layer = functions.backend.publish_layer_version(
        {"LayerName": "shared", "Content": {"ZipFile": zip_of({"python/shared.py": "VALUE = 7"})}}
    )
    function = functions.python(
        "import shared\ndef handler(event, context): return shared.VALUE", Layers=[layer.arn]
    )
    assert payload(functions.invoke(function)) == 7


def test_tls_clients_of_a_function_trust_the_clouds_authority_once_there_is_one(functions):
    function = functions.python(
        "import os\ndef handler(event, context):\n    return open(os.environ['SSL_CERT_FILE']).read()"
    )
    machine = payload(functions.invoke(function))
    assert "BEGIN CERTIFICATE" in machine
    functions.cloud.ca_bundle.write_text("the cloud's own")
    both = payload(functions.invoke(function))
    assert "the cloud's own" in both
    assert machine in both
