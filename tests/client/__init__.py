"""What a site's code calls, on the test's database."""
