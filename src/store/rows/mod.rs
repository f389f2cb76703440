//! The tables, a file each: the description of the table with its columns, the values of a new row, and a type for the
//! rows that leave the store. Columns are named as in `migrations/`. Instants are microseconds since 1970 UTC.

pub mod action;
pub(in crate::store) mod appointment;
pub(in crate::store) mod appointment_history;
pub mod attempt;
pub(in crate::store) mod call;
pub(in crate::store) mod call_leg;
pub(in crate::store) mod call_turn;
pub(in crate::store) mod campaign;
pub(in crate::store) mod campaign_member;
pub(in crate::store) mod contact;
pub(in crate::store) mod contact_channel;
pub mod contact_history;
pub mod event;
pub(in crate::store) mod event_set_aside;
pub mod message;
pub(in crate::store) mod occupied;
pub mod opt_out;
pub(in crate::store) mod opt_out_history;
pub(in crate::store) mod question;
pub(in crate::store) mod rule_firing;
pub mod rule_run;
pub mod sender;
pub(in crate::store) mod service;
pub mod setting;
pub(in crate::store) mod staff;
pub(in crate::store) mod staff_service;
pub(in crate::store) mod subject_timer;
pub(in crate::store) mod table;
pub mod tenant;
pub(in crate::store) mod timer;
pub(in crate::store) mod timer_set_aside;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sea_orm::{EntityTrait, IdenStatic, Iterable};

    use super::table::Table;
    use super::{action, attempt, contact_history, event, message, opt_out, rule_run, sender};

    /// Compares an entity with the description of its table.
    fn check<E: EntityTrait>(table: &Table) {
        assert_eq!(E::default().table_name(), table.name);
        let entity: BTreeSet<String> = E::Column::iter().map(|column| column.as_str().to_owned()).collect();
        let described: BTreeSet<String> =
            table.columns.iter().map(|column| column.name).chain(["tenant_id"]).map(str::to_owned).collect();
        assert_eq!(entity, described, "{}", table.name);
    }

    #[test]
    fn entities_have_the_columns_of_their_tables() {
        check::<action::Entity>(&action::TABLE);
        check::<attempt::Entity>(&attempt::TABLE);
        check::<contact_history::Entity>(&contact_history::TABLE);
        check::<event::Entity>(&event::TABLE);
        check::<message::Entity>(&message::TABLE);
        check::<opt_out::Entity>(&opt_out::TABLE);
        check::<rule_run::Entity>(&rule_run::TABLE);
        check::<sender::Entity>(&sender::TABLE);
    }
}
