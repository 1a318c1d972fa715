#!/usr/bin/env python3
"""Uses the API's document the way strangers do.

    openapi.py check DOCUMENT               it is valid, and so is every example in it
    openapi.py generate DOCUMENT FOLDER     makes a client in FOLDER/backstay_client
    openapi.py drive FOLDER URL KEY PLAN    backs a database up and restores it with that client

PLAN is JSON: the server's `url`, the `database`, and a `folder` for a repository.
"""

import json
import subprocess
import sys
import time
from pathlib import Path


def check(path):
    from jsonschema import Draft202012Validator
    from openapi_spec_validator import OpenAPIV31SpecValidator

    document = json.loads(Path(path).read_text())
    wrong = [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]
    examples = 0
    for where, content in contents(document, []):
        if content.get("example") is None:
            continue
        examples += 1
        schema = {**content["schema"], "components": document["components"]}
        for error in Draft202012Validator(schema).iter_errors(content["example"]):
            wrong.append(f"{'/'.join(where)}: {error.json_path}: {error.message}")
    for line in wrong:
        print(line)
    print(f"{len(document['paths'])} paths, {examples} examples, {len(wrong)} wrong")
    return 1 if wrong or not examples else 0


def contents(value, where):
    """Everything with a schema and an example, and where it is."""
    if isinstance(value, dict):
        if "example" in value and "schema" in value:
            yield where, value
        for name, member in value.items():
            yield from contents(member, [*where, name])
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from contents(member, [*where, str(number)])


def generate(document, folder):
    # Its formatter is no part of what is tried, and it has to be told which files are bytes.
    files = ("application/sql", "application/x-tar", "application/zip")
    overrides = {media: "application/octet-stream" for media in files}
    settings = Path(folder, "settings.json")
    settings.write_text(json.dumps({"post_hooks": [], "content_type_overrides": overrides}))
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", "--overwrite"]
    command += ["--meta", "none", "--path", document, "--config", str(settings)]
    command += ["--output-path", str(Path(folder, "backstay_client"))]
    return subprocess.run(command, check=False).returncode


def drive(folder, url, key, plan):
    sys.path.insert(0, folder)
    from backstay_client import AuthenticatedClient
    from backstay_client.api.backups import backups_restore, backups_run, backups_show
    from backstay_client.api.connections import connections_add, connections_databases
    from backstay_client.api.repositories import repositories_add
    from backstay_client.api.restores import restores_show
    from backstay_client.api.runs import runs_log, runs_show
    from backstay_client.models import BackupCreate, ConnectionCreate, RepositoryCreate, RestoreCreate
    from backstay_client.models import ProblemDetails

    plan = json.loads(plan)
    client = AuthenticatedClient(base_url=url, token=key, raise_on_unexpected_status=True)

    def ask(operation, *words, **more):
        answer = operation.sync(*words, client=client, **more)
        assert answer is not None, operation.__name__
        assert not isinstance(answer, ProblemDetails), answer
        return answer

    def wait(started):
        while True:
            run = ask(runs_show, started.run_id)
            if run.status.value not in ("pending", "running"):
                break
            time.sleep(0.05)
        lines = "\n".join(line.text for line in ask(runs_log, started.run_id).items)
        assert run.status.value == "success", f"{run.title}: {run.status}\n{lines}"
        assert lines, run.title
        return run

    ask(repositories_add, body=RepositoryCreate(name="generated", location=plan["folder"], default=True))
    connection = ask(connections_add, body=ConnectionCreate(name="server", url=plan["url"]))
    names = [database.name for database in ask(connections_databases, connection.id).items]
    assert plan["database"] in names, names

    body = BackupCreate(connection="server", database=plan["database"], label="by-the-client")
    started = ask(backups_run, body=body, idempotency_key="one-backup")
    again = ask(backups_run, body=body, idempotency_key="one-backup")
    assert again.run_id == started.run_id, "the same key made another backup"
    wait(started)
    backup = ask(backups_show, started.backup_ids[0])
    assert backup.label == "by-the-client" and backup.rows > 0, backup

    target = plan["database"] + "_restored"
    plan = ask(backups_restore, backup.id, body=RestoreCreate(database=target, dry_run=True))
    assert plan.creates_database and plan.rows == backup.rows, plan
    started = ask(backups_restore, backup.id, body=RestoreCreate(database=target))
    wait(started)
    restore = ask(restores_show, started.restore_id)
    assert restore.rows == backup.rows and restore.database == target, restore
    print(f"{restore.rows} rows in {restore.database}")
    return 0


if __name__ == "__main__":
    sys.exit({"check": check, "generate": generate, "drive": drive}[sys.argv[1]](*sys.argv[2:]))
