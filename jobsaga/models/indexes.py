"""An index of the few rows that matter, on databases that know partial indexes and on those that do not."""

from __future__ import annotations

from typing import Any

from django.db import models


class PartialIndex(models.Index):
    """A partial index; where there is none, a plain one that begins with the column of the condition.

    The first field is for those databases alone. PostgreSQL leaves a condition out of the search that the index
    has already: with that column in front it would walk over the whole index, also over the jobs of other types.
    """

    def create_sql(self, model: Any, schema_editor: Any, using: str = "", **kwargs: Any) -> Any:
        """The statement, as this database can have it."""
        if not schema_editor.connection.features.supports_partial_indexes:
            return super().create_sql(model, schema_editor, using, **kwargs)
        _, *fields = [f"-{name}" if order else name for name, order in self.fields_orders]
        partial = models.Index(fields=fields, name=self.name, condition=self.condition)
        return partial.create_sql(model, schema_editor, using, **kwargs)
