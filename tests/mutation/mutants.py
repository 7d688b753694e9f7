"""mutants.py - the small changes that a test ought to notice, made from the tokens of a C file.

    if (len > room)      ->   >=      ->   !(len > room)
    count += 1;          ->   -=      ->   += 2      ->   (deleted)
    return at - start;   ->   +       ->   return 0;
    a && b               ->   ||

Only inside of functions. Left alone: memory orders and weak or strong exchange (no difference on x86, and no test could show one),
inline assembly, _Static_assert, and what __builtin_expect expects.
"""
import re
from dataclasses import dataclass

TOKEN = re.compile(
    r"""(?P<skip>/\*.*?\*/|//[^\n]*|(?m:^[ \t]*\#(?:[^\n\\]|\\.)*(?:\\\n(?:[^\n\\]|\\.)*)*)|\s+)
      |(?P<string>"(?:[^"\\]|\\.)*")
      |(?P<char>'(?:[^'\\]|\\.)+')
      |(?P<number>(?:0[xX][0-9a-fA-F]+|\d+)[uUlL]*)
      |(?P<word>[A-Za-z_]\w*)
      |(?P<op><<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%&|^~!<>=?:;,.(){}\[\]])""",
    re.S | re.X,
)

SWAPS = {
    "<": ["<="], "<=": ["<"], ">": [">="], ">=": [">"], "==": ["!="], "!=": ["=="],
    "&&": ["||"], "||": ["&&"], "<<": [">>"], ">>": ["<<"], "/": ["*"], "%": ["/"], "^": ["&"],
    "++": ["--"], "--": ["++"], "/=": ["*="], "+=": ["-="], "-=": ["+="], "|=": ["&="], "&=": ["|="],
}
BINARY_SWAPS = {"+": ["-"], "-": ["+"], "*": ["+"], "&": ["|"], "|": ["&"]}  # when an operand stands before
KEYWORDS_BEFORE_UNARY = {"return", "case", "sizeof"}
NOT_STATEMENTS = re.compile(
    r"(return|if|else|for|while|do|switch|case|default|goto|typedef|static|const|struct|union|enum|unsigned|signed|char|int|long|short|bool|"
    r"double|float|void|size_t|register|extern|va_list|_Static_assert|__asm__|asm|va_start|va_end|u?int\d+_t)\b"
)


@dataclass
class Token:
    kind: str
    text: str
    start: int
    function: str = ""


@dataclass
class Mutant:
    file: str
    line: int
    function: str
    source: str   # the line it changes
    change: str   # "< -> <=", with #2 for the second one in its line
    start: int
    end: int
    text: str     # what to put there

    def key(self):
        return (self.file, self.function, self.source, self.change)

    def __str__(self):
        return f"{self.file}:{self.line} | {self.function} | {self.source} | {self.change}"


def tokens_of(text):
    tokens, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise SystemExit(f"mutants: cannot read {text[at:at + 40]!r}")
        if match.lastgroup != "skip":
            tokens.append(Token(match.lastgroup, match.group(), at))
        at = match.end()
    return tokens


def matching(tokens, at, opening, closing, step):
    """Index of the bracket that belongs to the one at @at."""
    depth = 0
    while 0 <= at < len(tokens):
        depth += (tokens[at].text == opening) - (tokens[at].text == closing)
        if depth == 0:
            return at
        at += step
    raise SystemExit("mutants: unbalanced brackets")


def mark_functions(tokens):
    """Writes into each token the name of the function whose body it is in."""
    at = 0
    while at < len(tokens):
        if tokens[at].text != "{":
            at += 1
            continue
        end = matching(tokens, at, "{", "}", 1)
        if at and tokens[at - 1].text == ")":
            name = tokens[matching(tokens, at - 1, "(", ")", -1) - 1].text
            for token in tokens[at : end + 1]:
                token.function = name
        at = end + 1


def excluded_positions(tokens):
    """Indices of tokens that are not to be changed."""
    out = set()
    for i, token in enumerate(tokens):
        if token.text in ("__asm__", "asm", "_Static_assert", "__attribute__", "sizeof") and i + 1 < len(tokens):
            first = i + 1
            while tokens[first].text in ("volatile", "__volatile__"):
                first += 1
            if tokens[first].text == "(":
                out.update(range(i, matching(tokens, first, "(", ")", 1) + 1))
        if token.kind == "number" and i + 2 < len(tokens) and tokens[i + 1].text == "," and tokens[i + 2].text.startswith("__ATOMIC"):
            if token.text in ("0", "1") and tokens[i - 1].text == ",":
                out.add(i)
    return out


def operand_before(tokens, i):
    before = tokens[i - 1]
    if before.kind in ("number", "char"):
        return True
    if before.kind == "word":
        return before.text not in KEYWORDS_BEFORE_UNARY
    if before.text == ")":  # a cast, as in (int)-1 or (char)*p, is no operand
        opened = matching(tokens, i - 1, "(", ")", -1)
        inside = [t.text for t in tokens[opened + 1 : i - 1]]
        return not re.fullmatch(r"((const|unsigned|signed|struct|char|int|long|size_t|u?int\d+_t|ttap__task_word|\w+_t)[ ]?)+[* ]*", " ".join(inside))
    return before.text == "]"


def changed_number(text):
    match = re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)", text)
    value, suffix = int(match.group(1), 0), match.group(2)
    return [str(n) + suffix for n in ([1] if value == 0 else [0] if value == 1 else [value + 1, value - 1])]


def token_changes(tokens, i):
    token = tokens[i]
    if token.kind == "number":
        return changed_number(token.text)
    if token.kind == "char" and len(token.text) == 3:
        return ["'%s'" % chr(ord(token.text[1]) + 1)]
    if token.kind != "op":
        return []
    if token.text == "!" and tokens[i + 1].text != "!" and tokens[i - 1].text != "!":
        return [" "]
    if token.text in BINARY_SWAPS and operand_before(tokens, i) and tokens[i + 1].text not in ("=", ")", ","):
        return BINARY_SWAPS[token.text]
    return SWAPS.get(token.text, [])


def mutants_of(path, text):
    tokens = tokens_of(text)
    mark_functions(tokens)
    excluded = excluded_positions(tokens)
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    found = []

    def line_of(position):
        return text.count("\n", 0, position) + 1

    def add(function, start, end, new, change):
        line = line_of(start)
        found.append(Mutant(path, line, function, " ".join(lines[line - 1].split()), change, start, end, new))

    def add_each(function, start, old, changes):
        for new in changes:
            add(function, start, start + len(old), new, f"{old} -> {new.strip() or '(left out)'}")

    for i, token in enumerate(tokens):
        if not token.function or i in excluded:
            continue
        add_each(token.function, token.start, token.text, token_changes(tokens, i))
        if token.text in ("if", "while") and tokens[i + 1].text == "(":
            close = tokens[matching(tokens, i + 1, "(", ")", 1)].start
            opened = tokens[i + 1].start
            add(token.function, opened, close + 1, "(!" + text[opened : close + 1] + ")", f"{token.text} negated")
        if token.text == "return" and tokens[i + 1].text != ";":
            end = next(j for j in range(i, len(tokens)) if tokens[j].text == ";")
            value = text[tokens[i + 1].start : tokens[end].start]
            new = {"true": "false", "false": "true", "0": "1", "NULL": ""}.get(value, "0")
            if new and not re.fullmatch(r"\d+", value):
                add(token.function, tokens[i + 1].start, tokens[end].start, new, f"return -> {new}")
        if token.text in ("break", "continue") and tokens[i + 1].text == ";":
            add(token.function, token.start, token.start + len(token.text), "", f"{token.text} deleted")
    in_function = {line_of(token.start): token.function for token in tokens if token.function}
    skipped = {line_of(tokens[i].start) for i in excluded}
    for number, line in enumerate(lines, 1):
        bare = re.sub(r"/\*.*?\*/", "", line).rstrip()
        statement = bare.strip()
        function = in_function.get(number)
        if not function or number in skipped or not statement.endswith(";") or statement.count("(") != statement.count(")"):
            continue
        declaration = re.match(r"(const )?\w+(\s+|\s*\*+\s*)\w+(\s*[=;,\[]|$)", statement)
        if NOT_STATEMENTS.match(statement) or declaration or statement.count(";") != 1 or statement in ("break;", "continue;"):
            continue
        if not re.match(r"[\w*+(-]", statement) or not re.search(r"[=(]|\+\+|--", statement) or before_is_open(lines, number):
            continue
        start = starts[number - 1] + len(bare) - len(bare.lstrip())
        add(function, start, starts[number - 1] + len(bare), ";", "statement deleted")
    return numbered(found)


def before_is_open(lines, number):
    """Does the line continue the one before it?"""
    before = re.sub(r"/\*.*?\*/", "", lines[number - 2]).strip()
    return bool(before) and not re.search(r"[;{}:)]$|\belse$|^#|\*/$|^do$", before)


def numbered(found):
    """Equal changes in one line get numbers."""
    seen = {}
    for mutant in sorted(found, key=lambda m: (m.start, m.change)):
        key = (mutant.function, mutant.source, mutant.change)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] > 1:
            mutant.change += f" #{seen[key]}"
    return sorted(found, key=lambda m: (m.start, m.change))
