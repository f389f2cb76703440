//! Status callbacks in every order, each any number of times: one effect, and no step back.

use proptest::prelude::*;
use recado::domain::DeliveryStatus;
use recado::domain::DeliveryStatus::{Canceled, Delivered, Failed, Queued, Read, Sending, Sent, Undelivered};
use strum::VariantArray;

/// What a message went through: each status that took effect, in order.
fn effects(start: DeliveryStatus, heard: impl IntoIterator<Item = DeliveryStatus>) -> Vec<DeliveryStatus> {
    let mut status = start;
    let mut effects = Vec::new();
    for reported in heard {
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

fn assert_forward_only(start: DeliveryStatus, heard: &[DeliveryStatus]) {
    let effects = effects(start, heard.iter().copied());
    let ranks: Vec<_> = [start].iter().chain(&effects).map(|status| status.rank()).collect();
    assert!(ranks.is_sorted_by(|one, next| one < next), "a step back: {heard:?} gave {effects:?}");
    let furthest = heard.iter().map(|status| status.rank()).chain([start.rank()]).max();
    assert_eq!(ranks.last().copied(), furthest, "not as far as reported: {heard:?} gave {effects:?}");
}

#[test]
fn every_order_of_a_messages_life_ends_where_the_life_ended() {
    for end in [Delivered, Undelivered, Failed, Canceled] {
        each_order(&mut [Queued, Sending, Sent, end], 0, &mut |heard| {
            assert_forward_only(Queued, heard);
            assert_eq!(heard.iter().fold(Queued, |status, &reported| status.advance(reported)), end);
        });
    }
    each_order(&mut [Queued, Sending, Sent, Delivered, Read], 0, &mut |heard| {
        assert_eq!(heard.iter().fold(Queued, |status, &reported| status.advance(reported)), Read);
    });
}

#[test]
fn a_callback_told_ten_times_has_the_effect_of_one() {
    each_order(&mut [Queued, Sending, Sent, Delivered, Read, Failed], 0, &mut |heard| {
        let once = effects(DeliveryStatus::Accepted, heard.iter().copied());
        // Ten times in a row, and the whole story ten times over.
        let in_a_row = heard.iter().flat_map(|&status| std::iter::repeat_n(status, 10));
        let over_again = heard.iter().copied().cycle().take(10 * heard.len());
        assert_eq!(effects(DeliveryStatus::Accepted, in_a_row), once);
        assert_eq!(effects(DeliveryStatus::Accepted, over_again), once);
    });
}

#[test]
fn of_two_ends_the_first_to_come_stays() {
    for first in [Delivered, Undelivered, Failed, Canceled] {
        for second in [Delivered, Undelivered, Failed, Canceled] {
            assert_eq!(Sent.advance(first).advance(second), first);
        }
    }
}

proptest! {
    #[test]
    fn no_story_makes_a_message_step_back(
        start in prop::sample::select(DeliveryStatus::VARIANTS.to_vec()),
        heard in prop::collection::vec(prop::sample::select(DeliveryStatus::VARIANTS.to_vec()), 0..100),
    ) {
        assert_forward_only(start, &heard);
    }

    /// What matters of a callback that comes again is only its first coming.
    #[test]
    fn repeats_change_nothing(
        heard in prop::collection::vec(prop::sample::select(DeliveryStatus::VARIANTS.to_vec()), 0..30),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let once = effects(Queued, heard.iter().copied());
        let repeats = again.iter().filter(|_| !heard.is_empty()).map(|index| heard[index.index(heard.len())]);
        prop_assert_eq!(effects(Queued, heard.iter().copied().chain(repeats)), once);
    }
}
