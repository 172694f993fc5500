#!/bin/bash
# run.sh NAMESRV [only...]: runs unmodified published clients against the broker behind that name server.
# `only` names a language (java, python, node) or a case (java.send-sync), `all` means every case; without any, cases.txt says which.
# See README.md.
# INTEROP_CACHE: where clients are installed (default ~/.cache/petrel-interop). INTEROP_JAVA: version of the Java client
# (default 5.3.3). INTEROP_JOBS: Java cases at the same time (default 1).
set -u
[ $# -ge 1 ] || { echo "usage: run.sh NAMESRV [only...]" >&2; exit 2; }
NS=$1; shift
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ $# -eq 0 ]; then mapfile -t LISTED < <(grep -v '^#' "$HERE/cases.txt"); set -- "${LISTED[@]}"; fi
if [ "$1" = all ]; then set --; fi
CACHE=${INTEROP_CACHE:-$HOME/.cache/petrel-interop}
V=${INTEROP_JAVA:-5.3.3}; LANG_JAVA=${INTEROP_JAVA_NAME:-java}
mkdir -p "$CACHE/home" || exit 2
OUT=$(mktemp); trap 'rm -f "$OUT"' EXIT

wanted() { # wanted LANG ONLY...: is any case of that language asked for?
  local l=$1 o; shift
  [ $# -eq 0 ] && return 0
  for o in "$@"; do case $o in "$l"|"$l".*) return 0;; esac; done
  return 1
}
mine() { # the arguments that concern one language
  local l=$1 o; shift
  for o in "$@"; do case $o in "$l"|"$l".*) printf '%s\n' "$o";; esac; done
}
hosts() { # answers reverse look-ups of own addresses, which the Java client makes, without a name service
  { cat /etc/hosts; for i in $(hostname -I 2>/dev/null); do echo "$i own-$i"; done; } > "$CACHE/hosts"
}

if wanted "$LANG_JAVA" "$@"; then
  LIB=$CACHE/java-lib-$V; CLS=$CACHE/java-classes-$V
  if [ ! -e "$LIB/.done" ]; then
    mvn -q -B -f "$HERE/java/pom.xml" -Drocketmq.version="$V" dependency:copy-dependencies -DoutputDirectory="$LIB" >&2 && touch "$LIB/.done"
  fi
  rm -rf "$CLS"; mkdir -p "$CLS"; hosts
  # shellcheck disable=SC2086
  if javac -nowarn -Xlint:none -cp "$LIB/*" -d "$CLS" "$HERE"/java/src/main/java/interop/*.java ${INTEROP_JAVA_EXTRA:-} 2>"$CACHE/javac.log"; then
    mapfile -t A < <(mine "$LANG_JAVA" "$@")
    java -Xmx512m -Djdk.net.hosts.file="$CACHE/hosts" -Duser.home="$CACHE/home" -Drocketmq.client.logRoot="$CACHE/home/logs" -Drocketmq.client.logUseSlf4j=true \
      -Dinterop.plugins="$HERE/plugins" -Dinterop.lang="$LANG_JAVA" -Dinterop.jobs="${INTEROP_JOBS:-1}" -Dinterop.suites="${INTEROP_JAVA_SUITES:-}" \
      -cp "$CLS:$LIB/*" interop.Main "$NS" "${A[@]}" 2>>"$CACHE/java.log" | grep --line-buffered -E '^(PASS|FAIL|SKIP) ' | tee -a "$OUT"
    [ "${PIPESTATUS[0]}" -gt 1 ] && echo "FAIL $LANG_JAVA: the runner ended early, see java.log in the cache" | tee -a "$OUT"
  else
    echo "FAIL $LANG_JAVA: does not compile or its client could not be fetched, see javac.log in the cache" | tee -a "$OUT"
  fi
fi

if wanted python "$@"; then
  if [ ! -e "$CACHE/python/.done" ]; then
    python3 -m venv "$CACHE/python" >&2 && "$CACHE/python/bin/pip" install -q -r "$HERE/python/requirements.txt" >&2 && touch "$CACHE/python/.done"
  fi
  if [ -e "$CACHE/python/.done" ]; then
    mapfile -t A < <(mine python "$@")
    HOME=$CACHE/home "$CACHE/python/bin/python" "$HERE/python/cases.py" "$NS" "${A[@]}" | tee -a "$OUT"
  else
    echo "SKIP python: its client could not be installed" | tee -a "$OUT"
  fi
fi

if wanted node "$@"; then
  if [ ! -e "$CACHE/node/.done" ]; then
    mkdir -p "$CACHE/node" && cp "$HERE/node/package.json" "$CACHE/node/" && (cd "$CACHE/node" && npm install --no-audit --no-fund --silent >&2) && touch "$CACHE/node/.done"
  fi
  if [ -e "$CACHE/node/.done" ]; then
    mapfile -t A < <(mine node "$@")
    HOME=$CACHE/home NODE_PATH=$CACHE/node/node_modules node "$HERE/node/cases.js" "$NS" "${A[@]}" | tee -a "$OUT"
  else
    echo "SKIP node: its client could not be installed" | tee -a "$OUT"
  fi
fi

P=$(grep -c '^PASS' "$OUT"); F=$(grep -c '^FAIL' "$OUT"); S=$(grep -c '^SKIP' "$OUT")
echo "$P passed, $F failed, $S skipped"
[ "$F" -eq 0 ]
