"""Columns that Django has no field for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    CharField = models.CharField[str, str]
else:
    CharField = models.CharField


class ExactCharField(CharField):
    """A text of which each letter counts. The usual collations of MariaDB and MySQL take "acme" for "ACME", so that
    two tenants would be one there, and only there.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        """As any text, but compared by its code points."""
        parameters: dict[str, Any] = dict(super().db_parameters(connection))
        if connection.vendor == "mysql":
            parameters["collation"] = self.db_collation or "utf8mb4_bin"
        return parameters
