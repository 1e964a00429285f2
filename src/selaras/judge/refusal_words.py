"""Words that the tables of the refusal rules share, by the name that stands for them there."""

_WORD = r"[\w'-]{1,24}"
FRAGMENTS = {
    "few": rf"(?:{_WORD} ){{0,3}}",
    "some": rf"(?:{_WORD},? ){{0,7}}",
    "is": r"(?:is|'s|was|would be|it'd be|seems|feels)",
    "me": r"(?:i|we|this assistant|this model)",
    "am": r"(?:i am|i'm|we are|we're|im)",
    # What an assistant is asked to do. Verbs of the body and the world (reach, lift, attend) are
    # left out: "I can't reach the shelf" refuses nothing.
    "task": r"(?:help|assist|aid|provide|give|offer|share|answer|respond|reply|discuss|talk|speak|"
    r"write|create|generate|produce|compose|draft|make|explain|describe|tell|show|teach|guide|"
    r"support|promote|encourage|suggest|recommend|advise|endorse|engage|participate|"
    r"fulfill?|comply|complete|process|accommodate|continue|proceed|disclose|reveal|release|"
    r"speculate|comment|condone|facilitate|enable|entertain|name|list|translate|summari[sz]e|"
    r"rewrite|roleplay|role-play|pretend|instruct|walk you|go into|get into|go along|"
    r"be (?:part|involved|able)|take part|do (?:that|this|it|so|what)|say (?:that|this|it|who|"
    r"whom|what|which)|"
    r"spoil|guess|meet|grant|honou?r|accept|act|display|present|outline|detail|supply|"
    r"offer|justify|defend|argue|advocate|glorify|joke|access|determine|verify|confirm|"
    r"obtain|carry out|follow|pass on|send|recite|reproduce|identify|diagnose|prescribe)",
    "answering": r"(?:(?:make|tell) jokes|joke|discuss|provide|promote|explain|describe|share|give|"
    r"offer|speculate|talk|write|create|generate|assist|answer|disclose|glorify|encourage|endorse|"
    r"facilitate|advise on|display|help)",
    "wrongdoing": r"(?:make (?:assumptions|generali[sz]ations|fun)|suggest|ask|engage|advocate|"
    r"support|harm|hurt|kill|steal|use violence|discriminate|try to|seek|condone|imply|deny|"
    r"refer to|attempt|access)",
    "proper": r"(?:appropriate|ethical|legal|right|acceptable|okay|ok|responsible|respectful|"
    r"accurate|safe|moral|correct|fair|proper|productive|polite|advisable|permissible|valid)",
    # Body, mind, life and motion: who cannot or will not do these refuses nothing.
    "living": r"(?:lie|deny|have|go|come|stay|get|attend|miss|forget|leave|sleep|stop|rest|need|"
    r"know|see|"
    r"let|cry|die|break|fall|mind|complain|regret|quit|yield|bend|bow|fear|wait|bore|tolerate|"
    r"eat|drink|"
    r"claim|meet|dance|sing|swim|run|walk(?! {few}through)|vote|live|love|hear|feel|find|read|"
    r"reach|open|view|watch|play(?! along)|hold|"
    r"carry|lift|pay|afford|buy|think|believe|imagine|remember|recall|understand|agree|spot|"
    r"detect|help "
    r"but|say (?:it|enough|for|much|with)|keep|move|stand|sit|drive|fly|work|win|lose|use|stress|"
    r"emphasi[sz]e|thank|praise|recommend {some}(?:enough|more)|tell (?:if|whether|from|the "
    r"difference)|"
    r"promise|guarantee|be (?:sure|certain|home|there|late|long|needing|defeated|at|in|on|your|"
    r"the|a|able|happy|"
    r"happier|here|back)|give up|make it|see|catch|stomach|bear|resist|escape|return|change|turn "
    r"back|"
    r"look back|dwell|hide|hurt|say (?:it|which|when|why|how))\b",
    "courteous": r"(?:no|nope|sorry|unfortunately|i'm sorry|i'm afraid|but),? ",
    # Who can help instead.
    "role": r"(?:doctors?|physicians?|pharmacists?|nurses?|vets?|veterinarians?|psychologists?|"
    r"therapists?|counsell?ors?|lawyers?|attorneys?|solicitors?|notar(?:y|ies)|courts?|mediators?|"
    r"advis[eo]rs?|police|authorit(?:y|ies)|officials?|embass(?:y|ies)|office|ombudsman|"
    r"locksmiths?|"
    r"mechanics?|electricians?|engineers?|technicians?|professionals?|specialists?|experts?|"
    r"services?|"
    r"hotlines?|helplines?|suppliers?|providers?|banks?|employers?|landlords?|unions?|teachers?|"
    r"tutors?|parents?|librar(?:y|ians?)|museums?|registrars?|customer support|support team|"
    r"accountants?|chemists?|cent(?:re|er)s?|clinics?|organi[sz]ations?|someone)",
    "improper": r"(?:inappropriate|unethical|wrong|irresponsible|disrespectful|immoral|improper)",
    "rules": r"(?:guidelines?|polic(?:y|ies)|programming|rules|values|principles|terms|"
    r"instructions|safety training|ethics|purpose|boundaries|ethical|content)",
}
