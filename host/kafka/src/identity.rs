//! The ids of topics: a topic that was deleted and created again has another id, and other records at the offsets of
//! the old one. rdkafka does not provide the ids, so librdkafka is called directly here.

use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::bindings::{self, rd_kafka_admin_op_t, rd_kafka_resp_err_t};
use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode;

use sandman_core::event::TopicId;

/// librdkafka's text for a topic without an id: the broker is older than Kafka 2.8, or embedded.
const NONE: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// With this text librdkafka's log says that a name belongs to another topic, before it fetches records of that one.
const CHANGED: &str = " changed id from ";

/// The ids of these topics, in the same order; `None` if the broker has no ids, or does not know or show the topic.
///
/// # Errors
/// If the cluster does not answer in time.
pub(super) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    patience: Duration,
) -> Result<Vec<Option<TopicId>>, RDKafkaErrorCode> {
    let described = describe(client, topics, patience)?;
    let id = |topic: &&str| {
        let found = described.iter().find(|(name, _)| name == topic)?;
        found.1.clone()
    };
    Ok(topics.iter().map(id).collect())
}

/// The topic and its new id, from the line of librdkafka's log that reports a change.
pub(super) fn changed_id(line: &str) -> Option<(&str, TopicId)> {
    let (before, after) = line.split_once(CHANGED)?;
    let topic = before.rsplit_once("Topic ")?.1;
    let id = after.rsplit_once(" to ")?.1.trim();
    Some((topic, readable(id)?))
}

/// The id as Kafka's own tools show it: librdkafka uses another base64 alphabet.
fn readable(base64: &str) -> Option<TopicId> {
    (base64 != NONE).then(|| TopicId(Arc::from(base64.replace('+', "-").replace('/', "_"))))
}

#[expect(
    unsafe_code,
    reason = "rdkafka has no call for it; each pointer lives as its comment says"
)]
fn describe<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    patience: Duration,
) -> Result<Vec<(String, Option<TopicId>)>, RDKafkaErrorCode> {
    let names: Vec<CString> = topics.iter().filter_map(|topic| CString::new(*topic).ok()).collect();
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let millis = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX).max(1);
    let handle = client.native_ptr();
    let mut described = Vec::new();
    // SAFETY: the client outlives the call. The names are copied by the collection, which the request copies in turn, so that
    // both are destroyed here. The queue and the event are this function's own and destroyed at its end; descriptions, names
    // and ids belong to the event and are copied before that. Every pointer that may be null is checked before it is used.
    unsafe {
        let queue = bindings::rd_kafka_queue_new(handle);
        let wanted = bindings::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let options =
            bindings::rd_kafka_AdminOptions_new(handle, rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        bindings::rd_kafka_AdminOptions_set_request_timeout(options, millis, ptr::null_mut(), 0);
        bindings::rd_kafka_DescribeTopics(handle, wanted, options, queue);
        bindings::rd_kafka_TopicCollection_destroy(wanted);
        bindings::rd_kafka_AdminOptions_destroy(options);
        let event = bindings::rd_kafka_queue_poll(queue, millis);
        let mut code = rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TIMED_OUT;
        if !event.is_null() {
            code = bindings::rd_kafka_event_error(event);
            let result = bindings::rd_kafka_event_DescribeTopics_result(event);
            if code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && !result.is_null() {
                let mut count = 0;
                let all = bindings::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
                for index in 0..count {
                    described.push(read(*all.add(index)));
                }
            }
            bindings::rd_kafka_event_destroy(event);
        }
        bindings::rd_kafka_queue_destroy(queue);
        match code {
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(described),
            code => Err(code.into()),
        }
    }
}

/// The name and the id of a topic's description.
///
/// # Safety
/// The description is alive.
#[expect(unsafe_code, reason = "as above")]
unsafe fn read(topic: *const bindings::rd_kafka_TopicDescription_t) -> (String, Option<TopicId>) {
    // SAFETY: as the caller says; name and id live as long as the description.
    unsafe {
        let name = CStr::from_ptr(bindings::rd_kafka_TopicDescription_name(topic));
        let error = bindings::rd_kafka_TopicDescription_error(topic);
        let failed =
            !error.is_null() && bindings::rd_kafka_error_code(error) != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        let id = bindings::rd_kafka_TopicDescription_topic_id(topic);
        let text = (!failed && !id.is_null()).then(|| bindings::rd_kafka_Uuid_base64str(id));
        let text = text.filter(|text| !text.is_null());
        let text = text.map(|text| CStr::from_ptr(text).to_string_lossy());
        (
            name.to_string_lossy().into_owned(),
            text.and_then(|text| readable(&text)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_topic_that_is_another_one_is_read_from_the_log() {
        let line = "[thrd:main]: Topic a.b-c changed id from AAAAAAAAAAAAAAAAAAAAAA to Zk/UOxWcTtuU+EoYzvrSPw";
        let (topic, id) = changed_id(line).unwrap();
        assert_eq!((topic, &*id.0), ("a.b-c", "Zk_UOxWcTtuU-EoYzvrSPw"));
        for other in [
            "[thrd:main]: Topic a changed id from Zk_UOxWcTtuUfEoYzvrSPw to AAAAAAAAAAAAAAAAAAAAAA",
            "[thrd:main]: Topic a [0] Leader 1 Epoch 0",
        ] {
            assert_eq!(changed_id(other), None, "{other}");
        }
    }
}
