"""The one exception whose message is meant for the user: one sentence that says what is wrong, where, and what is allowed."""


class InputError(ValueError):
    """Something the user can fix: a parameter, a file, an image, the environment."""
