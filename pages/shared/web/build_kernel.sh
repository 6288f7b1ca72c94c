#!/bin/sh
# Compiles kernel.c to WebAssembly (clang >= 14 and wasm-ld) and embeds it in kernel.wasm.js.
set -eu
cd "$(dirname "$0")"
wasm=$(mktemp)
trap 'rm -f "$wasm"' EXIT
clang --target=wasm32 -O3 -msimd128 -mbulk-memory -ffreestanding -fno-builtin -nostdlib -Wall -Wextra \
  -Wno-unused-parameter -Wl,--no-entry -Wl,--export=__heap_base -Wl,--strip-all -Wl,-z,stack-size=16384 \
  -o "$wasm" kernel.c
{
  echo '// Generated from kernel.c by build_kernel.sh. Do not edit.'
  printf 'export const KERNEL_WASM = "%s";\n' "$(base64 <"$wasm" | tr -d '\n')"
} >kernel.wasm.js
echo "kernel: $(wc -c <"$wasm") bytes"
