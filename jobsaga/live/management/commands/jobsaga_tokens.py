"""``manage.py jobsaga_tokens``: make, list and revoke tokens of the API."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, transaction

from jobsaga.live.models import SCOPES, ApiToken
from jobsaga.live.tokens import make, now, revoke

UNITS = {"h": "hours", "d": "days", "w": "weeks"}


class Command(BaseCommand):
    """add, list, revoke."""

    help = "Make, list and revoke the tokens with which programs use the API of the jobs."

    def add_arguments(self, parser: CommandParser) -> None:
        """One parser for each verb."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        add = verbs.add_parser("add", help="make a token; it is printed once, and stored only as a hash")
        add.add_argument("name", help="what the history calls it")
        add.add_argument(
            "--user", required=True, help="in whose name it acts, and whose permissions it has at most"
        )
        add.add_argument("--scope", type=_scopes, default=["read"], help=f"some of {','.join(SCOPES)} (read)")
        add.add_argument(
            "--type", action="append", default=[], metavar="TYPE",
            help="only for jobs of this type (videos.ConvertVideo, or videos.*); may be repeated",
        )  # fmt: skip
        add.add_argument("--expires", type=_duration, metavar="TIME", help="valid for so long: 12h, 90d, 52w")
        verbs.add_parser("list", help="all tokens, without what opens a door")
        verbs.add_parser("revoke", help="make a token useless at once").add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        getattr(self, f"_{options['verb']}")(options)

    def _add(self, options: dict[str, Any]) -> None:
        users = get_user_model()
        try:
            user = users._default_manager.get_by_natural_key(options["user"])
        except users.DoesNotExist:
            raise CommandError(f"There is no user {options['user']!r}.") from None
        until = now() + options["expires"] if options["expires"] else None
        try:
            with transaction.atomic(using=ApiToken.objects.db):
                _, text = make(
                    options["name"], user, options["scope"], types=options["type"], expires_at=until
                )
        except IntegrityError:
            raise CommandError(f"There is a token of the name {options['name']!r} already.") from None
        self.stdout.write(text)
        self.stderr.write("It cannot be shown again.")

    def _list(self, options: dict[str, Any]) -> None:
        at = now()
        for token in ApiToken.objects.select_related("user").order_by("name"):
            state = "valid" if token.is_valid(at) else "revoked" if token.revoked_at else "expired"
            used = f"used {token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never used"
            until = f"until {token.expires_at:%Y-%m-%d %H:%M}" if token.expires_at else "for ever"
            what = ",".join(token.scopes) + (f" of {','.join(token.types)}" if token.types else "")
            self.stdout.write(f"{token.name}  {token.user.get_username()}  {what}  {state}, {until}, {used}")

    def _revoke(self, options: dict[str, Any]) -> None:
        tokens = ApiToken.objects.filter(name=options["name"])
        if not tokens.exists():
            raise CommandError(f"There is no token {options['name']!r}.")
        self.stdout.write("Revoked." if revoke(tokens) else "It was revoked already.")


def _scopes(text: str) -> list[str]:
    found = [each.strip() for each in text.split(",") if each.strip()]
    if not found or not set(found) <= SCOPES.keys():
        raise ArgumentTypeError(f"must be some of {', '.join(SCOPES)}, not {text!r}")
    return found


def _duration(text: str) -> timedelta:
    found = re.fullmatch(r"([1-9]\d{0,4})([hdw])", text)
    if not found:
        raise ArgumentTypeError(f"must be a time like 12h, 90d or 52w, not {text!r}")
    return timedelta(**{UNITS[found[2]]: int(found[1])})
