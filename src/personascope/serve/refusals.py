"""Errors as OpenAI's clients read them."""

from starlette.responses import JSONResponse

from personascope.errors import UserError


def refusal(error: UserError, status: int = 400) -> JSONResponse:
    """What was found, and in brackets what to do about it."""
    told = {"message": told_of(error), "type": "invalid_request_error", "param": None, "code": status}
    return JSONResponse({"error": told}, status_code=status)


def told_of(error: UserError) -> str:
    """An error in one line, hint and all."""
    return f"{error} ({error.hint})"
