# shellcheck shell=bash
# Fetches Apache's server. Sourced by server.sh.

need_java() {
  command -v java >/dev/null || die "no 'java' found: Apache's server needs Java 11 or newer (Debian: apt-get install default-jre-headless)"
  local major
  major=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1) || true
  [[ ${major:-0} -ge 11 ]] || die "Java 11 or newer is needed; this one says: $(java -version 2>&1 | head -n 1)"
}

# fetch VERSION: makes $live/VERSION/lib complete; a folder of that name always is.
fetch() {
  local version=$1 folder=$live/$1
  [[ -d $folder/lib ]] && return
  command -v mvn >/dev/null || die "no 'mvn' found: Maven fetches Apache's server (Debian: apt-get install maven)"
  mkdir -p "$folder"
  if command -v flock >/dev/null; then
    exec 8>"$folder/fetch.lock"
    flock 8
    [[ -d $folder/lib ]] && return
  fi
  local log=$folder/fetch.log began=$SECONDS attempt
  for attempt in 1 2 3; do
    say "fetching the server $version from Maven Central (once; up to 100 MB) …"
    rm -rf "$folder/lib.part"
    mvn -B -f "$here/pom.xml" -Drocketmq.version="$version" \
      dependency:copy-dependencies -DoutputDirectory="$folder/lib.part" >"$log" 2>&1 </dev/null &
    fetching=$!
    local next=$((SECONDS + 15))
    while kill -0 "$fetching" 2>/dev/null; do
      sleep 0.5
      if ((SECONDS >= next)); then
        say "still fetching, $((SECONDS - began)) s …"
        next=$((SECONDS + 15))
      fi
    done
    if wait "$fetching" && compgen -G "$folder/lib.part/rocketmq-broker-$version.jar" >/dev/null; then
      fetching=
      mv "$folder/lib.part" "$folder/lib"
      say "fetched $(find "$folder/lib" -name '*.jar' | wc -l) jars in $((SECONDS - began)) s"
      return
    fi
    fetching=
    say "attempt $attempt failed:"
    grep -E 'ERROR|BUILD' "$log" | head -n 15 >&2 || tail -n 15 "$log" >&2
  done
  die "the server $version could not be fetched; all of Maven's output is in $log"
}
