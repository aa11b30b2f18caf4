"""`mistral_v2v3` and `mistral_v3_tekken` drop the system message of a training row.

Host: Axolotl
Versions: axolotl 0.19.0, transformers 5.16.1
Expected: the system message of a row is part of what the model reads, as with the
    template `mistral_v1`, or the row is refused.
Observed: it is in the text only if the last message is the user's. In a training row
    the last one is the assistant's, so that no row trains with its system message.
Cause: axolotl/utils/chat_templates/templates/mistral_v2v3.jinja and
    mistral_v3_tekken.jinja: the system message is written where `loop.last and
    system_message is defined`.
Reported: in a review of https://github.com/axolotl-ai-cloud/axolotl/pull/3736
    (merged)
"""

import sys

try:
    from axolotl.utils.chat_templates import get_chat_template
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
from transformers.utils.chat_template_utils import render_jinja_template

ROW = [
    {"role": "system", "content": "ANSWER IN FRENCH"},
    {"role": "user", "content": "Good morning"},
    {"role": "assistant", "content": "Bonjour"},
]


def rendered(name, messages):
    texts, _ = render_jinja_template(
        [messages],
        chat_template=get_chat_template(name),
        bos_token="<s>",
        eos_token="</s>",
    )
    return texts[0]


print("expected: ANSWER IN FRENCH is in the text of each template")
dropped = []
for name in ("mistral_v1", "mistral_v2v3", "mistral_v3_tekken", "mistral_v7_tekken"):
    text = rendered(name, ROW)
    print(f"observed: {name}: {text!r}")
    if "FRENCH" not in text:
        dropped.append(name)
print(f"dropped by {', '.join(dropped) or 'none'}")
sys.exit(0 if dropped else 2)
