"""Processes are kept for the next invocation: the right ones, few, not for long, never beyond the server."""

import base64
import io
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from localcloud.functions.runner import Functions
from localcloud.functions.warm_pool import WarmPool

PROCESS_ID = "import os\ndef handler(event, context): return os.getpid()"


def process_of(functions, function):
    return json.loads(functions.invoke(function).payload)


def is_alive(process_id):
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_the_next_invocation_meets_the_same_process(functions):
    function = functions.python(PROCESS_ID)
    assert len({process_of(functions, function) for _ in range(3)}) == 1


def test_a_handlers_exception_keeps_its_process_an_exit_does_not(functions):
    function = functions.python(
        "import os\ndef handler(event, context):\n"
        "    if event == 'raise': raise ValueError\n"
        "    if event == 'exit': os._exit(1)\n"
        "    return os.getpid()"
    )
    first = process_of(functions, function)
    functions.invoke(function, "raise")
    assert process_of(functions, function) == first
    functions.invoke(function, "exit")
    assert process_of(functions, function) != first


@pytest.mark.parametrize(
    "change",
    [
        {"Environment": {"Variables": {"A": "1"}}},
        {"Timeout": 7},
        {"MemorySize": 256},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_configuration_gets_a_new_process(functions, change):
    function = functions.python(PROCESS_ID)
    before = process_of(functions, function)
    function.update_configuration(change)
    assert process_of(functions, function) != before


def test_a_prepared_change_ends_the_processes_of_the_earlier_state(functions):
    function = functions.python(PROCESS_ID)
    before = process_of(functions, function)
    function.update_configuration({"Timeout": 7})
    functions.runner.prepare(function)
    assert eventually(lambda: not is_alive(before))


def test_a_prepared_function_is_loaded_before_its_first_invocation(functions, tmp_path):
    loaded = tmp_path / "loaded"
    function = functions.python(f"open('{loaded}', 'w').close()\n" + PROCESS_ID)
    functions.runner.prepare(function)
    assert eventually(loaded.exists)
    assert "Init Duration" not in functions.invoke(function).log_tail


def test_a_deleted_functions_processes_end(functions):
    function = functions.python(PROCESS_ID)
    before = process_of(functions, function)
    functions.runner.forget(function.function_arn)
    assert eventually(lambda: not is_alive(before))


def test_a_process_that_works_while_its_function_is_deleted_ends_afterwards(functions, tmp_path):
    started, go_on = tmp_path / "process-id", tmp_path / "go-on"
    function = functions.python(
        f"import os, time\ndef handler(event, context):\n"
        f"    open('{started}', 'w').write(str(os.getpid()))\n"
        f"    while not os.path.exists('{go_on}'): time.sleep(0.01)",
        Timeout=120,
    )
    thread = threading.Thread(target=functions.invoke, args=(function,))
    thread.start()
    assert eventually(lambda: started.exists() and started.read_text())
    functions.runner.forget(function.function_arn)
    assert is_alive(int(started.read_text()))
    go_on.touch()
    thread.join(60)
    assert eventually(lambda: not is_alive(int(started.read_text())))


def test_an_earlier_version_keeps_its_process_when_the_function_changes(functions):
    function = functions.python(PROCESS_ID)
    version = functions.backend.publish_version(function.function_name)
    of_version = process_of(functions, version)
    function.update_configuration({"Timeout": 7})
    functions.runner.prepare(function)
    assert process_of(functions, version) == of_version
    functions.runner.forget(function.function_arn)
    assert eventually(lambda: not is_alive(of_version))


@dataclass(frozen=True)
class Named:
    """A configuration that is only a name."""

    arn: str

    @property
    def function_arn(self):
        return self.arn


class Idle:
    """An environment that only says whether it was closed."""

    def __init__(self, name):
        self.configuration, self.alive, self.closed = Named(name), True, False

    def close(self):
        self.closed = True


def test_no_more_than_the_bound_are_kept_and_the_longest_idle_goes_first():
    pool = WarmPool(most_idle=2, idle_seconds=60)
    environments = [Idle(name) for name in "abc"]
    for environment in environments:
        pool.give(environment)
    assert [environment.closed for environment in environments] == [True, False, False]
    assert pool.take(Named("a")) is None
    assert pool.take(Named("c")) is environments[2]
    pool.close()


def test_an_environment_ends_when_it_has_been_idle_for_long():
    pool = WarmPool(idle_seconds=0.1)
    environment = Idle("a")
    pool.give(environment)
    assert eventually(lambda: environment.closed)
    pool.close()


def test_what_is_given_back_after_the_end_ends_too():
    pool = WarmPool()
    pool.close()
    environment = Idle("a")
    pool.give(environment)
    assert environment.closed


def test_a_dead_process_is_not_handed_out():
    pool = WarmPool()
    environment = Idle("a")
    environment.alive = False
    pool.give(environment)
    assert pool.take(Named("a")) is None
    pool.close()


def test_shutting_down_ends_idle_and_working_processes(lambda_cloud, functions, tmp_path):
    idle = process_of(functions, functions.python(PROCESS_ID))
    started = tmp_path / "process-id"
    busy = functions.python(
        f"import os, time\ndef handler(event, context):\n"
        f"    open('{started}', 'w').write(str(os.getpid()))\n    time.sleep(60)",
        Timeout=60,
    )
    thread = threading.Thread(target=functions.invoke, args=(busy,))
    thread.start()
    assert eventually(lambda: started.exists() and started.read_text())
    lambda_cloud.shut_down()
    thread.join(60)
    assert not thread.is_alive()
    assert not is_alive(idle)
    assert not is_alive(int(started.read_text()))
    assert list((lambda_cloud.directory / "functions" / "scratch").iterdir()) == []


@pytest.mark.parametrize("runtime", ["python3.13", "nodejs22.x"])
def test_processes_end_when_the_server_is_killed(tmp_path, runtime):
    """SIGKILL lets nobody clean up: each process has to notice by itself."""
    server = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from conftest import DeployedFunctions
        from localcloud.cloud import Cloud
        functions = DeployedFunctions(Cloud(port=1, directory=Path({str(tmp_path)!r})))
        if {runtime!r}.startswith("python"):
            function = functions.python("import os\\ndef handler(event, context): return os.getpid()")
        else:
            function = functions.node("exports.handler = async () => process.pid")
        print(functions.invoke(function).payload, flush=True)
        time.sleep(60)
        """
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", server], stdout=subprocess.PIPE, env=environment) as process:
        function_process = int(process.stdout.readline())
        assert is_alive(function_process)
        process.kill()
    assert eventually(lambda: not is_alive(function_process))


def test_a_cloud_has_one_runner(lambda_cloud):
    assert lambda_cloud.part(Functions, Functions) is lambda_cloud.part(Functions, Functions)


def test_a_preparation_that_comes_late_loads_the_code_that_it_was_asked_for(functions, monkeypatch):
    """The function may have other code by then: nothing may run one state's code under another's name."""
    function = functions.python("def handler(event, context): return 'first'")
    queued = []
    monkeypatch.setattr(functions.runner._preparing, "submit", lambda *call: queued.append(call))
    functions.runner.prepare(function)
    first = function.code_bytes
    function.update_function_code({"ZipFile": zip_of("def handler(event, context): return 'second'")})
    ((late, *arguments),) = queued
    late(*arguments)
    assert json.loads(functions.invoke(function).payload) == "second"
    function.update_function_code({"ZipFile": base64.b64encode(first)})
    assert json.loads(functions.invoke(function).payload) == "first"


def zip_of(source):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("handler.py", source)
    return base64.b64encode(buffer.getvalue())
