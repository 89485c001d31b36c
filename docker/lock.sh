#!/usr/bin/env bash
# Locks what images install, with hashes for every platform, and lists its licences: `make lock`.
#
#   docker/lock.sh BIN    with uv, cyclonedx-py and python in the folder BIN
set -euo pipefail
bin=$1
folder=docker/requirements

lock() { # NAME PYTHON SOURCES...
    echo "==> $folder/$1.txt"
    "$bin/uv" pip compile "${@:3}" --quiet --upgrade --universal --generate-hashes --python-version "$2" \
        --no-annotate --no-emit-index-url --custom-compile-command "make lock" --output-file "$folder/$1.txt"
}

service=(pyproject.toml --extra signing)
lock build 3.11 $folder/build.in
lock cpu 3.11 "${service[@]}" --extra cpu
lock gpu-cuda12 3.12 "${service[@]}" --extra gpu $folder/gpu-cuda12.in
lock gpu-cuda13 3.12 "${service[@]}" --extra gpu $folder/gpu-cuda13.in
lock export 3.11 "${service[@]}" --extra cpu --extra export $folder/export.in --override $folder/export.overrides

echo "==> $folder/licences.md"
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
"$bin/python" -m venv "$made/locked"
"$made/locked/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement $folder/cpu.txt
"$made/locked/bin/pip" uninstall --quiet --yes setuptools pip
"$bin/cyclonedx-py" environment --output-file "$made/sbom.json" "$made/locked/bin/python"
"$bin/python" docker/licences.py "$made/sbom.json" >$folder/licences.md
