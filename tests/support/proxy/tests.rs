//! The proxy in front of a broker of ten lines.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::late::error_code;
use super::{Call, Proxy};
use crate::broker::Detour;

/// Answers every request with its correlation id and what it says behind it.
fn broker() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut request = [0; 14];
                while stream.read_exact(&mut request).is_ok() {
                    let mut answer = vec![0, 0, 0, 10];
                    answer.extend(&request[8..14]);
                    answer.extend([0; 4]);
                    stream.write_all(&answer).unwrap();
                }
            });
        }
    });
    port
}

fn proxy() -> Proxy {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let front = free.local_addr().unwrap().port();
    drop(free);
    Proxy::start(Detour {
        front,
        behind: broker(),
    })
    .unwrap()
}

fn client(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

fn ask(mut client: &TcpStream, call: Call, correlation: u8) {
    let request = [0, 0, 0, 10, 0, call as u8, 0, 1, 0, 0, 0, correlation, 0, correlation];
    client.write_all(&request).unwrap();
}

/// The correlation id of the next answer; `None` where the connection is gone.
fn answer(mut client: &TcpStream) -> Option<u8> {
    let mut answer = [0; 14];
    client.read_exact(&mut answer).ok().map(|()| answer[7])
}

#[test]
fn only_answers_to_what_is_lost_are_lost_and_their_connection_is_cut_in_the_end() {
    let proxy = proxy();
    let (one, other) = (client(&proxy), client(&proxy));
    proxy.lose(Call::Produce, false);
    ask(&one, Call::Produce, 1);
    ask(&one, Call::EndTransaction, 2);
    assert_eq!(answer(&one), Some(2));
    ask(&other, Call::EndTransaction, 3);
    assert_eq!(answer(&other), Some(3));
    assert_eq!(proxy.touched(), 1);
    proxy.heal();
    assert_eq!(answer(&one), None);
    ask(&other, Call::Produce, 4);
    assert_eq!(answer(&other), Some(4));
}

#[test]
fn a_narrow_network_makes_wait_and_lets_everything_through() {
    let proxy = proxy();
    let client = client(&proxy);
    proxy.narrow(64_000);
    ask(&client, Call::Produce, 1);
    assert_eq!(answer(&client), Some(1));
    assert_eq!(proxy.touched(), 2, "the request and its answer");
}

#[test]
fn the_end_of_a_transaction_is_held_until_the_next_one_is_open() {
    let proxy = proxy();
    let (old, new) = (client(&proxy), client(&proxy));
    proxy.hold_end(true);
    ask(&old, Call::EndTransaction, 7);
    assert_eq!(answer(&old), None);
    // Nothing is over yet: this is no transaction behind it.
    ask(&new, Call::Produce, 8);
    assert_eq!(answer(&new), Some(8));
    assert_eq!(proxy.net.late.answer(), None);
    ask(&new, Call::EndTransaction, 9);
    assert_eq!(answer(&new), Some(9));
    ask(&new, Call::Produce, 10);
    assert_eq!(answer(&new), Some(10));
    assert_eq!(proxy.net.late.answer(), Some(0));
}

#[test]
fn the_error_code_lies_behind_the_throttle_time() {
    let old = [0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 47];
    assert_eq!(error_code(&old, 1), 47);
    let new = [0, 0, 0, 11, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 47];
    assert_eq!(error_code(&new, 3), 47);
}
