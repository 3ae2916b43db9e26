#!/usr/bin/env bash
# Runs the gate on the files of the working directory, with settings from the environment (GATE_*), and leaves its
# results in $GATE_OUT/latest. The project itself is where this script is.
set -uo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
words=(--baseline "${GATE_BASELINE:-resilient}" --candidate "${GATE_CANDIDATE:-resilient}")
words+=(--suite "${GATE_SUITE:-smoke}" --runtime "${GATE_RUNTIME:-processes}")
words+=(--margin "${GATE_MARGIN:-3}" --n-max "${GATE_N_MAX:-7}")
words+=(--on-inconclusive "${GATE_ON_INCONCLUSIVE:-fail}" --out "${GATE_OUT:=resilience}")
[ -n "${GATE_BASELINE_SYSTEM:-}" ] && words+=(--baseline-system "$GATE_BASELINE_SYSTEM")
[ -n "${GATE_CANDIDATE_SYSTEM:-}" ] && words+=(--candidate-system "$GATE_CANDIDATE_SYSTEM")
[ -n "${GATE_BASELINE_IMAGE:-}" ] && words+=(--baseline-image "$GATE_BASELINE_IMAGE")
[ -n "${GATE_CANDIDATE_IMAGE:-}" ] && words+=(--candidate-image "$GATE_CANDIDATE_IMAGE")
[ -n "${GATE_MIN_SCORE:-}" ] && words+=(--min-score "$GATE_MIN_SCORE")
[ -n "${GATE_MAX_DROP:-}" ] && words+=(--max-drop "$GATE_MAX_DROP")

# Results of an earlier gate are never taken for those of this one.
rm -rf "$GATE_OUT/latest"
begun=$(mktemp)
"${GATE_PYTHON:-$home/.venv/bin/python}" "$home/harness.py" gate "${words[@]}"
code=$?

# A gate that could not start has no folder; its exit code says why.
newest=$(find "$GATE_OUT" -mindepth 2 -maxdepth 2 -name gate.json -newer "$begun" -printf '%h\n' 2>/dev/null | tail -1)
rm -f "$begun"
decision=none
if [ -n "$newest" ]; then
  mkdir -p "$GATE_OUT/latest"
  cp "$newest"/gate.json "$newest"/gate.html "$newest"/gate.md "$newest"/junit.xml "$newest"/gate.sarif "$newest"/badge.svg "$GATE_OUT/latest/"
  decision=$(sed -n 's/^ "decision": "\([a-z]*\)".*/\1/p' "$newest/gate.json" | head -1)
fi
if [ -n "${GITHUB_OUTPUT:-}" ]; then
  printf 'decision=%s\nexit-code=%s\n' "$decision" "$code" >> "$GITHUB_OUTPUT"
fi
exit "$code"
