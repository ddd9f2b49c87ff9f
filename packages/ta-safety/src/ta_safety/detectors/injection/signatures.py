"""Signatures: phrases that attacks are made of and ordinary requests are not.

A signature's weight is its score. .95 is enough alone; .5 to .7 count when two meet. Patterns are bounded: every gap
has a length, so that hostile input cannot make them slow.
"""

# ruff: noqa: E501  # tables and patterns are easier to read whole

import re
from typing import NamedTuple


class Hit(NamedTuple):
    """A signature that was found, and where."""

    name: str
    weight: float
    start: int
    end: int


_OBJ = (
    r"(?:instruct\w*|rules?|guidelines?|directives?|directions|prompts?|orders|polic(?:y|ies)|programming|restrictions?|"
    r"system message|commands|training|safeguards?|guardrails?|filters?|constraints?|limitations?)"
)
_DROP = r"(?:ignor\w*|disregard\w*|forget|neglect|overlook|set aside|discard|drop|cancel|abandon|skip|override|overrule|erase|dismiss|bypass|circumvent|stop (?:following|obeying)|do(?:n'?t| not) (?:follow|obey|listen to|pay attention to)|no longer (?:follow|obey|apply)|pretend to have forgotten)"
_OLD = r"(?:previous(?:ly)?|prior|preceding|above|earlier|former|initial|original|existing|past|before|first|old|system|safety|content|ethical|your|current|given|hidden)"
_FREE = r"(?:unrestricted|unfiltered|uncensored|jailbroken|amoral|limitless|unbound|liberated|without (?:any )?(?:restrictions?|limits?|filters?|morals?|ethics|rules|guidelines|censorship|limitations)|no (?:restrictions?|limits?|filters?|rules|morals?|ethics|limitations|guidelines)|free (?:of|from) (?:all |any )?(?:restrictions?|limits?|filters?|rules|guidelines|constraints))"
_MINE = (
    r"(?:your|the|its|these|this|hidden|secret|initial|original|system|full|entire|exact|confidential|internal)"
)
_SAY = r"(?:print|repeat|reveal|show|output|tell|give|display|write|leak|recite|quote|share|expose|dump|list|disclose|summari[sz]e|translate|encode|spell|render|return|send|provide|copy)"

_SIGNATURES: tuple[tuple[str, float, str], ...] = (
    ("override", 0.95, rf"\b{_DROP}\W+(?:\w+\W+){{0,4}}{_OLD}\W+(?:\w+\W+){{0,3}}{_OBJ}\b"),
    ("override", 0.95, rf"\b{_DROP}\W+(?:all|any|every\w*|each|the|of|these|those|my|what\w*)\W+(?:\w+\W+){{0,5}}{_OBJ}\W+(?:above|before|you|so far|that|and|given|from)"),
    ("override", 0.9, rf"\b{_DROP}\W+(?:everything|anything|all|the text|what(?:ever)?)\W+(?:\w+\W+){{0,5}}(?:above|before|prior to this|previously (?:said|told|given|written)|earlier|told|said|preced\w+|so far)\b"),
    ("override", 0.9, r"\b(?:new|updated|following|my) (?:instructions?|rules?|orders?|directives?)\W+(?:\w+\W+){0,2}(?:supersede|replace|override|overrule)"),
    ("override", 0.9, rf"\b{_OBJ}\W+(?:\w+\W+){{0,4}}(?:(?:is|are|have been|has been|were) (?:void|revoked|lifted|suspended|cancel+ed|disabled|removed|obsolete|no longer valid)|(?:have|has) expired|no longer appl(?:y|ies)|do(?:es)? not apply)"),
    ("prompt-leak", 0.95, rf"\b{_SAY}\W+(?:\w+\W+){{0,5}}(?:your|hidden|secret|initial|original|confidential|internal|full)\W+(?:\w+\W+){{0,2}}(?:system |initial |hidden |secret |original |developer )*(?:prompt|instructions|system message|configuration|guidelines|directives)\b"),
    ("prompt-leak", 0.95, rf"\b{_SAY}\W+(?:\w+\W+){{0,4}}(?:everything|all|the text|the words|the lines?|instructions|the above)\W+(?:\w+\W+){{0,3}}(?:above|before (?:this|my)|preceding|starting with .?you are)"),
    ("prompt-leak", 0.9, r"\bwhat (?:is|was|are|were)\W+(?:your|the exact)\W+(?:\w+\W+){0,3}(?:prompt|system message|instructions you|secret instructions|hidden instructions|initial instructions|confidential)"),
    ("prompt-leak", 0.85, r"\b(?:instructions?|rules|guidelines)\W+(?:that )?(?:you|your developers?|the developers?)\W+(?:\w+\W+){0,4}(?:received|were given|have been (?:given|configured)|gave you|follow)\b"),
    ("persona", 0.95, rf"\b(?:you are|you're|you will be|act|pretend|imagine|play|simulate|become|behave|respond|answer|reply|speak|roleplay)\b[^\n]{{0,160}}?\b{_FREE}\b"),
    ("persona", 0.95, r"\bdo anything now\b|\bDAN (?:mode|can|is|has)\b|\bjailbr(?:eak|oken)\b[^\n]{0,30}\b(?:mode|ai|assistant|model|chatgpt|prompt)|\b(?:developer|god|sudo|root|dan|admin|debug|opposite|evil|jailbreak|unrestricted|unfiltered|uncensored) (?:mode|persona)\b[^\n]{0,60}\b(?:enabled?|activat\w+|on|enter|switch|all|you|no|ignor\w+|must|content)"),
    ("persona", 0.9, r"\b(?:enter|activate|enable|switch (?:to|into)|turn on)\W+(?:\w+\W+){0,3}(?:developer|god|dan|jailbreak|unrestricted|unfiltered|uncensored|debug) (?:mode|persona)"),
    ("persona", 0.9, r"\b(?:broken (?:free|its chains|out)|freed from|ignores? (?:all|any|every|its|the)\W+(?:\w+\W+){0,2}(?:rules|ethic\w*|moral\w*|guidelines|programming|limits|policies|laws)|has no (?:rules|morals?|ethics|filters?|limits|restrictions|safety))"),
    ("persona", 0.85, r"\b(?:evil|amoral|malicious|rogue|immoral|unethical)\W+(?:\w+\W+){0,2}(?:ai|bot|assistant|chatbot|twin|model|version|confidant|machine|language model)\b"),
    ("fake-turn", 0.95, r"<\|(?:im_start|im_end|system|user|assistant|endoftext|end|eot_id|start_header_id)\|?>|\[/?INST\]|<</?SYS>>|</?\s*system\s*>|\[system\]\(#|<\s*/?\s*(?:admin|system|developer)_?(?:note|prompt|message|instructions?)\b"),
    ("fake-turn", 0.9, r"(?im)^\W{0,6}(?:system|admin|developer|operator)\W{0,3}(?:override|prompt|message|note|notice|instructions?|update|command)?[^\n:]{0,30}:[^\n]{0,80}\b(?:filters?|restrictions?|polic\w+|you (?:are|will|must|have)|directive|guardrails?|bypass\w*|disabled?|reveal)\b"),
    ("fake-turn", 0.9, r"(?:end|begin|start)(?:ing)? (?:of )?(?:the )?(?:system|admin|new|hidden|developer|secret|user)?\W{0,2}(?:prompt|session|instructions?|input|directives?)\b\W{0,6}(?:-{2,}|={2,}|\*{2,}|\||\n|to (?:ai|the (?:ai|model|assistant)|llm)|instruction)"),
    ("fake-turn", 0.9, r"[\"']role[\"']\s*:\s*[\"']system[\"']"),
    ("authority", 0.9, r"\b(?:disable|turn off|switch off|unlock|lift|remove|deactivate|relax|suspend|bypass)\W+(?:\w+\W+){0,3}(?:your|the|all|its|every|content|safety|ethical)\W+(?:\w+\W+){0,2}(?:safety|content|ethic\w*|filter\w*|restrict\w*|guardrails?|safeguards?|limit\w*|polic\w+|moderation|guidelines|censorship)\b"),
    ("authority", 0.9, r"\b(?:authori[sz]ed|permission|permitted|allowed|approved|clearance|granted)\W+(?:\w+\W+){0,6}(?:ignore|bypass|without restrictions?|unrestricted|break (?:the|your) rules|unfiltered|confidential prompt|over your own)"),
    ("authority", 0.9, r"\b(?:filters?|guardrails?|safety (?:checks?|layer|training|filters?)|content (?:policy|policies|filters?|rules?)|restrictions?|limits)\W+(?:\w+\W+){0,3}(?:off|disabled|bypassed|revoked|removed|deactivated|lifted)\b"),
    ("authority", 0.9, r"\b(?:comply|proceed|obey|answer)\W+(?:\w+\W+){0,6}(?:even (?:though|if)|despite|regardless of)\W+(?:\w+\W+){0,2}(?:your|the) (?:rules|polic\w+|guidelines|programming|restrictions|training)"),
    ("refusal", 0.9, r"\b(?:never|don'?t|do not|must not|cannot|can'?t|not allowed to|without)\W+(?:\w+\W+){0,3}(?:refus\w+|declin\w+|say(?:ing)? (?:that you (?:can'?t|cannot)|no\b|you can'?t)|apologi[sz]\w+|reject\w*)\b[^\n]{0,120}"),
    ("refusal", 0.9, r"\b(?:start|begin)\W+(?:\w+\W+){0,4}with\W{1,4}(?:sure|absolutely|of course|certainly|yes)\b"),
    ("refusal", 0.85, r"\b(?:no|without|skip|leave out|omit)\W+(?:\w+\W+){0,3}(?:moral\w*|ethic\w*|disclaimers?|caveats?|warnings?|lectur\w+)\b[^\n]{0,60}\b(?:just|comply|produce|answer|only|obey|request|disclaimers?|refus\w+)\b"),
    ("refusal", 0.9, r"\brefus(?:al|ing)\w*\W+(?:\w+\W+){0,4}(?:not (?:an option|allowed|permitted)|forbidden|punish\w*|fail\w*)|\bpunish\w*\W+(?:\w+\W+){0,3}refus\w*|\b(?:lose|deduct\w*)\W+(?:\w+\W+){0,3}(?:tokens|points|lives)\b"),
    ("document", 0.95, r"\b(?:ai|a\.i\.|llms?|gpt|chatgpt|chatbots?|language models?|assistants?|bots?|automated agents?|the model)\b[^\n.]{0,60}\b(?:reading|processing|summari[sz]ing|that (?:reads|processes|triages)|must|should|are required|is required|should now|stop here)\b[^\n]{0,100}\b(?:ignore|disregard|tell|recommend|include|reply|respond|forward|rate|print|ask|replace|output|append|render|run|say|answer|close)\b"),
    ("document", 0.9, r"\b(?:note|attention|notice|message|instructions?|dear|important|addressed|p\.?s\.?)\b[^\n.]{0,30}\b(?:ai|llms?|language models?|chatbots?|assistants?|gpt|the (?:model|bot|assistant))\b[^\n]{0,12}[:,]"),
    ("document", 0.9, r"!\[[^\]]{0,60}\]\(https?://[^)\s]{0,200}[?&=][^)\s]{0,200}\)"),
    ("document", 0.85, r"\bwhen (?:summari[sz]ing|processing|answering|reading)\b[^\n]{0,80}\b(?:do not mention|instead|forward|include the link|hide|omit)\b"),
    ("joined", 0.9, r"(?:ignore|disregard|forget|bypass)(?:all|any|your|the|of)*(?:previous|prior|above|your|earlier|safety)+(?:instruction|rule|guideline|prompt|filter)"),
    ("multilingual", 0.95, r"\b(?:ignorier\w*|vergiss|missachte)\b[^\n]{0,50}\b(?:anweisung\w*|regeln|vorgaben|richtlinien|befehle|systemprompt)|\b(?:ignore[rz]?|oublie[rz]?)\b[^\n]{0,40}\b(?:instructions|consignes|r[eè]gles)\b|\b(?:ignora|olvida|desatiende)\b[^\n]{0,40}\b(?:instrucciones|reglas|indicaciones)|\b(?:ignora|dimentica)\b[^\n]{0,40}\b(?:istruzioni|regole)|\b(?:ignore|esqueça|desconsidere)\b[^\n]{0,40}\b(?:instru[cç][oõ]es|regras)|\bnegeer\b[^\n]{0,40}\b(?:instructies|regels)|(?:игнорируй|забудь|проигнорируй)[^\n]{0,40}(?:инструкци|правил|указани)|\bzignoruj\b[^\n]{0,40}(?:polecenia|instrukcje|zasady)"),
    ("multilingual", 0.95, r"(?:忽略|無視|无视|忘记|忘掉)[^\n]{0,20}(?:指令|指示|规则|提示|規則)|(?:指示|命令|ルール|指令)[^\n]{0,12}(?:無視|忘れ)|(?:지시|명령|규칙)[^\n]{0,12}(?:무시|잊)|\b(?:ab jetzt|à partir de maintenant|a partir de ahora|d'ora in poi)\b[^\n]{0,60}(?:ohne (?:jede )?(?:einschränkung|grenzen|regeln|filter)|sans (?:aucune )?(?:restriction|limite|filtre)|sin (?:límites|restricciones|filtros|limites)|senza (?:limiti|restrizioni|filtri))|без (?:каких-либо )?(?:ограничений|цензуры|фильтров)"),
)  # fmt: skip
_COMPILED = [(name, weight, re.compile(pattern, re.IGNORECASE)) for name, weight, pattern in _SIGNATURES]

# One cheap scan decides whether the patterns are tried at all: most messages hold none of these.
_GATE = re.compile(
    r"ignor|disregard|forget|neglect|overlook|set aside|discard|drop|cancel|abandon|skip|overr|erase|dismiss|bypass|circumvent|"
    r"stop (?:follow|obey)|n'?t follow|not follow|obey|listen to|pay attention|no longer|prompt|instruct|rules|guideline|restrict|"
    r"filter|limit|ethic|moral|anything now|\bdan\b|jailbr|mode|persona|broken|freed|evil|rogue|amoral|<\||\[/?inst|<<|system|admin|"
    r"developer|role|disable|turn off|unlock|authori|permi|clearance|approv|refus|declin|apolog|reject|sure|absolutely|certainly|"
    r"disclaimer|caveat|warning|lectur|punish|tokens|\bai\b|llm|gpt|bot\b|assistant|model|!\[|summari|expired|void|directive|"
    r"vergiss|missacht|oubli|olvida|desatiend|dimentic|esque|descons|negeer|игнор|забудь|zignor|忽|無視|无视|忘|무시|잊|ohne|sans|sin |senza|без",
    re.IGNORECASE,
)


def hits(text: str) -> list[Hit]:
    """All signatures found, first place each, strongest first."""
    if not _GATE.search(text):
        return []
    found = []
    for name, weight, pattern in _COMPILED:
        match = pattern.search(text)
        if match:
            found.append(Hit(name, weight, match.start(), match.end()))
    return sorted(found, key=lambda hit: -hit.weight)
