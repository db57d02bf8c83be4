"""The refusals that several endpoints share, as the API's documentation shows them."""

from typing import Any

Answers = dict[int | str, dict[str, Any]]

NOT_SIGNED_IN: Answers = {401: {"description": "Nobody is signed in, or no longer"}}
NOT_YOURS: Answers = {403: {"description": "It belongs to somebody else"}}
NOT_FOUND: Answers = {404: {"description": "There is none, or none that you may see"}}
TAKEN: Answers = {409: {"description": "Another one has this already; `errors` names the field"}}

BAD_CURSOR: Answers = {400: {"description": "The cursor is not of this list, or not of this reader"}}

TO_CHANGE: Answers = NOT_SIGNED_IN | NOT_YOURS | NOT_FOUND
