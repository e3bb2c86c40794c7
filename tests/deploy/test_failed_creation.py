"""A creation that fails is rolled back whole, says why, and can be put right."""


def test_a_failed_creation_leaves_nothing_and_can_be_put_right(foreign_app, cloud):
    app = foreign_app
    without_database = {"database": "false"}
    app.synthesize_all(broken={"broken": "true"} | without_database, right=without_database)
    app.bootstrap("right")

    said = app.deploy("broken", "ForeignNotice", check=False)
    assert said.returncode == 1
    reason = "Received response status [FAILED] from custom resource. Message returned: told to fail"
    assert reason in said.stdout, said.stdout
    assert app.status_of("ForeignNotice") == "ROLLBACK_COMPLETE"
    assert [left for left in cloud.left_over() if "stacks" not in left] == []
    app.deploy("right", "ForeignNotice")
    assert app.status_of("ForeignNotice") == "CREATE_COMPLETE"
    app.destroy("right")
    assert cloud.left_over() == []
