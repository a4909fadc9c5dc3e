# shellcheck shell=bash
# Fetches, configures, starts and stops Apache's own server. Sourced by `run` and `mqadmin`.
#
# One *site* is a name server with its brokers; a version of the server gets up to three of them:
#   main   two masters, broker-a and broker-b
#   acl    one master that checks signatures and rights
#   slave  one master and its slave, where the master advises to read older messages from the slave
#
# Everything lies in $live/<version>: lib (the jars, kept), data (stores and settings, removed at the
# end), logs (kept until the next start).

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
live=${ROCKETMQ_LIVE_FOLDER:-$root/target/live}

ready_within=90 # seconds
stop_within=3   # seconds, then kill -9: some take more than ten, to save data that nobody wants

acl_access_key='live-tests'
acl_secret_key='live-tests-secret'
denied_access_key='live-denied'
denied_secret_key='live-denied-secret'
slave_topic=SlaveRead

say() { printf 'live: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# --- fetching ---------------------------------------------------------------------------------

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

# --- settings ---------------------------------------------------------------------------------

# A setting that a version does not know is ignored by it, so both versions get the same ones.

# write_homes: the folders that ROCKETMQ_HOME names, one for each site. 4.9.7 wants its log settings
# and the rules of the acl site there, Apache's tools the credentials.
write_homes() {
  local site file
  for site in main acl slave; do
    mkdir -p "$data/home-$site/conf"
    for file in namesrv broker; do
      cat >"$data/home-$site/conf/logback_$file.xml" <<'END'
<configuration>
  <appender name="file" class="ch.qos.logback.core.FileAppender">
    <file>${user.home}/server.log</file>
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5p %t - %m%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="file"/></root>
</configuration>
END
    done
  done
  cat >"$data/home-acl/conf/plain_acl.yml" <<END
accounts:
  - accessKey: $acl_access_key
    secretKey: $acl_secret_key
    admin: true
    defaultTopicPerm: PUB|SUB
    defaultGroupPerm: PUB|SUB
  - accessKey: $denied_access_key
    secretKey: $denied_secret_key
    admin: false
    defaultTopicPerm: DENY
    defaultGroupPerm: DENY
END
  cat >"$data/home-acl/conf/tools.yml" <<END
accessKey: $acl_access_key
secretKey: $acl_secret_key
END
}

# broker_conf CLUSTER NAME ID PORT NAME_SERVER FOLDER: the settings of one broker; a caller adds its own.
# The last one keeps 5.5.0 from comparing a file of 37 MB with memory every second, byte by byte: that
# costs each idle broker a tenth to a quarter of a core.
broker_conf() {
  cat <<END
brokerClusterName=$1
brokerName=$2
brokerId=$3
listenPort=$4
bindAddress=127.0.0.1
brokerIP1=127.0.0.1
brokerIP2=127.0.0.1
namesrvAddr=$5
storePathRootDir=$6
storePathCommitLog=$6/commitlog
autoCreateTopicEnable=true
enablePropertyFilter=true
recallMessageEnable=true
traceTopicEnable=true
waitTimeMillsInSendQueue=5000
osPageCacheBusyTimeOutMills=5000
transactionTimeOut=2000
transactionCheckInterval=2000
mappedFileSizeCommitLog=67108864
mappedFileSizeConsumeQueue=600000
maxHashSlotNum=500000
maxIndexNum=2000000
diskMaxUsedSpaceRatio=98
flushDiskType=ASYNC_FLUSH
timerFlushIntervalMs=60000
END
}

# What 5.x needs to check signatures and rights, and what 4.x does. 4.x reads the accounts from
# plain_acl.yml; 5.x starts with one that may do everything and takes the other one over from that file.
acl_conf() {
  local auth=org.apache.rocketmq.auth
  cat <<END
authenticationEnabled=true
authenticationProvider=$auth.authentication.provider.DefaultAuthenticationProvider
authenticationMetadataProvider=$auth.authentication.provider.LocalAuthenticationMetadataProvider
initAuthenticationUser={"username":"$acl_access_key","password":"$acl_secret_key"}
innerClientAuthenticationCredentials={"accessKey":"$acl_access_key","secretKey":"$acl_secret_key"}
authorizationEnabled=true
authorizationProvider=$auth.authorization.provider.DefaultAuthorizationProvider
authorizationMetadataProvider=$auth.authorization.provider.LocalAuthorizationMetadataProvider
migrateAuthFromV1Enabled=true
aclEnable=true
END
}

# The master advises the slave for every message it hands out.
slave_read_conf() { printf 'slaveReadEnable=true\naccessMessageInMemoryMaxRatio=0\n'; }

# slave_topic FOLDER: gives a broker a topic of four queues from the start. A slave learns of a new one
# from its master only after up to 63 s (5.5.0), and until then answers that there is none.
slave_topic() {
  mkdir -p "$1/config"
  cat >"$1/config/topics.json" <<END
{"dataVersion":{"counter":1,"timestamp":1},"topicConfigTable":{"$slave_topic":{"topicName":"$slave_topic",
"order":false,"perm":6,"readQueueNums":4,"writeQueueNums":4,"topicFilterType":"SINGLE_TAG","topicSysFlag":0}}}
END
}

# --- processes --------------------------------------------------------------------------------

names=() # of the running servers
pids=()  # theirs, in the same order

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
  local name=$1 site=$2 class=$3 conf=$4
  shift 4
  mkdir -p "$logs/$name" "$data/tmp"
  ROCKETMQ_HOME=$data/home-$site "${tether[@]}" java "$@" "${java_options[@]}" \
    -Duser.home="$logs/$name" -Djava.io.tmpdir="$data/tmp" -cp "$folder/lib/*" \
    "$class" -c "$conf" >"$logs/$name.out" 2>&1 </dev/null &
  names+=("$name")
  pids+=($!)
}

# launch_name_server SITE: sets `port`.
launch_name_server() {
  free_port
  local conf=$data/name-server-$1.conf
  printf 'listenPort=%s\nbindAddress=127.0.0.1\n' "$port" >"$conf"
  launch "name-server-$1" "$1" org.apache.rocketmq.namesrv.NamesrvStartup "$conf" -Xms64m -Xmx128m "${light[@]}"
}

# launch_broker SITE CLUSTER NAME ID NAME_SERVER [MORE_SETTINGS]: sets `port`.
launch_broker() {
  free_port
  local name=$3 options=()
  [[ $4 == 0 ]] || name=$3-slave
  [[ $1 == main ]] || options=("${light[@]}")
  { broker_conf "$2" "$3" "$4" "$port" "$5" "$data/$name" && printf '%s\n' "${6-}"; } >"$data/$name.conf"
  launch "$name" "$1" org.apache.rocketmq.broker.BrokerStartup "$data/$name.conf" \
    -Xms128m -Xmx512m -XX:MaxDirectMemorySize=512m "${options[@]}"
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

# start_servers VERSION all|main: starts the sites and exports what tests need.
start_servers() {
  version=$1
  folder=$live/$version data=$live/$version/data logs=$live/$version/logs
  mkdir -p "$folder"
  if command -v flock >/dev/null; then
    exec 9>"$folder/lock"
    flock -n 9 || die "another run uses $folder; end it first, or give this one its own folder with ROCKETMQ_LIVE_FOLDER"
  fi
  fetch "$version"

  rm -rf "$data" "$logs"
  mkdir -p "$data" "$logs"
  local began=$SECONDS
  deadline=$((SECONDS + ready_within))
  say "starting the server $version …"
  write_homes

  local sites=(main)
  [[ $2 == main ]] || sites+=(acl slave)
  local -A at
  local site
  for site in "${sites[@]}"; do
    launch_name_server "$site"
    at[$site]=127.0.0.1:$port
  done

  # A broker takes longer than its name server, so it finds that one; else it registers 30 s later.
  launch_broker main DefaultCluster broker-a 0 "${at[main]}"
  at[broker-a]=127.0.0.1:$port
  export ROCKETMQ_LIVE_BROKER_A_PID=${pids[-1]}
  launch_broker main DefaultCluster broker-b 0 "${at[main]}"
  at[broker-b]=127.0.0.1:$port
  if [[ $2 != main ]]; then
    launch_broker acl AclCluster broker-acl 0 "${at[acl]}" "$(acl_conf)"
    at[broker-acl]=127.0.0.1:$port
    slave_topic "$data/broker-pair"
    slave_topic "$data/broker-pair-slave"
    launch_broker slave SlaveCluster broker-pair 0 "${at[slave]}" "$(slave_read_conf && echo brokerRole=ASYNC_MASTER)"
    at[broker-pair]=127.0.0.1:$port
    launch_broker slave SlaveCluster broker-pair 1 "${at[slave]}" "$(slave_read_conf && echo brokerRole=SLAVE)"
    at[broker-pair-slave]=127.0.0.1:$port
  fi
  wait_for_boot

  export ROCKETMQ_LIVE_VERSION=$version ROCKETMQ_LIVE_NAME_SERVER=${at[main]}
  wait_for_brokers "${at[main]}" "${at[broker-a]}" "${at[broker-b]}"
  if [[ $2 != main ]]; then
    export ROCKETMQ_LIVE_ACL_NAME_SERVER=${at[acl]} ROCKETMQ_LIVE_SLAVE_NAME_SERVER=${at[slave]} ROCKETMQ_LIVE_SLAVE_TOPIC=$slave_topic
    export ROCKETMQ_LIVE_ACL_ACCESS_KEY=$acl_access_key ROCKETMQ_LIVE_ACL_SECRET_KEY=$acl_secret_key
    export ROCKETMQ_LIVE_ACL_DENIED_ACCESS_KEY=$denied_access_key ROCKETMQ_LIVE_ACL_DENIED_SECRET_KEY=$denied_secret_key
    wait_for_brokers "${at[acl]}" "${at[broker-acl]}"
    wait_for_brokers "${at[slave]}" "${at[broker-pair]}" "${at[broker-pair-slave]}"
  fi
  say "ready after $((SECONDS - began)) s: name server $ROCKETMQ_LIVE_NAME_SERVER, logs in $logs"
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
    names=() pids=() taken=' '
    rm -rf "$data"
    say "stopped after $((SECONDS - began)) s"
  fi
  exec 9>&-
}
