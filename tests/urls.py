"""The test site's pages: Django's admin, which is where jobsaga shows itself."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
