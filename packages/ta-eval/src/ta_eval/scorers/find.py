"""`find` in canonical form: its single-dash words are an expression, not flags.

Tests may stand in any order between two actions, positional options (`-maxdepth`) anywhere, and what find
assumes by itself (`.`, `-print`, `-and`) may be left out.
"""

from collections.abc import Callable

OPTIONS = {
    "-maxdepth": 1,
    "-mindepth": 1,
    "-xdev": 0,
    "-mount": 0,
    "-depth": 0,
    "-daystart": 0,
    "-regextype": 1,
}
ACTIONS = {"-print": 0, "-print0": 0, "-delete": 0, "-ls": 0, "-prune": 0, "-quit": 0}
ACTIONS |= {"-printf": 1, "-fprint": 1, "-fls": 1, "-fprint0": 1, "-fprintf": 2}
RUN = ("-exec", "-execdir", "-ok", "-okdir")
NO_ARGUMENT = {"-empty", "-executable", "-readable", "-writable", "-nouser", "-nogroup", "-true", "-false"}
SAME = {"-not": "!", "-o": "-or", "-a": "-and", "-d": "-depth"}

Canonical = tuple[object, ...]


def canonical_find(
    words: list[str], *, path: Callable[[str], str], command: Callable[[list[str]], Canonical]
) -> Canonical:
    """The arguments of `find` (its name left out); `path` and `command` normalise what they say."""
    start = 0
    while start < len(words) and words[start] in ("-L", "-P", "-H"):
        start += 1
    links = words[start - 1] if start and words[start - 1] != "-P" else ""
    end = start
    while end < len(words) and not words[end].startswith(("-", "(", "!", ")")):
        end += 1
    places = [path(word) for word in words[start:end]] or ["."]
    expression = _Expression([SAME.get(word, word) for word in words[end:]], command)
    terms = expression.alternatives()
    if terms and terms[-1] == ("do", "-print") and not _acts(terms[:-1]):
        terms = terms[:-1]
    left_over = tuple(expression.words[expression.at :])
    return ("find", links, tuple(places), tuple(sorted(map(repr, expression.options))), terms, left_over)


class _Expression:
    """A recursive descent over `a -and b -or ( ! c )`; `and` binds closer than `or`."""

    def __init__(self, words: list[str], command: Callable[[list[str]], Canonical]) -> None:
        self.words = words
        self.command = command
        self.at = 0
        self.options: list[Canonical] = []

    def alternatives(self) -> Canonical:
        found = [self._conjunction()]
        while self._next_is("-or"):
            found.append(self._conjunction())
        if len(found) == 1:
            return found[0]
        if not any(_acts(terms) for terms in found):
            found.sort(key=repr)
        return (("or", *found),)

    def _conjunction(self) -> Canonical:
        """Tests are sorted, but none crosses an action: `-delete -name x` deletes everything."""
        terms: list[Canonical] = []
        tests: list[Canonical] = []
        while self.at < len(self.words) and self.words[self.at] not in ("-or", ")", ","):
            if self._next_is("-and"):
                continue
            term = self._term()
            if not term:
                continue
            if _acts(term):
                terms += [*sorted(tests, key=repr), term]
                tests = []
            else:
                tests.append(term)
        return (*terms, *sorted(tests, key=repr))

    def _term(self) -> Canonical:
        word = self.words[self.at]
        self.at += 1
        if word == "!":
            return ("not", self._term()) if self.at < len(self.words) else ("not",)
        if word == "(":
            inside = self.alternatives()
            self._next_is(")")
            return inside if len(inside) == 1 and isinstance(inside[0], tuple) else ("group", *inside)
        if word in OPTIONS:
            self.options.append((word, *self._take(OPTIONS[word])))
            return ()
        if word in ACTIONS:
            return ("do", word, *self._take(ACTIONS[word]))
        if word in RUN:
            return ("do", word, *self._run())
        return (word, *self._take(0 if word in NO_ARGUMENT else 1))

    def _run(self) -> Canonical:
        start = self.at
        while self.at < len(self.words) and self.words[self.at] not in (";", "+"):
            self.at += 1
        end = self.words[self.at] if self.at < len(self.words) else ""
        self.at += 1
        return (self.command(self.words[start : self.at - 1]), end)

    def _take(self, count: int) -> list[str]:
        taken = self.words[self.at : self.at + count]
        self.at += count
        return [_mode(word) for word in taken]

    def _next_is(self, word: str) -> bool:
        if self.at < len(self.words) and self.words[self.at] == word:
            self.at += 1
            return True
        return False


def _acts(term: object) -> bool:
    """Whether an action stands anywhere below."""
    if not isinstance(term, tuple):
        return False
    return bool(term and term[0] == "do") or any(_acts(part) for part in term)


def _mode(word: str) -> str:
    """`-perm -0644` is `-perm -644`."""
    sign, digits = (word[:1], word[1:]) if word[:1] in "-/" else ("", word)
    return sign + digits.lstrip("0") if len(digits) == 4 and digits.isdigit() and digits[0] == "0" else word
