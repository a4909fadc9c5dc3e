use super::*;
use crate::embedded::Cluster;
use crate::protocol::json;
use crate::protocol::rpc::name_server::ForgetTopic;
use crate::protocol::rpc::route::{ClusterBody, GetClusterInfo, GetRoute, GetTopicList, RouteBody, TopicListBody};
use crate::protocol::rpc::topic::{CreateTopic, DeleteTopic};

fn route(wire: &mut Wire, topic: &str) -> Result<RouteBody, (ResponseCode, String)> {
    let asked = GetRoute { standard_json: Some(true), topic: topic.into() };
    let frame = wire.call(RequestCode::GET_ROUTEINFO_BY_TOPIC, &asked, &[]);
    answer::<NoFields>(&frame).map(|_| json::decode("route", frame.body()).unwrap())
}

fn create(topic: &str, queues: i32) -> CreateTopic {
    CreateTopic {
        topic: topic.into(),
        default_topic: "TBW102".into(),
        read_queues: queues,
        write_queues: queues,
        perm: 6,
        filter_type: Some("SINGLE_TAG".into()),
        sys_flag: Some(0),
        order: false,
        attributes: None,
    }
}

#[test]
fn the_template_has_a_route_and_unknown_topics_are_code_17() {
    let cluster = Cluster::start().unwrap();
    let mut names = Wire::to(cluster.name_server());
    let found = route(&mut names, "TBW102").unwrap();
    assert_eq!((found.queue_datas[0].perm, found.queue_datas[0].write_queue_nums), (7, 8));
    assert_eq!(found.broker_datas[0].broker_addrs[&0], cluster.broker("broker-a").addr().to_string());
    assert_eq!(found.broker_datas[0].cluster, "DefaultCluster");
    let (code, remark) = route(&mut names, "Unknown").unwrap_err();
    assert_eq!(code, ResponseCode::TOPIC_NOT_EXIST);
    assert!(remark.starts_with("No topic route info in name server for the topic: Unknown\nSee https://"), "{remark}");
}

#[test]
fn old_clients_get_the_legacy_dialect_and_both_header_kinds_are_read() {
    let cluster = Cluster::start().unwrap();
    let mut names = Wire::to(cluster.name_server());
    let asked = GetRoute { standard_json: None, topic: arc("TBW102") };
    for (kind, version, quoted) in [(HeaderKind::Json, 317, false), (HeaderKind::Binary, 401, true)] {
        (names.kind, names.version) = (kind, version);
        let frame = names.call(RequestCode::GET_ROUTEINFO_BY_TOPIC, &asked, &[]);
        let body = String::from_utf8_lossy(frame.body()).into_owned();
        assert_eq!(body.contains("\"brokerAddrs\":{\"0\":"), quoted, "{body}");
        assert_eq!(body.contains("\"brokerAddrs\":{0:"), !quoted, "{body}");
        assert!(json::decode::<RouteBody>("route", frame.body()).is_ok());
    }
    let frame = names.call(RequestCode::GET_BROKER_CLUSTER_INFO, &GetClusterInfo, &[]);
    assert!(String::from_utf8_lossy(frame.body()).contains("{0:\"127.0.0.1:"));
    let info: ClusterBody = json::decode("cluster", frame.body()).unwrap();
    assert_eq!(info.cluster_addr_table["DefaultCluster"], ["broker-a"]);
}

#[test]
fn a_topic_is_created_and_deleted_broker_by_broker() {
    let cluster = Cluster::builder().brokers(2).topic("Own", 3).start().unwrap();
    let mut names = Wire::to(cluster.name_server());
    assert_eq!(route(&mut names, "Own").unwrap().broker_datas.len(), 2);
    let (_, mut wire) = broker(&cluster);
    let created = wire.call(RequestCode::UPDATE_AND_CREATE_TOPIC, &create("T", 5), &[]);
    assert_eq!(created.response_code(), ResponseCode::SUCCESS);
    let found = route(&mut names, "T").unwrap();
    assert_eq!((found.queue_datas.len(), found.queue_datas[0].read_queue_nums), (1, 5));
    let frame = names.call(RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, &GetTopicList, &[]);
    let list: TopicListBody = json::decode("topics", frame.body()).unwrap();
    assert!(list.topic_list.contains(&"T".to_owned()) && list.topic_list.contains(&"TBW102".to_owned()));
    let gone = wire.call(RequestCode::DELETE_TOPIC_IN_BROKER, &DeleteTopic { topic: arc("T") }, &[]);
    assert_eq!(gone.response_code(), ResponseCode::SUCCESS);
    assert!(route(&mut names, "T").is_ok(), "name servers are not told by the broker");
    let forgotten = names.call(RequestCode::DELETE_TOPIC_IN_NAMESRV, &ForgetTopic { topic: arc("T") }, &[]);
    assert_eq!(forgotten.response_code(), ResponseCode::SUCCESS);
    assert!(route(&mut names, "T").is_err());
    for wrong in ["", "a b", "SCHEDULE_TOPIC_XXXX", "TBW102", "broker-a"] {
        let refused = wire.call(RequestCode::UPDATE_AND_CREATE_TOPIC, &create(wrong, 5), &[]);
        assert_eq!(refused.response_code(), ResponseCode::INVALID_PARAMETER, "{wrong}");
    }
}

#[test]
fn routes_follow_what_is_up_and_what_a_test_changes() {
    let cluster = Cluster::builder().brokers(2).slaves(1).topic("T", 4).start().unwrap();
    let mut names = Wire::to(cluster.name_server());
    let ids = |names: &mut Wire| -> Vec<Vec<i64>> {
        let found = route(names, "T").unwrap();
        found.broker_datas.iter().map(|broker| broker.broker_addrs.keys().copied().collect()).collect()
    };
    assert_eq!(ids(&mut names), [vec![0, 1], vec![0, 1]]);
    cluster.broker("broker-a").kill();
    assert_eq!(ids(&mut names), [vec![1], vec![0, 1]]);
    cluster.slave("broker-a", 1).kill();
    assert_eq!(ids(&mut names), [vec![0, 1]]);
    cluster.broker("broker-a").registered(true);
    assert_eq!(ids(&mut names), [vec![0], vec![0, 1]], "down, and the name server has not noticed");
    cluster.broker("broker-a").restart().unwrap();
    cluster.broker("broker-b").remove_topic("T");
    cluster.broker("broker-a").topic_queues("T", 2, 1);
    cluster.broker("broker-a").topic_permissions("T", 4);
    let found = route(&mut names, "T").unwrap().queue_datas;
    assert_eq!((found.len(), found[0].read_queue_nums, found[0].write_queue_nums, found[0].perm), (1, 2, 1, 4));
}

#[test]
fn an_unknown_request_is_code_3() {
    let cluster = Cluster::start().unwrap();
    for addr in [cluster.name_server().to_owned(), cluster.broker("broker-a").addr().to_string()] {
        let frame = Wire::to(addr).call(RequestCode(4711), &NoFields, &[]);
        assert_eq!(frame.response_code(), ResponseCode::REQUEST_CODE_NOT_SUPPORTED);
        assert_eq!(frame.remark(), " request type 4711 not supported");
    }
}
