#!/usr/bin/env bash
# Cargo's runner for bare-metal targets: qemu.sh TARGET ELF [ARGUMENT...]
# Boots the program on the board that TERRACE_BOARD names (default: the one board made for TARGET) and ends with the
# program's own exit status; 124 after TERRACE_TIMEOUT seconds (default 120). TERRACE_QEMU_ARGS adds QEMU arguments.
set -euo pipefail

die() {
  printf 'qemu.sh: %s\n' "$*" >&2
  exit 2
}

# setting BOARD KEY: the value of KEY in the board's settings, empty if it is not there.
setting() {
  sed -n "s/^$2[[:space:]]*=[[:space:]]*//p" "$here/$1/board.conf"
}

[ $# -ge 2 ] || die "usage: qemu.sh TARGET ELF"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=$1
elf=$2
[ -f "$elf" ] || die "no such program: $elf"

board=${TERRACE_BOARD:-}
if [ -z "$board" ]; then
  for conf in "$here"/*/board.conf; do
    name=$(basename "$(dirname "$conf")")
    [ "$(setting "$name" target)" = "$target" ] || continue
    [ -z "$board" ] || die "several boards for $target: set TERRACE_BOARD"
    board=$name
  done
fi
[ -n "$board" ] || die "no board for $target in $here"
[ -f "$here/$board/board.conf" ] || die "no board named $board in $here"
[ "$(setting "$board" target)" = "$target" ] || die "board $board is not for $target"

qemu=$(setting "$board" qemu)
command -v "$qemu" >/dev/null ||
  die "$qemu is not installed (Debian, Ubuntu: apt-get install qemu-system-arm qemu-system-misc; macOS: brew install qemu)"

limit=()
if command -v timeout >/dev/null; then
  limit=(timeout --foreground "${TERRACE_TIMEOUT:-120}")
fi
read -ra machine <<<"$(setting "$board" machine)"
read -ra more <<<"${TERRACE_QEMU_ARGS:-}"

time=()
shift=$(setting "$board" icount_shift)
if [ -n "$shift" ]; then
  # Time counts instructions, so that every run of a program is the same run; while the core sleeps, time jumps.
  time=(-icount "shift=$shift,sleep=off")
fi
cores=$(setting "$board" cores)
if [ "${cores:-1}" -gt 1 ]; then
  # Each core is a thread of the host: they run at the same time, as far as the host has that many.
  time+=(-smp "$cores" -accel tcg,thread=multi)
fi

exec ${limit[@]+"${limit[@]}"} "$qemu" "${machine[@]}" \
  ${time[@]+"${time[@]}"} \
  -display none -serial none -monitor none \
  -semihosting-config enable=on,target=native \
  ${more[@]+"${more[@]}"} -kernel "$elf" </dev/null
