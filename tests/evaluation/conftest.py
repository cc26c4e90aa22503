import pytest


@pytest.fixture(scope="module", autouse=True)
def compiled_quickly(request):
    # Whoever measures the memory of programs needs them as users have them.
    if request.module.__name__ != "tests.evaluation.test_exactness":
        request.getfixturevalue("quick_compilation")
