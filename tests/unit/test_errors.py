import pickle

import pytest

from la_outcomes import errors

CODES = {
    "UsageError": 2,
    "InputError": 3,
    "StatisticsError": 3,
    "PartlyDoneError": 4,
    "AuditError": 5,
    "RegistryLockedError": 6,
    "ResourceError": 7,
}


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_each_error_has_the_exit_code_of_the_contract(name, code):
    assert getattr(errors, name)("x").exit_code == code


def test_an_error_says_what_where_and_what_to_do():
    error = errors.InputError("4 dimensions", where="ct.nii.gz", hint="give one volume")
    assert str(error) == "4 dimensions | where: ct.nii.gz | hint: give one volume"


def test_an_error_survives_the_way_back_from_a_worker():
    error = errors.InputError("4 dimensions", where="ct.nii.gz", hint="give one volume")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is errors.InputError
    assert str(again) == str(error)
