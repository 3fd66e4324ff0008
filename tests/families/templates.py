"""Chat templates in each family's real format: its roles, separators and control tokens.

Shortened to what a guardrail needs (system, user and assistant turns, text and pictures, and tools
where the family's own template has them). Content is a string or a list of
`{"type": "text"|"image"}` parts, as real multimodal templates accept it.
"""


def _parts(image: str, text: str = "{{ part['text'] }}") -> str:
    """Jinja for one message's content; `image` is what a picture becomes."""
    return (
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
        "{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}" + image + "{% elif part['type'] == 'text' %}"
        "" + text + "{% endif %}{% endfor %}{% endif %}"
    )


def chatml(image: str) -> str:
    """ChatML; `image` is what a picture becomes."""
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

QWEN_VL = chatml("{{ '<|vision_start|><|image_pad|><|vision_end|>' }}")
_QWEN_PICTURE = "{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
_QWEN_TOOLS = (
    "{% if tools %}{{ '<|im_start|>system\\n# Tools\\n\\n<tools>' }}"
    "{% for tool in tools %}{{ '\\n' + tool | tojson }}{% endfor %}"
    "{{ '\\n</tools>\\n\\nCall them within <tool_call></tool_call>:\\n' }}"
    '{{ \'<tool_call>\\n{"name": <name>, "arguments": <object>}\\n</tool_call>\' }}'
    "{{ '<|im_end|>\\n' }}{% endif %}"
)
_QWEN_TURNS = (
    "{% for message in messages %}{% if message['role'] == 'tool' %}"
    "{{ '<|im_start|>user\\n<tool_response>\\n' }}"
    + _parts(_QWEN_PICTURE)
    + "{{ '\\n</tool_response><|im_end|>\\n' }}{% else %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    + _parts(_QWEN_PICTURE)
    + "{% for call in message['tool_calls'] or [] %}"
    "{% if message['content'] or not loop.first %}{{ '\\n' }}{% endif %}CALL{% endfor %}"
    "{{ '<|im_end|>\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
QWEN3_VL = _QWEN_TOOLS + _QWEN_TURNS.replace(
    "CALL",
    "{{ '<tool_call>\\n{\"name\": \"' + call['function']['name'] + '\", \"arguments\": ' }}"
    "{{ call['function']['arguments'] | tojson }}{{ '}\\n</tool_call>' }}",
)
# The 3.5 line writes calls in XML of its own.
QWEN_3_5 = _QWEN_TOOLS + _QWEN_TURNS.replace(
    "CALL",
    "{{ '<tool_call>\\n<function=' + call['function']['name'] + '>\\n' }}"
    "{% for name, value in call['function']['arguments'] | items %}"
    "{{ '<parameter=' + name + '>\\n' + value | string + '\\n</parameter>\\n' }}{% endfor %}"
    "{{ '</function>\\n</tool_call>' }}",
).replace(
    "{{ '<|im_start|>assistant\\n' }}",
    "{{ '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' }}",
)
INTERNVL = chatml("{{ '<IMG_CONTEXT>\\n' }}")
LLAVA_ONEVISION = chatml("{{ '<image>\\n' }}")

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
    "{% set role = 'ipython' if message['role'] == 'tool' else message['role'] %}"
    "{{ '<|start_header_id|>' + role + '<|end_header_id|>\\n\\n' }}"
    "{% if tools and message['role'] == 'user' and loop.first %}"
    "{{ 'Given the following functions, please respond with a JSON for a function call.\\n\\n' }}"
    "{% for tool in tools %}{{ tool | tojson(indent=4) + '\\n\\n' }}{% endfor %}{% endif %}"
    "{% if message['tool_calls'] %}{% if message['tool_calls'] | length != 1 %}"
    "{{ raise_exception('This model only supports single tool-calls at once!') }}{% endif %}"
    "{% set call = message['tool_calls'][0]['function'] %}"
    "{{ '{\"name\": \"' + call['name'] + '\", \"parameters\": ' }}"
    "{{ call['arguments'] | tojson }}{{ '}' }}{% endif %}"
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

# Calls in a list after a control token, and names outside the JSON.
_MISTRAL = (
    "{{ '<s>' }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{% if tools %}{{ '[AVAILABLE_TOOLS] ' + tools | tojson + '[/AVAILABLE_TOOLS]' }}{% endif %}"
    "{{ '[INST] ' }}" + _parts("{{ '[IMG]' }}") + "{{ '[/INST]' }}"
    "{% elif message['role'] == 'tool' %}"
    "{{ '[TOOL_RESULTS] {\"content\": ' + message['content'] + ', \"call_id\": \"' }}"
    "{{ message['tool_call_id'] + '\"}[/TOOL_RESULTS]' }}"
    "{% elif message['tool_calls'] %}CALLS{{ '</s>' }}{% else %}{{ ' ' }}"
    + _parts("")
    + "{{ '</s>' }}{% endif %}{% endfor %}"
)
MISTRAL = _MISTRAL.replace(
    "CALLS",
    "{{ '[TOOL_CALLS] [' }}{% for call in message['tool_calls'] %}"
    "{% if call['id'] | length != 9 %}"
    "{{ raise_exception('Tool call IDs should be strings with length 9!') }}{% endif %}"
    "{{ (call['function'] | tojson)[:-1] + ', \"id\": \"' + call['id'] + '\"}' }}"
    "{% if not loop.last %}{{ ', ' }}{% endif %}{% endfor %}{{ ']' }}",
)
MISTRAL_PICTURES = MISTRAL.replace(
    "{% elif message['role'] == 'tool' %}",
    "{% elif message['role'] == 'system' %}{{ '[SYSTEM_PROMPT]' }}"
    + _parts("")
    + "{{ '[/SYSTEM_PROMPT]' }}{% elif message['role'] == 'tool' %}",
)
# Not of a family built here: a call is its name, then its arguments.
MISTRAL_V11 = _MISTRAL.replace(
    "CALLS",
    "{% for call in message['tool_calls'] %}{{ '[TOOL_CALLS]' + call['function']['name'] }}"
    "{{ '[ARGS]' + call['function']['arguments'] | tojson }}{% endfor %}",
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

ERNIE = (
    "{{ '<|begin_of_sentence|>' }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ 'User: ' }}"
    + _parts("{{ '<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>' }}")
    + "{{ '\\n' }}{% elif message['role'] == 'assistant' %}{{ 'Assistant: ' }}"
    + _parts("")
    + "{{ '<|end_of_sentence|>' }}{% else %}"
    + _parts("")
    + "{{ '\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}"
)

GRANITE = (
    "{% for message in messages %}"
    "{{ '<|start_of_role|>' + message['role'] + '<|end_of_role|>' }}"
    + _parts("{{ '<image>\\n' }}")
    + "{{ '<|end_of_text|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}"
)

LLAMA4 = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|header_start|>' + message['role'] + '<|header_end|>\\n\\n' }}"
    + _parts("{{ '<|image|>' }}")
    + "{{ '<|eot|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|header_start|>assistant<|header_end|>\\n\\n' }}{% endif %}"
)
# No published template was at hand: inferred from the tokens that the processor names.
MUSE = LLAMA4.replace("<|image|>", "<|patch|>")

KIMI = (
    "{% for message in messages %}"
    "{{ '<|im_' + message['role'] + '|>' + message['role'] + '<|im_middle|>' }}"
    + _parts("{{ '<|media_begin|>image<|media_content|><|media_pad|><|media_end|>' }}")
    + "{{ '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_assistant|>assistant<|im_middle|>' }}{% endif %}"
)

MINIMAX = (
    "{% for message in messages %}"
    "{% set role = 'ai' if message['role'] == 'assistant' else message['role'] %}"
    "{{ ']~b]' + role + '\\n' }}" + _parts("{{ ']<]image[>[' }}") + "{{ '[e~[\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ ']~b]ai\\n' }}{% endif %}"
)

# As published, with names in ASCII for its control tokens.
HUNYUAN = (
    "{{ bos_token }}{% for message in messages %}"
    + _parts("{{ '<|hy_image_start|><|hy_image|><|hy_image_end|>' }}")
    + "{% if message['role'] == 'user' %}{{ '<|hy_User|>' }}"
    "{% elif message['role'] == 'assistant' %}{{ '<|hy_Assistant|>' }}"
    "{% else %}{{ '<|hy_system|>' }}{% endif %}{% endfor %}"
)

# No published template was at hand: its predecessor's, with the placeholder its processor names.
HY4 = HUNYUAN.replace("<|hy_image|>", "<|image_pad|>")

DEEPSEEK = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}"
    + _parts("")
    + "{% elif message['role'] == 'assistant' %}{{ '<|Assistant|>: ' }}"
    + _parts("")
    + "{{ eos_token }}{% else %}{{ '<|User|>: ' }}"
    + _parts("{{ '<image>\\n' }}")
    + "{% endif %}{{ '\\n\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|Assistant|>:' }}{% endif %}"
)

# The turns of Apertus 1; where 1.5 has its pictures is inferred from its processor.
APERTUS = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '_start|>' }}"
    + _parts("{{ '<|image|>' }}")
    + "{{ '<|' + message['role'] + '_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant_start|>' }}{% endif %}"
)

DOTS = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ '<|userprompt|>' }}"
    + _parts("{{ '<|img|><|imgpad|><|endofimg|>' }}")
    + "{{ '<|endofuserprompt|>' }}{% elif message['role'] == 'assistant' %}{{ '<|assistant|>' }}"
    + _parts("")
    + "{{ '<|endofassistant|>' }}{% else %}{{ '<|system|>' }}"
    + _parts("")
    + "{{ '<|endofsystem|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

# No published template was at hand: inferred from the tokens that the processor names.
INKLING = (
    "{% for message in messages %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<|message_' + role + '|>' }}"
    + _parts("{{ '<|content_image|><|unused_200054|>' }}")
    + "{{ '<|end_message|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|message_model|>' }}{% endif %}"
)

LLAMA3_PICTURES = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}"
    + _parts("{{ '<|image|>' }}")
    + "{{ '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
