#!/bin/bash
# run.sh [PETREL]: data folders go from Petrel to a Java broker and back, closed in order and killed, and both must serve the same.
#
# PETREL: the binary (default: target/debug/petrel, built if need be). Needs a JDK and Maven; without them it says SKIP and ends well.
# JAVA_STORE_CACHE: where the Java broker is kept (default ~/.cache/petrel-java-store). JAVA_STORE_BROKER: its version (default 5.5.0).
# JAVA_STORE_KEEP=1 leaves the folders for a look. JAVA_STORE_PORT: the first of four ports (default 31911; nobody else may use them).
#
# One broker fills a folder: topics, keys, tags, batches, delayed messages that have come and that still wait, a retry, a dead letter,
# groups with offsets. What it then serves is written down; the other one is started on the folder and must serve the same, goes on
# with it, and hands it back. Only the index of keys may be short where a Java broker takes over after a kill. After each stop
# `petrel store verify` looks at the folder. Closes with PASS or FAIL for each way.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
V=${JAVA_STORE_BROKER:-5.5.0}
CACHE=${JAVA_STORE_CACHE:-$HOME/.cache/petrel-java-store}
PORT=${JAVA_STORE_PORT:-31911}
ADDRESS=127.0.0.1:$PORT
if ! command -v java > /dev/null || ! command -v mvn > /dev/null; then echo "SKIP java-store: no JDK or no Maven"; exit 0; fi
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
cargo build -q -p petrel-tests --bin broker_contents || exit 2
CONTENTS=$CARGO_TARGET_DIR/debug/broker_contents
PETREL=${1:-}
if [ -z "$PETREL" ]; then cargo build -q --bin petrel || exit 2; PETREL=$CARGO_TARGET_DIR/debug/petrel; fi
LIB=$CACHE/lib-$V
if [ ! -e "$LIB/.done" ]; then
  mvn -q -B -f tests/java-store/pom.xml -Drocketmq.version="$V" dependency:copy-dependencies -DoutputDirectory="$LIB" >&2 && touch "$LIB/.done" ||
    { echo "SKIP java-store: the Java broker $V could not be fetched"; exit 0; }
fi
WORK=$(mktemp -d)
BROKER=
FAILED=0

finish() {
  if [ -n "$BROKER" ]; then kill -KILL "$BROKER" 2>/dev/null; fi
  if [ -n "${JAVA_STORE_KEEP:-}" ]; then echo "kept: $WORK"; else rm -rf "$WORK"; fi
}
trap finish EXIT
trap 'exit 130' INT TERM

fail() { echo "  $*"; return 1; }

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; }

conf() { # conf DIR: the same configuration for both brokers; small files, so that there are many
  cat <<X
brokerClusterName=DefaultCluster
brokerName=broker-a
brokerIP1=127.0.0.1
listenPort=$PORT
haListenPort=$((PORT + 1))
storePathRootDir=$1
storePathCommitLog=$1/commitlog
mappedFileSizeCommitLog=262144
mappedFileSizeConsumeQueue=1000
maxHashSlotNum=500
maxIndexNum=1000
messageDelayLevel=1s 2s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h
flushConsumerOffsetInterval=500
flushDelayOffsetInterval=500
autoCreateTopicEnable=true
timerWheelEnable=false
X
}

up() { # up petrel|java DIR
  local opens=(--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED --add-exports=java.base/jdk.internal.misc=ALL-UNNAMED
    --add-exports=java.base/sun.nio.ch=ALL-UNNAMED --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED)
  conf "$2" > "$WORK/broker.conf"
  listens && { fail "somebody listens on port $PORT"; return 1; }
  if [ "$1" = petrel ]; then
    "$PETREL" broker -c "$WORK/broker.conf" >> "$WORK/petrel.log" 2>&1 &
  else
    mkdir -p "$WORK/home/conf"
    ROCKETMQ_HOME=$WORK/home java -Xms256m -Xmx1g -XX:MaxDirectMemorySize=256m "${opens[@]}" -Duser.home="$WORK/home" \
      -cp "$WORK/home/conf:$LIB/*" org.apache.rocketmq.broker.BrokerStartup -c "$WORK/broker.conf" >> "$WORK/java.log" 2>&1 &
  fi
  BROKER=$!
  disown "$BROKER" # bash is not to tell that it was killed
  for _ in $(seq 600); do
    kill -0 "$BROKER" 2>/dev/null || break
    listens && return 0
    sleep 0.1
  done
  tail -30 "$WORK/$1.log"; fail "$1 does not come up on $2"
}

down() { # down TERM|KILL BROKER DIR: who is killed has saved its offsets before; Java begins with that ten seconds after its start
  if [ "$1" = KILL ]; then
    touch "$WORK/now"; sleep 2
    if [ "$2" = java ]; then
      for file in consumerOffset delayOffset; do
        for _ in $(seq 600); do [ "$3/config/$file.json" -nt "$WORK/now" ] && break; sleep 0.1; done
      done
    fi
  fi
  kill -"$1" "$BROKER" 2>/dev/null
  for _ in $(seq 300); do kill -0 "$BROKER" 2>/dev/null || { BROKER=; return 0; }; sleep 0.1; done
  fail "the broker does not end"
}

tell() { "$CONTENTS" tell "$ADDRESS" "$1" > "$2" || fail "what the broker serves could not be read"; }

verified() { # verified DIR KEYS: a killed broker leaves notes, nothing else; with KEYS=no keys may be missing from the index
  "$PETREL" store verify -c "$WORK/broker.conf" > "$WORK/verify.txt" 2>&1 && return 0
  if [ "$2" = no ] && ! grep -E '^(repairable|damage)' "$WORK/verify.txt" | grep -qv 'messages are not found by all of their keys' &&
    grep -q ', no message is damaged$' "$WORK/verify.txt"; then return 0; fi
  cat "$WORK/verify.txt"; fail "petrel store verify $1"
}

same() { # same BEFORE AFTER KEYS: KEYS=no leaves the look-ups by key out
  if [ "$3" = no ]; then
    grep -v '"type":"key"' "$1" > "$1.cut"; grep -v '"type":"key"' "$2" > "$2.cut"
    set -- "$1.cut" "$2.cut"
  fi
  cmp -s "$1" "$2" && return 0
  diff "$1" "$2" | cut -c1-300 | head -20
  fail "$(diff "$1" "$2" | grep -c '^[<>]') lines differ"
}

way() { # way FIRST SECOND SIGNAL: FIRST fills, SECOND must serve the same, goes on, and FIRST must serve that
  local first=$1 second=$2 signal=$3 dir=$WORK/$1-$3 keys=yes
  mkdir -p "$dir"
  up "$first" "$dir" && "$CONTENTS" fill "$ADDRESS" 1 && tell 1 "$dir.1" && down "$signal" "$first" "$dir" && verified "$dir" yes || return 1
  # After a crash a Java broker drops the index files that its checkpoint does not name, and fills them again from the last files of
  # the log alone: older keys are lost to it, whoever wrote them. Messages are not.
  [ "$second $signal" = "java KILL" ] && keys=no
  up "$second" "$dir" && tell 1 "$dir.2" && same "$dir.1" "$dir.2" $keys || return 1
  [ "$first $signal" = "java KILL" ] && keys=no
  "$CONTENTS" fill "$ADDRESS" 2 && tell 2 "$dir.3" && down "$signal" "$second" "$dir" || return 1
  # Petrel leaves no key out, whatever a Java broker does with them.
  if [ "$second" = petrel ]; then verified "$dir" yes || return 1; else verified "$dir" $keys || return 1; fi
  up "$first" "$dir" && tell 2 "$dir.4" && same "$dir.3" "$dir.4" $keys && down TERM "$first" "$dir" && verified "$dir" $keys
}

for signal in TERM KILL; do
  for pair in "petrel java" "java petrel"; do
    read -r first second <<< "$pair"
    t0=$SECONDS
    if way "$first" "$second" "$signal"; then
      echo "PASS java-store: $first, $second, $first by $signal ($((SECONDS - t0)) s, $(wc -l < "$WORK/$first-$signal.4") lines)"
    else
      echo "FAIL java-store: $first, $second, $first by $signal"; FAILED=1
      if [ -n "$BROKER" ]; then kill -KILL "$BROKER"; BROKER=; sleep 1; fi
    fi
  done
done
exit $FAILED
