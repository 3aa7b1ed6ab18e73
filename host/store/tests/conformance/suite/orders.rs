//! Orders to redrive dead letters, from several hosts.

use std::collections::BTreeSet;
use std::thread;

use sandman_core::reason::ReasonCode;
use sandman_core::store::{LetterFilter, Ordered, RedriveOrder};

use super::letters::{given_up, letter};
use super::*;

pub(crate) fn orders_at_once_have_numbers_of_their_own(backend: &mut impl Backend) {
    let hosts = [backend.host(), backend.host()];
    for offset in 1..=50 {
        let letter = letter("h", Some("ada"), (offset, ReasonCode::Schema), 10);
        committed(&*hosts[0], &given_up(letter, u64::MAX));
    }
    let order = RedriveOrder {
        from: 9,
        through: None,
        most_redriven: 5,
        kept: 100,
    };
    let all = LetterFilter::default();
    let ordering = |store: &dyn DeploymentStore| -> Vec<(u64, Ordered)> {
        (0..20).map(|_| store.order_redrive(&all, &order).unwrap()).collect()
    };
    let done: Vec<_> = thread::scope(|scope| {
        let asking = hosts.each_ref().map(|host| scope.spawn(|| ordering(&**host)));
        asking.into_iter().flat_map(|asked| asked.join().unwrap()).collect()
    });
    let numbers: BTreeSet<u64> = done.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (9..49).collect());
    let sum = |count: fn(&Ordered) -> u64| done.iter().map(|(_, ordered)| count(ordered)).sum::<u64>();
    assert_eq!(sum(|order| order.ordered), 50);
    assert_eq!(sum(|order| order.already), 39 * 50);
}
