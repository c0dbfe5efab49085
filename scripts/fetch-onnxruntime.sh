#!/usr/bin/env bash
# Fetches ONNX Runtime's shared library (25 MB, as a Python wheel from the package index that your pip is set up for) to .cache/onnxruntime.
# Does nothing when it is there already.
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=scripts/onnxruntime.txt
lib=.cache/onnxruntime

fail() {
  echo "fetch-onnxruntime: $*" >&2
  exit 1
}

if cmp -s "$wanted" "$lib/onnxruntime.txt"; then
  exit 0
fi
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) platform=manylinux_2_28_x86_64 ;;
  Linux-aarch64) platform=manylinux_2_28_aarch64 ;;
  Darwin-arm64) platform=macosx_14_0_arm64 ;;
  *) fail "no build of ONNX Runtime is known for $(uname -s) on $(uname -m): install one and name its library by ORT_DYLIB_PATH" ;;
esac
python3 -m pip --version >/dev/null 2>&1 || fail "Python has no pip (Debian: apt install python3-pip)"

echo "fetch-onnxruntime: fetching ONNX Runtime to $lib" >&2
mkdir -p .cache
fresh="$(mktemp -d .cache/onnxruntime.XXXXXX)"
trap 'rm -rf "$fresh"' EXIT
# The library is the same in the wheel of every Python version: one is named, so that one hash is enough.
python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: --python-version 3.11 \
  --implementation cp --abi cp311 --platform "$platform" --dest "$fresh" -r "$wanted" >&2 || fail "pip could not fetch ONNX Runtime (see above)"
python3 - "$fresh" <<'PYTHON'
import pathlib, sys, zipfile

fresh = pathlib.Path(sys.argv[1])
wheel = next(fresh.glob("*.whl"))
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        base = name.rsplit("/", 1)[-1]
        if base.startswith("libonnxruntime.") or base in ("LICENSE", "ThirdPartyNotices.txt"):
            target = "libonnxruntime.dylib" if base.endswith(".dylib") else "libonnxruntime.so" if "libonnxruntime.so" in base else base
            (fresh / target).write_bytes(archive.read(name))
wheel.unlink()
PYTHON
cp "$wanted" "$fresh/onnxruntime.txt"
chmod 755 "$fresh"
rm -rf "$lib"
mv "$fresh" "$lib"
