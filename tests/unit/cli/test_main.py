import subprocess
import sys

import pytest

from la_outcomes.cli import main
from la_outcomes.errors import InputError, ResourceError


def test_every_verb_can_be_imported_and_has_help(capsys):
    for verb in main.VERBS:
        assert main.run([verb, "--help"]) == 0, verb
        assert "Usage:" in capsys.readouterr().out


def test_an_unknown_verb_is_wrong_use():
    assert main.run(["nosuch"]) == 2


@pytest.mark.parametrize(("error", "code"), [(InputError("x"), 3), (ResourceError("x"), 7)])
def test_errors_become_exit_codes(monkeypatch, capsys, error, code):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(main, "get_command", lambda app: fail)
    assert main.run([]) == code
    assert "error: x" in capsys.readouterr().err


def test_help_is_quick_because_it_imports_no_heavy_package():
    code = (
        "import sys; from la_outcomes.cli import main; main.run(['--help']);"
        "heavy = {'torch', 'SimpleITK', 'pandas', 'duckdb', 'nnunetv2'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
