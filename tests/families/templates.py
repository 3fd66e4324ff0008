"""Chat templates in each family's real format: its roles, separators and control tokens.

Shortened to what a guardrail needs (system, user and assistant turns, text and pictures). Content
is a string or a list of `{"type": "text"|"image"}` parts, as real multimodal templates accept it.
"""


def _parts(image: str, text: str = "{{ part['text'] }}") -> str:
    """Jinja for one message's content; `image` is what a picture becomes."""
    return (
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
        "{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}" + image + "{% elif part['type'] == 'text' %}"
        "" + text + "{% endif %}{% endfor %}{% endif %}"
    )


def _chatml(image: str) -> str:
    return (
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
        + _parts(image)
        + "{{ '<|im_end|>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    )


LLAVA = (
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}"
    + _parts("{{ '<image>\\n' }}")
    + "{{ '</s>' if message['role'] == 'assistant' else ' ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)

LLAVA_NEXT = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' }}"
    + _parts("{{ '<image>\\n' }}")
    + "{{ ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' }}"
    + _parts("")
    + "{{ '</s>' }}{% else %}{{ '<<SYS>>\\n' }}"
    + _parts("")
    + "{{ '\\n<</SYS>>\\n\\n' }}{% endif %}{% endfor %}"
)

QWEN_VL = _chatml("{{ '<|vision_start|><|image_pad|><|vision_end|>' }}")
QWEN_3_5 = QWEN_VL.replace(
    "{{ '<|im_start|>assistant\\n' }}",
    "{{ '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' }}",
)
INTERNVL = _chatml("{{ '<IMG_CONTEXT>\\n' }}")
LLAVA_ONEVISION = _chatml("{{ '<image>\\n' }}")

GEMMA3 = (
    "{{ bos_token }}{% for message in messages %}"
    "{% set role = 'model' if message['role'] == 'assistant' else 'user' %}"
    "{{ '<start_of_turn>' + role + '\\n' }}"
    + _parts("{{ '<start_of_image>' }}", "{{ part['text'] | trim }}")
    + "{{ '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)

IDEFICS2 = (
    "{% for message in messages %}{{ message['role'].capitalize() }}"
    "{% if message['content'] is not string and message['content'][0]['type'] == 'image' %}"
    "{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    + _parts("{{ '<image>' }}")
    + "{{ '<end_of_utterance>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
IDEFICS3 = "{{ '<|begin_of_text|>' }}" + IDEFICS2
SMOLVLM = "{{ '<|im_start|>' }}" + IDEFICS2

MLLAMA = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}"
    + _parts("{{ '<|image|>' }}")
    + "{{ '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)

AYA_VISION = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|START_OF_TURN_TOKEN|>' }}{% if message['role'] == 'assistant' %}"
    "{{ '<|CHATBOT_TOKEN|><|START_RESPONSE|>' }}{% elif message['role'] == 'system' %}"
    "{{ '<|SYSTEM_TOKEN|>' }}{% else %}{{ '<|USER_TOKEN|>' }}{% endif %}"
    + _parts("{{ '<image>' }}")
    + "{% if message['role'] == 'assistant' %}{{ '<|END_RESPONSE|>' }}{% endif %}"
    "{{ '<|END_OF_TURN_TOKEN|>' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>' }}{% endif %}"
)

GLM4V = (
    "{{ '[gMASK]<sop>' }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\\n' }}"
    + _parts("{{ '<|begin_of_image|><|image|><|end_of_image|>' }}")
    + "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)

GEMMA4 = (
    "{{ bos_token }}{% for message in messages %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<|turn>' + role + '\\n' }}"
    + _parts("{{ '<|image|>' }}", "{{ part['text'] | trim }}")
    + "{{ '<turn|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|turn>model\\n' }}{% endif %}"
)
