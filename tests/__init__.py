"""Importing this package, before any test, has annotations checked in all of them."""

from tests import type_checks

type_checks.install()
