# shellcheck shell=bash
# Configures, starts and stops Apache's own server. Sourced by `run` and `mqadmin`.
#
# One *site* is a name server with its brokers:
#   main   two masters, broker-a and broker-b
#   acl    one master that checks signatures and rights
#   slave  one master and its slave, where the master advises to read older messages from the slave
#   tx     one master, broker-tx, for transactions and for being restarted
#   tls    three masters that encrypt: broker-tls takes nothing else, broker-tls-open takes plain connections too, and
#          broker-tls-identity wants a certificate of its clients; a name server that takes nothing else, and one that does.
#          Two more that no broker knows: one shows an expired certificate, one takes only what is plain
#   soak   two masters, broker-1 and broker-2, and a third, broker-3, with its slave, for being ended in all ways
#
# The jars lie in $live/<version>/lib and are kept. The sites that are started together have a folder beside it,
# such as main-acl-slave: data (stores and settings, removed at the end), logs (kept until the next start).

all_sites=(main acl slave tls tx soak)
matrix_versions=(5.5.0 5.3.3 5.1.4 4.9.7) # that docs/broker-versions.md tells of

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
live=${ROCKETMQ_LIVE_FOLDER:-$root/target/live}

ready_within=180 # seconds; ten or twenty are enough when nothing else runs
end_within=30    # seconds for one that is to end in an orderly way and to be started again
stop_within=3   # seconds, then kill -9: some take more than ten, to save data that nobody wants

acl_access_key='live-tests'
acl_secret_key='live-tests-secret'
denied_access_key='live-denied'
denied_secret_key='live-denied-secret'
sender_access_key='live-sender' # may send to topics and do nothing else
sender_secret_key='live-sender-secret'
groupless_access_key='live-groupless' # may use topics, but no group
groupless_secret_key='live-groupless-secret'
slave_topic=SlaveRead
soak_topic=Soak

# shellcheck source=tests/live/settings.sh
source "$here/settings.sh"
# shellcheck source=tests/live/fetch.sh
source "$here/fetch.sh"

say() { printf 'live: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# --- ports ------------------------------------------------------------------------------------

taken=' '

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port: sets `port` so that port-2 … port+1 are free, as a broker needs them, and below the range
# from which systems give ports to clients.
free_port() {
  local tries each
  for ((tries = 0; tries < 200; tries++)); do
    port=$((20005 + RANDOM % 1000 * 10))
    [[ $taken == *" $port "* ]] && continue
    for each in $((port - 2)) $((port - 1)) "$port" $((port + 1)); do
      port_answers "$each" && continue 2
    done
    taken+="$port "
    return
  done
  die 'no free loopback ports between 20000 and 30000'
}

# --- processes --------------------------------------------------------------------------------

names=()             # of the running servers
pids=()              # theirs, in the same order
declare -A launched  # how they were launched, by name
declare -A at        # where they listen, by the name of the site or broker

# Servers shall not outlive this script, not even when it is killed with SIGKILL.
tether=()
if setpriv --pdeathsig KILL true 2>/dev/null; then tether=(setpriv --pdeathsig KILL); fi

# What the versions need or want on a newer Java.
java_options=(
  --add-exports=java.base/jdk.internal.ref=ALL-UNNAMED --add-exports=java.base/sun.nio.ch=ALL-UNNAMED
  --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED
  --add-opens=java.base/java.lang=ALL-UNNAMED --add-opens=java.base/java.util=ALL-UNNAMED
  --add-opens=java.base/java.util.concurrent=ALL-UNNAMED
  -XX:+PerfDisableSharedMem
  -Drocketmq.broker.diskSpaceWarningLevelRatio=0.99 -Drocketmq.broker.diskSpaceCleanForciblyRatio=0.98
)

# For the servers whose speed nobody measures: less work at the start.
light=(-XX:TieredStopAtLevel=1 -XX:+UseSerialGC)

# launch NAME SITE CLASS CONF JAVA_OPTION…
launch() {
  launched[$1]=$(printf '%q ' "$@")
  spawn "$@"
  names+=("$1")
  pids+=("$pid")
}

# spawn: as launch, of which it is a part; sets `pid`.
spawn() {
  local name=$1 site=$2 class=$3 conf=$4
  shift 4
  mkdir -p "$logs/$name" "$data/tmp"
  : >"$logs/$name.out" # here, so that nobody takes what an earlier process said for this one's word
  ROCKETMQ_HOME=$data/home-$site "${tether[@]}" java "$@" "${java_options[@]}" \
    -Duser.home="$logs/$name" -Djava.io.tmpdir="$data/tmp" -cp "$folder/lib/*" \
    "$class" -c "$conf" >>"$logs/$name.out" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$data/$name.pid"
}

# restart_asked: ends the servers that `restart` has named, with the signal it says, and starts them again. One that has
# been asked to end by itself is given a time for it.
restart_asked() {
  local request name i signal until
  for request in "$data"/restart/*; do
    [[ -e $request ]] || continue
    name=${request##*/}
    for ((i = 0; i < ${#names[@]}; i++)); do
      [[ ${names[i]} == "$name" ]] || continue
      signal=$(<"$request") until=$((SECONDS + end_within))
      kill "-$signal" "${pids[i]}" 2>/dev/null || true
      while kill -0 "${pids[i]}" 2>/dev/null && ((SECONDS < until)); do sleep 0.05; done
      kill -KILL "${pids[i]}" 2>/dev/null || true
      wait "${pids[i]}" 2>/dev/null || true
      eval "spawn ${launched[$name]}"
      pids[i]=$pid
    done
    rm "$request"
  done
}

# launch_name_server SITE[-WHICH] [JAVA_OPTION…]
launch_name_server() {
  local name=$1
  shift
  free_port
  local conf=$data/name-server-$name.conf
  printf 'listenPort=%s\nbindAddress=127.0.0.1\n' "$port" >"$conf"
  launch "name-server-$name" "${name%%-*}" org.apache.rocketmq.namesrv.NamesrvStartup "$conf" -Xms64m -Xmx128m "${light[@]}" "$@"
  at[$name]=127.0.0.1:$port
}

# launch_broker SITE CLUSTER NAME ID [MORE_SETTINGS [JAVA_OPTION…]]: a broker whose id is not 0 is called NAME-slave here.
launch_broker() {
  free_port
  local name=$3 options=()
  [[ $4 == 0 ]] || name=$3-slave
  [[ $1 == main ]] || options=("${light[@]}")
  { broker_conf "$2" "$3" "$4" "$port" "${at[$1]}" "$data/$name" && printf '%s\n' "${5-}"; } >"$data/$name.conf"
  launch "$name" "$1" org.apache.rocketmq.broker.BrokerStartup "$data/$name.conf" \
    -Xms128m -Xmx512m -XX:MaxDirectMemorySize=512m "${options[@]}" "${@:6}"
  at[$name]=127.0.0.1:$port
  printf '%s %s\n' "${at[$1]}" "${at[$name]}" >"$data/$name.at"
}

# launch_site SITE
launch_site() {
  # A broker takes longer than its name server, so it finds that one; else it registers 30 s later.
  if [[ $1 == tls ]]; then
    launch_tls
    return
  fi
  launch_name_server "$1"
  case $1 in
    main)
      launch_broker main DefaultCluster broker-a 0
      launch_broker main DefaultCluster broker-b 0
      ;;
    acl) launch_broker acl AclCluster broker-acl 0 "$(acl_conf)" ;;
    slave)
      topic_from_the_start "$slave_topic" "$data/broker-pair" "$data/broker-pair-slave"
      launch_broker slave SlaveCluster broker-pair 0 "$(slave_read_conf && echo brokerRole=ASYNC_MASTER)"
      launch_broker slave SlaveCluster broker-pair 1 "$(slave_read_conf && echo brokerRole=SLAVE)"
      ;;
    tx) launch_broker tx TxCluster broker-tx 0 "$(tx_conf)" ;;
    soak)
      topic_from_the_start "$soak_topic" "$data"/broker-{1,2,3,3-slave}
      launch_broker soak SoakCluster broker-1 0
      launch_broker soak SoakCluster broker-2 0
      launch_broker soak SoakCluster broker-3 0 brokerRole=ASYNC_MASTER
      launch_broker soak SoakCluster broker-3 1 brokerRole=SLAVE
      ;;
  esac
}

# launch_tls: all brokers know the two name servers that can be used.
launch_tls() {
  local closed open strict expired plain name_server
  mapfile -t closed < <(tls_options enforcing)
  mapfile -t open < <(tls_options permissive)
  mapfile -t strict < <(tls_options enforcing require)
  mapfile -t expired < <(tls_options enforcing none expired)
  mapfile -t plain < <(tls_options disabled)
  launch_name_server tls-open "${open[@]}"
  launch_name_server tls "${closed[@]}"
  name_server=${at[tls]}
  at[tls]="$name_server;${at[tls-open]}"
  launch_broker tls TlsCluster broker-tls 0 '' "${closed[@]}"
  launch_broker tls TlsCluster broker-tls-open 0 '' "${open[@]}"
  launch_broker tls TlsCluster broker-tls-identity 0 '' "${strict[@]}"
  launch_name_server tls-expired "${expired[@]}"
  launch_name_server tls-plain "${plain[@]}"
  at[tls]=$name_server
}

# export_site SITE: waits until its brokers can be used, and exports what tests need to know of them.
export_site() {
  local name_server=${at[$1]}
  case $1 in
    main)
      wait_for_brokers "$name_server" "${at[broker-a]}" "${at[broker-b]}"
      export ROCKETMQ_LIVE_NAME_SERVER=$name_server
      ROCKETMQ_LIVE_BROKER_A_PID=$(<"$data/broker-a.pid") && export ROCKETMQ_LIVE_BROKER_A_PID
      ;;
    acl)
      wait_for_brokers "$name_server" "${at[broker-acl]}"
      export ROCKETMQ_LIVE_ACL_NAME_SERVER=$name_server
      export ROCKETMQ_LIVE_ACL_ACCESS_KEY=$acl_access_key ROCKETMQ_LIVE_ACL_SECRET_KEY=$acl_secret_key
      export ROCKETMQ_LIVE_ACL_DENIED_ACCESS_KEY=$denied_access_key ROCKETMQ_LIVE_ACL_DENIED_SECRET_KEY=$denied_secret_key
      # Alone it is also where a test goes that wants any cluster.
      [[ -n ${at[main]-} ]] || export ROCKETMQ_LIVE_NAME_SERVER=$name_server
      export ROCKETMQ_LIVE_ACL_SENDER_ACCESS_KEY=$sender_access_key ROCKETMQ_LIVE_ACL_SENDER_SECRET_KEY=$sender_secret_key
      export ROCKETMQ_LIVE_ACL_GROUPLESS_ACCESS_KEY=$groupless_access_key ROCKETMQ_LIVE_ACL_GROUPLESS_SECRET_KEY=$groupless_secret_key
      ;;
    slave)
      wait_for_brokers "$name_server" "${at[broker-pair]}" "${at[broker-pair-slave]}"
      export ROCKETMQ_LIVE_SLAVE_NAME_SERVER=$name_server ROCKETMQ_LIVE_SLAVE_TOPIC=$slave_topic
      ;;
    tls)
      # The other name server is asked what it knows: this one takes nothing that is plain.
      wait_for_brokers "${at[tls-open]}" "${at[broker-tls]}" "${at[broker-tls-open]}" "${at[broker-tls-identity]}"
      export ROCKETMQ_LIVE_TLS_NAME_SERVER=$name_server ROCKETMQ_LIVE_TLS_OPEN_NAME_SERVER=${at[tls-open]}
      export ROCKETMQ_LIVE_TLS_EXPIRED_NAME_SERVER=${at[tls-expired]} ROCKETMQ_LIVE_TLS_PLAIN_NAME_SERVER=${at[tls-plain]}
      ;;
    tx)
      wait_for_brokers "$name_server" "${at[broker-tx]}"
      export ROCKETMQ_LIVE_TX_NAME_SERVER=$name_server
      ROCKETMQ_LIVE_TX_BROKER_PID=$(<"$data/broker-tx.pid") && export ROCKETMQ_LIVE_TX_BROKER_PID
      ;;
    soak)
      wait_for_brokers "$name_server" "${at[broker-1]}" "${at[broker-2]}" "${at[broker-3]}" "${at[broker-3-slave]}"
      export ROCKETMQ_LIVE_SOAK_NAME_SERVER=$name_server ROCKETMQ_LIVE_SOAK_TOPIC=$soak_topic
      ;;
  esac
}

# failed_start INDEX WHY
failed_start() {
  local name=${names[$1]}
  say "$name did not start: $2. The end of its output:"
  tail -n 25 "$logs/$name.out" >&2
  find "$logs/$name" -name '*.log' -size +0 ! -name '*gc*' | sort | while read -r log; do
    printf -- '--- %s\n' "$log"
    tail -n 8 "$log"
  done >&2
  exit 1
}

# wait_for_boot: until every server has said so.
wait_for_boot() {
  local i
  for ((i = 0; i < ${#names[@]}; i++)); do
    until grep -q 'boot success' "$logs/${names[i]}.out"; do
      kill -0 "${pids[i]}" 2>/dev/null || failed_start "$i" 'it ended'
      ((SECONDS < deadline)) || failed_start "$i" "not ready within $ready_within s"
      sleep 0.2
    done
  done
}

# cluster_info NAME_SERVER: the brokers it knows, as JSON (GET_BROKER_CLUSTER_INFO; no tool of Apache's is
# needed for that, each start of which costs seconds).
cluster_info() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  timeout 5 bash -c '
    header="{\"code\":106,\"flag\":0,\"language\":\"JAVA\",\"opaque\":1,\"serializeTypeCurrentRPC\":\"JSON\",\"version\":401}"
    exec 3<>"/dev/tcp/${1%:*}/${1#*:}"
    printf "\\0\\0\\0\\x$(printf %x $((${#header} + 4)))\\0\\0\\0\\x$(printf %x ${#header})%s" "$header" >&3
    length=$(head -c 4 <&3 | od -An -tu1 | { read -r a b c d; echo $((((a * 256 + b) * 256 + c) * 256 + d)); })
    head -c "$length" <&3 | tr -d "\\0"
  ' cluster_info "$1" 2>/dev/null
}

# wait_for_brokers NAME_SERVER ADDRESS…: until the name server knows them all.
wait_for_brokers() {
  local name_server=$1 address known
  shift
  for address in "$@"; do
    until known=$(cluster_info "$name_server") && [[ $known == *"\"$address\""* ]]; do
      ((SECONDS < deadline)) || die "the name server $name_server does not know broker $address after $ready_within s; it knows: ${known-nothing}"
      sleep 0.2
    done
  done
}

# admin VERSION HOME COMMAND…: Apache's admin tool.
admin() {
  local lib=$live/$1/lib home=$2
  shift 2
  ROCKETMQ_HOME=$home java -Xmx128m "${light[@]}" "${java_options[@]}" -Duser.home="$home" \
    -Drmq.logback.configurationFile="$home/conf/logback_tools.xml" -cp "$lib/*" org.apache.rocketmq.tools.command.MQAdminStartup "$@"
}

# start_servers VERSION SITE…: starts the sites and exports what tests need.
start_servers() {
  local site began=$SECONDS
  version=$1 folder=$live/$1
  shift
  local sites=("$@") own
  own=$folder/$(IFS=- && echo "${sites[*]}")
  data=$own/data logs=$own/logs
  mkdir -p "$own"
  if command -v flock >/dev/null; then
    exec 9>"$own/lock"
    flock -n 9 || die "another run uses $own; end it first, or give this one its own folder with ROCKETMQ_LIVE_FOLDER"
  fi
  fetch "$version"

  rm -rf "$data" "$logs"
  mkdir -p "$data/restart" "$logs"
  deadline=$((SECONDS + ready_within))
  say "starting the server $version, ${sites[*]} …"
  write_homes
  for site in "${sites[@]}"; do launch_site "$site"; done
  wait_for_boot

  local name
  for name in "${!ROCKETMQ_LIVE_@}"; do [[ $name == ROCKETMQ_LIVE_@(FOLDER|LONG) ]] || unset "$name"; done
  for site in "${sites[@]}"; do export_site "$site"; done
  # Without the ordinary brokers the first site is where a test goes that wants any cluster.
  export ROCKETMQ_LIVE_NAME_SERVER=${ROCKETMQ_LIVE_NAME_SERVER-${at[${sites[0]}]}}
  export ROCKETMQ_LIVE_VERSION=$version ROCKETMQ_LIVE_LIB=$folder/lib
  if command -v javac >/dev/null; then export ROCKETMQ_LIVE_JAVAC=1; fi
  export ROCKETMQ_LIVE_RESTART=$here/restart ROCKETMQ_LIVE_RUN=$$ ROCKETMQ_LIVE_DATA=$data ROCKETMQ_LIVE_LOGS=$logs
  say "ready after $((SECONDS - began)) s: name server ${at[${sites[0]}]}, logs in $logs"
}

# stop_servers: ends all of them, by force after a while; their data is of no use to anybody.
stop_servers() {
  if [[ -n ${fetching-} ]]; then kill "$fetching" 2>/dev/null || true; fi
  if ((${#pids[@]})); then
    say "stopping ${#pids[@]} servers …"
    local began=$SECONDS pid
    for pid in "${pids[@]}"; do
      kill -TERM "$pid" 2>/dev/null || true
      kill -CONT "$pid" 2>/dev/null || true # in case a test has halted it
    done
    for pid in "${pids[@]}"; do
      while kill -0 "$pid" 2>/dev/null && ((SECONDS - began < stop_within)); do sleep 0.1; done
      kill -KILL "$pid" 2>/dev/null || true
      wait "$pid" 2>/dev/null || true
    done
    names=() pids=() launched=() at=() taken=' '
    rm -rf "$data"
    say "stopped after $((SECONDS - began)) s"
  fi
  exec 9>&-
}
