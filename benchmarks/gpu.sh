#!/usr/bin/env bash
# All that is to be known about a GPU: tests, speed, frames alone in batches, a step of adaptation.
#
#     benchmarks/gpu.sh [--device cuda] [--output FOLDER] [--quick]
#
# Writes speed.json, independent_*.json, adaptation_step.json into FOLDER (gpu_results);
# PYTHON names the interpreter. A part that fails is named at the end, the others run nevertheless. A
# rehearsal without a GPU: --device cpu --quick; then the tests that need one are only collected.
set -uo pipefail
cd "$(dirname "$0")/.."

device=cuda output=gpu_results quick=
while [ $# -gt 0 ]; do
    case $1 in
        --device) device=${2:?--device needs a name}; shift 2 ;;
        --output) output=${2:?--output needs a folder}; shift 2 ;;
        --quick) quick=1; shift ;;
        *) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 2 ;;
    esac
done
python=${PYTHON:-python}
mkdir -p "$output" || exit 2
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
failed=()

part() { # NAME COMMAND...: runs it and goes on whatever becomes of it
    local name=$1; shift
    echo "== $name" >&2
    "$@" || failed+=("$name")
}

if [ "$device" = cpu ]; then
    collect=--collect-only dtypes=float32 only="lite, 1 object" frames=4 batches=1,4
else
    collect= dtypes=float32,bfloat16,float16 only= frames=24 batches=1,4,16,64
fi
if [ -n "$quick" ]; then only="lite, 1 object" frames=4; fi

part tests "$python" -m pytest -q -m gpu $collect
part speed "$python" benchmarks/speed.py --device "$device" --dtypes "$dtypes" --only "$only" \
    --frames "$frames" --output "$output/speed.json"
models="lite official"
if [ "$device" = cpu ] || [ -n "$quick" ]; then models=lite; fi
for model in $models; do
    for dtype in ${dtypes//,/ }; do
        part "frames alone, $model, $dtype" "$python" benchmarks/independent.py --model "$model" \
            --device "$device" --dtype "$dtype" --frames "$frames" --repeats 3 --batches "$batches" \
            --output "$output/independent_${model}_$dtype.json"
    done
done
part "a step of adaptation" "$python" benchmarks/adaptation_step.py --device "$device" \
    >"$output/adaptation_step.json"
if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
ls -l "$output"
