#!/usr/bin/env bash
# Trains the lite model from ImageNet weights within a fixed time on one GPU.
#
#     benchmarks/gpu_train.sh DATA OUTPUT [SECONDS] [options of train]
#
# DATA is a folder or a packed file, OUTPUT a folder that does not hold a run; 540 seconds if not
# said otherwise. A fifth of the time is a trial that measures the rate; it goes on with as many steps
# as fit, so that the learning rate has fallen when the time is over. Checkpoint and log are written as
# it goes, J&F of held-out sequences is in the log; the model is written also when the time did not
# suffice. PYTHON names the interpreter; a rehearsal without a GPU: 180 --device cpu --pixels-per-step 20000
set -euo pipefail

if [ $# -lt 2 ]; then sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 2; fi
data=$1 output=$2; shift 2
budget=540
if [[ ${1:-} =~ ^[0-9]+$ ]]; then budget=$1; shift; fi
if [ "$budget" -lt 30 ]; then echo "SECONDS is $budget, allowed is 30 and up" >&2; exit 2; fi
options=("$@")
python=${PYTHON:-python}
reserve=$((budget / 12 + 5)) # for the export

train() { # SECONDS OPTION...: trains for so long; interrupted, it saves a checkpoint
    local limit=$1; shift
    env --default-signal=INT timeout --signal=INT --kill-after=20 "$limit" \
        "$python" -m xmempp_core train --data "$data" --output "$output" --save-every 50 \
        ${options[@]+"${options[@]}"} "$@"
}

interrupted() { # STATUS: whether the time was over; any other failure ends the script
    case $1 in 0) return 1 ;; 124 | 130 | 137) return 0 ;; *) exit "$1" ;; esac
}

figures() { # the steps done, their mean seconds, and their seconds in all
    "$python" - "$output/log.jsonl" <<'EOF'
import json, sys
with open(sys.argv[1], encoding="utf-8") as log:
    steps = [json.loads(line) for line in log if line.endswith("}\n")]
late = [step["seconds"] for step in steps[len(steps) // 3 :]]
print(steps[-1]["step"], sum(late) / len(late), sum(step["seconds"] for step in steps))
EOF
}

status=0; train $((budget / 5)) --validate-every 1000000 || status=$?
if interrupted "$status"; then
    if [ ! -s "$output/log.jsonl" ]; then
        echo "no step was done in $((budget / 5)) seconds; give more time" >&2; exit 1
    fi
    read -r done_steps step_seconds trained <<<"$(figures)"
    left=$((budget - SECONDS - reserve))
    # what the trial took to start is spent again; validation takes a part
    steps=$(awk -v d="$done_steps" -v s="$step_seconds" -v t="$trained" -v l="$left" -v p=$((budget / 5)) \
        'BEGIN { u = l - (p - t); if (u < s) u = s; print d + int(0.85 * u / s) + 1 }')
    echo "trial: $done_steps steps, $step_seconds s each; $steps steps in all" >&2
    status=0; train "$left" --resume --steps "$steps" --validate-every $((steps / 5 + 1)) || status=$?
    if interrupted "$status"; then
        read -r done_steps _ _ <<<"$(figures)"
        echo "the time was over after $done_steps of $steps steps" >&2
        # no step is left, so that it only writes the model
        train $((reserve + 60)) --resume --steps "$done_steps"
    fi
fi
"$python" - "$output/log.jsonl" <<'EOF'
import json, sys
with open(sys.argv[1], encoding="utf-8") as log:
    for step in map(json.loads, log):
        if "jf_1" in step:
            print("step {step}: J&F {jf_1:.3f} / {jf_5:.3f}, one / five annotations".format(**step))
EOF
ls -l "$output"
