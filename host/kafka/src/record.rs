//! Converts the library's records to ours.

use std::ffi::CStr;
use std::ptr;

use rdkafka::bindings;
use rdkafka::message::{BorrowedMessage, Message};

use sandman_core::event::{Header, Headers, Record, TopicPartition};

/// Initial capacity for headers and for the bytes of their names and values: enough for records of DreamScape's clients
/// and of Sandman.
const HEADERS: usize = 12;
const HEADER_BYTES: usize = 400;

/// Copies a record out of the library's memory.
pub(super) fn owned(message: &BorrowedMessage<'_>, source: TopicPartition) -> Record {
    Record {
        source,
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers(message),
        timestamp_millis: message.timestamp().to_millis(),
    }
}

/// The headers, in order. rdkafka's own accessor panics at a name that is not UTF-8, which anybody who may write to the
/// topic can send; here such a name is converted lossily.
#[expect(unsafe_code, reason = "the safe accessor panics on bytes from outside")]
pub(super) fn headers(message: &BorrowedMessage<'_>) -> Headers {
    let mut list = ptr::null_mut();
    // SAFETY: the pointer is that of a live message, borrowed for the whole of this function; the call parses its headers
    // into the message and gives a pointer to them, which lives as long as the message.
    let found = unsafe { bindings::rd_kafka_message_headers(message.ptr(), &raw mut list) };
    if found != bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || list.is_null() {
        return Headers::default();
    }
    let mut headers = Headers::with_room(HEADERS, HEADER_BYTES);
    loop {
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        let index = headers.len();
        // SAFETY: `list` is valid as said above; the call writes to the three places only where it returns no error.
        let found =
            unsafe { bindings::rd_kafka_header_get_all(list, index, &raw mut name, &raw mut value, &raw mut size) };
        if found != bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return headers;
        }
        // SAFETY: without an error `name` is a null-terminated string, and `value` is null or points to `size` bytes;
        // both live as long as the message.
        let (name, value) = unsafe {
            let bytes = (!value.is_null()).then(|| std::slice::from_raw_parts(value.cast::<u8>(), size));
            (CStr::from_ptr(name).to_string_lossy(), bytes)
        };
        let name = &name;
        headers.push(Header { name, value });
    }
}
