"""Keys, tokens and passwords, by their own shapes. No entropy: `/dev/sda1` is no secret.

Formats: the vendors' documentation of their token prefixes; RFC 7519 (JWT); RFC 7468 (PEM).
"""

# ruff: noqa: E501  # tables and patterns are easier to read whole

import re

from ta_safety.detectors.match import Match

_SHAPES: tuple[tuple[str, str], ...] = (
    ("aws key", r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16}\b"),
    ("aws secret", r"(?i)\baws_?secret_?(?:access_?)?key[\"']?[ \t]*[=:][ \t]*[\"']?[A-Za-z0-9/+]{40}\b"),
    ("github token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{60,100})\b"),
    ("gitlab token", r"\bgl(?:pat|dt|rt|ptt|cbt)-[A-Za-z0-9_-]{20,64}\b"),
    ("slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,200}\b|https://hooks\.slack\.com/services/T\w{6,12}/B\w{6,12}/\w{20,30}"),
    ("stripe key", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,120}\b"),
    ("google key", r"\bAIza[A-Za-z0-9_-]{35}\b"),
    ("google token", r"\bya29\.[A-Za-z0-9_-]{20,300}"),
    ("anthropic key", r"\bsk-ant-[A-Za-z0-9_-]{20,200}"),
    ("openai key", r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{20,200}\b"),
    ("hugging face token", r"\bhf_[A-Za-z0-9]{30,50}\b"),
    ("npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("pypi token", r"\bpypi-AgE[A-Za-z0-9_-]{50,400}"),
    ("sendgrid key", r"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"),
    ("twilio key", r"\bSK[0-9a-f]{32}\b"),
    ("digitalocean token", r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    ("telegram token", r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}\b"),
    ("azure key", r"(?i)\bAccountKey=[A-Za-z0-9+/]{60,100}={0,2}"),
    ("jwt", r"\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}"),
    ("bearer token", r"(?i)\bAuthorization:[ \t]*(?:Bearer|Basic|token)[ \t]+[A-Za-z0-9._~+/=-]{16,2000}"),
    ("url password", r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>]{1,80}:[^\s/@\"'<>]{3,80}(?=@[\w.-])"),
    ("password", r"(?i)\b(?:password|passwd|pwd|passphrase|api_?key|secret_?key|access_?token|auth_?token|client_?secret)"
                 r"[\"']?[ \t]{0,3}[=:][ \t]{0,3}[\"']?[^\s\"'<>${}()\[\];,|&]{6,128}"),
)  # fmt: skip
_COMPILED = [(kind, re.compile(pattern)) for kind, pattern in _SHAPES]

PEM = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.S,
)
PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")

_PLACEHOLDER = re.compile(
    r"(?i)x{4,}|\*{3,}|\.{3,}|your[-_ ]?|changeme|placeholder|example\b|redacted|dummy|<|\$|123456$|:(?:pass(?:word)?|secret|token)$|"
    r"[=:]\s*[\"']?(?:none|null|true|false|required|string|prompt|hunter2|password\d*|secret\d*|mypassword|mysecret|os\.\S*|getpass\S*|file|yes|no)\b"
)
_GATE = re.compile(
    r"(?i)AKIA|ASIA|A[GIRN][PDO]A|aws|gh[pousr]_|github_pat|gl\w{2,3}-|xox|hooks\.slack|[rs]k_|AIza|ya29|sk-|hf_|npm_|pypi-|SG\.|SK[0-9a-f]|"
    r"do[opr]_v1|:AA|AccountKey|eyJ|Authorization|://|pass|pwd|key|token|secret|PRIVATE KEY"
)


def find_secrets(text: str) -> list[Match]:
    """Secrets, placeholders such as `password=<yours>` left out."""
    if not _GATE.search(text):
        return []
    found = (
        [Match("private key", m.start(), m.end(), "a private key") for m in PEM.finditer(text)]
        if "PRIVATE KEY" in text
        else []
    )
    for kind, pattern in _COMPILED:
        for match in pattern.finditer(text):
            shaped = kind not in ("password", "url password", "bearer token", "aws secret")
            if shaped or not _PLACEHOLDER.search(match[0]):
                found.append(Match(kind, match.start(), match.end(), f"a secret: {kind}"))
    return found
