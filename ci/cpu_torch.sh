#!/bin/sh
# Install torch without the libraries of CUDA, which take some gigabytes and are of no use here: sh ci/cpu_torch.sh .venv/bin
#
# On Linux x86-64 the torch of PyPI needs CUDA. uv knows by itself where PyTorch keeps its builds for the CPU. Where pip has been told
# of other places, or uv cannot reach them, pip chooses later: of two builds of one version it takes that with a label, such as +cpu.
set -eu
bin=$1
[ "$(uname -sm)" = "Linux x86_64" ] || exit 0
"$bin/python" -c "import torch" 2>/dev/null && exit 0
if "$bin/pip" config list 2>/dev/null | grep -qE "index|find-links"; then
    exit 0
fi
constraints=$(dirname "$0")/../constraints.txt
"$bin/pip" install --quiet --constraint "$constraints" uv || exit 0
UV_HTTP_TIMEOUT=30 "$bin/uv" pip install --quiet --python "$bin/python" --torch-backend=cpu --constraint "$constraints" torch ||
    echo "no torch for the CPU alone can be had: pip takes the one of PyPI, with CUDA"
