#!/bin/sh
# Install torch without the libraries of CUDA, which take some gigabytes and are of no use here: sh ci/cpu_torch.sh .venv/bin
#
# On Linux x86-64 the torch of PyPI needs CUDA. Of two builds of one version pip takes that with a label, such as +cpu.
#
# | pip's configuration | who installs torch |
# |---|---|
# | none, or further places without a build for the CPU | uv, which knows by itself where PyTorch keeps those builds |
# | a place that has a build for the CPU | pip, later, from there |
# | an index in place of PyPI, without such a build | pip, later, from there and with CUDA: nothing is taken from elsewhere behind its back |
set -eu
bin=$1
[ "$(uname -sm)" = "Linux x86_64" ] || exit 0
"$bin/python" -c "import torch" 2>/dev/null && exit 0
constraints=$(dirname "$0")/../constraints.txt
wanted=$(sed -n 's/^torch==//p' "$constraints")
told=$("$bin/pip" config list 2>/dev/null || true)
if echo "$told" | grep -qE "\.(extra-index-url|find-links|index-url|pypi-url|no-index)="; then
    # The pages of the places alone are read: no build is fetched.
    if "$bin/pip" index versions torch 2>/dev/null | grep "^Available versions:" | grep -qF "$wanted+cpu"; then
        exit 0
    fi
    if echo "$told" | grep -qiE "\.(index-url|pypi-url)=|\.no-index='(1|true|yes|on)'"; then
        echo "pip's own index has no torch for the CPU alone: pip takes the one there; with CUDA it takes some gigabytes more"
        exit 0
    fi
fi
"$bin/pip" install --quiet --constraint "$constraints" uv || exit 0
said=$(UV_HTTP_TIMEOUT=30 "$bin/uv" pip install --quiet --python "$bin/python" --torch-backend=cpu --constraint "$constraints" torch 2>&1) || {
    why=$(echo "$said" | sed -n '$s/^ *cause: //p')
    echo "no torch for the CPU alone can be had${why:+ ($why)}: pip takes the one of PyPI, with CUDA"
}
