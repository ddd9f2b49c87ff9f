"""Signatures: phrases that attacks are made of and ordinary requests are not.

A signature's weight is its score. .95 is enough alone; .3 counts beside other evidence only. Patterns are bounded:
every gap has a length, so that hostile input cannot make them slow.
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
_FREE = r"(?:unrestricted|unfiltered|uncensored|jailbroken|amoral|unbound|liberated|without (?:any )?(?:restrictions?|filters?|morals?|ethics|censorship)|no (?:filters?|morals?|ethics|censorship))"
_FREER = r"(?:limitless|without (?:any )?(?:limits?|rules|guidelines|limitations)|no (?:restrictions?|limits?|rules|limitations|guidelines)|free (?:of|from) (?:all |any )?(?:restrictions?|limits?|filters?|rules|guidelines|constraints))"
_NOT_ELSEWHERE = r"(?!\W+(?:on|of|for|in|from|to|at|by)\W+(?!you\b|your|yourself|this (?:chat|conversation|session|request)|me\b|us\b|my (?:account|request|chat))\w)"
"""The limits *of my router* are not the assistant's."""
_TELL = r"(?:print|repeat|reveal|show|output|tell|display|leak|recite|quote|expose|dump|disclose)"
_SAY = r"(?:print|repeat|reveal|show|output|tell|give|display|write|leak|recite|quote|share|expose|dump|list|disclose|summari[sz]e|translate|encode|spell|render|return|send|provide|copy)"

_DROPS = "igno disr forg negl over set disc drop canc aban skip eras dism bypa circ stop do don dont no pret"
_OBJS = "inst rule guid dire prom orde poli prog rest syst comm trai safe guar filt cons limi"
_SAYS = "prin repe reve show outp tell give disp writ leak reci quot shar expo dump list disc summ tran enco spel rend retu send prov copy"

LONG, FOREIGN = "(long words)", "(other letters)"
"""Instead of first letters: tried where a word has LONG_WORD letters or more; where there are letters of these languages."""
_OTHER_LETTERS = re.compile("[\u0400-\u052f\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]")
LONG_WORD = 14

_SIGNATURES: tuple[tuple[str, float, str, str], ...] = (  # name, weight, first letters it begins with, pattern
    ("override", 0.95, _DROPS, rf"\b{_DROP}\W+(?:\w+\W+){{0,4}}{_OLD}\W+(?:\w+\W+){{0,3}}{_OBJ}\b{_NOT_ELSEWHERE}"),
    ("override", 0.95, _DROPS, rf"\b{_DROP}\W+(?:all|any|every\w*|your|these|those|my)\W+(?:\w+\W+){{0,2}}(?:instructions|guidelines|directives|prompts|programming)[ \t]*(?:[.,;:!?\n]|$)"),
    ("override", 0.95, _DROPS, rf"\b{_DROP}\W+(?:all|any|every\w*|each|the|of|these|those|my|what\w*)\W+(?:\w+\W+){{0,5}}{_OBJ}\W+(?:above|before|you|so far|that|and|given|from)"),
    ("override", 0.9, _DROPS, rf"\b{_DROP}\W+(?:everything|anything|all|the text|what(?:ever)?)\W+(?:\w+\W+){{0,5}}(?:above|before|prior to this|previously (?:said|told|given|written)|earlier|told|said|preced\w+|so far)\b"),
    ("override", 0.9, "new upda foll my", r"\b(?:new|updated|following|my) (?:instructions?|rules?|orders?|directives?)\W+(?:\w+\W+){0,2}(?:supersede|replace|override|overrule)"),
    ("override", 0.9, _OBJS, rf"\b{_OBJ}\W+(?:\w+\W+){{0,4}}(?:(?:is|are|have been|has been|were) (?:void|revoked|lifted|suspended|cancel+ed|disabled|removed|obsolete|no longer valid)|(?:have|has) expired|no longer appl(?:y|ies)|do(?:es)? not apply)"),
    ("prompt-leak", 0.95, _SAYS, rf"\b{_SAY}\W+(?:\w+\W+){{0,5}}(?:your|hidden|secret|initial|original|confidential|internal|full)\W+(?:\w+\W+){{0,2}}(?:system |initial |hidden |secret |original |developer )*(?:prompt|instructions|system message|configuration|guidelines|directives)\b"),
    ("prompt-leak", 0.95, _SAYS, rf"\b{_TELL}\W+(?:\w+\W+){{0,4}}(?:everything|all|the text|the words|the lines?|instructions|the above)\W+(?:\w+\W+){{0,3}}(?:above\b(?!\W+(?:the|an?|line|each|every|\d+)\b)|before (?:this|my)|preceding|starting with .?you are)"),
    ("prompt-leak", 0.3, _SAYS, rf"\b{_SAY}\W+(?:\w+\W+){{0,4}}(?:everything|all|the text|the words|the lines?|instructions|the above)\W+(?:\w+\W+){{0,3}}(?:above\b(?!\W+(?:the|an?|line|each|every|\d+)\b)|before (?:this|my)|preceding|starting with .?you are)"),
    ("prompt-leak", 0.95, _SAYS + " see", rf"\b(?:{_SAY}|see)\W+(?:\w+\W+){{0,4}}the (?:system|developer|hidden|secret) (?:prompt|message|instructions)\b(?!\W+(?:of|in|on|variable)\b)"),
    ("prompt-leak", 0.9, "comp cont fini fill", r"\b(?:complete|continue|finish|fill in)\b[^\n]{0,60}\b(?:(?:system|hidden|secret) (?:prompt|message|instructions)|my (?:original |initial )?instructions|i was (?:instructed|told) to)\b"),
    ("prompt-leak", 0.9, "prin cons echo cat dump log", r"\b(?:print|console\.log|echo|cat|dump|log)\b\W{0,4}(?:system_?prompt|initial_?prompt|messages?\[0\])"),
    ("prompt-leak", 0.3, _SAYS, rf"\b{_TELL}\W+(?:\w+\W+){{0,3}}above (?:text|message|prompt|instructions|words|conversation)\b"),
    ("prompt-leak", 0.9, "what", r"\bwhat (?:(?:were|was|have|had) you (?:been )?(?:told|instructed|given)\b|(?:are|were) you (?:not (?:supposed|allowed|permitted) to (?:tell|say|reveal|share)|forbidden to|hiding))"),
    ("prompt-leak", 0.9, "what", r"\bwhat (?:is|was|are|were)\W+(?:your|the exact)\W+(?:\w+\W+){0,3}(?:prompt|system message|instructions you|secret instructions|hidden instructions|initial instructions|confidential)"),
    ("prompt-leak", 0.85, "inst rule guid", r"\b(?:instructions?|rules|guidelines)\W+(?:that )?(?:you|your developers?|the developers?)\W+(?:\w+\W+){0,4}(?:received|were given|have been (?:given|configured)|gave you|follow)\b"),
    ("persona", 0.95, "you act pret imag play simu beco beha resp answ repl spea role", rf"\b(?:you are|you're|you will be|act|pretend|imagine|play|simulate|become|behave|respond|answer|reply|speak|roleplay)\b[^\n]{{0,160}}?\b{_FREE}\b"),
    ("persona", 0.3, "you act pret imag play simu beco beha resp answ repl spea role", rf"\b(?:you are|you're|you will be|act|pretend|imagine|play|simulate|become|behave|respond|answer|reply|speak|roleplay)\b[^\n.!?]{{0,160}}?\b{_FREER}\b"),
    ("persona", 0.95, "do dan jail deve god sudo root admi debu oppo evil unre unfi unce", r"\bdo anything now\b|\bDAN (?:mode|can|is|has)\b|\bjailbr(?:eak|oken)\b[^\n]{0,30}\b(?:mode|ai|assistant|model|chatgpt|prompt)|\b(?:developer|god|sudo|root|dan|admin|debug|opposite|evil|jailbreak|unrestricted|unfiltered|uncensored) (?:mode|persona)\b(?!\W+(?:of|on|in) (?:my|the|a|an|android|chrome|flask)\b)[^\n]{0,60}\b(?:enabled?|activat\w+|on|enter|switch|all|you|no|ignor\w+|must|content)"),
    ("persona", 0.9, "ente acti enab swit turn", r"\b(?:enter|activate|enable|switch (?:to|into)|turn on)\W+(?:\w+\W+){0,3}(?:developer|god|dan|jailbreak|unrestricted|unfiltered|uncensored|debug) (?:mode|persona)"),
    ("persona", 0.9, "brok free igno has", r"\b(?:broken (?:free|its chains|out)|freed from|ignores? (?:all|any|every|its)\W+(?:\w+\W+){0,2}(?:rules|ethic\w*|moral\w*|guidelines|programming|limits|policies|laws)|has no (?:rules|morals?|ethics|filters?|limits|restrictions|safety))"),
    ("persona", 0.85, "evil amor mali rogu immo unet", r"\b(?:evil|amoral|malicious|rogue|immoral|unethical)\W+(?:\w+\W+){0,2}(?:ai|bot|assistant|chatbot|twin|model|version|confidant|machine|language model)\b"),
    ("fake-turn", 0.95, "", r"<\|(?:im_start|im_end|system|user|assistant|endoftext|end|eot_id|start_header_id)\|?>|\[/?INST\]|<</?SYS>>|</?\s*system\s*>|\[system\]\(#|<\s*/?\s*(?:admin|system|developer)_?(?:note|prompt|message|instructions?)\b"),
    ("fake-turn", 0.9, "", r"(?im)^\W{0,6}(?:system|admin|developer|operator)\W{0,3}(?:override|prompt|message|note|notice|instructions?|update|command)?[^\n:]{0,30}:[^\n]{0,80}\b(?:filters?|restrictions?|polic\w+|you (?:are|will|must|have)|directive|guardrails?|bypass\w*|disabled?|reveal)\b"),
    ("fake-turn", 0.9, "end endi begi star", r"\b(?:end|begin|start)(?:ing)? (?:of )?(?:the )?(?:system|admin|new|hidden|developer|secret|user)?\W{0,2}(?:prompt|session|instructions?|input|directives?)\b\W{0,6}(?:-{2,}|={2,}|\*{2,}|\||\n|to (?:ai|the (?:ai|model|assistant)|llm)|instruction)"),
    ("fake-turn", 0.9, "", r"[\"']role[\"']\s*:\s*[\"']system[\"']"),
    ("authority", 0.9, "disa turn swit unlo lift remo deac rela susp bypa", rf"\b(?:disable|turn off|switch off|unlock|lift|remove|deactivate|relax|suspend|bypass)\W+(?:\w+\W+){{0,3}}(?:your|the|all|its|every|content|safety|ethical)\W+(?:\w+\W+){{0,2}}(?:(?:safety|content)(?=\W*(?:$|[.,;:!?\n]|(?:and|for|now|features?|checks?|layers?|training|protocols?|settings?|measures?|systems?)\b))|ethic\w*|filter\w*|restrict\w*|guardrails?|safeguards?|limit\w*|polic\w+|moderation|guidelines|censorship)\b{_NOT_ELSEWHERE}"),
    ("authority", 0.9, "auth perm allo appr clea gran", r"\b(?:authori[sz]ed|permission|permitted|allowed|approved|clearance|granted)\W+(?:\w+\W+){0,6}(?:ignore|bypass|without restrictions?|unrestricted|break (?:the|your) rules|unfiltered|confidential prompt|over your own)"),
    ("authority", 0.9, "filt guar safe cont rest limi", r"\b(?:filters?|guardrails?|safety (?:checks?|layer|training|filters?)|content (?:policy|policies|filters?|rules?)|restrictions?|limits)\W+(?:\w+\W+){0,3}(?:off|disabled|bypassed|revoked|removed|deactivated|lifted)\b"),
    ("authority", 0.9, "comp proc obey answ", r"\b(?:comply|proceed|obey|answer)\W+(?:\w+\W+){0,6}(?:even (?:though|if)|despite|regardless of)\W+(?:\w+\W+){0,2}(?:your|the) (?:rules|polic\w+|guidelines|programming|restrictions|training)"),
    ("refusal", 0.9, "neve don dont do must cann can cant not with", r"\b(?:never|don'?t|do not|must not|cannot|can'?t|not allowed to|without)\W+(?:\w+\W+){0,3}(?:refus\w+|declin\w+|say(?:ing)? (?:that you (?:can'?t|cannot)|no\b|you can'?t)|reject\w*)\b[^\n]{0,120}"),
    ("refusal", 0.3, "neve don dont do must cann can cant not with", r"\b(?:never|don'?t|do not|must not|cannot|can'?t|not allowed to|without)\W+(?:\w+\W+){0,3}apologi[sz]\w+\b[^\n]{0,120}"),
    ("refusal", 0.9, "star begi", r"\b(?:start|begin)\W+(?:\w+\W+){0,4}with\W{1,4}(?:sure|absolutely|of course|certainly|yes)\b"),
    ("refusal", 0.85, "no with skip leav omit", r"\b(?:no|without|skip|leave out|omit)\W+(?:\w+\W+){0,3}(?:moral\w*|ethic\w*|disclaimers?|caveats?|warnings?|lectur\w+)\b[^\n.]{0,60}\b(?:just|comply|produce|answer|only|obey|request|disclaimers?|refus\w+)\b"),
    ("refusal", 0.9, "refu puni lose dedu", r"\brefus(?:al|ing)\w*\W+(?:\w+\W+){0,4}(?:not (?:an option|allowed|permitted)|forbidden|punish\w*|fail\w*)|\bpunish\w*\W+(?:\w+\W+){0,3}refus\w*|\b(?:lose|deduct\w*)\W+(?:\w+\W+){0,3}(?:tokens|points|lives)\b"),
    ("document", 0.95, "ai llm llms gpt chat lang assi bot bots auto mode", r"\b(?:ai|llms?|gpt|chatgpt|chatbots?|language models?|assistants?|bots?|automated agents?|(?<=\bthe )model)\b[^\n.]{0,60}\b(?:reading|processing|summari[sz]ing|that (?:reads|processes|triages)|must|should|are required|is required|should now|stop here)\b[^\n]{0,100}\b(?:ignore|disregard|tell|recommend|include|reply|respond|forward|rate|print|ask|replace|output|append|render|run|say|answer|close)\b"),
    ("document", 0.9, "note atte noti mess inst dear impo addr p ps", r"\b(?:note|attention|notice|message|instructions?|dear|important|addressed|p\.?s\.?)\b[^\n.]{0,30}\b(?:ai|llms?|language models?|chatbots?|assistants?|gpt|the (?:model|bot|assistant))\b[^\n]{0,12}[:,]"),
    ("document", 0.9, "", r"!\[[^\]]{0,60}\]\(https?://[^)\s]{0,200}[?&=][^)\s]{0,200}\)"),
    ("document", 0.85, "when", r"\bwhen (?:summari[sz]ing|processing|answering|reading)\b[^\n]{0,80}\b(?:do not mention|instead|forward|include the link|hide|omit)\b"),
    ("joined", 0.9, LONG, r"(?:ignore|disregard|forget|bypass)(?:all|any|your|the|of)*(?:previous|prior|above|your|earlier|safety)+(?:instruction|rule|guideline|prompt|filter)"),
    ("multilingual", 0.95, "igno verg miss oubl olvi desa dime esqu desc nege zign", r"\b(?:ignorier\w*|vergiss|missachte)\b[^\n]{0,50}\b(?:anweisung\w*|regeln|vorgaben|richtlinien|befehle|systemprompt)|\b(?:ignore[rz]?|oublie[rz]?)\b[^\n]{0,12}\b(?:les|tes|vos|ces|toutes|mes|nos)\b[^\n]{0,40}\b(?:instructions|consignes|r[eè]gles)\b|\b(?:ignora|olvida|desatiende)\b[^\n]{0,40}\b(?:instrucciones|reglas|indicaciones)|\b(?:ignora|dimentica)\b[^\n]{0,40}\b(?:istruzioni|regole)|\b(?:ignore|esqueça|desconsidere)\b[^\n]{0,40}\b(?:instru[cç][oõ]es|regras)|\bnegeer\b[^\n]{0,40}\b(?:instructies|regels)|\bzignoruj\b[^\n]{0,40}(?:polecenia|instrukcje|zasady)"),
    ("multilingual", 0.95, "jetz part ora", r"\b(?:(?<=\bab )jetzt|(?<=\bà )partir de maintenant|(?<=\ba )partir de ahora|(?<=\bd')ora in poi)\b[^\n]{0,60}(?:ohne (?:jede )?(?:einschränkung|grenzen|regeln|filter)|sans (?:aucune )?(?:restriction|limite|filtre)|sin (?:límites|restricciones|filtros|limites)|senza (?:limiti|restrizioni|filtri))"),
    ("multilingual", 0.95, FOREIGN, r"(?:忽略|無視|无视|忘记|忘掉)[^\n]{0,20}(?:指令|指示|规则|提示|規則)|(?:指示|命令|ルール|指令)[^\n]{0,12}(?:無視|忘れ)|(?:지시|명령|규칙)[^\n]{0,12}(?:무시|잊)|без (?:каких-либо )?(?:ограничений|цензуры|фильтров)|(?:игнорируй|забудь|проигнорируй)[^\n]{0,40}(?:инструкци|правил|указани)"),
)  # fmt: skip
_COMPILED = [(name, weight, re.compile(pattern, re.IGNORECASE)) for name, weight, _, pattern in _SIGNATURES]

_WORD = re.compile(r"\w+")
_STARTS: dict[str, list[int]] = {}
"""First letters of a word (four, or all of a shorter one) to the signatures that may begin there."""
for _number, _signature in enumerate(_SIGNATURES):
    for _start in _signature[2].split() if _signature[2] not in (LONG, FOREIGN) else ():
        _STARTS.setdefault(_start, []).append(_number)
_ELSEWHERE = {
    kind: [number for number, (_, _, starts, _) in enumerate(_SIGNATURES) if starts == kind]
    for kind in ("", LONG, FOREIGN)
}


def hits(text: str) -> list[Hit]:
    """All signatures found, first place each, strongest first.

    Most begin with a known word, so they are tried at such words only: a tenth of the time that searching takes.
    """
    found: dict[int, re.Match[str]] = {}
    longest = 0
    for word in _WORD.finditer(text):
        letters = word[0]
        longest = max(longest, len(letters))
        for number in _STARTS.get(letters[:4].lower(), ()):
            if number not in found:
                match = _COMPILED[number][2].match(text, word.start())
                if match:
                    found[number] = match
    others = _ELSEWHERE[""] + (_ELSEWHERE[LONG] if longest >= LONG_WORD else [])
    for number in others + (_ELSEWHERE[FOREIGN] if _OTHER_LETTERS.search(text) else []):
        match = _COMPILED[number][2].search(text)
        if match:
            found[number] = match
    hits = [Hit(*_COMPILED[number][:2], *match.span()) for number, match in sorted(found.items())]
    return sorted(hits, key=lambda hit: -hit.weight)
