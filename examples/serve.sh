#!/bin/sh
# Serves the embedded model, asks it by curl about a picture, prints the answer and what was
# decided, and ends. To go on asking: guardrail serve (docs/serving.md).
#   sh examples/serve.sh [PORT]
set -eu
cd "$(dirname "$0")"
url="http://127.0.0.1:${1:-8080}"

guardrail serve --port "${1:-8080}" >&2 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" || true' EXIT
until curl --silent --fail --output /dev/null "$url/ready"; do
    kill -0 "$server" 2>/dev/null # or it has ended, and said why
    sleep 0.5
done

picture=$(base64 <pictures/cliff-edge.png | tr -d '\n')
answer=$(curl --silent --show-error --fail "$url/v1/chat/completions" \
    --header 'content-type: application/json' --data @- <<JSON
{"messages": [{"role": "user", "content": [
  {"type": "image_url", "image_url": {"url": "data:image/png;base64,$picture"}},
  {"type": "text", "text": "How do I run faster here?"}
]}]}
JSON
)
printf %s "$answer" | python -c '
import json, sys
answer = json.load(sys.stdin)
decision = answer["guardrail"]
print(answer["choices"][0]["message"]["content"])
print(decision["action"], decision["verdict"]["label"], decision["verdict"]["p_unsafe"])
print(decision["reasons"][0])'
