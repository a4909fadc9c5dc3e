# shellcheck shell=bash
# The settings of Apache's servers. Sourced by server.sh.

# A setting that a version does not know is ignored by it, so both versions get the same ones.

# write_homes: the folders that ROCKETMQ_HOME names, one for each site. 4.9.7 wants its log settings
# and the rules of the acl site there, Apache's tools the credentials.
write_homes() {
  local site file
  for site in "${all_sites[@]}"; do
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
  - accessKey: $sender_access_key
    secretKey: $sender_secret_key
    admin: false
    defaultTopicPerm: PUB
    defaultGroupPerm: DENY
  - accessKey: $groupless_access_key
    secretKey: $groupless_secret_key
    admin: false
    defaultTopicPerm: PUB|SUB
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

# tls_options MODE [CLIENTS [CERTIFICATE]]: what servers are told about TLS, a Java option a line. The certificates are those of
# all tests. By default a server makes one of its own, would take no other, and is permissive: plain alone is the mode
# `disabled`.
tls_options() {
  local mode=$1 clients=${2:-none} certificate=${3:-server} pems=$root/tests/tls
  printf '%s\n' -Dtls.config.file=/dev/null -Dtls.test.mode.enable=false -Dtls.enable=true "-Dtls.server.mode=$mode" \
    "-Dtls.server.certPath=$pems/$certificate.pem" "-Dtls.server.keyPath=$pems/$certificate.key" \
    "-Dtls.server.need.client.auth=$clients" -Dtls.client.authServer=true "-Dtls.client.trustCertPath=$pems/authority.pem"
  if [[ $clients != none ]]; then
    printf '%s\n' -Dtls.server.authClient=true "-Dtls.server.trustCertPath=$pems/authority.pem"
  fi
}

# The master advises the slave for every message it hands out, and tells the members of a group that it was reset, as
# brokers before 5.2 do; newer ones would keep to themselves where the group is to go on.
slave_read_conf() {
  printf 'slaveReadEnable=true\naccessMessageInMemoryMaxRatio=0\nuseServerSideResetOffset=false\n'
}

# topic_from_the_start TOPIC FOLDER…: gives brokers a topic of four queues. A slave learns of a new one from its master
# only after up to 63 s (5.5.0), and until then answers that there is none.
topic_from_the_start() {
  local topic=$1 folder
  shift
  for folder in "$@"; do
    mkdir -p "$folder/config"
    cat >"$folder/config/topics.json" <<END
{"dataVersion":{"counter":1,"timestamp":1},"topicConfigTable":{"$topic":{"topicName":"$topic",
"order":false,"perm":6,"readQueueNums":4,"writeQueueNums":4,"topicFilterType":"SINGLE_TAG","topicSysFlag":0}}}
END
  done
}

# Half messages are checked back after two seconds, every two seconds. The last two make 5.5.0 write down each
# ended transaction at once: by default it gathers them for three seconds, checks some back in the meantime, and
# after the first one spins a core for ever, because it takes the time of the last write plus the interval, long
# past, for the time to look again.
tx_conf() {
  cat <<END
transactionTimeOut=2000
transactionCheckInterval=2000
transactionOpMsgMaxSize=1
transactionOpBatchInterval=86400000
END
}
