//! Status callbacks in any order and with repeats: each has one effect, and no status goes back.

use proptest::prelude::*;
use recado::domain::DeliveryStatus;
use recado::domain::DeliveryStatus::{Canceled, Delivered, Failed, Queued, Read, Sending, Sent, Undelivered};
use strum::VariantArray;

/// The statuses of a message that took effect, in order.
fn effects(start: DeliveryStatus, reported_statuses: impl IntoIterator<Item = DeliveryStatus>) -> Vec<DeliveryStatus> {
    let mut status = start;
    let mut effects = Vec::new();
    for reported in reported_statuses {
        let next = status.advance(reported);
        if next != status {
            effects.push(next);
        }
        status = next;
    }
    effects
}

/// Calls `visit` with every order of `items`.
fn each_order<T: Copy>(items: &mut [T], fixed: usize, visit: &mut impl FnMut(&[T])) {
    if fixed == items.len() {
        return visit(items);
    }
    for chosen in fixed..items.len() {
        items.swap(fixed, chosen);
        each_order(items, fixed + 1, visit);
        items.swap(fixed, chosen);
    }
}

fn assert_forward_only(start: DeliveryStatus, reported_statuses: &[DeliveryStatus]) {
    let effects = effects(start, reported_statuses.iter().copied());
    let ranks: Vec<_> = [start].iter().chain(&effects).map(|status| status.rank()).collect();
    assert!(ranks.is_sorted_by(|one, next| one < next), "a step back: {reported_statuses:?} gave {effects:?}");
    let furthest = reported_statuses.iter().map(|status| status.rank()).chain([start.rank()]).max();
    assert_eq!(ranks.last().copied(), furthest, "not as far as reported: {reported_statuses:?} gave {effects:?}");
}

#[test]
fn every_order_of_callbacks_ends_in_the_final_status() {
    for end in [Delivered, Undelivered, Failed, Canceled] {
        each_order(&mut [Queued, Sending, Sent, end], 0, &mut |reported_statuses| {
            assert_forward_only(Queued, reported_statuses);
            assert_eq!(reported_statuses.iter().fold(Queued, |status, &reported| status.advance(reported)), end);
        });
    }
    each_order(&mut [Queued, Sending, Sent, Delivered, Read], 0, &mut |reported_statuses| {
        assert_eq!(reported_statuses.iter().fold(Queued, |status, &reported| status.advance(reported)), Read);
    });
}

#[test]
fn a_callback_that_comes_ten_times_has_the_effect_of_one() {
    each_order(&mut [Queued, Sending, Sent, Delivered, Read, Failed], 0, &mut |reported_statuses| {
        let once = effects(DeliveryStatus::Accepted, reported_statuses.iter().copied());
        // Each callback comes ten times in a row, and then the whole sequence ten times.
        let in_a_row = reported_statuses.iter().flat_map(|&status| std::iter::repeat_n(status, 10));
        let over_again = reported_statuses.iter().copied().cycle().take(10 * reported_statuses.len());
        assert_eq!(effects(DeliveryStatus::Accepted, in_a_row), once);
        assert_eq!(effects(DeliveryStatus::Accepted, over_again), once);
    });
}

#[test]
fn the_first_of_two_final_statuses_stays() {
    for first in [Delivered, Undelivered, Failed, Canceled] {
        for second in [Delivered, Undelivered, Failed, Canceled] {
            assert_eq!(Sent.advance(first).advance(second), first);
        }
    }
}

proptest! {
    #[test]
    fn no_sequence_makes_a_status_go_back(
        start in prop::sample::select(DeliveryStatus::VARIANTS.to_vec()),
        reported_statuses in prop::collection::vec(prop::sample::select(DeliveryStatus::VARIANTS.to_vec()), 0..100),
    ) {
        assert_forward_only(start, &reported_statuses);
    }

    /// A repeated callback has an effect only the first time.
    #[test]
    fn repeats_change_nothing(
        reported_statuses in prop::collection::vec(prop::sample::select(DeliveryStatus::VARIANTS.to_vec()), 0..30),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let once = effects(Queued, reported_statuses.iter().copied());
        let repeats = again.iter().filter(|_| !reported_statuses.is_empty()).map(|index| reported_statuses[index.index(reported_statuses.len())]);
        prop_assert_eq!(effects(Queued, reported_statuses.iter().copied().chain(repeats)), once);
    }
}
