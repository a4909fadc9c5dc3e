//! What clients ask the embedded cluster's servers.

use super::super::server::request;
use crate::RequestCode;

type Script = &'static [(RequestCode, u8, &'static str, &'static str)];

const SEND: &str =
    "a=PG&b=T&c=TBW102&d=4&e=0&f=0&g=1700000000000&h=0&i=TAGS\u{1}a\u{2}KEYS\u{1}k\u{2}UNIQ_KEY\u{1}U1\u{2}&j=0";
const PULL: &str = "consumerGroup=CG&topic=T&queueId=0&queueOffset=0&maxMsgNums=32&sysFlag=6&commitOffset=0&suspendTimeoutMillis=500&subscription=a||b&subVersion=1&expressionType=TAG";
const HALF: &str =
    "a=PG&b=T&c=TBW102&d=4&e=1&f=4&g=1700000000000&h=0&i=TRAN_MSG\u{1}true\u{2}PGROUP\u{1}PG\u{2}UNIQ_KEY\u{1}U1\u{2}";
const PRODUCER: &str = r#"{"clientID":"c","consumerDataSet":[],"producerDataSet":[{"groupName":"PG"}]}"#;
const CONSUMER: &str = r#"{"clientID":"d","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"CG","messageModel":"CLUSTERING","subscriptionDataSet":[{"expressionType":"SQL92","subString":"a > 1","subVersion":1,"topic":"T"}]}],"producerDataSet":[]}"#;

const SCRIPTS: &[Script] = &[
    // Sent, pulled, looked up; a pull that waits.
    &[
        (RequestCode::HEART_BEAT, 1, "", CONSUMER),
        (RequestCode::SEND_MESSAGE_V2, 0, SEND, "one"),
        (RequestCode::PULL_MESSAGE, 1, PULL, ""),
        (
            RequestCode::QUERY_MESSAGE,
            0,
            "topic=T&key=k&maxNum=32&beginTimestamp=0&endTimestamp=9223372036854775807",
            "",
        ),
        (RequestCode::VIEW_MESSAGE_BY_ID, 0, "offset=0", ""),
        (RequestCode::SEARCH_OFFSET_BY_TIMESTAMP, 0, "topic=T&queueId=0&timestamp=1&boundaryType=upper", ""),
        (RequestCode::GET_MAX_OFFSET, 4, "topic=T&queueId=0", ""),
        (RequestCode::GET_EARLIEST_MSG_STORETIME, 0, "topic=T&queueId=0", ""),
        (
            RequestCode::PULL_MESSAGE,
            1,
            "consumerGroup=CG&topic=T&queueId=0&queueOffset=1&maxMsgNums=32&sysFlag=2&commitOffset=0&suspendTimeoutMillis=500&subVersion=1",
            "",
        ),
        (RequestCode::SEND_MESSAGE_V2, 4, SEND, "two"),
        (RequestCode::UPDATE_CONSUMER_OFFSET, 8, "consumerGroup=CG&topic=T&queueId=0&commitOffset=2", ""),
        (RequestCode::QUERY_CONSUMER_OFFSET, 0, "consumerGroup=CG&topic=T&queueId=0", ""),
    ],
    // A batch, and one sent back.
    &[
        (
            RequestCode::SEND_BATCH_MESSAGE,
            0,
            "a=PG&b=T&c=TBW102&d=4&e=0&f=0&g=1&h=0&i=&m=true",
            "\0\0\0\u{1f}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\u{2}xy\0\u{7}TAGS\u{1}ab\0\0\0\u{1a}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\u{4}four\0\0",
        ),
        (
            RequestCode::CONSUMER_SEND_MSG_BACK,
            2,
            "offset=0&group=CG&delayLevel=3&originMsgId=x&originTopic=T&maxReconsumeTimes=16",
            "",
        ),
    ],
    // Groups: members, locks, offsets, and what is asked of them.
    &[
        (RequestCode::HEART_BEAT, 1, "", CONSUMER),
        (RequestCode::SEND_MESSAGE_V2, 0, SEND, "one"),
        (RequestCode::GET_CONSUMER_LIST_BY_GROUP, 0, "consumerGroup=CG", ""),
        (RequestCode::GET_CONSUMER_CONNECTION_LIST, 0, "consumerGroup=CG", ""),
        (
            RequestCode::LOCK_BATCH_MQ,
            0,
            "",
            r#"{"clientId":"d","consumerGroup":"CG","mqSet":[{"brokerName":"broker-a","queueId":0,"topic":"T"}]}"#,
        ),
        (
            RequestCode::UNLOCK_BATCH_MQ,
            0,
            "",
            r#"{"clientId":"d","consumerGroup":"CG","mqSet":[{"brokerName":"broker-a","queueId":0,"topic":"T"}]}"#,
        ),
        (RequestCode::GET_CONSUMER_RUNNING_INFO, 0, "consumerGroup=CG&clientId=d&jstackEnable=false", ""),
        (RequestCode(0), 1, "", r#"{"mqTable":{},"properties":{}}"#),
        (RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS, 0, "topic=T&group=CG", ""),
        (
            RequestCode(0),
            1,
            "",
            r#"{"consumerTable":{},"messageQueueTable":{{"brokerName":"b","queueId":0,"topic":"T"}:5}}"#,
        ),
        (RequestCode::INVOKE_BROKER_TO_RESET_OFFSET, 0, "topic=T&group=CG&timestamp=-1&isForce=true", ""),
        (
            RequestCode::CHECK_CLIENT_CONFIG,
            0,
            "",
            r#"{"clientId":"d","group":"CG","subscriptionData":{"expressionType":"SQL92","subString":"a > 1","topic":"T"}}"#,
        ),
        (RequestCode::GET_CONSUME_STATS, 0, "consumerGroup=CG", ""),
        (RequestCode::UNREGISTER_CLIENT, 1, "clientID=d&consumerGroup=CG", ""),
    ],
    // Transactions.
    &[
        (RequestCode::HEART_BEAT, 0, "", PRODUCER),
        (RequestCode::SEND_MESSAGE_V2, 0, HALF, "half"),
        (RequestCode::SEND_MESSAGE_V2, 0xF2, HALF, "half"),
        (
            RequestCode::END_TRANSACTION,
            0,
            "commitLogOffset=0&commitOrRollback=8&msgId=U1&producerGroup=PG&tranStateTableOffset=0&topic=T",
            "",
        ),
    ],
    // Pop.
    &[
        (RequestCode::SEND_MESSAGE_V2, 0, SEND, "one"),
        (
            RequestCode::POP_MESSAGE,
            1,
            "consumerGroup=CG&topic=T&queueId=-1&maxMsgNums=32&invisibleTime=1000&pollTime=500&bornTime=9000000000000&initMode=0&expType=TAG&exp=*&order=true&attemptId=x",
            "",
        ),
        (
            RequestCode::ACK_MESSAGE,
            1,
            "consumerGroup=CG&topic=T&queueId=0&extraInfo=0 1700000000000 1000 0 0 broker-a 0 0&offset=0",
            "",
        ),
        (
            RequestCode::CHANGE_MESSAGE_INVISIBLETIME,
            1,
            "consumerGroup=CG&topic=T&queueId=0&extraInfo=0 1700000000000 1000 0 0 broker-a 0 0&offset=0&invisibleTime=10",
            "",
        ),
        (
            RequestCode::BATCH_ACK_MESSAGE,
            1,
            "",
            r#"{"bn":"broker-a","acks":[{"c":"CG","t":"T","r":"0","so":0,"rq":0,"q":0,"pt":1700000000000,"it":1000,"b":"AQ=="}]}"#,
        ),
        (RequestCode::NOTIFICATION, 1, "consumerGroup=CG&topic=T&queueId=0&pollTime=1000&bornTime=9000000000000", ""),
        (RequestCode::POLLING_INFO, 0xD2, "consumerGroup=CG&topic=T&queueId=0", ""),
        (
            RequestCode::SET_MESSAGE_REQUEST_MODE,
            0,
            "",
            r#"{"consumerGroup":"CG","mode":"POP","popShareQueueNum":2,"topic":"T"}"#,
        ),
        (
            RequestCode::QUERY_ASSIGNMENT,
            0,
            "",
            r#"{"clientId":"d","consumerGroup":"CG","messageModel":"CLUSTERING","strategyName":"AVG","topic":"T"}"#,
        ),
    ],
    // Delayed and recalled.
    &[
        (RequestCode::SEND_MESSAGE_V2, 0, "a=PG&b=T&c=TBW102&d=4&e=0&f=0&g=1&h=0&i=DELAY\u{1}3\u{2}", "later"),
        (
            RequestCode::SEND_MESSAGE_V2,
            0,
            "a=PG&b=T&c=TBW102&d=4&e=0&f=0&g=1&h=0&i=TIMER_DELAY_SEC\u{1}30\u{2}UNIQ_KEY\u{1}U1\u{2}",
            "later",
        ),
        (
            RequestCode::RECALL_MESSAGE,
            0xF2,
            "producerGroup=PG&topic=T&recallHandle=djEgYnJva2VyLWEgVCAxNzAwMDAwMDAwMDAwIFUx",
            "",
        ),
        (
            RequestCode::SEND_REPLY_MESSAGE_V2,
            0,
            "a=PG&b=DefaultCluster_REPLY_TOPIC&c=TBW102&d=4&e=0&f=0&g=1&h=0&i=MSG_TYPE\u{1}reply\u{2}REPLY_TO_CLIENT\u{1}c\u{2}CORRELATION_ID\u{1}7\u{2}",
            "reply",
        ),
    ],
    // Operators.
    &[
        (
            RequestCode::UPDATE_AND_CREATE_TOPIC,
            0,
            "topic=T&defaultTopic=TBW102&readQueueNums=4&writeQueueNums=4&perm=6&topicFilterType=SINGLE_TAG&topicSysFlag=0&order=false&attributes=+message.type=FIFO",
            "",
        ),
        (
            RequestCode::UPDATE_AND_CREATE_STATIC_TOPIC,
            0,
            "topic=S&defaultTopic=TBW102&readQueueNums=4&writeQueueNums=4&perm=6&order=false&force=true",
            r#"{"bname":"broker-a","epoch":1,"hostedQueues":{"0":[{"bname":"broker-a","endOffset":-1,"gen":0,"logicOffset":0,"queueId":0,"startOffset":0}]},"scope":"__global__","topic":"S","totalQueues":1}"#,
        ),
        (RequestCode::GET_TOPIC_CONFIG, 0, "topic=S&lo=true", ""),
        (RequestCode::GET_ALL_TOPIC_CONFIG, 0, "topicSeq=0", ""),
        (RequestCode::GET_TOPIC_STATS_INFO, 0, "topic=T", ""),
        (
            RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
            0,
            "",
            r#"{"groupName":"CG","retryMaxTimes":3,"groupRetryPolicy":{"type":"CUSTOMIZED","customizedRetryPolicy":{"next":[1000]}}}"#,
        ),
        (RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG, 0, "", ""),
        (RequestCode::CLONE_GROUP_OFFSET, 0, "srcGroup=CG&destGroup=DG&topic=T&offline=true", ""),
        (RequestCode::QUERY_CONSUME_TIME_SPAN, 0, "topic=T&group=CG", ""),
        (RequestCode::UPDATE_BROKER_CONFIG, 0, "", "brokerPermission=4\nfileReservedTime=48\n"),
        (RequestCode::GET_BROKER_CONFIG, 0, "", ""),
        (RequestCode::GET_BROKER_RUNTIME_INFO, 0, "", ""),
        (RequestCode::VIEW_BROKER_STATS_DATA, 0, "statsName=TOPIC_PUT_NUMS&statsKey=T", ""),
        (RequestCode::DELETE_SUBSCRIPTIONGROUP, 0, "groupName=CG&cleanOffset=true", ""),
        (RequestCode::DELETE_TOPIC_IN_BROKER, 0, "topic=T", ""),
    ],
    // Users and rules.
    &[
        (
            RequestCode::AUTH_CREATE_USER,
            0,
            "username=alice",
            r#"{"password":"x","userType":"Normal","username":"alice"}"#,
        ),
        (
            RequestCode::AUTH_CREATE_ACL,
            0,
            "subject=User:alice",
            r#"{"policies":[{"entries":[{"actions":["Pub"],"decision":"Allow","resource":"Topic:T*","sourceIps":["10.0.0.0/8"]}]}],"subject":"User:alice"}"#,
        ),
        (RequestCode::AUTH_LIST_ACL, 0, "subjectFilter=a&resourceFilter=T", ""),
    ],
    // The name server.
    &[
        (
            RequestCode::SEND_MESSAGE,
            0,
            "producerGroup=PG&topic=T&defaultTopic=TBW102&defaultTopicQueueNums=4&queueId=0&sysFlag=0&bornTimestamp=1&flag=0&properties=",
            "one",
        ),
        (RequestCode::PUT_KV_CONFIG, 0, "namespace=ORDER_TOPIC_CONFIG&key=T&value=broker-a:4", ""),
        (RequestCode::GET_KVLIST_BY_NAMESPACE, 0, "namespace=ORDER_TOPIC_CONFIG", ""),
        (RequestCode::GET_ROUTEINFO_BY_TOPIC, 0, "topic=T&acceptStandardJsonOnly=false", ""),
        (RequestCode::WIPE_WRITE_PERM_OF_BROKER, 0, "brokerName=broker-a", ""),
        (RequestCode::GET_TOPICS_BY_CLUSTER, 0, "cluster=DefaultCluster", ""),
        (RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_NS, 0, "", ""),
        (RequestCode::UPDATE_NAMESRV_CONFIG, 0, "", "serverWorkerThreads=9\n"),
        (RequestCode::DELETE_TOPIC_IN_NAMESRV, 0, "topic=T", ""),
    ],
];

pub(super) fn seeds() -> impl Iterator<Item = Vec<u8>> {
    SCRIPTS.iter().map(|script| {
        let mut input = vec![0];
        for (code, flags, fields, body) in *script {
            input.extend(request(*code, *flags, fields, body.as_bytes()));
        }
        input
    })
}
