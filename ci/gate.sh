#!/usr/bin/env bash
# Runs the gate with settings from the environment (GATE_*), and leaves its newest results in $GATE_OUT/latest.
set -uo pipefail

words=(--baseline "${GATE_BASELINE:-resilient}" --candidate "${GATE_CANDIDATE:-resilient}")
words+=(--suite "${GATE_SUITE:-smoke}" --runtime "${GATE_RUNTIME:-processes}")
words+=(--margin "${GATE_MARGIN:-3}" --n-max "${GATE_N_MAX:-7}")
words+=(--on-inconclusive "${GATE_ON_INCONCLUSIVE:-fail}" --out "${GATE_OUT:=resilience}")
[ -n "${GATE_BASELINE_SYSTEM:-}" ] && words+=(--baseline-system "$GATE_BASELINE_SYSTEM")
[ -n "${GATE_MIN_SCORE:-}" ] && words+=(--min-score "$GATE_MIN_SCORE")
[ -n "${GATE_MAX_DROP:-}" ] && words+=(--max-drop "$GATE_MAX_DROP")

"${GATE_PYTHON:-.venv/bin/python}" harness.py gate "${words[@]}"
code=$?

# A gate that could not start has no folder; its exit code says why.
newest=$(find "$GATE_OUT" -mindepth 2 -maxdepth 2 -name gate.json -printf '%T@ %h\n' 2>/dev/null | sort -n | tail -1 | cut -d' ' -f2-)
decision=none
if [ -n "$newest" ]; then
  rm -rf "$GATE_OUT/latest"
  mkdir -p "$GATE_OUT/latest"
  cp "$newest"/gate.json "$newest"/gate.md "$newest"/junit.xml "$newest"/gate.sarif "$newest"/badge.svg "$GATE_OUT/latest/"
  decision=$(sed -n 's/^ "decision": "\([a-z]*\)".*/\1/p' "$newest/gate.json" | head -1)
fi
if [ -n "${GITHUB_OUTPUT:-}" ]; then
  printf 'decision=%s\nexit-code=%s\n' "$decision" "$code" >> "$GITHUB_OUTPUT"
fi
exit "$code"
