"""An installed app with job consumers, as a user's site would have: what the tests submit and run."""
