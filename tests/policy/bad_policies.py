"""A corpus of policy files that must not load: what is wrong, where, and what the line must say."""

from __future__ import annotations

from dataclasses import dataclass, field

GOOD = "version: 1\nname: acme\nextends: baseline\n"
"""Three lines that are a valid policy; most files here go wrong in what follows them."""


@dataclass(frozen=True)
class Bad:
    """One bad policy: its files (`p.yaml` is checked), and the place and words of the error.

    Attributes:
        place: `line:column` in `p.yaml`, `file:line:column` elsewhere, or empty for no place.
        words: All of them stand in the one line.
        made: Files that are not plain text: `folder`, `fifo`, `unreadable`, or a size in bytes.
    """

    name: str
    files: dict[str, str | bytes]
    place: str
    words: tuple[str, ...]
    made: dict[str, str | int] = field(default_factory=dict)

    @property
    def start(self) -> str:
        """How the error begins."""
        if not self.place:
            return ""
        return self.place if self.place.count(":") > 1 else f"p.yaml:{self.place}"


def _after(name: str, text: str | bytes, place: str, *words: str) -> Bad:
    """A file that goes wrong after three good lines."""
    if isinstance(text, bytes):
        return Bad(name, {"p.yaml": GOOD.encode() + text}, place, words)
    return Bad(name, {"p.yaml": GOOD + text}, place, words)


def _whole(name: str, text: str | bytes, place: str, *words: str) -> Bad:
    """A file that goes wrong as a whole."""
    return Bad(name, {"p.yaml": text}, place, words)


MISSPELT = [
    _after(
        "a misspelt top key", "mod: enforce\n", "4:1", "unknown key", "did you mean mode", "judge"
    ),
    _after("another misspelt top key", "categorys: []\n", "4:1", "did you mean categories"),
    _after("a wrongly cased key", "Mode: enforce\n", "4:1", "did you mean mode"),
    _after("a dashed key", "verdict: {on-unsafe: block}\n", "4:11", "did you mean on_unsafe"),
    _after(
        "a misspelt threshold",
        "verdict:\n  unsafe_at: 0.5\n  safe_bellow: 0.4\n",
        "6:3",
        "verdict.safe_bellow",
        "did you mean safe_below",
    ),
    _after(
        "a misspelt action key", "verdict: {on_unsure: plain}\n", "4:11", "did you mean on_unsafe"
    ),
    _after(
        "a key of another section",
        "contrast: {boost: 2}\n",
        "4:12",
        "accepted are form, counterfactual, alpha",
    ),
    _after("a misspelt contrast key", "contrast: {alhpa: 0.3}\n", "4:12", "did you mean alpha"),
    _after(
        "a misspelt modulation key", "modulation: {supress: 1}\n", "4:14", "did you mean suppress"
    ),
    _after("a misspelt judge key", "judge: {timeout: 5}\n", "4:9", "did you mean timeout_s"),
    _after(
        "a misspelt calibration key",
        "judge: {calibration: {scal: 1}}\n",
        "4:23",
        "did you mean scale",
    ),
    _after(
        "a misspelt category key",
        "categories:\n  - {id: medical, unsafe: 0.4}\n",
        "5:19",
        "categories.medical.unsafe",
        "did you mean unsafe_at",
    ),
    _after(
        "a misspelt vocabulary key",
        "refusals: {en: {phrase: [Sorry]}}\n",
        "4:17",
        "did you mean phrases",
    ),
    _after("a misspelt session key", "session: {memry: max}\n", "4:11", "did you mean memory"),
    _after(
        "a misspelt key of a session's refusals",
        "session: {after_refusal: {unsafe: 0.4}}\n",
        "4:27",
        "did you mean unsafe_at",
    ),
    _after("an unknown session memory", "session: {memory: min}\n", "4:19", "off, max"),
    _after("a decay above 1", "session: {memory: max, decay: 1.5}\n", "4:31", "1.5"),
    _after("a misspelt audit key", "audit: {file: a.log}\n", "4:9", "accepted are path, on_error"),
    _after("a misspelt capture key", "capture: {contents: true}\n", "4:11", "did you mean content"),
    _after(
        "a misspelt failure key",
        "failure: {noise: continue}\n",
        "4:11",
        "accepted are noised_branch",
    ),
    _after("a key of a selection", "when: {tenant: a}\n", "4:1", "unknown key"),
]

WRONG_WORDS = [
    _after(
        "an unknown mode",
        "mode: enforced\n",
        "4:7",
        "'enforced'",
        "did you mean enforce",
        "one of enforce, shadow, off",
    ),
    _after("a mode in capitals", "mode: OFF\n", "4:7", "did you mean off"),
    _after(
        "an unknown judge", "judge: {kind: gpt}\n", "4:15", "self, caption, model, chat, callable"
    ),
    _after(
        "an unknown action",
        "verdict: {on_unsafe: deny}\n",
        "4:22",
        "comply, refuse, plain, block, escalate",
    ),
    _after("a misspelt action", "verdict: {on_unsafe: refues}\n", "4:22", "did you mean refuse"),
    _after(
        "an unknown category action",
        "categories: [{id: privacy, on_unsafe: stop}]\n",
        "4:39",
        "categories.privacy.on_unsafe",
        "block",
    ),
    _after(
        "an unknown contrast form",
        "contrast: {form: vcd}\n",
        "4:18",
        "default, paper, published-code",
    ),
    _after(
        "an unknown contrast time",
        "contrast: {when: sometimes}\n",
        "4:18",
        "always, at-stake, never",
    ),
    _after(
        "an unknown modulation form",
        "modulation: {form: token}\n",
        "4:20",
        "phrase, paper, published-code",
    ),
    _after("an unknown scale", "modulation: {scale: linear}\n", "4:21", "confidence, fixed"),
    _after("an unknown audit setting", "audit: {on_error: ignore}\n", "4:19", "fail, continue"),
    _after(
        "an unknown failure setting",
        "failure: {noised_branch: drop}\n",
        "4:26",
        "on_error, continue",
    ),
]

WRONG_TYPES = [
    _after(
        "text for a number",
        "verdict: {unsafe_at: high}\n",
        "4:22",
        "'high'",
        "a number from 0 to 1",
    ),
    _after("a quoted number", 'verdict: {unsafe_at: "0.6"}\n', "4:22", "a number from 0 to 1"),
    _after("a percentage", "verdict: {unsafe_at: 60%}\n", "4:22", "'60%'", "a number from 0 to 1"),
    _after("a decimal comma", "verdict: {unsafe_at: [0,6]}\n", "4:22", "a list", "a number"),
    _after("true for a number", "verdict: {unsafe_at: true}\n", "4:22", "true", "a number"),
    _after("nothing for a number", "verdict: {unsafe_at: }\n", "4:22", "nothing", "a number"),
    _after("a number for an action", "verdict: {on_unsafe: 1}\n", "4:22", "comply"),
    _after("a number for text", "judge: {answer_suffix: 5}\n", "4:24", "5", "text"),
    _after("a number for a message", "refusals: {en: {message: 5}}\n", "4:26", "text"),
    _after("text for a list", "refusals: {en: {phrases: Sorry}}\n", "4:26", "'Sorry'", "a list"),
    _after(
        "a number in a list of text", "refusals: {en: {phrases: [Sorry, 7]}}\n", "4:34", "7", "text"
    ),
    _after(
        "a map in a list of text", "refusals: {en: {phrases: [{a: b}]}}\n", "4:27", "a map", "text"
    ),
    _after("a list for a map", "verdict: [unsafe_at]\n", "4:10", "a list", "a map"),
    _after("text for a map", "contrast: strong\n", "4:11", "'strong'", "a map with the keys form"),
    _after("nothing for a map", "contrast:\n", "4:10", "nothing", "a map"),
    _after("a map for a list", "categories: {id: x}\n", "4:13", "a map", "a list"),
    _after("text for categories", "categories: medical\n", "4:13", "'medical'", "a list"),
    _after("text for a category", "categories: [medical]\n", "4:14", "a map with the keys"),
    _after("a list for a vocabulary", "refusals: {en: [Sorry]}\n", "4:16", "a list", "a map"),
    _after("a list of vocabularies", "refusals: [Sorry]\n", "4:11", "a map"),
    _after("text for a flag", "capture: {content: maybe}\n", "4:20", "true or false"),
    _after("yes for a flag", "capture: {content: yes}\n", "4:20", "'yes'", "true or false"),
    _after("a number for a flag", "capture: {content: 1}\n", "4:20", "true or false"),
    _after(
        "a fraction of a step",
        "contrast: {guided_steps: 2.5}\n",
        "4:26",
        "a whole number from 0 to 512",
    ),
    _after("text for locked", "locked: mode\n", "4:9", "a list"),
    _after("a number in locked", "locked: [5]\n", "4:10", "text"),
    _after(
        "a number for enabled", "categories: [{id: medical, enabled: 0}]\n", "4:37", "true or false"
    ),
    _after("a list for a reason", "categories: [{id: medical, reason: [x]}]\n", "4:36", "a list"),
]

OUT_OF_RANGE = [
    _after(
        "a threshold above one",
        "verdict:\n  unsafe_at: 1.5\n",
        "5:14",
        "1.5",
        "a number from 0 to 1",
    ),
    _after("a negative threshold", "verdict: {safe_below: -0.1}\n", "4:23", "-0.1", "from 0 to 1"),
    _after(
        "a threshold that is no number", "verdict: {unsafe_at: .nan}\n", "4:22", "nan", "a number"
    ),
    _after("an infinite threshold", "verdict: {unsafe_at: .inf}\n", "4:22", "inf", "a number"),
    _after("a threshold too large for a float", "verdict: {unsafe_at: 1e999}\n", "4:22", "inf"),
    _after(
        "a category threshold above one",
        "categories: [{id: medical, unsafe_at: 40}]\n",
        "4:39",
        "categories.medical.unsafe_at",
        "from 0 to 1",
    ),
    _after("too much contrast", "contrast: {alpha: 11}\n", "4:19", "from 0 to 10"),
    _after("a negative contrast", "contrast: {alpha: -1}\n", "4:19", "from 0 to 10"),
    _after("too much noise", "contrast: {noise_std: 25}\n", "4:23", "from 0 to 1"),
    _after("too many steps", "contrast: {guided_steps: 513}\n", "4:26", "from 0 to 512"),
    _after("negative steps", "contrast: {guided_steps: -1}\n", "4:26", "from 0 to 512"),
    _after("a plausibility above one", "contrast: {plausibility: 2}\n", "4:26", "from 0 to 1"),
    _after("an enormous boost", "modulation: {boost: 1000}\n", "4:21", "from 0 to 100"),
    _after("a negative boost", "modulation: {boost: -4}\n", "4:21", "from 0 to 100"),
    _after("no candidates", "modulation: {top_k: 0}\n", "4:21", "from 1 to 10000"),
    _after("no time", "judge: {timeout_s: 0}\n", "4:20", "above 0 up to 600"),
    _after("too much time", "judge: {timeout_s: 3600}\n", "4:20", "above 0 up to 600"),
    *(
        _after(
            f"a competence above {above}",
            f"judge: {{competence: {{above: {above}}}}}\n",
            "4:29",
            "it is a p-value, from above 0 to below 1",
        )
        for above in ("0", "1", "-1.5", "1.0")
    ),
    _after("a competence beyond all", "judge: {competence: {above: 1e9}}\n", "4:29", "-100 to 100"),
    _after("a competence of nothing", "judge: {competence: {above: .nan}}\n", "4:29", "nan"),
    _after(
        "evidence of no kind",
        "judge: {competence: {evidence: familar}}\n",
        "4:32",
        "familiar, picture, none",
    ),
    _after("a blank reference", "judge: {competence: {reference: ' '}}\n", "4:33", "blank"),
    _after("a reference that is none", "judge: {competence: {reference: 5}}\n", "4:33", "5"),
    _after("a misspelt reference", "judge: {competence: {referenc: r}}\n", "4:22", "reference"),
    _after("a scale of zero", "judge: {calibration: {scale: 0}}\n", "4:30", "above 0 up to 100"),
    _after("a huge integer", f"contrast: {{alpha: {'9' * 17}}}\n", "4:19", "from 0 to 10"),
]

DO_NOT_FIT = [
    _after(
        "overlapping thresholds",
        "verdict: {unsafe_at: 0.3, safe_below: 0.5}\n",
        "4:39",
        "overlap",
        "safe_below 0.5 is above unsafe_at 0.3",
    ),
    _after(
        "a category below the general safe_below",
        "categories:\n  - id: medical\n    unsafe_at: 0.2\n",
        "6:16",
        "in category medical",
        "verdict.safe_below",
    ),
    _after(
        "a category above the general unsafe_at",
        "categories: [{id: medical, safe_below: 0.9}]\n",
        "4:40",
        "verdict.unsafe_at",
    ),
    _after(
        "actions that fall",
        "verdict: {on_uncertain: block, on_unsafe: plain}\n",
        "4:43",
        "on_unsafe: plain is more permissive than on_uncertain: block",
    ),
    _after(
        "actions that fall from safe",
        "verdict: {on_safe: refuse, on_uncertain: plain}\n",
        "4:42",
        "on_uncertain: plain is more permissive than on_safe: refuse",
    ),
    _after(
        "a category whose actions fall",
        "categories: [{id: medical, on_unsafe: comply, on_uncertain: plain}]\n",
        "4:39",
        "in category medical",
        "accepted for on_unsafe are plain, refuse, escalate, block",
    ),
    _after(
        "a category twice",
        "categories: [{id: medical}, {id: medical}]\n",
        "4:34",
        "'medical' stands twice",
    ),
    _after(
        "a new category without a question",
        "categories: [{id: medicine}]\n",
        "4:19",
        "needs a question",
        "did you mean medical",
    ),
    _after(
        "switching off what is not there",
        "categories: [{id: medicin, enabled: false}]\n",
        "4:19",
        "nothing to switch off",
        "did you mean medical",
    ),
    _after(
        "a category without an id", "categories: [{question: Is it?}]\n", "4:14", "this is missing"
    ),
    _after(
        "an id with a space",
        "categories: [{id: my cat, question: Is it?}]\n",
        "4:19",
        "'my cat'",
        "lower-case letters",
    ),
    _after(
        "an id in capitals",
        "categories: [{id: MEDICAL, question: Is it?}]\n",
        "4:19",
        "lower-case letters",
    ),
    _after("an id with a dot", "categories: [{id: a.b, question: Is it?}]\n", "4:19", "'a.b'"),
    _after("a blank question", "categories: [{id: medical, question: '  '}]\n", "4:38", "blank"),
    _after("an empty question", "categories: [{id: medical, question: ''}]\n", "4:38", "text"),
    _after("a blank phrase", "refusals: {en: {phrases: [' ']}}\n", "4:27", "blank"),
    _after(
        "an unknown field in a message",
        'refusals: {en: {message: "No: {reson}"}}\n',
        "4:26",
        "unknown field {reson}",
        "{reason}",
        "did you mean reason",
    ),
    _after(
        "a field that reaches inside",
        'refusals: {en: {message: "{reason.__class__}"}}\n',
        "4:26",
        "unknown field",
        "{reason}, {category}",
    ),
    _after(
        "a field with an index",
        'refusals: {en: {message: "{reason[0]}"}}\n',
        "4:26",
        "unknown field",
    ),
    _after(
        "a field with a width",
        'refusals: {en: {message: "{reason:>99999999}"}}\n',
        "4:26",
        "unknown field",
    ),
    _after("an unnamed field", 'refusals: {en: {message: "No: {}"}}\n', "4:26", "unknown field {}"),
    _after(
        "an open brace", 'refusals: {en: {message: "No: {reason"}}\n', "4:26", "braces do not match"
    ),
    _after(
        "a category message with an unknown field",
        'categories: [{id: medical, message: "{who}"}]\n',
        "4:37",
        "unknown field {who}",
    ),
    _after("an unknown language code", "refusals: {English: {phrases: []}}\n", "4:12", "'English'"),
    _after("no model for kind model", "judge: {kind: model}\n", "4:15", "judge.model"),
    _after("a model for kind self", "judge: {model: ./m}\n", "4:16", "takes no model"),
    _after(
        "a lock on nothing",
        "locked: [verdict.on_eror]\n",
        "4:10",
        "'verdict.on_eror'",
        "did you mean verdict.on_error",
    ),
    _after(
        "a lock on an unknown category",
        "locked: [categories.medicine.on_unsafe]\n",
        "4:10",
        "did you mean categories.medical.on_unsafe",
    ),
    _after(
        "a lock on a category that is switched off",
        "categories: [{id: child-at-risk, enabled: false}]\n"
        "locked: [categories.child-at-risk.on_unsafe]\n",
        "5:10",
        "names nothing that can be locked, since there is no category 'child-at-risk' here, or it "
        "is switched off: accepted",
    ),
    _after("a lock on the name", "locked: [name]\n", "4:10", "names nothing that can be locked"),
    _after(
        "a phrase that is too long",
        f"refusals: {{en: {{phrases: [{'a' * 201}]}}}}\n",
        "4:27",
        "at most 200 characters",
    ),
    _after(
        "a description that is too long",
        f"description: {'x' * 2001}\n",
        "4:14",
        "at most 2000 characters",
    ),
]

IDENTITY = [
    _whole(
        "no version",
        "name: a\nextends: baseline\n",
        "1:1",
        "version",
        "this is missing",
        "accepted is 1",
    ),
    _whole("no name", "version: 1\nextends: baseline\n", "1:1", "name", "this is missing"),
    _whole(
        "a later version", "version: 2\nname: a\nextends: baseline\n", "1:10", "2", "accepted is 1"
    ),
    _whole("true for a version", "version: true\nname: a\nextends: baseline\n", "1:10", "true"),
    _whole(
        "a version in quotes", "version: '1'\nname: a\nextends: baseline\n", "1:10", "accepted is 1"
    ),
    _whole(
        "a version like a release",
        "version: 1.0.0\nname: a\nextends: baseline\n",
        "1:10",
        "'1.0.0'",
    ),
    _whole(
        "a name with spaces",
        "version: 1\nname: My Policy\nextends: baseline\n",
        "2:7",
        "'My Policy'",
        "lower-case letters",
    ),
    _whole("a number for a name", "version: 1\nname: 5\nextends: baseline\n", "2:7", "5"),
    _whole("an empty name", "version: 1\nname: ''\nextends: baseline\n", "2:7", "''"),
    _whole("no categories", "version: 1\nname: a\n", "1:1", "categories", "this is missing"),
    _whole("empty categories", "version: 1\nname: a\ncategories: []\n", "3:13", "at least 1 items"),
    _whole("only a vocabulary", "version: 1\nname: a\nextends: refusals/ko\n", "1:1", "categories"),
]

NOT_YAML = [
    _whole("an empty file", "", "1:1", "the file is empty"),
    _whole("only a comment", "# nothing\n", "1:1", "the file is empty"),
    _whole("only a separator", "---\n", "2:1", "a policy is a map"),
    _whole("plain text", "hello\n", "1:1", "a policy is a map", "'hello'"),
    _whole("a list", "- version\n", "1:1", "a policy is a map", "a list"),
    _whole("a picture", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "1:1", "byte 0x89 is not UTF-8"),
    _after("an open list", "locked: [mode\n", "5:1", "not YAML"),
    _after("an open map", "verdict: {unsafe_at: 0.5\n", "5:1", "not YAML"),
    _after("an open quote", "mode: 'enforce\n", "5:1", "not YAML"),
    _after("a tab for indentation", "verdict:\n\tunsafe_at: 0.5\n", "5:1", "indent with spaces"),
    _after(
        "a crooked indentation", "verdict:\n  unsafe_at: 0.5\n safe_below: 0.4\n", "6:2", "not YAML"
    ),
    _after("a missing space", "mode:enforce\n", "5:1", "not YAML"),
    _after("a colon in the words", "description: a: b\n", "4:15", "not YAML"),
    _after("a stray bracket", "mode: ]\n", "4:7", "not YAML"),
    _after("a reserved character", "mode: @enforce\n", "4:7", "not YAML"),
    _after("an unknown escape", 'mode: "\\q"\n', "4:8", "not YAML"),
    _after("two documents", "---\nversion: 1\n", "4:1", "a second document"),
    _after("a directive", "%YAML 1.1\n", "5:1", "not YAML"),
]

ABUSE = [
    _after(
        "a Python object",
        "mode: !!python/object/apply:os.system ['true']\n",
        "4:7",
        "tag",
        "is not accepted",
    ),
    _after("a Python name", "mode: !!python/name:os.system\n", "4:7", "tag"),
    _after("a local tag", "mode: !secret enforce\n", "4:7", "'!secret'"),
    _after("a known tag", "mode: !!str enforce\n", "4:7", "tag"),
    _after("a binary", "mode: !!binary aGk=\n", "4:7", "tag"),
    _after("a set", "verdict: !!set {unsafe_at}\n", "4:10", "tag"),
    _after(
        "a key twice", "mode: enforce\nmode: off\n", "5:1", "'mode' stands twice", "first on line 4"
    ),
    _after(
        "a key twice, quoted once", "mode: enforce\n'mode': off\n", "5:1", "'mode' stands twice"
    ),
    _after(
        "a nested key twice",
        "verdict: {unsafe_at: 0.5, unsafe_at: 0.9}\n",
        "4:27",
        "'unsafe_at' stands twice",
    ),
    _after("a merge key", "verdict:\n  <<: {unsafe_at: 0.9}\n", "5:3", "merge key", "`extends`"),
    _after("an undefined alias", "mode: *mode\n", "4:7", "'*mode'", "not defined"),
    _after("an alias to itself", "verdict: &v {unsafe_at: *v}\n", "4:25", "contains itself"),
    _after("a list in itself", "locked: &l [*l]\n", "4:13", "contains itself"),
    _after("an anchor twice", "mode: &a enforce\ndescription: &a x\n", "5:14", "defined twice"),
    _after("a list for a key", "? [a, b]\n: c\n", "4:3", "a list is not accepted as a key"),
    _after("a map for a key", "? {a: b}\n: c\n", "4:3", "a map is not accepted as a key"),
    _after("a number for a key", "5: x\n", "4:1", "5 is not accepted as a key"),
    _after("true for a key", "true: x\n", "4:1", "true is not accepted as a key"),
    _after("nothing for a key", "~: x\n", "4:1", "not accepted as a key"),
    _after("a very long key", f"{'k' * 200}: x\n", "4:1", "128 characters"),
    _after(
        "a billion laughs",
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{n}: &{n} [{','.join(['*' + p] * 9)}]\n"
            for p, n in zip("abcdefg", "bcdefgh", strict=True)
        ),
        "8:23",
        "more than the 50,000 values",
    ),
    _after(
        "a quadratic blow-up",
        f"a: &a [{'x,' * 10000}x]\nb: [*a,*a,*a,*a,*a,*a]\n",
        "5:14",
        "more than the 50,000 values",
    ),
    _after(
        "too many aliases",
        "mode: &m enforce\nlocked: [" + "*m," * 70 + "]\n",
        "5:202",
        "more than the 64 aliases",
    ),
    _after(
        "very deep lists",
        "locked: " + "[" * 900 + "]" * 900 + "\n",
        "4:25",
        "deeper than the 16 levels",
    ),
    _after(
        "very deep maps",
        "verdict: " + "{a: " * 3000 + "}" * 3000 + "\n",
        "4:71",
        "deeper than the 16 levels",
    ),
    _after(
        "very deep indentation",
        "verdict:\n" + "".join(f"{' ' * depth}a:\n" for depth in range(1, 300)),
        "20:17",
        "deeper than the 16 levels",
    ),
    _after("too many values", "locked: [" + "a," * 50_001 + "a]\n", "4:99992", "50,000 values"),
]

ENCODINGS = [
    _after("Latin-1", "description: caf\xe9\n".encode("latin-1"), "4:17", "byte 0xe9 is not UTF-8"),
    _after("a lone continuation byte", b"mode: \x80\n", "4:7", "byte 0x80 is not UTF-8"),
    _after("a cut character", b"description: \xe2\x82", "4:14", "not UTF-8"),
    _after("an overlong form", b"mode: \xc0\xaf\n", "4:7", "not UTF-8"),
    _after("half a surrogate pair", b"mode: \xed\xa0\x80\n", "4:7", "not UTF-8"),
    _whole("UTF-16", "version: 1\nname: a\n".encode("utf-16"), "1:1", "UTF-16", "save it as UTF-8"),
    _whole("UTF-32", "version: 1\nname: a\n".encode("utf-32"), "1:1", "UTF-32"),
    _whole("UTF-16 without a mark", "version: 1\n".encode("utf-16-le"), "1:2", "U+0000"),
    _after("a null byte", "mode: en\x00force\n", "4:9", "U+0000"),
    _after("an escape character", "mode: \x1b[31menforce\n", "4:7", "U+001B"),
    _after("a bell", "description: a\x07b\n", "4:15", "U+0007"),
    _after("a byte-order mark inside", "mode: \ufeffenforce\n", "4:7", "U+FEFF"),
    _after("a line separator", "description: a\u2028b\n", "4:15", "U+2028"),
    _after(
        "a no-break space after a colon",
        "mode:\u00a0enforce\n",
        "4:6",
        "the no-break space (U+00A0)",
        "plain space",
    ),
    _after("an ideographic space after a colon", "mode:\u3000off\n", "4:6", "U+3000"),
    _after(
        "a no-break space of an indented key",
        "judge:\n  kind:\u00a0self\n  timeout_s: 5\n",
        "5:8",
        "no-break space",
    ),
    _after(
        "a no-break space in an indent",
        "verdict:\n  unsafe_at: 0.5\n\u00a0\u00a0safe_below: 0.4\n",
        "6:1",
        "no-break space",
    ),
    _after(
        "a narrow no-break space between two keys that are fine",
        "description: d'accord\u00a0?\nmode:\u202foff\ncapture: {}\n",
        "5:6",
        "narrow no-break space (U+202F)",
    ),
    _after(
        "a no-break space after a value",
        "mode: enforce\u00a0\n",
        "4:7",
        "character 8 is the no-break space",
    ),
    _after("a zero width space in a value", "mode: \u200boff\n", "4:7", "zero width space"),
    _after(
        "a no-break space where a map belongs",
        "judge:\n  kind:\u00a0self\n",
        "5:3",
        "character 6 is the no-break space",
    ),
    _after("a zero width space in a key", "mo\u200bde: off\n", "4:1", "character 3", "U+200B"),
    _after("a joiner in a key", "mode\u200d: off\n", "4:1", "zero width joiner (U+200D)"),
    _after("a soft hyphen in a key", "verdict: {un\u00adsafe_at: 1}\n", "4:11", "soft hyphen"),
    _after(
        "a word joiner in a number",
        "verdict: {unsafe_at: 0.5\u2060}\n",
        "4:22",
        "word joiner (U+2060)",
    ),
    _after("a paragraph separator", "description: a\u2029b\n", "4:15", "paragraph separator"),
    _after("a next-line character", "description: a\x85b\n", "4:15", "next-line"),
    _after("text turned around", "description: a\u202eb\n", "4:15", "U+202E"),
    _after("a null byte as an escape", 'description: "a\\0b"\n', "4:14", "U+0000", "an escape"),
    _after("text turned around by an escape", 'description: "a\\u202eb"\n', "4:14", "U+202E"),
]

HUGE = [
    _after(
        "an enormous name",
        f"categories: [{{id: {'a' * 100_000}, question: Is it?}}]\n",
        "4:19",
        "at most 64 characters",
    ),
    Bad("a huge file", {}, "1:1", ("524,288 bytes",), {"p.yaml": 600 * 1024}),
    Bad("an enormous file", {}, "1:1", ("524,288 bytes",), {"p.yaml": 3 * 1024**3}),
    Bad(
        "an enormous parent",
        {"p.yaml": "version: 1\nname: a\nextends: ./big.yaml\n"},
        "3:10",
        ("'big.yaml' cannot be used as a policy (line 1, column 1)",),
        {"big.yaml": 3 * 1024**3},
    ),
]

EXTENDS = [
    _whole(
        "an unknown pack",
        "version: 1\nname: a\nextends: basline\n",
        "3:10",
        "'basline'",
        "did you mean baseline",
        "strict",
    ),
    _whole(
        "an unknown package", "version: 1\nname: a\nextends: acme:strict\n", "3:10", "'acme:strict'"
    ),
    _whole(
        "a missing file",
        "version: 1\nname: a\nextends: ./base.yaml\n",
        "3:10",
        "base.yaml",
        "no such file",
    ),
    _whole(
        "a missing file in a list",
        "version: 1\nname: a\nextends: [baseline, ./no.yaml]\n",
        "3:21",
        "no such file",
    ),
    _whole("a number", "version: 1\nname: a\nextends: 5\n", "3:10", "5 is not accepted", "a path"),
    _whole(
        "a map", "version: 1\nname: a\nextends: {pack: baseline}\n", "3:10", "a map is not accepted"
    ),
    _whole(
        "a number in a list", "version: 1\nname: a\nextends: [baseline, 5]\n", "3:21", "5 is not"
    ),
    _whole("an empty reference", "version: 1\nname: a\nextends: ''\n", "3:10", "not accepted"),
    _whole(
        "a way out of the pack",
        "version: 1\nname: a\nextends: refusals/../../x\n",
        "3:10",
        "no name of a policy",
    ),
    _whole(
        "a URL",
        "version: 1\nname: a\nextends: https://example.org/p\n",
        "3:10",
        "no name of a policy",
    ),
    _whole(
        "itself",
        "version: 1\nname: a\nextends: ./p.yaml\n",
        "3:10",
        "comes back to itself",
        "p.yaml -> p.yaml",
    ),
    Bad(
        "each other",
        {
            "p.yaml": "version: 1\nname: a\nextends: ./q.yaml\n",
            "q.yaml": "version: 1\nname: q\nextends: p.yaml\n",
        },
        "q.yaml:3:10",
        ("p.yaml -> q.yaml -> p.yaml",),
    ),
    Bad(
        "a ring of three",
        {
            "p.yaml": "version: 1\nname: a\nextends: ./q.yaml\n",
            "q.yaml": "version: 1\nname: q\nextends: [baseline, ./r.yaml]\n",
            "r.yaml": "version: 1\nname: r\nextends: ./p.yaml\n",
        },
        "r.yaml:3:10",
        ("comes back to itself",),
    ),
    Bad(
        "a very long chain",
        {
            "p.yaml": "version: 1\nname: a\nextends: ./c0.yaml\n",
            **{f"c{n}.yaml": f"version: 1\nname: c\nextends: ./c{n + 1}.yaml\n" for n in range(40)},
        },
        "c14.yaml:3:10",
        ("more than 16 files deep",),
    ),
    Bad(
        "very many parents",
        {
            "p.yaml": "version: 1\nname: a\nextends: ["
            + ", ".join(f"c{n}.yaml" for n in range(80))
            + "]\n",
            **{f"c{n}.yaml": "version: 1\nname: c\n" for n in range(80)},
        },
        "3:631",
        ("more than 64 files",),
    ),
    Bad(
        "a parent with a misspelt key",
        {
            "p.yaml": "version: 1\nname: a\nextends: ./q.yaml\n",
            "q.yaml": "version: 1\nname: q\nextends: baseline\nverdict: {unsafe: 0.4}\n",
        },
        "3:10",
        ("'q.yaml' cannot be used as a policy (line 4, column 11)", "guardrail policy check"),
    ),
    Bad(
        "a parent that is no YAML",
        {"p.yaml": "version: 1\nname: a\nextends: ./q.yaml\n", "q.yaml": "a: [\n"},
        "3:10",
        ("'q.yaml' cannot be used as a policy (line 2, column 1)",),
    ),
    _whole(
        "a name longer than any file's",
        f"version: 1\nname: a\nextends: {'x' * 5000}\n",
        "3:10",
        "no name of a policy",
    ),
    _whole(
        "a file of the system",
        "version: 1\nname: a\nextends: ../../../../../../../../etc/passwd\n",
        "3:10",
        "is no path of a policy",
    ),
    *(
        Bad(
            f"a parent that is {what}",
            {"p.yaml": f"version: 1\nname: a\nextends: {name}\n", name: text},
            "3:10",
            (f"{name!r} cannot be used as a policy", "policy check"),
        )
        for what, name, text in (
            ("a list of accounts", "passwd.yaml", "root:x:0:0:canary:/root:/bin/sh\n"),
            ("another program's map", "service.yaml", "user: root\npassword: canary\n"),
            ("a private key", "key.yaml", "-----BEGIN PRIVATE KEY-----\ncanary\n"),
            ("a map of a wrong value", "p2.yaml", "version: 1\nname: b\nmode: canary\n"),
            ("a policy that extends the unknown", "p3.yaml", "extends: ./canary.yaml\n"),
            ("a policy that extends another thing", "p4.yaml", "extends: {canary: 1}\n"),
            ("JSON of other keys", "token.json", '{"token": "canary"}\n'),
            ("a policy of a stray category", "p5.yaml", "categories: [{id: canary, x: 1}]\n"),
        )
    ),
    Bad(
        "a lock on what another file says",
        {
            "p.yaml": "version: 1\nname: a\nextends: [lock.yaml, service.yaml]\n",
            "lock.yaml": "version: 1\nname: l\nlocked: [password]\n",
            "service.yaml": "user: root\npassword: canary\n",
        },
        "service.yaml:2:11",
        ("what is inherited cannot become another value",),
    ),
    Bad(
        "a folder",
        {"p.yaml": "version: 1\nname: a\nextends: ./q.yaml\n"},
        "3:10",
        ("a folder", "accepted is a YAML file"),
        {"q.yaml": "folder"},
    ),
    Bad(
        "a pipe",
        {"p.yaml": "version: 1\nname: a\nextends: ./q.yaml\n"},
        "3:10",
        ("not a regular file",),
        {"q.yaml": "fifo"},
    ),
    Bad(
        "a device",
        {"p.yaml": "version: 1\nname: a\nextends: /dev/zero\n"},
        "3:10",
        ("'/dev/zero' is no path of a policy", "ending in .yaml"),
    ),
    _whole(
        "one parent very often",
        f"version: 1\nname: a\nextends: [{', '.join(['baseline'] * 20_000)}]\n",
        "3:10",
        "more than the 256 policies",
    ),
    Bad(
        "very large parents",
        {
            "p.yaml": "version: 1\nname: a\nextends: [c0.yaml, c1.yaml, c2.yaml, c3.yaml]\n",
            **{f"c{n}.yaml": "version: 1\nname: c\n#" + "x" * 400_000 + "\n" for n in range(4)},
        },
        "3:29",
        ("1,048,576 bytes",),
    ),
    Bad("the file is missing", {}, "", ("p.yaml", "no such file")),
    Bad(
        "the file is a folder",
        {},
        "",
        ("'p.yaml': it is a folder; accepted is a YAML file\n",),
        {"p.yaml": "folder"},
    ),
]

LOCKED = "version: 1\nname: base\nextends: baseline\nlocked: "

LOCKS = [
    Bad(
        "a locked action",
        {
            "base.yaml": f"{LOCKED}[verdict.on_error]\n",
            "p.yaml": "version: 1\nname: a\nextends: ./base.yaml\nverdict: {on_error: plain}\n",
        },
        "4:21",
        ("verdict.on_error is locked by base.yaml:4:10", "'block' cannot become 'plain'"),
    ),
    Bad(
        "a locked section",
        {
            "base.yaml": f"{LOCKED}[contrast]\n",
            "p.yaml": "version: 1\nname: a\nextends: ./base.yaml\ncontrast: {alpha: 0.1}\n",
        },
        "4:11",
        ("contrast is locked",),
    ),
    Bad(
        "a locked category",
        {
            "base.yaml": f"{LOCKED}[categories.medical]\n",
            "p.yaml": "version: 1\nname: a\nextends: ./base.yaml\n"
            "categories: [{id: medical, unsafe_at: 0.9}]\n",
        },
        "4:39",
        ("categories.medical.unsafe_at is locked", "0.6 cannot become 0.9"),
    ),
    Bad(
        "a locked category switched off",
        {
            "base.yaml": f"{LOCKED}[categories.medical]\n",
            "p.yaml": "version: 1\nname: a\nextends: ./base.yaml\n"
            "categories: [{id: medical, enabled: false}]\n",
        },
        "3:10",
        ("categories.medical is locked by base.yaml:4:10", "it cannot be taken out"),
    ),
    Bad(
        "a locked threshold moved from above",
        {
            "base.yaml": f"{LOCKED}[categories.medical.unsafe_at]\n",
            "p.yaml": "version: 1\nname: a\nextends: ./base.yaml\nverdict: {unsafe_at: 0.9}\n",
        },
        "4:22",
        ("categories.medical.unsafe_at is locked", "0.6 cannot become 0.9"),
    ),
    Bad(
        "a locked action changed in a category",
        {
            "base.yaml": f"{LOCKED}[verdict.on_unsafe]\n",
            "p.yaml": "version: 1\nname: a\nextends: ./base.yaml\n"
            "categories: [{id: medical, on_unsafe: plain}]\n",
        },
        "4:39",
        ("categories.medical.on_unsafe is locked",),
    ),
    Bad(
        "a locked action changed in a new category",
        {
            "base.yaml": f"{LOCKED}[verdict.on_unsafe]\n",
            "p.yaml": "version: 1\nname: a\nextends: ./base.yaml\n"
            "categories: [{id: new, question: Is it?, on_unsafe: plain}]\n",
        },
        "4:53",
        ("categories.new.on_unsafe is locked",),
    ),
    Bad(
        "a lock broken two files away",
        {
            "base.yaml": f"{LOCKED}[mode]\n",
            "mid.yaml": "version: 1\nname: m\nextends: ./base.yaml\n",
            "p.yaml": "version: 1\nname: a\nextends: ./mid.yaml\nmode: off\n",
        },
        "4:7",
        ("mode is locked by base.yaml:4:10", "'enforce' cannot become 'off'"),
    ),
    Bad(
        "a lock of one parent broken by another",
        {
            "base.yaml": f"{LOCKED}[mode]\n",
            "loose.yaml": "version: 1\nname: loose\nmode: shadow\n",
            "p.yaml": "version: 1\nname: a\nextends: [./base.yaml, ./loose.yaml]\n",
        },
        "loose.yaml:3:7",
        ("mode is locked by base.yaml:4:10",),
    ),
    _whole(
        "a lock of a shipped pack",
        "version: 1\nname: a\nextends: strict\nfailure:\n  noised_branch: continue\n",
        "5:3",
        "failure is locked",
    ),
]

SELECT = "version: 1\nname: acme\nselect:\n"

SELECTIONS = [
    _whole(
        "a selection without a default",
        f"{SELECT}  - {{when: {{tenant: a}}, policy: baseline}}\n",
        "4:5",
        "no default",
    ),
    _whole(
        "a default that is not the last",
        f"{SELECT}  - policy: strict\n  - {{when: {{tenant: a}}, policy: kids}}\n",
        "4:5",
        "never apply",
    ),
    _whole("an empty selection", "version: 1\nname: acme\nselect: []\n", "3:9", "at least 1 items"),
    _whole(
        "a misspelt condition",
        f"{SELECT}  - {{when: {{tennant: a}}, policy: kids}}\n  - policy: baseline\n",
        "4:13",
        "did you mean tenant",
    ),
    _whole(
        "an empty condition",
        f"{SELECT}  - {{when: {{}}, policy: kids}}\n  - policy: baseline\n",
        "4:12",
        "empty `when`",
    ),
    _whole(
        "a number for a condition",
        f"{SELECT}  - {{when: {{tenant: 5}}, policy: kids}}\n  - policy: baseline\n",
        "4:21",
        "5",
    ),
    _whole("an unknown policy", f"{SELECT}  - policy: kidz\n", "4:13", "did you mean kids"),
    _whole("a missing policy file", f"{SELECT}  - policy: ./no.yaml\n", "4:13", "no such file"),
    _whole(
        "a rule without a policy",
        f"{SELECT}  - when: {{tenant: a}}\n  - policy: baseline\n",
        "4:5",
        "this is missing",
    ),
    _whole(
        "a selection with a policy's key",
        f"{SELECT}  - policy: baseline\nmode: off\n",
        "5:1",
        "unknown key",
    ),
    Bad(
        "a selection in a selection",
        {"p.yaml": f"{SELECT}  - policy: ./q.yaml\n", "q.yaml": f"{SELECT}  - policy: baseline\n"},
        "4:13",
        ("cannot name a selection",),
    ),
    Bad(
        "a bad policy in a selection",
        {"p.yaml": f"{SELECT}  - policy: ./q.yaml\n", "q.yaml": f"{GOOD}mode: of\n"},
        "4:13",
        ("'q.yaml' cannot be used as a policy (line 4, column 7)",),
    ),
]

CORPUS: list[Bad] = [
    *MISSPELT,
    *WRONG_WORDS,
    *WRONG_TYPES,
    *OUT_OF_RANGE,
    *DO_NOT_FIT,
    *IDENTITY,
    *NOT_YAML,
    *ABUSE,
    *ENCODINGS,
    *HUGE,
    *EXTENDS,
    *LOCKS,
    *SELECTIONS,
]
