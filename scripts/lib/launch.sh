# Sourced by the scripts beside it: finds a JDK and Maven, builds what is out of date, starts Java.
#
#   TROUPE_HEAP      largest Java heap, default 1g (4g of simulate); tensors live outside it
#   TROUPE_NO_BUILD  set to 1 to run what was built last, whatever changed since

readonly REQUIRED_JAVA=25
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
readonly ROOT
readonly BUILT="$ROOT/target/troupe"
readonly MODULES=(core transport expert-actors router-actor coordinator)

fail() {
  printf 'error: %s\nHINT: %s\n' "$1" "$2" >&2
  exit "${3:-1}"
}

# The feature release of the JDK in a folder, or 0. Reads its release file: starting java to ask costs 50 ms.
jdk_release() {
  local line
  [[ -x "$1/bin/javac" && -r "$1/release" ]] || { echo 0; return; }
  line="$(grep -m1 '^JAVA_VERSION=' "$1/release" || true)"
  [[ "$line" =~ \"([0-9]+) ]] && echo "${BASH_REMATCH[1]}" || echo 0
}

# Sets and exports JAVA_HOME to the first JDK that is new enough.
find_jdk() {
  local on_path candidate newest=0 release
  on_path="$(command -v java || true)"
  [[ -z "$on_path" ]] || on_path="$(readlink -f "$on_path" 2>/dev/null || echo "$on_path")"
  for candidate in "${JAVA_HOME:-}" "${on_path%/bin/java}" /usr/lib/jvm/* \
    "$HOME"/.sdkman/candidates/java/* "$HOME"/.jdks/* /opt/* /opt/java/* \
    /Library/Java/JavaVirtualMachines/*/Contents/Home \
    /opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home; do
    [[ -d "$candidate" ]] || continue
    release="$(jdk_release "$candidate")"
    if ((release >= REQUIRED_JAVA)); then
      export JAVA_HOME="$candidate"
      return
    fi
    ((release <= newest)) || newest=$release
  done
  ((newest == 0)) && newest=none
  fail "JDK: $newest (expected: $REQUIRED_JAVA or later, with javac)" \
    "install Temurin $REQUIRED_JAVA (https://adoptium.net; apt install temurin-$REQUIRED_JAVA-jdk; \
sdk install java $REQUIRED_JAVA-tem) or set JAVA_HOME to one that is installed elsewhere" 2
}

maven() {
  if command -v mvn >/dev/null; then mvn "$@"; else "$ROOT/mvnw" "$@"; fi
}

# Shows that Maven lives, without its chatter: downloads by the fifty, modules unless it is only a rebuild, tests.
progress() {
  local line files=0 rebuild=""
  [[ ! -f "$BUILT/stamp" ]] || rebuild=1
  while IFS= read -r line; do
    case "$line" in
      *"Downloaded from"*)
        files=$((files + 1))
        ((files % 50)) || echo "  $files files downloaded" ;;
      "[INFO] Building "*\[*/*) [[ -n "$rebuild" ]] || echo "  ${line#*Building }" ;;
      "[INFO] Running "* | "[ERROR] Tests "* | "[WARNING] Tests "*) echo "  ${line#\[INFO\] }" ;;
    esac
  done
}

# run_maven LOG ARGUMENT...: Maven in the root of the project, its whole output in LOG.
run_maven() {
  local log="$1"
  shift
  (cd "$ROOT" && maven -B "$@" 2>&1) | tee "$log" | progress
}

# fail_build WHAT LOG: shows the first errors that Maven reported and gives up.
fail_build() {
  grep -m 20 '^\[ERROR\]' "$2" >&2 || true
  fail "$1: failed (expected: success)" "the whole output is in $2"
}

# Whether a source, a pom or the shipped defaults changed since the last build.
is_stale() {
  [[ -f "$BUILT/stamp" && -d "$ROOT/coordinator/target/lib" ]] || return 0
  local sources=("$ROOT/pom.xml" "$ROOT/configs/defaults.conf") module
  for module in "${MODULES[@]}"; do
    sources+=("$ROOT/$module/pom.xml" "$ROOT/$module/src")
  done
  [[ -n "$(find "${sources[@]}" -newer "$BUILT/stamp" -print -quit 2>/dev/null)" ]]
}

# Runs a command while no other process builds. Without flock (macOS) two builds are not kept apart.
locked() {
  mkdir -p "$BUILT"
  (
    if command -v flock >/dev/null && ! flock -n 9; then
      echo "waiting for another build ..." >&2
      flock 9
    fi
    "$@"
  ) 9>"$BUILT/lock"
}

# Running JVMs keep the jars that they opened: the new ones are moved into place, never written over.
build() {
  is_stale || return 0
  local when="" jar module
  [[ -f "$BUILT/stamp" ]] || when=" (first time: a minute or two, more where Maven has to download)"
  echo "building ...$when" >&2
  touch "$BUILT/stamp.next"
  if ! run_maven "$BUILT/build.log" -pl coordinator -am package -DskipTests >&2; then
    fail_build build "$BUILT/build.log"
  fi
  for module in "${MODULES[@]}"; do
    for jar in "$ROOT/$module"/target/troupe-*.jar; do
      cp "$jar" "$BUILT/.$module.jar"
      mv "$BUILT/.$module.jar" "$BUILT/$module.jar"
    done
  done
  mv "$BUILT/stamp.next" "$BUILT/stamp"
}

build_if_stale() {
  [[ "${TROUPE_NO_BUILD:-}" != 1 ]] || return 0
  ! is_stale || locked build
}

run_troupe() {
  local heap=1g
  # What is simulated is in the heap.
  [[ "${1:-}" != simulate ]] || heap=4g
  exec "$JAVA_HOME/bin/java" "@$ROOT/scripts/jvm.options" "-Xmx${TROUPE_HEAP:-$heap}" \
    -cp "$BUILT/*:$ROOT/coordinator/target/lib/*" troupe.coordinator.cli.Troupe "$@"
}
