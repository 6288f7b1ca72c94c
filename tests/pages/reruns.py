"""A session without a browser in which a newer rerun overtakes the running page at any point."""

from __future__ import annotations

from collections import UserDict
from typing import Any


class CutError(BaseException):
    """A rerun that overtakes a running page; like Streamlit's own it is no `Exception`."""


class Session(UserDict[str, Any]):
    """A session's state; a rerun cuts in before look or change number `cut`, counted from 0."""

    cut = -1

    def _look(self) -> None:
        self.cut -= 1
        if self.cut == -1:
            raise CutError

    def __contains__(self, key: object) -> bool:
        self._look()
        return key in self.data

    def __getitem__(self, key: str) -> Any:
        self._look()
        return self.data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._look()
        self.data[key] = value

    def __delitem__(self, key: str) -> None:
        self._look()
        del self.data[key]
