"""What the lists in the admin have in common.

The tables may be large, so every list is in the order of an index, offers no other order, counts only so far,
and filters by what is known without reading it. Rows come from JOBSAGA's database, whatever the routers say.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import Truncator

from jobsaga.conf import settings
from jobsaga.consumers import consumers
from jobsaga.live import access, scope
from jobsaga.models import JobInstance, JobSaga, JobTypeSaga
from jobsaga.store.lookup import id_like

if TYPE_CHECKING:
    Base = admin.options.BaseModelAdmin[Any]
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
else:
    Base, ModelAdmin, TabularInline = object, admin.ModelAdmin, admin.TabularInline

#: A list of more rows has no further pages: its filters and its search lead to the rest.
COUNTED = 10_000
#: For a part of an id so many of the newest rows are looked through, since no index leads there.
LOOKED_THROUGH = 20_000
#: How many of its newest attempts and lines of history are shown with a job.
INLINE = 100
SHORTENED = 100
NOTHING = "-"


class ReadOnly(Base):
    """No permission but to view, only JOBSAGA's database, and only what belongs to jobs that the user sees."""

    #: The fields for those alone who may see what jobs were given, saved and returned.
    payload: ClassVar[tuple[str, ...]] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Django's, on the right alias, as far as the user sees the jobs."""
        rows = super().get_queryset(request).using(settings.DATABASE)
        return scope.admitted(rows, scope.Viewer(request.user))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """All, or those without the payload."""
        found: Any = super().get_fieldsets(request, obj)
        if request.user.has_perm(access.PAYLOAD):
            return found
        return [
            (name, {**options, "fields": [each for each in options["fields"] if each not in self.payload]})
            for name, options in found
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """All that is shown."""
        return flatten_fieldsets(self.get_fieldsets(request, obj))

    @admin.display(description="job")
    def job_link(self, row: Any) -> str:
        """The id of the row's job, as a link. The job may be gone."""
        return link(JobSaga, row.job_id)

    @admin.display(description="instance")
    def instance_link(self, row: Any) -> str:
        """The worker of a row, as a link. Its row may be gone."""
        return link(JobInstance, row.instance_id, str(row.instance) if row.instance else "")

    @admin.display(description="fault")
    def fault_text(self, row: Any) -> str:
        """An exception with its traceback."""
        if not row.fault:
            return NOTHING
        said = f"{row.fault.get('type', '')}: {row.fault.get('message', '')}"
        return format_html("<pre>{}</pre>", row.fault.get("traceback") or said)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds rows here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes rows here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes rows here."""
        return False


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than ``COUNTED``, so that a page of a large table comes at once."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, or ``COUNTED``."""
        rows: Any = self.object_list
        return int(rows.order_by()[:COUNTED].count())


class ReadOnlyAdmin(ReadOnly, ModelAdmin):
    """A list of rows and a page for each."""

    ordering: ClassVar[tuple[str, ...]] = ("-pk",)
    sortable_by: ClassVar[tuple[str, ...]] = ()
    actions: Any = None
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = CappedPaginator
    list_per_page = 50
    #: The columns that the search compares with an id, and those that it compares with a text.
    search_ids: ClassVar[tuple[str, ...]] = ()
    search_texts: ClassVar[tuple[str, ...]] = ()
    #: Whether the beginning or the end of a row's own id is enough.
    search_parts_of_ids = False

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """With any, Django shows the search field."""
        return (*self.search_ids, *self.search_texts)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """The rows of this id or text."""
        term = search_term.strip()
        if not term:
            return queryset, False
        found = Q(*(Q((name, term)) for name in self.search_texts), _connector=Q.OR)
        try:
            found |= Q(*(Q((name, UUID(term))) for name in self.search_ids), _connector=Q.OR)
        except ValueError:
            found |= self._by_part_of_id(term, queryset)
        return queryset.filter(found) if found else queryset.none(), False

    def _by_part_of_id(self, term: str, rows: QuerySet[Any]) -> Q:
        try:
            found = id_like(term) if self.search_parts_of_ids else Q()
        except ValueError:
            found = Q()
        if not found:
            return found
        last = rows.order_by("-pk").values_list("pk", flat=True)[LOOKED_THROUGH - 1 : LOOKED_THROUGH].first()
        return found & Q(pk__gte=last) if last else found


class NewestRows(BaseInlineFormSet):  # type: ignore[type-arg]
    """The first ``INLINE`` rows of an inline, in its order."""

    def get_queryset(self) -> QuerySet[Any]:
        """Read once, however often Django asks."""
        if not hasattr(self, "_newest"):
            self._newest = super().get_queryset()[:INLINE]
        return self._newest


class ReadOnlyInline(ReadOnly, TabularInline):
    """Rows that are shown with another."""

    formset = NewestRows
    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = True


class JobTypeFilter(admin.SimpleListFilter):
    """By job type: the known ones, without a walk through the rows."""

    title = "job type"
    parameter_name = "job_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The types that a worker has announced, and those that are registered here."""
        announced = JobTypeSaga.objects.using(settings.DATABASE).values_list("name", flat=True)
        return [(name, name) for name in sorted({*announced, *(each.type_name for each in consumers.all())})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of the chosen type."""
        return queryset.filter(job_type=self.value()) if self.value() else queryset


def pretty(name: str) -> Callable[[Any, Model], str]:
    """A method that shows JSON, or a long text, as it is meant to be read; escaped."""

    @admin.display(description=name.replace("_", " "))
    def show(self: Any, row: Model) -> str:
        value = getattr(row, name)
        if value in (None, ""):
            return NOTHING
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
        return format_html("<pre>{}</pre>", text)

    return show


def shortened(name: str) -> Callable[[Any, Model], str]:
    """A method that shows the beginning of a text, for a list."""

    @admin.display(description=name.replace("_", " "))
    def show(self: Any, row: Model) -> str:
        return Truncator(getattr(row, name)).chars(SHORTENED)

    return show


def link(model: type[Model], key: UUID | None, text: str = "") -> str:
    """A link to a row's page."""
    if key is None:
        return NOTHING
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[key])
    return format_html('<a href="{}">{}</a>', url, text or key)
