//! What operators get from servers and members.

/// The bodies that targets of `admin_bodies` are chosen for, with their numbers.
pub(super) const BODIES: &[(u8, &str)] = &[
    (
        0,
        r#"{"topicConfigTable":{"T":{"attributes":{"+a":"b"},"order":false,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":4}}}"#,
    ),
    (
        1,
        r#"{"bname":"b","epoch":17,"hostedQueues":{0:[{"bname":"b","endOffset":-1,"gen":0,"logicOffset":0,"queueId":0,"startOffset":0,"timeOfEnd":-1,"timeOfStart":-1}],2:[]},"scope":"__global__","topic":"T","totalQueues":4}"#,
    ),
    (
        2,
        r#"{"offsetTable":{{"brokerName":"b","queueId":1,"topic":"T"}:{"lastUpdateTimestamp":17,"maxOffset":"10","minOffset":3}},"topicPutTps":0.5}"#,
    ),
    (
        3,
        r#"{"attributes":{},"brokerId":0,"consumeEnable":true,"groupName":"CG","groupRetryPolicy":{"exponentialRetryPolicy":{"initial":5000,"max":7200000,"multiplier":2},"type":"EXPONENTIAL"},"retryMaxTimes":16,"later":[1,{"a":null}]}"#,
    ),
    (
        4,
        r#"{"dataVersion":{"counter":1},"subscriptionGroupTable":{"CG":{"groupName":"CG","whichBrokerWhenConsumeSlowly":1}}}"#,
    ),
    (5, r#"{"groupList":["CG","%RETRY%x"]}"#),
    (6, r#"{"brokerAddr":"1.2.3.4:10911","topicList":["T"]}"#),
    (
        7,
        r#"{"group":"CG","subscriptionData":{"codeSet":[97],"expressionType":"TAG","subString":"a","subVersion":1,"tagsSet":["a"],"topic":"T"},"topic":"T"}"#,
    ),
    (
        8,
        r#"{"consumeTimeSpanSet":[{"consumeTimeStamp":1,"delayTime":0,"maxTimeStamp":2,"messageQueue":{"brokerName":"b","queueId":0,"topic":"T"},"minTimeStamp":-1}]}"#,
    ),
    (9, r#"{"password":"x","userStatus":"enable","userType":"Super","username":"alice"}"#),
    (10, r#"[{"userStatus":"disable","username":"bob"},{"username":"alice"}]"#),
    (
        11,
        r#"{"policies":[{"entries":[{"actions":["Pub","Sub"],"decision":"Allow","resource":"Topic:T","sourceIps":["10.0.0.0/8"]}],"policyType":"Custom"}],"subject":"User:alice"}"#,
    ),
    (12, r#"[{"policies":[],"subject":"User:alice"}]"#),
    (
        13,
        r#"{"globalWhiteAddrs":["10.0.0.*"],"plainAccessConfigs":[{"accessKey":"k","admin":false,"defaultGroupPerm":"SUB","groupPerms":["g=SUB"],"secretKey":"s","topicPerms":["T=PUB|SUB"],"whiteRemoteAddress":null}]}"#,
    ),
    (14, r#"{"table":{"brokerVersionDesc":"V5_5_0","putTps":"1.0 2.0 3.0"}}"#),
    (15, r#"{"statsDay":{"avgpt":1.5,"sum":3,"tps":0.0},"statsHour":{"sum":"9007199254740993"},"statsMinute":{}}"#),
    (16, r#"{"connectionSet":[{"clientAddr":"1.2.3.4:5","clientId":"c","language":"RUST","version":513}]}"#),
    (
        17,
        r#"{"data":{"PG":[{"clientId":"c","language":"JAVA","lastUpdateTimestamp":1700000000000,"remoteIP":"1.2.3.4","version":401}]}}"#,
    ),
    (
        18,
        r#"{"jstack":"x","mqPopTable":{{"brokerName":"b","queueId":-1,"topic":"T"}:{"lastPopTimestamp":5,"waitAckCount":2}},"mqTable":{{"brokerName":"b","queueId":2,"topic":"T"}:{"cachedMsgCount":1,"commitOffset":5,"droped":false}},"properties":{"PROP_CONSUME_TYPE":"CONSUME_PASSIVELY"},"statusTable":{"T":{"consumeFailedMsgs":1,"consumeRT":0.5,"pullTPS":1e3}},"subscriptionSet":[{"subString":"*","topic":"T"}]}"#,
    ),
    (19, r#"{"autoCommit":true,"consumeResult":"CR_SUCCESS","order":false,"remark":"x","spentTimeMills":5}"#),
    (20, r#"{"consumerGroup":"CG","mode":"POP","popShareQueueNum":2,"topic":"T"}"#),
];

pub(super) const SETTINGS: &[&str] = &[
    "brokerName=broker-a\n# a comment\npath=C:\\x=y\nempty=\n\nnonsense\n",
    "a\\ b\\=c=\\ x\\\\y\n\\u540D=\\u4E24\\n\\u884C \\uD83D\\uDE00\nplain : 1s 5s\nnone=\n",
    "!x\n  brokerPermission = 6 \r\nmessageDelayLevel=1s 5s\n",
];
